"""What `dagster dev` loads: the definitions for the settings it finds; the only import with an effect."""

from calslo_dagster.defs.build import build_defs
from calslo_dagster.settings import load_settings

defs = build_defs(load_settings())
