"""Numbers: estimators over snapshots, with their intervals.

Arrays and snapshots come in, estimates go out. Nothing here knows of SLOs, files, databases or clocks.
"""
