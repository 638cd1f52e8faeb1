"""The definitions as `dagster dev` loads them, with a clock that stands still at CALSLO_BENCHMARK_NOW."""

import os
from datetime import datetime

from calslo_dagster.defs.build import build_defs
from calslo_dagster.defs.resources import LazyProject
from calslo_dagster.settings import load_settings


def _now() -> datetime:
    return datetime.fromisoformat(os.environ["CALSLO_BENCHMARK_NOW"])


_settings = load_settings()
defs = build_defs(_settings, project=LazyProject(_settings, now=_now))
