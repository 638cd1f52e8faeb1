"""Tests of the built-in SLOs."""
