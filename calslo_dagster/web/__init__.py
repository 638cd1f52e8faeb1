"""The web side: the addresses that answers to alerts come in by.

Handlers check who speaks, call one pipeline step and say what it said; they decide nothing.
"""
