"""A Grafana dashboard over the metrics, as JSON: sorted, with fixed ids, so that the file changes only when it must."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from calslo_dagster.reporting.states import State

UID: Final = "calslo"
# The schema of Grafana 10.1, which every later Grafana migrates by itself.
SCHEMA_VERSION: Final = 38
_WIDTH: Final = 24
_SOURCE: Final[Mapping[str, str]] = {"type": "prometheus", "uid": "${datasource}"}
_COLORS: Final = {
    State.BREACHED: "red",
    State.ERROR: "dark-red",
    State.STALE: "purple",
    State.WARNING: "orange",
    State.UNKNOWN: "#8e8e8e",
    State.NEVER: "#6e6e6e",
    State.EXCLUDED: "light-blue",
    State.MEETING: "green",
}
_SHOWN: Final = 'slo=~"$slo",slice=~"$slice"'
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Query:
    """One PromQL query; legend: how its series are called; is_instant: only the newest value is asked for."""

    expr: str
    legend: str = "{{slo}} {{slice}}"
    is_instant: bool = False

    def json(self, ref: str) -> dict[str, Any]:
        """Return the query as Grafana stores it."""
        shape = {"format": "table", "instant": True, "range": False} if self.is_instant else {"range": True}
        return {"refId": ref, "datasource": _SOURCE, "expr": self.expr, "legendFormat": self.legend, **shape}


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel: what it shows, of which kind, and how large it is on a grid 24 wide."""

    kind: str
    title: str
    description: str
    queries: tuple[Query, ...]
    unit: str = "short"
    width: int = 12
    height: int = 8
    options: Json = field(default_factory=dict)
    custom: Json = field(default_factory=dict)
    mappings: tuple[Json, ...] = ()
    steps: tuple[tuple[float | None, str], ...] = ((None, "text"),)
    transformations: tuple[Json, ...] = ()

    def json(self, number: int, place: Mapping[str, int]) -> dict[str, Any]:
        """Return the panel as Grafana stores it, with its number and place."""
        return {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "datasource": _SOURCE,
            "gridPos": place,
            "targets": [query.json(chr(ord("A") + n)) for n, query in enumerate(self.queries)],
            "options": self.options,
            "fieldConfig": {
                "defaults": {
                    "unit": self.unit,
                    "custom": self.custom,
                    "mappings": list(self.mappings),
                    "thresholds": {
                        "mode": "absolute",
                        "steps": [{"value": value, "color": color} for value, color in self.steps],
                    },
                },
                "overrides": [],
            },
            "transformations": list(self.transformations),
        }


