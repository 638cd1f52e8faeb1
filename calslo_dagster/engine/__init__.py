"""The aggregate: one SQL text behind a dialect, run by DuckDB, that turns events into facts.

Imports `stats` for the grid and the names of the sums. Knows nothing of SLOs, settings or the state store.
"""
