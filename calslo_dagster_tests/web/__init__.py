"""Tests of the web side, against a real server on loopback."""
