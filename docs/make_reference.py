"""Write the pages of docs/reference from the code: settings, commands, SLOs and what Dagster sees."""

import inspect
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import click

from calslo_dagster.cli.main import cli
from calslo_dagster.settings.model import Settings
from calslo_dagster.settings.show import settings_schema
from calslo_dagster.settings.types import duration_text
from calslo_dagster.slo.limits import figure, promise
from calslo_dagster.slo.metrics import METRICS
from calslo_dagster.slo.model import SLO
from calslo_dagster.slo.parameters import described
from calslo_dagster.slo.registry import recipes

FOLDER: Final = Path(__file__).parent / "reference"
NOTE: Final = "<!-- Written by `make docs` from the code; edit the code, not this page. -->"
Schema = Mapping[str, Any]


def main() -> None:
    """Write every page."""
    FOLDER.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")


# Settings


def settings_page() -> str:
    """Return the reference of calslo.yaml: a table for each section, below the key that holds it."""
    schema = settings_schema()
    parts = [
        "# Settings",
        NOTE,
        "Every key of `calslo.yaml` with its default. Unknown keys are refused. `calslo config schema` prints the same "
        "as JSON Schema, for editors; `calslo config show` prints what is in force.",
        "A duration is a whole number with a unit: `90s`, `15m`, `24h`, `7d`, `2w`. A ratio is a number from 0 to 1, "
        "not a percentage. A time is written with its zone, such as `2026-03-01T02:00:00Z`; a date is its midnight in "
        "UTC. A URL that holds a password is refused: write `env:NAME` for an environment variable or `file:PATH` for "
        "a file.",
        "## Top level",
        _keys(schema, schema),
    ]
    for name, path in sections(schema).items():
        section = schema["$defs"][name]
        parts += [f"## {_title(path, section)}", section.get("description", ""), _keys(section, schema)]
    return _joined(parts)


def sections(schema: Schema) -> dict[str, str]:
    """Return the first path that leads to each section, such as `sources[].columns`, by the section's name."""
    found: dict[str, str] = {}
    waiting = [*_inner("", schema, schema)]
    while waiting:
        path, name = waiting.pop(0)
        if name not in found:
            found[name] = path
            waiting = [*_inner(path, schema["$defs"][name], schema), *waiting]
    return found


def _inner(path: str, section: Schema, schema: Schema) -> Iterator[tuple[str, str]]:
    """Yield path and name of the sections that stand directly below a section."""
    for key, value in section["properties"].items():
        is_list = "items" in value or any("items" in one for one in value.get("anyOf", ()))
        place = f"{path}.{key}".removeprefix(".") + "[]" * is_list
        yield from ((place, name) for name in _names(value, schema))
    yield from ((f"{path}.NAME", name) for name in _names(section.get("additionalProperties"), schema))


def _names(value: Any, schema: Schema) -> Iterator[str]:
    """Yield the sections that a value refers to; enumerations are no sections."""
    if isinstance(value, dict):
        name = str(value.get("$ref", "")).removeprefix("#/$defs/")
        if "properties" in schema["$defs"].get(name, ()):
            yield name
        value = [child for key, child in value.items() if key != "discriminator"]
    if isinstance(value, list):
        for child in value:
            yield from _names(child, schema)


def _title(path: str, section: Schema) -> str:
    kind = section["properties"].get("kind", {}).get("const")
    return f"`{path}`" + (f" of kind `{kind}`" if kind else "")


def _keys(section: Schema, schema: Schema) -> str:
    required = section.get("required", ())
    rows = [
        (f"`{key}`", _default(key, value, required), _takes(value, schema), value.get("description", ""))
        for key, value in section["properties"].items()
    ]
    return _table(("key", "default", "takes", "meaning"), rows)


def _default(key: str, value: Schema, required: Sequence[str]) -> str:
    if key in required:
        return "required"
    default = value.get("default")
    if default in (None, "", [], {}):
        return ""
    return f"`{_yaml(default)}`"


