"""Alert decisions: which breach is announced, when, and in which words.

Pure functions over breaches; sending belongs to `channels`, timing and transactions to `pipeline`.
"""
