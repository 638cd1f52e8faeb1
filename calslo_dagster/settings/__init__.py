"""The settings: `calslo.yaml` and the environment, typed, checked as a whole, every mistake with file, line and key.

Imports pydantic and yaml and nothing of the lower floors, because every command and every run starts with it.
"""

from calslo_dagster.settings.load import load_settings
from calslo_dagster.settings.model import Settings

__all__ = ["Settings", "load_settings"]
