"""Manifests: what was fitted, per model, slice and calibrator version."""

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.orm import Session

from calslo_dagster.slo.model import Manifest
from calslo_dagster.store import rows as stored
from calslo_dagster.store.schema import manifests


def put(session: Session, found: Iterable[Manifest]) -> None:
    """Record the manifests, or overwrite those of the same model, slice and version."""
    from calslo_dagster.store.schemas import check_manifests  # noqa: PLC0415 - whoever only reads does without its memory

    records = [
        {name: getattr(row, name) for name in ("model", "slice", "version", "alpha", "bins", "c_hat", "edges")}
        | {"fit_counts": row.fit_counts, "mask_id": row.mask_id, "fitted_at": row.fitted_at}
        for row in found
    ]
    check_manifests(records, list(manifests.c.keys()))
    stored.upsert(session, manifests, records)


def every(session: Session, model: str | None = None) -> tuple[Manifest, ...]:
    """Return the manifests, of one model if it is named, by model, slice and version."""
    table = manifests.c
    wanted = sa.select(manifests).order_by(table.model, table.slice, table.version)
    wanted = wanted if model is None else wanted.where(table.model == model)
    return stored.load(session, wanted, Manifest, edges=tuple, fit_counts=tuple)
