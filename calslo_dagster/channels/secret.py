"""A secret that does not show itself."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Secret:
    """A password, key or address with a key in it; only `reveal` tells it."""

    _value: str = field(repr=False)

    def __str__(self) -> str:
        return "***"

    def reveal(self) -> str:
        """Return the secret; pass it to the one call that needs it and keep it nowhere."""
        return self._value
