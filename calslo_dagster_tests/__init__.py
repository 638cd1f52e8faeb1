"""Tests of calslo_dagster; the tree mirrors the package."""
