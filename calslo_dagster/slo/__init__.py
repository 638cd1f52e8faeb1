"""Promises: SLOs, windows, verdicts, error budgets, breaches and availability.

Pure decisions over estimates. Nothing here reads a clock, a file or a database.
"""
