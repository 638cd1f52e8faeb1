"""The definition of an SLO as JSON, and the hash that ties a measurement to the definition it was judged by."""

import inspect
import json
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from datetime import timedelta
from functools import partial
from hashlib import sha256
from typing import Any, Final

from calslo_dagster.slo.model import SLO

# What is only for people changes nothing about a verdict, so another owner or severity in the settings is no new
# definition.
_WORDS: Final = frozenset({"title", "description", "runbook", "owner", "severity"})


def definition(slo: SLO) -> dict[str, Any]:
    """Return as JSON everything that decides a verdict or an episode; functions by name and digest of their module."""
    return {f.name: _canonical(getattr(slo, f.name)) for f in fields(slo) if f.name not in _WORDS}


def definition_hash(slo: SLO) -> str:
    """Return the SHA-256 of the canonical JSON of the definition, 64 hex digits."""
    text = json.dumps(definition(slo), sort_keys=True, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()


def _canonical(value: Any) -> Any:
    if isinstance(value, timedelta):
        return {"seconds": value.total_seconds()}
    if isinstance(value, (tuple, list)):
        return [_canonical(item) for item in value]
    if isinstance(value, frozenset):
        return sorted(_canonical(item) for item in value)
    if isinstance(value, partial):
        arguments = {name: _canonical(item) for name, item in value.keywords.items()}
        return {"function": _fingerprint(value.func), "positional": _canonical(value.args), "named": arguments}
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _canonical(getattr(value, f.name)) for f in fields(value)}
    return _fingerprint(value) if callable(value) else value


def _fingerprint(function: Callable[..., Any]) -> str:
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}:{named.__qualname__}:{sha256(_source(named)).hexdigest()}"


def _source(function: Any) -> bytes:
    try:
        return inspect.getsource(inspect.getmodule(function) or function).encode()
    except (OSError, TypeError):
        # A function from an interactive session has no module file; its bytecode still tells two versions apart.
        code = getattr(function, "__code__", None)
        return code.co_code + repr(code.co_names).encode() if code else b""