def _yaml(value: object) -> str:
    """Return the value as the settings file writes it."""
    if isinstance(value, list):
        return f"[{', '.join(map(_yaml, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _takes(value: Schema, schema: Schema) -> str:
    if "$ref" in value:
        target = schema["$defs"][value["$ref"].removeprefix("#/$defs/")]
        return _choices(target["enum"]) if "enum" in target else "a section"
    if "anyOf" in value or "oneOf" in value:
        options = value.get("anyOf", value.get("oneOf", ()))
        return " or ".join(dict.fromkeys(_takes(one, schema) for one in options if one.get("type") != "null"))
    if value.get("type") == "array":
        return "`[low, high]`" if value.get("maxItems") == 2 else f"a list of {_plural(_takes(value['items'], schema))}"
    return _plain(value)


def _plural(words: str) -> str:
    if words.startswith("a list of "):
        return words.replace("a list", "lists", 1)
    return f"{words.removeprefix('a ')}s" if words.startswith("a ") else words


def _plain(value: Schema) -> str:
    kind, pattern = value.get("type"), str(value.get("pattern", ""))
    if "const" in value:
        return f"`{value['const']}`"
    if pattern.endswith("[smhdw]\\s*$"):
        return "a duration"
    if kind == "number":
        return "a ratio" if value.get("maximum") == 1 else "a number"
    if kind == "string" and value.get("examples"):
        return f"such as `{value['examples'][-1]}`"
    words = {"integer": "a whole number", "boolean": "true or false", "object": "a mapping", "string": "text"}
    return "a date" if value.get("format") == "date" else words.get(str(kind), "any value")


def _choices(words: Iterable[object]) -> str:
    return ", ".join(f"`{word}`" for word in words)


# Commands


def commands_page() -> str:
    """Return the reference of the command line."""
    parts = ["# Commands", NOTE, "Each command explains itself with `--help`."]
    for path, command in commands(cli):
        parts += [f"## `{path}`", *_told(command)]
    return _joined(parts)


def commands(group: click.Command, path: str = "calslo") -> Iterator[tuple[str, click.Command]]:
    """Yield every command below the group with the words that call it."""
    yield path, group
    if isinstance(group, click.Group):
        context = click.Context(group)
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            if command is not None:
                yield from commands(command, f"{path} {name}")


def _told(command: click.Command) -> Iterator[str]:
    for block in inspect.cleandoc(f"{command.help or ''}\n\n{command.epilog or ''}").split("\n\n"):
        is_example = block.strip(" \n").startswith("\b")
        yield _example(block) if is_example else " ".join(block.split())
    rows = [_option(one) for one in command.params if isinstance(one, click.Option) and one.name != "help"]
    if rows:
        yield _table(("option", "default", "meaning"), rows)


def _example(block: str) -> str:
    lines = (re.sub(r"^[A-Z][a-z ]*: *", "", line.strip(" \b")) for line in block.splitlines())
    return "\n".join(["```sh", *filter(None, lines), "```"])


def _option(option: click.Option) -> tuple[str, str, str]:
    takes = "" if option.is_flag else f" {_metavar(option)}"
    default = option.default
    shown = default if isinstance(default, (str, int, Path)) and not isinstance(default, bool) else ""
    words = " ".join(filter(None, [option.help or "", "Required." if option.required else ""]))
    return f"`{', '.join(option.opts)}{takes}`", f"`{shown}`" if str(shown) else "", words


def _metavar(option: click.Option) -> str:
    if isinstance(option.type, click.Choice):
        return "|".join(map(str, option.type.choices))
    if isinstance(option.type, click.DateTime):
        return "DATE"
    if isinstance(option.type, click.types.IntRange):
        return "N"
    return option.metavar or option.type.name.upper()


# SLOs


def slos_page() -> str:
    """Return the reference of the built-in SLOs and of the metrics that own SLOs may name."""
    parts = [
        "# Built-in SLOs and metrics",
        NOTE,
        "`calslo slos show NAME` prints the same for the SLOs in force, yours included, with the limits that your "
        "settings give them.",
    ]
    for recipe in recipes().values():
        parts += _slo(recipe.slo)
        if recipe.parameters:
            rows = [(f"`{p.name}`", f"`{_yaml(p.default)}`", p.text) for p in described(recipe.parameters)]
            parts += [f"Parameters, set under `slos.{recipe.slo.name}.parameters`:"]
            parts += [_table(("parameter", "default", "meaning"), rows)]
    metrics = [(f"`{m.name}`", m.text, m.unit, ", ".join(f"`{n}`" for n in sorted(m.needs))) for m in METRICS.values()]
    parts += ["## Metrics", "What `metric` in `slos.define` may be."]
    return _joined([*parts, _table(("metric", "what it is", "unit", "needs"), metrics)])


