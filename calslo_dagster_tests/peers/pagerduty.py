"""A PagerDuty that keeps to its documentation: every limit is enforced, and a key has one open incident at most."""

import re
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from calslo_dagster_tests.peers.wire import Reply, Request, json_reply

LARGEST = 512 * 1024
TOP = {"routing_key", "event_action", "dedup_key", "payload", "images", "links", "client", "client_url"}
PAYLOAD = {"summary", "source", "severity", "timestamp", "component", "group", "class", "custom_details"}
SEVERITIES = {"critical", "error", "warning", "info"}


@dataclass(slots=True)
class Incident:
    """One incident: what a person was paged for."""

    dedup_key: str
    state: str = "open"
    events: list[str] = field(default_factory=list)
    summary: str = ""
    severity: str = ""


class PagerDuty:
    """Takes events and keeps incidents."""

    def __init__(self) -> None:
        self.incidents: list[Incident] = []
        self.dropped: list[dict[str, str]] = []

    def take(self, request: Request) -> Reply:
        """Return the answer to an event, after its effect."""
        if request.method != "POST" or not request.path.endswith("/v2/enqueue"):
            return Reply(404, "", violations=("wrong path",))
        event = request.json
        violations = event_violations(event, len(request.body))
        if violations:
            told = {"status": "invalid event", "message": "Event object is invalid", "errors": violations}
            return json_reply(told, 400, tuple(violations))
        self._apply(event)
        told = {"status": "success", "message": "Event processed", "dedup_key": event.get("dedup_key", "")}
        return json_reply(told, 202)

    def state(self) -> dict[str, Any]:
        """Return the incidents and the events that had no effect."""
        return {"incidents": [asdict(one) for one in self.incidents], "dropped": self.dropped}

    def _apply(self, event: dict[str, Any]) -> None:
        action, key = event["event_action"], event.get("dedup_key") or f"made-up-{len(self.incidents)}"
        incident = next((one for one in self.incidents if one.dedup_key == key and one.state != "resolved"), None)
        if action == "trigger":
            if incident is None:
                incident = Incident(key)
                self.incidents.append(incident)
            incident.summary, incident.severity = event["payload"]["summary"], event["payload"]["severity"]
        elif incident is None:
            self.dropped.append({"dedup_key": key, "event_action": action})
            return
        elif action == "resolve":
            incident.state = "resolved"
        else:
            incident.state = "acknowledged"
        incident.events.append(action)


def event_violations(event: Any, size: int) -> list[str]:
    """Return which documented rules the event breaks."""
    if not isinstance(event, dict):
        return ["the body is no JSON object"]
    action = event.get("event_action")
    found = {
        f"larger than {LARGEST}": size > LARGEST,
        "'routing_key' must be 32 letters and digits": not re.fullmatch(r"\w{32}", str(event.get("routing_key"))),
        "'event_action' is unknown": action not in ("trigger", "acknowledge", "resolve"),
        "'dedup_key' is longer than 255": len(event.get("dedup_key") or "") > 255,
        "'dedup_key' is missing": action in ("acknowledge", "resolve") and not event.get("dedup_key"),
        f"unknown keys {sorted(event.keys() - TOP)}": bool(event.keys() - TOP),
        "'client_url' is no address": not _is_address(event.get("client_url", "https://x")),
        "an image needs an https src": any(
            not str(one.get("src")).startswith("https://") for one in event.get("images", [])
        ),
        "a link needs an href": any(not _is_address(one.get("href")) for one in event.get("links", [])),
    }
    broken = [rule for rule, is_broken in found.items() if is_broken]
    return broken + (payload_violations(event.get("payload")) if action == "trigger" else [])


def payload_violations(payload: Any) -> list[str]:
    """Return which documented rules the payload of a trigger breaks."""
    if not isinstance(payload, dict):
        return ["'payload' is missing"]
    summary = payload.get("summary")
    found = {
        "'summary' is missing or blank": not isinstance(summary, str) or not summary,
        "'summary' is longer than 1024": isinstance(summary, str) and len(summary) > 1024,
        "'source' is missing or blank": not isinstance(payload.get("source"), str) or not payload.get("source"),
        "'severity' is unknown": payload.get("severity") not in SEVERITIES,
        "'timestamp' is no ISO 8601": not _is_time(payload.get("timestamp", "2026-01-01T00:00:00Z")),
        "'custom_details' is no object": not isinstance(payload.get("custom_details", {}), dict),
        f"unknown payload keys {sorted(payload.keys() - PAYLOAD)}": bool(payload.keys() - PAYLOAD),
        "a payload text is no string": any(
            not isinstance(payload.get(name, ""), str) for name in ("component", "group", "class")
        ),
    }
    return [rule for rule, is_broken in found.items() if is_broken]


def _is_address(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(("http://", "https://"))


def _is_time(value: Any) -> bool:
    try:
        return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False
