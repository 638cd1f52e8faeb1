"""Write what Prometheus and Grafana are given under deploy/, from the SLOs that ship with calslo."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from calslo_dagster.exports.grafana import dashboard_json
from calslo_dagster.exports.prometheus_rules import Stepped, rules_yaml
from calslo_dagster.slo.registry import builtin
from calslo_dagster.slo.windows import step_of

FOLDER: Final = Path(__file__).parents[1] / "deploy"


def main() -> None:
    """Write every file."""
    for name, text in FILES.items():
        (FOLDER / name).parent.mkdir(exist_ok=True)
        (FOLDER / name).write_text(text(), encoding="utf-8")


def prometheus_rules() -> str:
    """Return the rules for the SLOs that ship with calslo, as they are without settings."""
    return rules_yaml([Stepped(slo, step_of(slo)) for slo in builtin()])


FILES: Final[Mapping[str, Callable[[], str]]] = {
    "prometheus/calslo.rules.yaml": prometheus_rules,
    "grafana/calslo.json": dashboard_json,
}

if __name__ == "__main__":
    main()
