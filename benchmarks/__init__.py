"""Benchmarks: what passes, ticks and late labels cost, next to yardsticks of the same run."""
