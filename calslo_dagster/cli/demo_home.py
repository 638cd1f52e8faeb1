"""The home of a demo: its settings, and the channels that it was told to send its alerts to."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

SETTINGS: Final = """\
# Written by `calslo demo`. To go on with your own log, copy it to calslo.yaml in a folder of yours, remove `home`,
# `demo` and `alerting.environment`, and name your log under `sources`. `home: .` would put all state beside the file.
home: .
history_start: {start}
demo:
  days: {days}
  end: {end}
  events_per_day: {events}
sources:
  - {{name: demo, kind: demo}}
slices:
  columns: [intent, language]
{channels}alerting:
  environment: demo
  policies:
    # Everybody at once, and again after half an hour unless somebody has acknowledged.
    default:
      - {{notify: [{names}]}}
      - {{wait: 30m, notify: [{names}]}}
"""
SECRETS: Final = "secrets"


@dataclass(frozen=True, slots=True)
class Receivers:
    """Where else alerts go: addresses and keys, which are kept in files of the home that only its owner can read."""

    slack_webhook: str | None = None
    webhook: str | None = None
    pagerduty_key: str | None = None
    pagerduty_url: str | None = None

    def written(self) -> Iterator[tuple[str, str, str]]:
        """Yield the channel's name, its settings after the reference, and the secret, for each that there is."""
        if self.slack_webhook:
            yield "chat", "kind: slack, webhook_url: file:{}", self.slack_webhook
        if self.webhook:
            yield "hook", "kind: webhook, url: file:{}", self.webhook
        if self.pagerduty_key:
            url = f", events_url: '{self.pagerduty_url}'" if self.pagerduty_url else ""
            yield "pager", f"kind: pagerduty, routing_key: file:{{}}{url}", self.pagerduty_key


def write_home(file: Path, *, first: date, end: date, events: int, receivers: Receivers) -> None:
    """Write the settings of a demo of the days from `first` up to `end`, and the secrets beside them."""
    file.parent.mkdir(parents=True, exist_ok=True)
    lines, names = list[str](), ["log"]
    for name, settings, secret in receivers.written():
        place = f"{SECRETS}/{name}"
        _write_secret(file.parent / place, secret)
        lines.append(f"  {name}: {{{settings.format(place)}}}\n")
        names.append(name)
    channels = "".join(["channels:\n", *lines]) if lines else ""
    text = SETTINGS.format(
        start=first, days=(end - first).days, end=end, events=events, channels=channels, names=", ".join(names)
    )
    file.write_text(text, encoding="utf-8")


def _write_secret(path: Path, secret: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Nobody else may read it, not even for the moment between its creation and a change of its mode.
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(f"{secret}\n")
