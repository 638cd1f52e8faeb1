"""Tests of the shapes made for people."""
