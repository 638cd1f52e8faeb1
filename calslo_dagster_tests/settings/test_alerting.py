"""Channels, policies, routes and mutes: what is agreed, and every mistake in it at once."""

from datetime import timedelta
from pathlib import Path

import pytest

from calslo_dagster.alerting.model import Severity, Target
from calslo_dagster.pipeline.open_channels import ClosedChannel, open_channels, rates
from calslo_dagster.settings.load import draft_settings, load_settings

GOOD = """
channels:
  chat: {kind: slack, webhook_url: 'env:HOOK'}
  team: {kind: slack, token: 'env:TOKEN', channel: C0123, per_minute: 30}
  pager: {kind: pagerduty, routing_key: 'file:key', region: eu}
  mail: {kind: email, host: mail.example, sender: calslo@example.org, to: [oncall@example.org]}
  hook: {kind: webhook, url: 'https://example.org/hook', secrets: ['env:SIGN']}
  am: {kind: alertmanager, url: 'http://127.0.0.1:9093'}
alerting:
  environment: production
  policies:
    page:
      - {notify: [chat]}
      - {wait: 5m, notify: [pager], at_least: critical}
      - {wait: 15m, notify: [mail], still: firing}
      - {wait: 30m, repeat: 2}
  routes:
    - {match: ['severity=~"critical|emergency"'], policy: page}
  repeat: {critical: none, emergency: 2h}
"""
SECRETS = {"HOOK": "https://hooks.slack.example/services/T/B/x", "TOKEN": "xoxb-1", "SIGN": "signing-key"}


def written(folder: Path, text: str) -> Path:
    (folder / "key").write_text("R" * 32)
    (folder / "calslo.yaml").write_text(text)
    return folder / "calslo.yaml"


def mistakes(folder: Path, text: str) -> list[str]:
    return [str(mistake).partition(": ")[2] for mistake in draft_settings(written(folder, text), {}).mistakes]


def test_an_agreement_becomes_rules(tmp_path: Path) -> None:
    rules = load_settings(written(tmp_path, GOOD), SECRETS).alert_rules()

    policy, why = rules.policy_for({"severity": "critical"})
    assert (policy.name, why) == ("page", 'route 1 (severity=~"critical|emergency") names policy page')
    assert [step.channels for step in policy.steps] == [("chat",), ("pager",), ("mail",), ()]
    assert (policy.steps[1].wait, policy.steps[1].at_least) == (timedelta(minutes=5), Severity.CRITICAL)
    assert (policy.steps[2].still, policy.steps[3].repeat) == (Target.FIRING, 2)
    assert rules.repeat[Severity.CRITICAL] is None
    assert rules.repeat[Severity.EMERGENCY] == timedelta(hours=2)
    assert rules.repeat[Severity.WARNING] == timedelta(hours=24)


def test_without_a_policy_every_channel_to_the_outside_is_told_at_once(tmp_path: Path) -> None:
    everyone, _ = load_settings(written(tmp_path, GOOD), SECRETS).alert_rules().policy_for({"severity": "info"})
    nobody, _ = load_settings(written(tmp_path, ""), {}).alert_rules().policy_for({})

    assert [step.channels for step in everyone.steps] == [("chat", "team", "pager", "mail", "hook", "am")]
    assert [step.channels for step in nobody.steps] == [("log",)]


def test_what_a_channel_does_not_take_is_told_on_the_others(tmp_path: Path) -> None:
    rules = load_settings(written(tmp_path, GOOD + "  fallback: [mail, log]\n"), SECRETS).alert_rules()

    for component, channels in (("delivery:pager", ("mail", "log")), ("delivery:mail", ("log",))):
        policy, _ = rules.policy_for({"kind": "pipeline", "slo": component})
        assert [step.channels for step in policy.steps] == [channels]


def test_every_channel_is_opened_and_one_without_its_secret_says_so_when_it_is_used(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, GOOD), {name: SECRETS[name] for name in ("HOOK", "SIGN")})

    opened = open_channels(settings)

    assert set(opened) == {"log", "chat", "team", "pager", "mail", "hook", "am"}
    closed = opened["team"]
    assert isinstance(closed, ClosedChannel)
    assert "channels.team.token: env:TOKEN: the environment variable TOKEN is not set" in closed.reason
    assert settings.missing_secrets() == (closed.reason,)
    assert rates(settings)["team"].every == timedelta(seconds=2)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("channels: {a: {kind: slack}}", "channels.a: names webhook_url or token; write exactly one of them"),
        (
            "channels: {a: {kind: slack, token: 'env:T'}}",
            "channels.a.channel: is missing: the id of the channel that the token posts to",
        ),
        (
            "channels: {a: {kind: slack, webhook_url: 'https://hooks.slack.com/services/x'}}",
            "channels.a.webhook_url: must not be the secret itself; put it into an environment variable and write "
            "env:NAME, or into a file and write file:PATH",
        ),
        (
            "channels: {pager: {kind: pagerduty, routing_key: 'env:K'}}\n"
            "alerting: {policies: {default: [{notify: [pagre]}]}}",
            "alerting.policies.default[0].notify: 'pagre' is no channel; did you mean pager?",
        ),
        (
            "alerting: {policies: {default: [{wait: 5m}]}}",
            "alerting.policies.default[0]: a step names channels to notify, or repeat; write exactly one of them",
        ),
        (
            "alerting: {policies: {p: [{repeat: 2}]}}",
            "alerting.policies.p[0]: repeat needs a wait, such as 30m; without one it would start over at once",
        ),
        (
            "alerting: {policies: {p: [{wait: 5m, repeat: 2}, {notify: [log]}]}}",
            "alerting.policies.p: step 1 repeats, so the steps after it are never taken; move it to the end",
        ),
        ("alerting: {fallback: [mail]}", "alerting.fallback: 'mail' is no channel; known are log"),
        (
            "alerting: {routes: [{policy: pages}], policies: {page: [{notify: [log]}]}}",
            "alerting.routes[0].policy: 'pages' is no policy; did you mean page?",
        ),
    ],
)
def test_a_mistake_is_told_with_its_key_and_the_way_out(tmp_path: Path, text: str, expected: str) -> None:
    assert mistakes(tmp_path, text) == [expected]


def test_a_matcher_that_cannot_be_read_is_told_with_its_place(tmp_path: Path) -> None:
    [told] = mistakes(tmp_path, "alerting: {routes: [{match: ['severity=~\"(\"'], policy: default}]}")

    assert told.startswith("alerting.routes[0].match[0]: ")


def test_the_rules_that_nobody_wrote_mute_what_another_alert_explains(tmp_path: Path) -> None:
    names = [mute.name for mute in load_settings(written(tmp_path, ""), {}).alert_rules().mutes]

    assert names == ["bad scores", "clamping merges bins", "slices say more", "breached now"]
    assert load_settings(written(tmp_path, "alerting: {mutes: []}"), {}).alert_rules().mutes == ()
