"""The board for Datadog: gauges and service checks to a DogStatsD agent, or gauges to the v2 series API."""

import json
import socket
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import httpx2

from calslo_dagster.errors import CalsloError
from calslo_dagster.exports.prometheus import kept_cards
from calslo_dagster.reporting.board import ActiveAlert, Board, Card
from calslo_dagster.reporting.states import State
from calslo_dagster.slo.model import EVERYTHING
from calslo_dagster.slo.slices import slice_values

# What passes unfragmented over Ethernet, as the agent's documentation advises.
DATAGRAM_BYTES: Final = 1_432
SERIES_PER_REQUEST: Final = 1_000
ATTEMPTS: Final = 4
_LONGEST_TAG: Final = 200
_LONGEST_TEXT: Final = 500
_LONGEST_PAUSE: Final = 60.0
_GAUGE: Final = 3
_OWN: Final = frozenset({"slo", "slice", "model", "env", "status"})
# OK, warning, critical, unknown: a state that nobody has seen to be good is never OK.
_CHECKS: Final = {State.MEETING: 0, State.WARNING: 1, State.BREACHED: 2}
_UNKNOWN: Final = 3


class DatadogError(CalsloError):
    """Datadog did not take what it was sent."""


@dataclass(frozen=True, slots=True)
class Gauge:
    """One number with its tags, in the order that they are sent."""

    metric: str
    value: float
    tags: tuple[str, ...]


def gauges(board: Board, *, environment: str = "", most_series: int = 20_000) -> tuple[Gauge, ...]:
    """Return the numbers of the board; what is not known now has none. The cap is that of the Prometheus export."""
    shared = (f"env:{_tag(environment)}",) if environment else ()
    of_cards = (gauge for card in kept_cards(board.cards, most_series) for gauge in _of_card(card, shared))
    counts = (
        Gauge("calslo.slices", float(count), (f"status:{state}", *shared)) for state, count in board.counts.items()
    )
    score = board.health.score
    whole = [Gauge("calslo.health.score", float(score), shared)] if score is not None else []
    return (*of_cards, *counts, *whole)


def _of_card(card: Card, shared: tuple[str, ...]) -> Iterator[Gauge]:
    tags = (*_tags(card), *shared)
    numbers = {
        "calslo.sli.value": card.value,
        "calslo.sli.lower_bound": card.low,
        "calslo.sli.upper_bound": card.high,
        "calslo.sli.events": float(card.events),
    }
    for metric, number in numbers.items() if card.is_current else ():
        if number is not None:
            yield Gauge(metric, number, tags)
    if isinstance(card.threshold, float):
        yield Gauge("calslo.objective.threshold", card.threshold, tags)
    if card.budget and card.budget.left_ratio is not None:
        yield Gauge("calslo.error_budget.remaining_ratio", card.budget.left_ratio, tags)
    yield Gauge("calslo.status", 1.0, (f"status:{card.state}", *tags))


def statsd_lines(
    board: Board, *, environment: str = "", since: datetime | None = None, most_series: int = 20_000
) -> Iterator[str]:
    """Yield the lines for a DogStatsD agent: gauges, a service check for each card, an event for each new incident.

    since: incidents that began later are events; None for no events.
    """
    for gauge in gauges(board, environment=environment, most_series=most_series):
        tagged = f"|#{','.join(gauge.tags)}" if gauge.tags else ""
        yield f"{gauge.metric}:{gauge.value!r}|g{tagged}"
    shared = (f"env:{_tag(environment)}",) if environment else ()
    for card in kept_cards(board.cards, most_series):
        tags = ",".join((*_tags(card), *shared))
        told = _text(f"{card.state}: {card.reason} {card.next_step}").replace("m:", "m\\:")
        yield f"_sc|calslo.slo|{_CHECKS.get(card.state, _UNKNOWN)}|#{tags}|m:{told}"
    for alert in board.alerts if since else ():
        if since is not None and alert.since > since:
            yield _event(alert, shared)


def _event(alert: ActiveAlert, shared: tuple[str, ...]) -> str:
    title, text = _text(f"{alert.severity}: {alert.title}"), _text(alert.reason or alert.title)
    tags = ",".join((f"slo:{_tag(alert.slo)}", f"kind:{_tag(alert.kind)}", f"severity:{alert.severity}", *shared))
    sizes = f"{len(title.encode())},{len(text.encode())}"
    return f"_e{{{sizes}}}:{title}|{text}|d:{int(alert.since.timestamp())}|k:{alert.id}|t:error|#{tags}"