def _slo(slo: SLO) -> list[str]:
    goal = slo.objective
    warn = "" if goal.warn is None or isinstance(goal.warn, tuple) else f"; warns past {figure(goal.warn, slo.unit)}"
    floor = "the larger of a computed bound and " if goal.computed else ""
    limit = promise(goal.operator, goal.limit, slo.unit)
    rows = [
        ("limit", (limit.replace("at most ", f"at most {floor}") if goal.computed else limit) + warn),
        ("window", f"{_span(slo.window)}, measured every {slo.cadence.removesuffix('ly')}"),
        ("events needed", f"{slo.min_events:,}"),
        ("target", f"{slo.target:g} of all windows"),
        ("columns needed", ", ".join(f"`{name}`" for name in sorted(slo.needs))),
        ("breach", f"opens after {slo.open_after} breached, closes after {slo.close_after} met windows in a row"),
    ]
    advice = f"**When it is breached.** {slo.runbook}"
    return [f"## `{slo.name}`: {slo.title}", slo.description, _table(("", ""), rows), advice]


def _span(length: timedelta) -> str:
    return duration_text(length)


# Dagster


def dagster_page() -> str:
    """Return the reference of assets, checks, jobs, schedules and sensors, for the default settings."""
    import dagster as dg  # noqa: PLC0415 - slow to load, and the other pages do without

    warnings.filterwarnings("ignore", category=dg.BetaWarning)
    from calslo_dagster.defs.build import build_defs  # noqa: PLC0415 - it loads Dagster

    defs = build_defs(Settings())
    parts = ["# What Dagster sees", NOTE, "With the default settings; SLOs of your own become assets of group `slo`."]
    parts += ["## Assets", _table(("asset", "group", "partitions", "what it is"), _assets(defs))]
    parts += ["## Checks", _table(("asset", "check", "blocks", "passes when"), _checks(defs))]
    jobs = [(f"`{job.name}`", job.description or "") for job in defs.jobs or ()]
    parts += ["## Jobs", _table(("job", "what it does"), sorted(jobs))]
    schedules = [
        (f"`{one.name}`", f"`{one.cron_schedule}`", f"`{one.job_name}`", one.description or "")
        for one in defs.schedules or ()
        if isinstance(one, dg.ScheduleDefinition)
    ]
    parts += ["## Schedules", "Cron lines are in UTC. All run by default."]
    parts += [_table(("schedule", "cron", "job", "what it does"), sorted(schedules))]
    sensors = [
        (f"`{one.name}`", f"{one.minimum_interval_seconds} s", one.description or "") for one in defs.sensors or ()
    ]
    parts += ["## Sensors", "All run by default.", _table(("sensor", "looks every", "what it does"), sorted(sensors))]
    return _joined(parts)


def _assets(defs: Any) -> Iterator[tuple[str, str, str, str]]:
    graph = defs.resolve_asset_graph()
    words = {"DailyPartitionsDefinition": "UTC days", "WeeklyPartitionsDefinition": "ISO weeks"}
    for key in graph.toposorted_asset_keys:
        node = graph.get(key)
        partitions = words.get(type(node.partitions_def).__name__, "")
        yield f"`{key.to_user_string()}`", node.group_name, partitions, node.description or ""


def _checks(defs: Any) -> Iterator[tuple[str, str, str, str]]:
    graph = defs.resolve_asset_graph()
    for key in sorted(graph.asset_check_keys, key=lambda k: (k.asset_key.to_user_string(), k.name)):
        spec = graph.get_check_spec(key)
        asset = key.asset_key.to_user_string()
        yield f"`{asset}`", f"`{key.name}`", "yes" if spec.blocking else "", spec.description or ""


# Markdown


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _joined(parts: Iterable[str]) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"


PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "settings.md": settings_page,
    "commands.md": commands_page,
    "slos.md": slos_page,
    "dagster.md": dagster_page,
}

if __name__ == "__main__":
    main()
