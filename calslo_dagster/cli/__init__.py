"""The command line: one module per command, each a thin shell around `pipeline`.

Commands load what they need when they run, because `calslo --help` must not wait for an engine or an orchestrator.
"""
