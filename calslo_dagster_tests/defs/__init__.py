"""Tests of the Dagster shell."""
