"""Tests of exports: what other tools are given is read with those tools."""
