"""The stages of the product, one verb per module; the only place where a transaction begins.

Each stage reads what the one before stored, is safe to run twice, and knows nothing of Dagster, web or terminal.
"""
