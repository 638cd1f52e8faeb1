"""Tokens of the REST API and the web pages, of which only the hashes are kept."""

from alembic import op

from calslo_dagster.store.columns import DIGEST, INSTANT, JSON, NAME, TEXT, WORD, key, optional, required

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "api_tokens",
        *key(id=WORD),
        *required(name=NAME, digest=DIGEST, scopes=JSON, created_at=INSTANT, created_by=TEXT),
        *optional(expires_at=INSTANT, revoked_at=INSTANT),
        *required(revoked_by=TEXT),
    )
