"""Tests of the state store; each runs on SQLite and on a real PostgreSQL."""