def datagrams(lines: Iterable[str], most: int = DATAGRAM_BYTES) -> Iterator[bytes]:
    """Yield the lines packed into datagrams of at most `most` bytes; a line that is longer goes alone."""
    packed: list[bytes] = []
    size = 0
    for line in lines:
        raw = line.encode()
        if packed and size + 1 + len(raw) > most:
            yield b"\n".join(packed)
            packed, size = [], 0
        size += len(raw) + (1 if packed else 0)
        packed.append(raw)
    if packed:
        yield b"\n".join(packed)


def send_statsd(lines: Iterable[str], host: str, port: int) -> int:
    """Send the lines to the agent by UDP; return how many datagrams that were.

    DatadogError if the host is not known or its address cannot be reached; UDP tells of nothing else.
    """
    sent = 0
    try:
        [(family, kind, _, _, address), *_] = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
        with socket.socket(family, kind) as sender:
            for datagram in datagrams(lines):
                sender.sendto(datagram, address)
                sent += 1
    except OSError as error:
        raise DatadogError(f"the Datadog agent at {host}:{port} cannot be told: {error.strerror or error}") from error
    return sent


def series_bodies(found: Sequence[Gauge], at: datetime) -> Iterator[bytes]:
    """Yield the bodies of requests to `/api/v2/series`, not yet compressed."""
    for first in range(0, len(found), SERIES_PER_REQUEST):
        series = [
            {
                "metric": gauge.metric,
                "type": _GAUGE,
                "points": [{"timestamp": int(at.timestamp()), "value": gauge.value}],
                "tags": list(gauge.tags),
            }
            for gauge in found[first : first + SERIES_PER_REQUEST]
        ]
        yield json.dumps({"series": series}, separators=(",", ":")).encode()


def send_series(found: Sequence[Gauge], at: datetime, *, url: str, key: str, sleep: Callable[[float], None]) -> int:
    """Send the gauges to the series API at `url`, such as https://api.datadoghq.eu; return how many requests it took.

    A request that is refused for now is tried again after the time that the answer names. DatadogError when it is
    refused for good, or four times.
    """
    bodies = list(series_bodies(found, at))
    headers = {"DD-API-KEY": key, "Content-Type": "application/json", "Content-Encoding": "deflate"}
    with httpx2.Client(timeout=10.0, headers=headers) as client:
        for body in bodies:
            _post(client, f"{url.rstrip('/')}/api/v2/series", zlib.compress(body), sleep)
    return len(bodies)


def _post(client: httpx2.Client, url: str, body: bytes, sleep: Callable[[float], None]) -> None:
    """Post one body; the key is in a header, so that no message can show it."""
    said, pause = "", 0.0
    for attempt in range(ATTEMPTS):
        if attempt:
            sleep(pause)
        pause = float(2**attempt)
        try:
            answer = client.post(url, content=body)
        except httpx2.TransportError as error:
            said = type(error).__name__
            continue
        if answer.is_success:
            return
        said = f"status {answer.status_code}"
        if answer.status_code != 429 and answer.status_code < 500:
            break
        pause = _named_pause(answer.headers.get("x-ratelimit-reset", ""), pause)
    hint = "; check the API key and the site" if said in ("status 401", "status 403") else ""
    raise DatadogError(f"Datadog at {url} did not take the series: {said}{hint}")


def _named_pause(named: str, otherwise: float) -> float:
    return min(float(named), _LONGEST_PAUSE) if named.isdecimal() else otherwise


def _tags(card: Card) -> tuple[str, ...]:
    """Return the tags of a card: SLO, slice, model, and each column of the slice by itself."""
    columns = (f"{_tag(name)}:{_tag(value)}" for name, value in slice_values(card.slice).items() if name not in _OWN)
    whole = "all" if card.slice == EVERYTHING else _tag(card.slice)
    model = (f"model:{_tag(card.model)}",) if card.model not in ("", EVERYTHING) else ()
    return (f"slo:{_tag(card.slo)}", f"slice:{whole}", *model, *columns)


def _tag(text: str) -> str:
    """Return the text as part of a tag: what separates tags and lines becomes an underscore, as Datadog does it."""
    plain = "".join(one if one.isalnum() or one in "-./=" else "_" for one in text)
    return plain[:_LONGEST_TAG] or "none"


def _text(text: str) -> str:
    """Return a text on one line without what ends a field."""
    return " ".join(text.split()).replace("|", "/")[:_LONGEST_TEXT]
