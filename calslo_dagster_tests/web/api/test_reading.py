"""What programs read: the same as on the pages, in parts, once, and by tokens only."""

from typing import Any

import pytest

from calslo_dagster.pipeline.read_board import read_board
from calslo_dagster.store.api_tokens import Scope
from calslo_dagster_tests.web.serving import Site

V1 = "/api/v1"
LISTS = [
    "slos",
    "breaches",
    "availability",
    "drift",
    "alerts",
    "silences",
    "exclusions",
    "slos/score_range/measurements",
]


@pytest.fixture
def token(shown: Site) -> str:
    return shown.secret(Scope.READ)


def read(shown: Site, token: str, path: str) -> Any:
    answer = shown.call("GET", f"{V1}/{path}", token)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_board_is_what_the_read_model_says(shown: Site, token: str) -> None:
    body, board = read(shown, token, "board"), read_board(shown.project, now=shown.clock["now"])

    assert body["version"] == board.version
    told = [(c["slo"], c["slice"], c["state"], c["value"], c["reason"], c["next_step"]) for c in body["cards"]]
    assert told == [(c.slo, c.slice, c.state, c.value, c.reason, c.next_step) for c in board.cards]
    assert body["counts"] == {str(state): count for state, count in board.counts.items()}
    assert read(shown, token, "health")["word"] == board.health.word


@pytest.mark.parametrize("name", LISTS)
def test_every_list_comes_in_parts_that_add_up(shown: Site, token: str, name: str) -> None:
    whole, parts = read(shown, token, name)["items"], list[Any]()
    body = read(shown, token, f"{name}?limit=1")
    parts += body["items"]
    while body["next_cursor"]:
        body = read(shown, token, f"{name}?limit=1&cursor={body['next_cursor']}")
        parts += body["items"]

    assert parts == whole


def test_a_cursor_that_was_changed_or_is_of_another_request_is_refused(shown: Site, token: str) -> None:
    cursor = read(shown, token, "slos?limit=1")["next_cursor"]

    for path in (f"slos?cursor={cursor}x", f"board?cursor={cursor}", "slos?cursor=MQ.AAAA", "slos?cursor=%00"):
        assert shown.call("GET", f"{V1}/{path}", token).status_code == 400, path


def test_what_the_client_has_is_not_sent_again(shown: Site, token: str) -> None:
    answer = shown.call("GET", f"{V1}/board", token)
    given = {"Authorization": f"Bearer {token}", "If-None-Match": answer.headers["etag"]}

    assert shown.client.get(f"{V1}/board", headers=given).status_code == 304


def test_only_tokens_with_the_scope_read(shown: Site) -> None:
    for told in ("", "calslo_000000000000_" + "A" * 43, "x" * 300):
        answer = shown.client.get(f"{V1}/slos", headers={"Authorization": f"Bearer {told}"} if told else {})
        assert (answer.status_code, "www-authenticate" in answer.headers) == (401, True)
    answer = shown.call("GET", f"{V1}/slos", shown.secret(Scope.INGEST))
    assert (answer.status_code, 'error="insufficient_scope"' in answer.headers["www-authenticate"]) == (403, True)
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "query",
    [
        "start=2026-03-07T00:00:00", "start=0001-01-01T00:00:00Z&end=0001-01-01T00:00:01Z", "end=0001-01-01T00:00:00Z",
        "start=2026-03-08T00:00:00Z&end=2026-03-07T00:00:00Z", "limit=0", "limit=x", "start=yesterday",
    ],
)  # fmt: skip
def test_times_and_sizes_that_make_no_sense_are_refused_in_words(shown: Site, token: str, query: str) -> None:
    answer = shown.call("GET", f"{V1}/breaches?{query}", token)

    expected = (200,) if "0001-01-01T00:00:01Z" in query else (400, 422)
    assert answer.status_code in expected, answer.text


def test_every_operation_is_described_with_its_errors(shown: Site) -> None:
    document = shown.get(f"{V1}/openapi.json").json()
    operations = [told for methods in document["paths"].values() for told in methods.values()]

    assert len({one["operationId"] for one in operations}) == len(operations)
    assert all({"401", "403", "422", "429"} <= one["responses"].keys() for one in operations)
    assert all(one["description"] for one in operations)
    assert {"Problem", "CardOut", "SilenceIn"} <= document["components"]["schemas"].keys()
    assert "/api/v1/board" in shown.get("/api/docs").text
