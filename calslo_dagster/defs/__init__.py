"""The Dagster shell: assets, checks, schedules and sensors that call `pipeline` and show what it returned.

No arithmetic, no SQL and no message text belongs here; a body of more than fifteen lines belongs into `pipeline`.
String annotations break Dagster's contexts, so no module here postpones their evaluation.
"""
