"""The value types of the settings file: durations, ratios, limits, instants, and addresses that may hold a secret."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import parse_qsl, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, PlainValidator, WithJsonSchema

from calslo_dagster.errors import SettingsError

_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_DURATION: Final = re.compile(r"(\d+)([smhdw])")
NO_LIMIT: Final = "none"
PANE: Final = timedelta(minutes=15)
_SECRET_KEYS: Final = frozenset(
    {"password", "passwd", "pwd", "sslpassword", "token", "access_token", "secret", "api_key"}
)
_REFERENCE: Final = re.compile(r"(env|file):(.+)", re.DOTALL)


def parse_duration(value: object) -> timedelta:
    """Return the duration that a text such as `15m`, `24h`, `7d` or `2w` spells."""
    if isinstance(value, timedelta):
        return value
    if isinstance(value, int | float):
        raise ValueError(f"{value} has no unit; write {value}m for minutes, {value}h for hours or {value}d for days")  # noqa: TRY004
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{value!r} is not a duration; write a whole number and one of s, m, h, d, w, such as 15m")
    try:
        return timedelta(seconds=int(match[1]) * _SECONDS[match[2]])
    except OverflowError:
        raise ValueError(f"{value!r} is longer than this program can count") from None


def duration_text(value: timedelta) -> str:
    """Return the duration as the settings file writes it: days from two days up, else hours, minutes or seconds."""
    seconds = int(value.total_seconds())
    if seconds % _SECONDS["d"] == 0 and seconds > _SECONDS["d"]:
        return f"{seconds // _SECONDS['d']}d"
    unit = next(unit for unit in ("h", "m", "s") if seconds % _SECONDS[unit] == 0)
    return f"{seconds // _SECONDS[unit]}{unit}"


def _on_panes(value: timedelta) -> timedelta:
    if not value or value % PANE:
        raise ValueError(f"{duration_text(value)} is not a multiple of 15m, the resolution of snapshots")
    return value


def _longer_than_nothing(value: timedelta) -> timedelta:
    if not value:
        raise ValueError("must be longer than nothing")
    return value


def _plain_number(value: object) -> object:
    """Refuse what would turn into a number without being one: YAML's yes and no, and percentages."""
    if isinstance(value, bool):
        raise ValueError(f"must be a number, not {str(value).lower()}")  # noqa: TRY004
    if isinstance(value, str) and value.strip().endswith("%"):
        raise ValueError(f"{value!r} is a percentage; write {_percent(value.strip()[:-1])}")
    return value


def _percent(text: str) -> str:
    try:
        return f"{(Decimal(text) / 100).normalize():f}"
    except ArithmeticError:
        return "a ratio between 0 and 1"


def as_ratio(value: float) -> float:
    """Return a share between 0 and 1; a percentage is refused with the ratio it stands for."""
    if 0 <= value <= 1:
        return value
    remedy = f"; write {_percent(str(value))} for {value:g}%" if 1 < value <= 100 else ""
    raise ValueError(f"{value:g} is not a ratio between 0 and 1{remedy}")


def _above_zero(value: float) -> float:
    if value == 0:
        raise ValueError("0 asks for nothing, so it can never be missed; write a share above 0, such as 0.99")
    return value


def _limit(value: object) -> float | tuple[float, float]:
    if isinstance(value, list | tuple):
        if len(value) != 2:
            raise ValueError(f"a range is [low, high], got {len(value)} numbers")
        low, high = _number(value[0]), _number(value[1])
        if low >= high:
            raise ValueError(f"the range [{low:g}, {high:g}] is empty; write the smaller number first")
        return low, high
    return _number(value)


def _number(value: object) -> float:
    plain = _plain_number(value)
    try:
        number = float(plain) if isinstance(plain, int | float | str) else None
    except ValueError:
        number = None
    if number is None:
        raise ValueError(f"must be a number or [low, high], got {value!r}")
    if number - number != 0:
        raise ValueError(f"must be a finite number, got {value}")
    return number


def parse_instant(value: object) -> datetime:
    """Return an aware UTC time; a date is its midnight in UTC, a time without a zone is refused."""
    if isinstance(value, str):
        try:
            value = date.fromisoformat(value) if len(value) == len("2026-03-01") else datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(f"{value!r} is not a time; write it as 2026-03-01T02:00:00Z") from None
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"{value.isoformat()} has no time zone; write {value.isoformat()}Z if it is UTC")
        return value.astimezone(UTC)
    if isinstance(value, date):
        return datetime.combine(value, time(), UTC)
    raise ValueError(f"{value!r} is not a time; write it as 2026-03-01T02:00:00Z")


@dataclass(frozen=True, slots=True)
class Address:
    """A URL without a secret in it, or the place that holds one: `env:NAME` or `file:PATH`."""

    text: str

    def resolve(self, environ: Mapping[str, str], directory: Path) -> str:
        """Return the URL itself; a relative `file:` path starts at `directory`."""
        match = _REFERENCE.fullmatch(self.text)
        if match is None:
            return self.text
        return _from_environment(match[2], environ) if match[1] == "env" else _from_file(directory, match[2])


def _from_environment(name: str, environ: Mapping[str, str]) -> str:
    value = environ.get(name, "").strip()
    if not value:
        raise SettingsError(f"env:{name}: the environment variable {name} is not set; export it before the start")
    return value


def _from_file(directory: Path, name: str) -> str:
    path = directory / Path(name).expanduser()
    try:
        value = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"file:{name}: {path} cannot be read: {error}") from error
    if not value:
        raise SettingsError(f"file:{name}: {path} is empty; write the value into it")
    return value


