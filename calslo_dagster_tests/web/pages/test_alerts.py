"""Answers to alerts on the pages: only of people who are signed in and may, by a form of ours, on record."""

from datetime import timedelta

import pytest

from calslo_dagster.alerting.model import IncidentState
from calslo_dagster.store import silences
from calslo_dagster.store.api_tokens import Scope
from calslo_dagster_tests.web.serving import FORM, Site, hidden
from calslo_dagster_tests.web.standing import incident_of, record_of

OURS = {"Sec-Fetch-Site": "same-origin"}


def path_of(site: Site) -> str:
    return f"/alerts/{incident_of(site.project).id}"


def test_the_alert_page_shows_slices_history_and_next_step(shown: Site) -> None:
    page = shown.get(path_of(shown)).text

    assert hidden(["firing", "everything", "opened", "Sign in", "escalation began"], page) == []
    assert "<form" not in page
    assert incident_of(shown.project).id in shown.get("/alerts").text


def test_who_is_signed_in_acknowledges_in_their_name(site: Site) -> None:
    site.sign_in(Scope.READ, Scope.ALERTS)
    path = path_of(site)

    answer = site.send(f"{path}/ack", path, note="looking")

    assert (answer.status_code, answer.headers["location"]) == (303, path)
    assert "is acknowledged by ada" in site.get(path).text
    assert "is acknowledged by ada" not in site.get(path).text
    assert [(event.actor, event.source) for event in record_of(site.project, "acked")] == [("ada", "web")]


def test_silencing_and_resolving_are_forms_too(site: Site) -> None:
    site.sign_in(Scope.ALERTS)
    path = path_of(site)

    assert site.send(f"{path}/silence", path, lasts="2h").status_code == 303
    with site.project.store.read() as session:
        [made] = silences.active_candidates(session, site.clock["now"])
    assert (made.author, made.reason.startswith("silenced from the dashboard")) == ("ada", True)
    assert site.send(f"{path}/silence", path, lasts="100d").status_code == 400
    assert "End silence 1 now" in site.get("/alerts").text
    assert site.send("/silences/1/expire", "/alerts").status_code == 303
    assert site.send(f"{path}/resolve", path, note="done").status_code == 303
    assert incident_of(site.project).state is IncidentState.RESOLVED


def test_nobody_answers_without_signing_in_or_without_the_scope(site: Site) -> None:
    path = path_of(site)
    assert site.client.post(f"{path}/ack", data={"form": "x"}, headers=OURS).status_code == 401
    site.sign_in(Scope.READ)
    assert site.send(f"{path}/ack", path).status_code == 403
    assert incident_of(site.project).state is IncidentState.FIRING


@pytest.mark.parametrize(
    ("headers", "form"),
    [({"Sec-Fetch-Site": "cross-site"}, ""), ({"Sec-Fetch-Site": "same-site"}, ""), (OURS, "forged"), (OURS, "empty")],
)
def test_a_form_of_another_site_is_refused(site: Site, headers: dict[str, str], form: str) -> None:
    site.sign_in(Scope.ALERTS)
    path = path_of(site)
    ours = FORM.findall(site.get(path).text)[0]
    sent = {"": ours, "forged": f"{ours[:-4]}AAAA", "empty": ""}[form]

    answer = site.client.post(f"{path}/ack", data={"form": sent}, headers=headers)

    assert (answer.status_code, incident_of(site.project).state) == (403, IncidentState.FIRING)


def test_a_form_made_for_somebody_else_is_refused(site: Site) -> None:
    site.sign_in(Scope.ALERTS)
    path = path_of(site)
    theirs = FORM.findall(site.get(path).text)[0]
    site.sign_in(Scope.ALERTS, name="eve")

    assert site.client.post(f"{path}/ack", data={"form": theirs}, headers=OURS).status_code == 403


def test_a_revoked_token_signs_out_at_once_and_a_cookie_cannot_be_changed(site: Site) -> None:
    from calslo_dagster.pipeline.manage_tokens import list_tokens, revoke_token

    site.sign_in(Scope.ALERTS)
    assert "Sign out" in site.get("/").text
    [token] = list_tokens(site.project)
    revoke_token(site.project, token.id, by="root", now=site.clock["now"])
    assert "Sign out" not in site.get("/").text
    site.client.cookies.set("calslo_session", "eA.AAAA")
    assert site.get("/").status_code == 200


def test_pages_ask_who_you_are_where_the_settings_say_so(site: Site) -> None:
    object.__setattr__(site.project.settings.web, "pages", "token")

    answer = site.get("/?state=breached")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=%2F%3Fstate%3Dbreached")
    assert site.get("/events").status_code == 303
    site.sign_in(Scope.READ)
    assert site.get("/").status_code == 200


@pytest.mark.parametrize(
    ("query", "is_shown"),
    [
        ("slo=score_range", True),
        ("slo=ece_bound", False),
        ("slice=%2A", True),
        ("slice=intent%3D%2A", False),
        ("severity=emergency", True),
        ("severity=info", False),
    ],
)
def test_filters_take_alerts_that_go_on_and_that_are_over(site: Site, query: str, *, is_shown: bool) -> None:
    found = f"/alerts/{incident_of(site.project).id}"
    assert (found in site.get(f"/alerts?{query}").text) is is_shown

    site.clock["now"] += timedelta(days=1)
    site.sign_in(Scope.ALERTS)
    assert site.send(f"{found}/resolve", found, note="done").status_code == 303
    later = site.get(f"/alerts?{query}&days=7").text

    assert (found in later.partition('id="past"')[2]) is is_shown
    assert f"/exports/alerts.csv?{query}" in later.replace("&amp;", "&")
    assert (site.get(f"/exports/alerts.csv?{query}&table=over").text.count("score_range") > 0) is is_shown


def test_a_severity_that_does_not_exist_is_refused(shown: Site) -> None:
    assert shown.get("/alerts?severity=loud").status_code == 422