def dashboard_json(*, dashboard_url: str = "") -> str:
    """Return the dashboard; dashboard_url: where our own one is, for a link to it."""
    panels = [panel.json(n, place) for n, (panel, place) in enumerate(_placed(_panels()), start=1)]
    found = {
        "uid": UID,
        "title": "Calibration SLOs",
        "description": "How every calibration SLO stands on every slice, by the metrics of calslo.",
        "tags": ["calibration", "slo"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "1m",
        "time": {"from": "now-7d", "to": "now"},
        "timezone": "utc",
        "templating": {"list": list(_variables())},
        "annotations": {"list": [_annotation()]},
        "links": _links(dashboard_url),
        "panels": panels,
    }
    return json.dumps(found, indent=2, sort_keys=True) + "\n"


def _placed(panels: Sequence[Panel]) -> Iterator[tuple[Panel, dict[str, int]]]:
    """Yield the panels from left to right, row below row."""
    x, y, height = 0, 0, 0
    for panel in panels:
        if x + panel.width > _WIDTH:
            x, y, height = 0, y + height, 0
        yield panel, {"x": x, "y": y, "w": panel.width, "h": panel.height}
        x, height = x + panel.width, max(height, panel.height)


def _panels() -> tuple[Panel, ...]:
    return (*_counts(), *_now(), *_courses(), *_budgets(), *_ourselves())


def _counts() -> Iterator[Panel]:
    """Yield how many slices are in each state, those that need somebody first."""
    # None breached is no good news where nothing is known, so that zero has no colour.
    bad = ((None, "text"), (1.0, "red"))
    doubt = ((None, "text"), (1.0, "orange"))
    score = ((None, "red"), (40.0, "orange"), (70.0, "yellow"), (90.0, "green"))
    found = 'sum(calslo_slices{{status=~"{}"}})'
    yield _stat("Breached", "Slices of all SLOs with a breach that goes on.", found.format("breached"), bad)
    yield _stat("Warning", "Slices past their warning limit.", found.format("warning"), doubt)
    silent = "Slices of which nothing is known now: stale, unknown, never measured or with an indicator that fails."
    yield _stat("Not known", silent, found.format("stale|unknown|never|error"), doubt)
    yield _stat("Meeting", "Slices that meet their objective.", found.format("meeting"), ((None, "text"),))
    yield _stat("Health", "Health of everything from 0 to 100.", "min(calslo_health_score)", score)
    open_ones = "Incidents that fire or are acknowledged."
    yield _stat("Incidents", open_ones, "sum(calslo_incidents) or vector(0)", bad)


def _stat(title: str, description: str, expr: str, steps: tuple[tuple[float | None, str], ...]) -> Panel:
    options = {"colorMode": "value", "graphMode": "none", "reduceOptions": {"calcs": ["lastNotNull"]}}
    return Panel("stat", title, description, (Query(expr, title),), width=4, height=4, options=options, steps=steps)


def _now() -> Iterator[Panel]:
    """Yield how each slice stands now."""
    hidden = {"Time": True, "Value": True, "__name__": True, "instance": True, "job": True}
    order = {"status": 0, "slo": 1, "slice": 2, "model": 3}
    yield Panel(
        "table",
        "How each slice stands now",
        "The status of each SLO on each slice; what is stale or unknown is not met.",
        (Query(f"calslo_status{{{_SHOWN}}} == 1", is_instant=True),),
        width=12,
        height=10,
        mappings=(_words(),),
        custom={"cellOptions": {"type": "color-text"}},
        transformations=({"id": "organize", "options": {"excludeByName": hidden, "indexByName": order}},),
    )
    yield from _timeline()


def _timeline() -> Iterator[Panel]:
    """Yield the course of the states: each is drawn as its rank, worst 0."""
    parts = (
        f'sum without (status) (calslo_status{{status="{state.value}",{_SHOWN}}}) * {state.rank}' for state in State
    )
    ranks: Json = {
        "type": "value",
        "options": {
            str(state.rank): {"text": state.value, "color": _COLORS[state], "index": state.rank} for state in State
        },
    }
    yield Panel(
        "state-timeline",
        "Status over time",
        "Each SLO on each slice; a gap means that nothing was scraped.",
        (Query(" + ".join(parts)),),
        width=12,
        height=10,
        mappings=(ranks,),
        options={"mergeValues": True, "showValue": "never", "legend": {"displayMode": "list", "placement": "bottom"}},
        custom={"fillOpacity": 80, "lineWidth": 0},
    )


def _words() -> Json:
    """Return the mapping of the words of states to their colours."""
    options = {state.value: {"color": _COLORS[state], "index": state.rank} for state in State}
    return {"type": "value", "options": options}


def _courses() -> Iterator[Panel]:
    """Yield the values with their intervals and limits."""
    told = "The measured value with its 95 % interval, and the limits that it is judged by, in the unit of the SLO."
    yield Panel(
        "timeseries",
        "Value, interval and limit",
        told,
        (
            Query(f"calslo_sli_value{{{_SHOWN}}}", "{{slo}} {{slice}}"),
            Query(f"calslo_sli_lower_bound{{{_SHOWN}}}", "{{slo}} {{slice}} lower end"),
            Query(f"calslo_sli_upper_bound{{{_SHOWN}}}", "{{slo}} {{slice}} upper end"),
            Query(f"calslo_objective_threshold{{{_SHOWN}}}", "{{slo}} {{slice}} limit"),
        ),
        width=16,
        height=10,
        custom={"lineInterpolation": "stepAfter", "spanNulls": False},
    )
    labeled = "Share of the events that have a label; SLOs about outcomes rest on these alone."
    yield Panel(
        "timeseries",
        "Labelled share",
        labeled,
        (Query(f"calslo_sli_labeled_ratio{{{_SHOWN}}}"),),
        unit="percentunit",
        width=8,
        height=10,
    )


def _budgets() -> Iterator[Panel]:
    """Yield what is left of the error budgets, and how fast they go."""
    yield Panel(
        "timeseries",
        "Error budget left",
        "Share of the bad windows allowed that is left; below zero when overspent.",
        (Query(f"calslo_error_budget_remaining_ratio{{{_SHOWN}}}"),),
        unit="percentunit",
        steps=((None, "red"), (0.0, "text")),
    )
    found = 'sum by (slo) (increase(calslo_evaluations_total{{slo=~"$slo",outcome=~"{}"}}[$__rate_interval]))'
    share = f"{found.format('bad')} / {found.format('good|bad|unknown')}"
    yield Panel(
        "timeseries",
        "Share of bad windows",
        "Bad windows among all expected ones, of all slices together.",
        (Query(share, "{{slo}}"),),
        unit="percentunit",
    )


def _ourselves() -> Iterator[Panel]:
    """Yield whether somebody still looks."""
    age = 'time() - calslo_last_evaluation_timestamp_seconds{slo=~"$slo"}'
    yield Panel(
        "timeseries",
        "Time since the last evaluation",
        "A line that climbs means that nothing is evaluated; CalsloStale tells of it.",
        (Query(age, "{{slo}}"),),
        unit="s",
    )
    sent = "sum by (channel, outcome) (increase(calslo_notifications_total[$__rate_interval]))"
    yield Panel(
        "timeseries",
        "Messages",
        "Messages that were sent, and those given up (dead).",
        (Query(sent, "{{channel}} {{outcome}}"),),
    )


def _variables() -> Iterator[Json]:
    """Yield what can be chosen: the data source, SLOs and slices; all traffic to begin with."""
    yield {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "hide": 0}
    every = {"text": ["All"], "value": ["$__all"]}
    yield _variable("slo", "SLO", "label_values(calslo_status, slo)", every)
    whole = {"text": ["*"], "value": ["*"]}
    yield _variable("slice", "Slice", 'label_values(calslo_status{slo=~"$slo"}, slice)', whole)


def _variable(name: str, label: str, query: str, current: Json) -> Json:
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": _SOURCE,
        "query": {"query": query, "refId": f"variable-{name}"},
        "definition": query,
        "multi": True,
        "includeAll": True,
        "refresh": 2,
        "sort": 1,
        "current": current,
    }


def _annotation() -> Json:
    return {
        "name": "Breaches",
        "enable": True,
        "datasource": _SOURCE,
        "expr": 'changes(calslo_breach_events_total{slo=~"$slo"}[$__rate_interval]) > 0',
        "titleFormat": "{{slo}} was breached",
        "iconColor": "red",
        "step": "60s",
    }


def _links(url: str) -> list[Json]:
    return [{"title": "calslo", "type": "link", "url": url, "targetBlank": True, "icon": "dashboard"}] if url else []