def _address(value: object) -> Address:
    """Return the address; a literal secret is refused, and no message ever repeats the value."""
    if isinstance(value, Address):
        return value
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be a URL, env:NAME or file:PATH")
    text = value.strip()
    if _REFERENCE.fullmatch(text):
        return Address(text)
    if not re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*://", text):
        raise ValueError("must be a URL such as postgresql://host/name, env:NAME or file:PATH")
    _refuse_secret(text)
    return Address(text)


def _reference(value: object) -> Address:
    """Return the place that holds a secret; the secret itself is refused, and no message ever repeats it."""
    if isinstance(value, Address):
        return value
    if not isinstance(value, str) or not _REFERENCE.fullmatch(value.strip()):
        raise ValueError(
            "must not be the secret itself; put it into an environment variable and write env:NAME, "
            "or into a file and write file:PATH"
        )
    return Address(value.strip())


def _refuse_secret(text: str) -> None:
    try:
        parts = urlsplit(text)
        keys = {key.lower() for key, _ in parse_qsl(parts.query, keep_blank_values=True)}
    except ValueError:
        raise ValueError("is not a URL that can be read; check its brackets") from None
    if parts.password or keys & _SECRET_KEYS:
        raise ValueError(
            "holds a literal secret; put the whole URL into an environment variable and write env:NAME, "
            "or into a file and write file:PATH"
        )


def _web_address(value: str) -> str:
    _refuse_secret(value)
    if urlsplit(value).scheme not in {"http", "https"} or not urlsplit(value).netloc:
        raise ValueError(f"{value!r} is not a web address; write http://host or https://host")
    return value.rstrip("/")


def _shaped(pattern: str, words: str) -> tuple[AfterValidator, WithJsonSchema]:
    """Return what refuses a text that does not have the form of `pattern`, saying it in words."""

    def form(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(f"{value!r} must {words}")
        return value

    return AfterValidator(form), WithJsonSchema({"type": "string", "pattern": f"^{pattern}$"})


def _schema(pattern: str, example: object) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": [example]})


_duration_schema = _schema(r"^\s*[0-9]+[smhdw]\s*$", "15m")
_as_text = PlainSerializer(duration_text, return_type=str)
Wait = Annotated[timedelta, BeforeValidator(parse_duration), _as_text, _duration_schema]
Duration = Annotated[Wait, AfterValidator(_longer_than_nothing)]
Span = Annotated[Wait, AfterValidator(_on_panes)]
Number = Annotated[float, Field(allow_inf_nan=False), BeforeValidator(_plain_number)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False), BeforeValidator(_plain_number)]
Count = Annotated[int, Field(ge=1), BeforeValidator(_plain_number)]
Ratio = Annotated[Number, AfterValidator(as_ratio), Field(json_schema_extra={"minimum": 0, "maximum": 1})]
Target = Annotated[Ratio, AfterValidator(_above_zero), Field(json_schema_extra={"exclusiveMinimum": 0})]
_LIMIT_FORMS: Final[list[dict[str, Any]]] = [
    {"type": "number"},
    {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2},
]
_as_written = PlainSerializer(lambda value: list(value) if isinstance(value, tuple) else value)
Limit = Annotated[
    float | tuple[float, float], PlainValidator(_limit), _as_written, WithJsonSchema({"anyOf": _LIMIT_FORMS})
]
WarnLimit = Annotated[
    float | tuple[float, float] | str,
    PlainValidator(lambda value: value if value == NO_LIMIT else _limit(value)),
    _as_written,
    WithJsonSchema({"anyOf": [*_LIMIT_FORMS, {"const": NO_LIMIT}]}),
]
Instant = Annotated[
    datetime,
    BeforeValidator(parse_instant),
    PlainSerializer(lambda value: value.isoformat().replace("+00:00", "Z"), return_type=str),
    WithJsonSchema({"type": "string", "examples": ["2026-03-01T02:00:00Z"]}),
]
Url = Annotated[
    Address,
    PlainValidator(_address),
    PlainSerializer(lambda value: value.text, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["env:CALSLO_STORE_URL", "postgresql://db.internal/calslo"]}),
]
Reference = Annotated[
    Address,
    PlainValidator(_reference),
    PlainSerializer(lambda value: value.text, return_type=str),
    WithJsonSchema({"type": "string", "pattern": "^(env|file):.+", "examples": ["env:NAME"]}),
]
RepeatWait = Annotated[
    timedelta | str,
    PlainValidator(lambda value: value if value == NO_LIMIT else _longer_than_nothing(parse_duration(value))),
    PlainSerializer(lambda value: value if isinstance(value, str) else duration_text(value), return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\s*[0-9]+[smhdw]\s*$|^none$", "examples": ["4h", "none"]}),
]
WebAddress = Annotated[str, AfterValidator(_web_address)]
Name = Annotated[
    str, *_shaped(r"[A-Za-z][A-Za-z0-9_-]{0,47}", "start with a letter and hold only letters, digits, _ and -")
]
SloName = Annotated[
    str, *_shaped(r"[a-z][a-z0-9_]{0,47}", "start with a small letter and hold only small letters, digits and _")
]
WeeklyCron = Annotated[
    str,
    *_shaped(
        r"[0-5]?[0-9] ([01]?[0-9]|2[0-3]) \* \* [0-7]",
        "fire once a week: minute, hour, * * and a weekday, such as 0 6 * * 1",
    ),
]
Memory = Annotated[str, *_shaped(r"[0-9]+(\.[0-9]+)? ?[KMGT]i?B", "be a number and a unit, such as 2GB or 512MB")]
Text = Annotated[str, Field(min_length=1)]
