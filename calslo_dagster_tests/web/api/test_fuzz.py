"""Whatever is asked of the API, it answers as its own description says, and changes nothing for those who may not."""

import http.client
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from calslo_dagster.store.api_tokens import Scope
from calslo_dagster_tests.logs import HOUR, START
from calslo_dagster_tests.web.serving import Site, serving
from calslo_dagster_tests.web.standing import with_incident

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = 25


@pytest.fixture(scope="module")
def open_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Yield an application that never says that this is too much."""
    project = with_incident(tmp_path_factory.mktemp("fuzz"), "web: {requests_per_minute: 1000000}\n", {})
    with project.store, serving(project, START + 2 * HOUR) as running:
        yield running


def operations(site: Site) -> list[Any]:
    schema = schemathesis.openapi.from_url(f"{site.url}/api/v1/openapi.json")
    return [one.ok() for one in schema.get_all_operations() if isinstance(one, Ok)]


def test_no_request_breaks_it_or_is_answered_otherwise_than_described(open_site: Site) -> None:
    headers = {"Authorization": f"Bearer {open_site.secret(*Scope)}"}
    found = operations(open_site)

    for operation in found:

        @settings(
            max_examples=EXAMPLES,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def answered(case: Any) -> None:
            case.call_and_validate(headers=headers, checks=CHECKS)

        answered()
    assert len(found) > 15


def test_every_write_needs_its_scope(open_site: Site) -> None:
    reader = open_site.secret(Scope.READ, name="reader")
    document = open_site.get("/api/v1/openapi.json").json()
    writes = [
        (method, path.replace("{incident_id}", "0" * 16).replace("{silence_id}", "1").replace("{exclusion_id}", "1"))
        for path, methods in document["paths"].items()
        for method in methods
        if method not in ("get", "head")
    ]

    assert len(writes) >= 6
    for method, path in writes:
        nobody = open_site.client.request(method, path, json={})
        assert (nobody.status_code, "www-authenticate" in nobody.headers) == (401, True), path
        answer = open_site.client.request(method, path, json={}, headers={"Authorization": f"Bearer {reader}"})
        assert answer.status_code == 403, path
        assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/slos/..%2f..%2fetc%2fpasswd", "/static/..%2fapp.py", "/static/../security.py", "/api/v1/slos/%00",
        "/exports/overview.json%00.pdf", "/api/v1/alerts/../../board", "//evil.example/", "/alerts/%2e%2e/settings",
        "/runbooks/x", "/api/v1/exports/overview/../settings",
    ],
)  # fmt: skip
def test_paths_lead_nowhere_else(open_site: Site, path: str) -> None:
    # As it stands: a client that is kind would tidy it up first.
    connection = http.client.HTTPConnection(urlsplit(open_site.url).netloc, timeout=20)
    connection.request("GET", path, headers={"Accept": "application/json"})
    answer = connection.getresponse()

    assert answer.status in (401, 404, 422)
    assert b"root:" not in answer.read()
    connection.close()


def test_headers_of_others_are_not_believed(open_site: Site, tmp_path: Path) -> None:
    answer = open_site.get("/", host="evil.example", x_forwarded_host="evil.example", x_request_id="bad\tid")

    assert answer.status_code == 200
    assert "evil.example" not in answer.text
    assert answer.headers["x-request-id"] != "bad\tid"
