"""Tokens: shown once, kept as hashes, worthless when revoked or expired."""

from datetime import timedelta
from pathlib import Path

import pytest

from calslo_dagster.errors import TokenError, UnfitTextError
from calslo_dagster.pipeline.manage_tokens import create_token, list_tokens, revoke_token, token_of
from calslo_dagster.store import alert_events
from calslo_dagster.store.api_tokens import Scope
from calslo_dagster_tests.logs import START, project_at


def test_a_token_counts_until_it_expires_or_is_revoked(tmp_path: Path) -> None:
    with project_at(tmp_path).store, project_at(tmp_path).store:
        project = project_at(tmp_path)
        given = create_token(project, "bot", [Scope.READ], by="ada", now=START, lasts=timedelta(days=1))
        other = create_token(project, "ci", [Scope.ADMIN], by="ada", now=START)

        assert token_of(project, given.secret, now=START) == given.token
        assert token_of(project, given.secret, now=START + timedelta(days=1)) is None
        for wrong in (given.secret[:-1], f"{given.secret}A", other.secret[:20] + given.secret[20:], "", "calslo_"):
            assert token_of(project, wrong, now=START) is None
        assert other.token.allows(Scope.INGEST)
        assert not given.token.allows(Scope.ALERTS)
        revoke_token(project, other.token.id, by="ada", now=START)
        revoke_token(project, other.token.id, by="ada", now=START)
        assert token_of(project, other.secret, now=START) is None
        with project.store.read() as session:
            logged = alert_events.between(session, start=START, end=START + timedelta(seconds=1))
        assert [one.event.kind for one in logged] == ["token created", "token created", "token revoked"]
        assert not any(secret in str(logged) + str(list_tokens(project)) for secret in (given.secret, other.secret))


def test_what_makes_no_token_is_refused(tmp_path: Path) -> None:
    project = project_at(tmp_path)
    with project.store:
        for name, scopes in (("", [Scope.READ]), ("x" * 81, [Scope.READ]), ("bot", [])):
            with pytest.raises(TokenError):
                create_token(project, name, scopes, by="ada", now=START)
        with pytest.raises(UnfitTextError):
            create_token(project, "bot\x00", [Scope.READ], by="ada", now=START)
        with pytest.raises(TokenError, match="there is no token 'nope'"):
            revoke_token(project, "nope", by="ada", now=START)
