"""No secret of a channel is found in any log, table, file, event or exception, however its service fails."""

import io
import logging
import sqlite3
import traceback
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

import dagster as dg
import pytest

from calslo_dagster.channels import threads
from calslo_dagster.channels.base import Rejected, Retryable
from calslo_dagster.defs.build import build_defs
from calslo_dagster.defs.resources import LazyProject
from calslo_dagster.pipeline.open_channels import open_channels
from calslo_dagster.pipeline.send_test import send_test
from calslo_dagster.settings import load_settings
from calslo_dagster.store import breaches
from calslo_dagster_tests.channels.letters import letter
from calslo_dagster_tests.logs import MINUTE, SETTINGS
from calslo_dagster_tests.peers.running import ROUTING_KEY, Peer, running_peer
from calslo_dagster_tests.pipeline.hostility import NOW
from calslo_dagster_tests.torture.scenery import ALWAYS, SLO, breach

TOKEN: Final = "xoxb-canary-9f8e7d6c5b4a"
SIGNING: Final = "canary-signing-key-1a2b3c4d"
PASSWORD: Final = "canaryMailPassword5e6f7a8b"
APPRISE: Final = "canaryApprisePass9c0d1e2f"
LINK_KEY: Final = "canary-link-key-3f4a5b6c"
CANARIES: Final = (
    "canaryWebhookKey0123456789", "canary-9f8e7d6c5b4a", ROUTING_KEY, "canaryPathOfReceiver42", SIGNING, PASSWORD,
    APPRISE, LINK_KEY,
)  # fmt: skip
# What goes over the wire as it is; the others sign, or belong to a server that cannot be reached.
ON_THE_WIRE: Final = CANARIES[:4]
MODES: Final = ("500", "403", "429", "400", "close", "garbage", "redirect", "okfalse:invalid_auth")
CHANNELS: Final = """
channels:
  chat: {{kind: slack, webhook_url: "file:hook", per_minute: 6000}}
  room: {{kind: slack, token: "file:token", channel: C0123456789, api_url: "{peer.slack_api}", per_minute: 6000}}
  pager: {{kind: pagerduty, routing_key: "file:key", events_url: "{peer.pagerduty}", per_minute: 6000}}
  receiver: {{kind: webhook, url: "file:receiver", secrets: ["file:signing"], per_minute: 6000}}
  prometheus: {{kind: alertmanager, url: "file:receiver"}}
  any: {{kind: apprise, url: "file:apprise"}}
  mail: {{kind: email, host: 127.0.0.1, port: 9, tls: none, username: calslo, password: "file:password",
          sender: calslo@example.org, to: [ada@example.org]}}
  nameless: {{kind: webhook, url: "file:nameless"}}
  closed: {{kind: slack, webhook_url: "file:absent"}}
dashboard_url: "http://127.0.0.1:9"
alerting: {{link_key: "file:link", fallback: [log]}}
"""
# Loading Apprise's services trips these.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:apprise.*")


@dataclass
class Trail:
    """All that was left behind: what loggers were told, exceptions with their tracebacks, and a folder of files."""

    folder: Path
    peer: Peer
    said: io.StringIO = field(default_factory=io.StringIO)
    errors: list[str] = field(default_factory=list)
    ticks: list[str] = field(default_factory=list)

    def files(self) -> dict[str, bytes]:
        """Return every file that calslo and Dagster have written."""
        written = [one for one in self.folder.rglob("*") if one.is_file() and "secrets" not in one.parts]
        return {str(one.relative_to(self.folder)): one.read_bytes() for one in written}


@pytest.fixture(scope="module")
def trail(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trail]:
    """Let every channel fail in every way, once from the sensor, once from a run, with every logger at its loudest."""
    with running_peer() as peer, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        found = Trail(tmp_path_factory.mktemp("trail"), peer)
        settings = _settings(found)
        with _loud(found.said), _instance(found.folder / "dagster") as instance:
            _fail(found, settings, instance)
        yield found


def _settings(found: Trail) -> Path:
    secrets = found.folder / "secrets"
    secrets.mkdir()
    values = {
        "hook": found.peer.slack_webhook,
        "token": TOKEN,
        "key": ROUTING_KEY,
        "receiver": found.peer.webhook,
        "signing": SIGNING,
        "apprise": found.peer.webhook.replace("http://", f"json://user:{APPRISE}@"),
        "password": PASSWORD,
        "nameless": "http://no-such-host.invalid/canaryPathOfReceiver42",
        "link": LINK_KEY,
    }
    for name, value in values.items():
        (secrets / name).write_text(value, encoding="utf-8")
    text = SETTINGS + CHANNELS.format(peer=found.peer).replace("file:", "file:secrets/")
    (found.folder / "calslo.yaml").write_text(text, encoding="utf-8")
    return found.folder / "calslo.yaml"


