"""Imports go downwards only."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PURE = ["calslo_dagster.stats", "calslo_dagster.slo", "calslo_dagster.alerting", "calslo_dagster.reporting"]
IMPURE = ["dagster", "duckdb", "pydantic", "sqlalchemy", "pandera", "yaml", "click", "rich", "requests", "pyarrow"]

LOAD_ALL = """
import importlib, pkgutil, sys
for name in {packages!r}:
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(package.__path__, name + "."):
        importlib.import_module(module.name)
print(" ".join(sorted(set(sys.modules) & set({impure!r}))))
"""


def test_every_import_contract_holds() -> None:
    """The contracts stand in pyproject.toml, where import-linter reads them."""
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_pure_floors_load_nothing_impure() -> None:
    """What a module imports in passing counts too, so a fresh interpreter loads every module and looks."""
    code = LOAD_ALL.format(packages=PURE, impure=IMPURE)

    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert loaded.stdout.strip() == ""


@pytest.mark.parametrize("package", ["stats", "slo", "engine", "sources", "store", "pipeline", "settings"])
def test_no_floor_below_the_shell_loads_dagster(package: str) -> None:
    """The product works without an orchestrator: `calslo evaluate` must not pay for one."""
    code = LOAD_ALL.format(packages=[f"calslo_dagster.{package}"], impure=["dagster"])

    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert loaded.stdout.strip() == ""
