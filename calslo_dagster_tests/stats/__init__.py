"""Tests of the estimators, against formulas over raw arrays."""
