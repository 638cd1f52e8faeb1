"""The part each column plays: its canonical name, the user's name, how it is read, and which setting maps it."""

from dataclasses import dataclass
from enum import StrEnum

from calslo_dagster.sources.base import LabelSpec, SourceSpec


class RoleKind(StrEnum):
    """How the values of a column are read."""

    TIME = "time"
    NUMBER = "number"
    LABEL = "label"
    FLAG = "flag"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Role:
    """One column that a source may have.

    name: canonical; column: the user's; key: the setting that maps it; flag: the option of `calslo evaluate` that does.
    """

    name: str
    column: str
    kind: RoleKind
    key: str
    flag: str = ""
    is_required: bool = False

    @property
    def title(self) -> str:
        """How a message calls the column."""
        return f'column "{self.column}"' if self.column == self.name else f'column "{self.column}" ({self.name})'


def event_roles(spec: SourceSpec) -> tuple[Role, ...]:
    """Return the roles of a prediction log, in the order of the canonical relation."""
    c, number = spec.columns, RoleKind.NUMBER
    return (
        Role("event_time", c.event_time, RoleKind.TIME, "columns.event_time", "--time-column", is_required=True),
        Role("score", c.score, number, "columns.score", "--score-column", is_required=True),
        Role("label", c.label, RoleKind.LABEL, "columns.label", "--label-column"),
        Role("prediction_id", c.prediction_id, RoleKind.TEXT, "columns.prediction_id"),
        *(
            Role(name, column, RoleKind.TEXT, f"slice_columns.{name}", "--slice")
            for name, column in spec.slice_columns.items()
        ),
        Role("weight", c.weight, number, "columns.weight"),
        Role("latency_us", c.latency_us, number, "columns.latency_us"),
        Role("clamped", c.clamped, RoleKind.FLAG, "columns.clamped"),
        Role("clamp_alpha", c.clamp_alpha, number, "columns.clamp_alpha"),
        Role("calibrator_version", c.calibrator_version, RoleKind.TEXT, "columns.calibrator_version"),
        Role("mask_id", c.mask_id, RoleKind.TEXT, "columns.mask_id"),
    )


def label_roles(spec: LabelSpec) -> tuple[Role, ...]:
    """Return the roles of a label feed, in the order of the canonical labels."""
    c = spec.columns
    return (
        Role("prediction_id", c.prediction_id, RoleKind.TEXT, "columns.prediction_id", is_required=True),
        Role("label", c.label, RoleKind.LABEL, "columns.label", "--label-column", is_required=True),
        Role("label_time", c.label_time, RoleKind.TIME, "columns.label_time"),
        Role("event_time", c.event_time, RoleKind.TIME, "columns.event_time", "--time-column"),
    )