@contextmanager
def _loud(into: io.StringIO) -> Iterator[None]:
    """Let every logger say all it has to say, into one text."""
    root, handler = logging.getLogger(), logging.StreamHandler(into)
    handler.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s"))
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield
    root.removeHandler(handler)
    root.setLevel(level)


def _instance(folder: Path) -> dg.DagsterInstance:
    folder.mkdir(exist_ok=True)
    logs = {"managed_python_loggers": ["root"], "python_log_level": "DEBUG"}
    return dg.DagsterInstance.local_temp(str(folder), overrides={"python_logs": logs})


def _fail(found: Trail, settings: Path, instance: dg.DagsterInstance) -> None:
    at = NOW
    clock = {"now": at}
    project = LazyProject(load_settings(settings, {}), now=lambda: clock["now"])
    opened = project.open()
    with opened.store.write() as session:
        breaches.replace_since(session, SLO, [breach("intent=buy", at, model="m")], since=ALWAYS)
    for number, mode in enumerate(MODES):
        found.peer.behave(mode)
        clock["now"] = at + number * 20 * MINUTE
        found.ticks.append(_tick(project, instance))
        _send_tests(found, project, clock["now"])
    found.peer.behave("403")
    _run(project, instance)
    opened.store.close()


def _tick(project: LazyProject, instance: dg.DagsterInstance) -> str:
    defs = build_defs(project.settings, project=project)
    resources = {"project": project}
    with dg.build_sensor_context(
        instance=instance, resources=resources, repository_def=defs.get_repository_def()
    ) as context:
        return str(defs.resolve_sensor_def("alerts").evaluate_tick(context).skip_message)


def _send_tests(found: Trail, project: LazyProject, now: datetime) -> None:
    for name in ("chat", "receiver"):
        said = send_test(project.open(), name, by="ada", clock=lambda: now, patience=MINUTE / 60)
        found.errors.append(repr(said))
    for name, channel in open_channels(project.settings).items():
        if name != "any":
            try:
                threads.run(channel.send(letter()))
            except (Retryable, Rejected) as error:
                found.errors += [str(error), repr(error), repr(channel), *traceback.format_exception(error)]


def _run(project: LazyProject, instance: dg.DagsterInstance) -> None:
    """Let a channel fail within a run, whose failure Dagster keeps with its traceback."""

    @dg.op
    def dispatch() -> None:
        logging.getLogger("httpx2").debug("loud")
        threads.run(open_channels(project.settings)["receiver"].send(letter()))

    @dg.job
    def failing() -> None:
        dispatch()

    assert not failing.execute_in_process(instance=instance, raise_on_error=False).success


def test_no_logger_says_a_secret(trail: Trail) -> None:
    assert _among(trail.said.getvalue()) == []
    assert "asyncio DEBUG" in trail.said.getvalue()


def test_no_exception_shows_a_secret(trail: Trail) -> None:
    assert _among("\n".join(trail.errors)) == []
    assert any("Traceback" in one for one in trail.errors)
    assert any("refused ***" in one for one in trail.errors)


def test_no_tick_of_the_sensor_shows_a_secret(trail: Trail) -> None:
    assert _among("\n".join(trail.ticks)) == []
    assert any("late: " in tick for tick in trail.ticks)


def test_no_table_holds_a_secret(trail: Trail) -> None:
    with closing(sqlite3.connect(trail.folder / "state" / "calslo.db")) as database:
        dump = "\n".join(database.iterdump())

    assert _among(dump) == []
    assert "delivery_attempts" in dump
    assert "answered 403" in dump


def test_no_file_holds_a_secret(trail: Trail) -> None:
    files = trail.files()

    assert {name: found for name, content in files.items() if (found := _among(content.decode("latin-1")))} == {}
    assert {"state/calslo.db", "state/alerts.jsonl"} <= files.keys()


def test_dagster_has_kept_the_failure_and_no_secret(trail: Trail) -> None:
    with _instance(trail.folder / "dagster") as instance:
        [run] = instance.get_runs()
        events = [entry.to_json() for entry in instance.all_logs(run.run_id)]  # type: ignore[no-untyped-call]  # Dagster's

    assert _among("\n".join(events)) == []
    assert any("Retryable" in event or "Rejected" in event for event in events)


def test_the_secrets_did_go_over_the_wire(trail: Trail) -> None:
    """Else the tests above would find nothing because there was nothing to find."""
    wire = trail.peer.journal_file.read_text(encoding="utf-8")

    assert [one for one in ON_THE_WIRE if one not in wire] == []


def _among(text: str) -> list[str]:
    return [canary for canary in CANARIES if canary in text]
