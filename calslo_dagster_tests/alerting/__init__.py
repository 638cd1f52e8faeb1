"""Tests of the alert decisions."""
