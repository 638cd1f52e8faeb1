"""The REST API, `/api/v1`: what the pages show, for programs, and the answers that people give.

Handlers read what the read model says or call one pipeline step; the models say what goes over the wire.
"""
