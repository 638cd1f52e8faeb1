"""What goes over the wire: numbers in the unit that is named beside them, times in UTC, null where nothing is known."""

from calslo_dagster.web.api.models.alerts import ExclusionIn, ExclusionOut, IncidentOut, Note, SilenceIn, SilenceOut
from calslo_dagster.web.api.models.base import Done, In, Out, Removed
from calslo_dagster.web.api.models.history import AvailabilityOut, BreachOut, DriftOut, ManifestOut, TableOut
from calslo_dagster.web.api.models.slos import (
    ActiveOut,
    BoardOut,
    BudgetOut,
    CardOut,
    HealthOut,
    MeasurementOut,
    SloOut,
)

__all__ = [
    "ActiveOut",
    "AvailabilityOut",
    "BoardOut",
    "BreachOut",
    "BudgetOut",
    "CardOut",
    "Done",
    "DriftOut",
    "ExclusionIn",
    "ExclusionOut",
    "HealthOut",
    "In",
    "IncidentOut",
    "ManifestOut",
    "MeasurementOut",
    "Note",
    "Out",
    "Removed",
    "SilenceIn",
    "SilenceOut",
    "SloOut",
    "TableOut",
]
