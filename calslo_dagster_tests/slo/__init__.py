"""Tests of the promises: SLOs, windows, verdicts, budgets, breaches and availability."""
