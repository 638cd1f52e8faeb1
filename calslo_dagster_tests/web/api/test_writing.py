"""What programs change: with the scope for it, in the name of the token, and on record."""

import pytest

from calslo_dagster.alerting.model import IncidentState
from calslo_dagster.pipeline.audit_alerts import audit_alerts
from calslo_dagster.store.api_tokens import Scope
from calslo_dagster_tests.web.serving import Site
from calslo_dagster_tests.web.standing import incident_of, record_of

V1 = "/api/v1"
SILENCE = {"matchers": ["slo=score_range"], "reason": "known", "end": "2026-03-07T04:00:00Z"}
EXCLUSION = {
    "start": "2026-03-07T01:00:00Z",
    "end": "2026-03-07T02:00:00Z",
    "reason": "backfill",
    "slos": "score_range",
}


def test_alerts_are_acknowledged_and_resolved(site: Site) -> None:
    token, alert = site.secret(Scope.ALERTS, name="bot"), f"{V1}/alerts/{incident_of(site.project).id}"

    answer = site.call("POST", f"{alert}/ack", token, {"note": "on it"})
    assert (answer.status_code, "is acknowledged by bot" in answer.json()["done"]) == (200, True)
    assert site.call("POST", f"{alert}/resolve", token).status_code == 200
    assert incident_of(site.project).state is IncidentState.RESOLVED
    assert [(event.actor, event.source) for event in record_of(site.project, "acked")] == [("bot", "api")]
    assert site.call("POST", f"{V1}/alerts/{'0' * 16}/ack", token).status_code == 404


def test_silences_are_made_and_ended(site: Site) -> None:
    token = site.secret(Scope.ALERTS, Scope.READ)

    made = site.call("POST", f"{V1}/silences", token, SILENCE)
    assert (made.status_code, made.json()["stage"], made.json()["author"]) == (201, "active", "ada")
    assert [one["id"] for one in site.call("GET", f"{V1}/silences", token).json()["items"]] == [made.json()["id"]]
    assert site.call("DELETE", f"{V1}/silences/1", token).json()["stage"] == "expired"
    assert site.call("DELETE", f"{V1}/silences/9", token).status_code == 404
    refused = site.call("POST", f"{V1}/silences", token, {**SILENCE, "matchers": ["sloo=x"]})
    assert (refused.status_code, "sloo" in refused.json()["detail"]) == (422, True)


def test_exclusions_are_agreed_on_and_taken_back(site: Site) -> None:
    token = site.secret(Scope.SLOS, Scope.READ)

    made = site.call("POST", f"{V1}/exclusions", token, EXCLUSION)
    assert (made.status_code, made.json()["approved_by"]) == (201, "ada")
    assert site.call("GET", f"{V1}/exclusions", token).json()["items"] == [made.json()]
    assert site.call("DELETE", f"{V1}/exclusions/{made.json()['id']}", token).status_code == 200
    assert site.call("DELETE", f"{V1}/exclusions/1", token).status_code == 404
    kinds = [event.kind for kind in ("exclusion added", "exclusion removed") for event in record_of(site.project, kind)]
    assert kinds == ["exclusion added", "exclusion removed"]
    assert audit_alerts(site.project).broken_id is None


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("silences", {**SILENCE, "colour": "red"}), ("silences", {**SILENCE, "end": "2026-03-07T04:00:00"}),
        ("silences", {**SILENCE, "reason": "\x00"}), ("silences", {"reason": "x"}),
        ("exclusions", {**EXCLUSION, "end": EXCLUSION["start"]}), ("exclusions", {**EXCLUSION, "slos": ""}),
        ("exclusions", {**EXCLUSION, "reason": "\x00"}), ("alerts/zz/ack", {}),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused_in_words(shown: Site, path: str, body: object) -> None:
    answer = shown.call("POST", f"{V1}/{path}", shown.secret(Scope.ADMIN), body)

    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert answer.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("POST", "alerts/0123456789abcdef/ack", Scope.SLOS), ("POST", "alerts/0123456789abcdef/resolve", Scope.READ),
        ("POST", "silences", Scope.READ), ("DELETE", "silences/1", Scope.INGEST), ("POST", "exclusions", Scope.ALERTS),
        ("DELETE", "exclusions/1", Scope.ALERTS),
    ],
)  # fmt: skip
def test_every_write_needs_its_scope(shown: Site, method: str, path: str, scope: Scope) -> None:
    assert shown.client.request(method, f"{V1}/{path}").status_code == 401
    assert shown.call(method, f"{V1}/{path}", shown.secret(scope)).status_code == 403
