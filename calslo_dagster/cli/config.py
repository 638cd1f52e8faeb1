"""`calslo config`: check the settings, show what is in force, and print the schema for editors."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from calslo_dagster.settings import Settings
    from calslo_dagster.settings.document import Mistake

MISTAKEN: Final = 2
# Sections that the SLOs are judged by, and those that the snapshots are made by.
_PROMISES_NEED: Final = frozenset({"burn", "evaluation_step", "latency_limit_us"})
_SPEC_NEEDS: Final = frozenset({"slices", "clamp", "latency_limit_us"})
_file = click.option("--config", type=click.Path(path_type=Path), help="Settings file; ./calslo.yaml unless told.")


@click.group()
def config() -> None:
    """Check and show the settings of calslo.yaml.

    \b
    Example: calslo config check
    """


@config.command()
@_file
def check(config: Path | None) -> None:
    """Print every mistake in the settings, each with file, line and key, and exit with 2; without one, what was found.

    Loads your own SLOs and reads the manifests too. A secret that is not set on this machine is told and is no
    mistake; neither is a fall-back channel that nobody away from this machine would see, nor a key that an SLO in
    evidence mode does not go by. What can hardly be meant is
    warned of: a constant of the ECE bound that noise alone breaks or that hides errors, a template that cannot be read.

    \b
    Example: calslo config check --config deploy/calslo.yaml
    """
    from calslo_dagster.settings.load import draft_settings  # noqa: PLC0415 - keeps --help fast

    draft = draft_settings(config)
    mistakes = [str(mistake) for mistake in draft.mistakes]
    mistakes += _wrong_promises(draft.settings, draft.broken)
    mistakes += _wrong_manifests(draft.settings)
    for mistake in mistakes:
        click.echo(mistake, err=True)
    if mistakes:
        click.echo(f"calslo: {len(mistakes)} mistake{'s' * (len(mistakes) > 1)} in the settings", err=True)
        sys.exit(MISTAKEN)
    _tell(draft.settings)


def _wrong_promises(settings: "Settings", broken: frozenset[str]) -> list[str]:
    """Return what is wrong with section `slos`; a check that needs a section which is itself broken does not run."""
    from calslo_dagster.errors import CalsloError  # noqa: PLC0415 - keeps --help fast
    from calslo_dagster.plugins import load_registry  # noqa: PLC0415 - keeps --help fast

    found = list[str]()
    parts: list[tuple[Callable[[Settings], object], frozenset[str]]]
    parts = [(lambda given: given.aggregate_spec(), _SPEC_NEEDS), (load_registry, _PROMISES_NEED)]
    for part in (part for part, needed in parts if not needed & broken):
        try:
            part(settings)
        except CalsloError as error:
            found += str(error).splitlines()
    return found


def _wrong_manifests(settings: "Settings") -> list[str]:
    if not settings.manifests:
        return []
    from calslo_dagster.pipeline.load_manifests import manifest_mistakes  # noqa: PLC0415 - brings the state store

    return list(map(str, manifest_mistakes(settings)))


def doubts_of(settings: "Settings") -> "Iterator[Mistake]":
    """Yield what can be meant as it is written, in the settings or in a manifest, and hardly is."""
    from calslo_dagster.settings.checks import doubts  # noqa: PLC0415 - keeps --help fast

    yield from doubts(settings)
    if settings.manifests:
        from calslo_dagster.pipeline.load_manifests import manifest_doubts  # noqa: PLC0415 - brings the state store

        yield from manifest_doubts(settings)


def _tell(settings: "Settings") -> None:
    """Print what was found, without secrets."""
    from calslo_dagster.plugins import load_registry  # noqa: PLC0415 - keeps --help fast
    from calslo_dagster.settings.checks import notes  # noqa: PLC0415 - keeps --help fast
    from calslo_dagster.settings.idle import idle_keys  # noqa: PLC0415 - keeps --help fast

    slos = load_registry(settings)
    click.echo(f"settings  {settings.file or 'no file, all defaults'}")
    click.echo(f"home      {settings.home}")
    click.echo(f"store     {settings.stated_store_url.text.replace('{home}', settings.home.as_posix())}")
    click.echo(f"sources   {', '.join(f'{source.name} ({source.kind})' for source in settings.logs)}")
    click.echo(f"slices    {', '.join(settings.slices.columns) or 'none'}")
    click.echo(f"SLOs      {', '.join(slos.names)}")
    for note in (*settings.missing_secrets(), *notes(settings), *idle_keys(settings, slos)):
        click.echo(f"note: {note}")
    for doubt in doubts_of(settings):
        click.echo(f"warning: {doubt}")
    click.echo("no mistakes")


@config.command()
@_file
def show(config: Path | None) -> None:
    """Print the settings in force as YAML, defaults marked; of a secret only the place that holds it is shown.

    \b
    Example: calslo config show > effective.yaml
    """
    from calslo_dagster.settings import load_settings  # noqa: PLC0415 - keeps --help fast
    from calslo_dagster.settings.show import settings_yaml  # noqa: PLC0415 - keeps --help fast

    click.echo(settings_yaml(load_settings(config)), nl=False)


@config.command()
def schema() -> None:
    """Print the JSON Schema (2020-12) of calslo.yaml, with which editors complete and check it.

    \b
    Example: calslo config schema > calslo.schema.json
    """
    from calslo_dagster.settings.show import settings_schema  # noqa: PLC0415 - keeps --help fast

    click.echo(json.dumps(settings_schema(), indent=2, ensure_ascii=False))
