"""The demo source: a seeded serving log with scripted incidents, and the score card of who noticed them.

Population, script and files of a simulated log belong here; reading any log, this one included, does not.
"""
