"""Shapes for people: tables and rows that the CLI, Dagster, exports and the dashboard print.

Pure functions from measurements, episodes and tallies to rows. No files, no HTML templates, no databases.
"""
