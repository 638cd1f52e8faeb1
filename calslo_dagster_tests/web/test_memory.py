"""What the web process does without: libraries that weigh much, and that few requests or another process need."""

import subprocess
import sys
from typing import Final

HEAVY: Final = ("aiohttp", "alembic", "dagster", "duckdb", "httpx2", "pandas", "pyarrow", "scipy", "slack_sdk")


def test_the_application_starts_without_what_it_seldom_needs() -> None:
    code = f"import sys, calslo_dagster.web.app, calslo_dagster.cli.serve; print(set(sys.modules) & set({HEAVY!r}))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "set()\n"
