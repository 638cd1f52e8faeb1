"""Let the simulated log grow up to now, where the demo is one of the sources."""

from datetime import datetime

from calslo_dagster.pipeline.project import Project
from calslo_dagster.settings import Settings
from calslo_dagster.sources.demo.generate import refresh
from calslo_dagster.sources.demo.script import Script, default_script


def demo_script(settings: Settings, now: datetime) -> Script:
    """Return the script that the demo plays."""
    return default_script(settings.demo_spec(now))


def feed_demo(project: Project, *, now: datetime) -> int:
    """Write the demo's files up to the last complete minute; return how many were written."""
    if not any(source.kind == "demo" for source in project.settings.logs):
        return 0
    return len(refresh(project.settings.demo_folder, demo_script(project.settings, now), now))
