"""Tests of the aggregate pass and of everything that reads what it wrote."""
