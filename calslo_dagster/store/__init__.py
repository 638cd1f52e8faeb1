"""The state store: tables, migrations, and one module of functions per noun, on SQLite and PostgreSQL alike.

Functions take a Session, never commit and return dataclasses or pandas frames, never ORM rows. Nothing here decides
anything, and nothing outside this package and `pipeline` begins a transaction.
"""
