"""The base of every section of the settings file: strict, frozen, and able to say which keys it knows."""

import ast
import inspect
import textwrap
from itertools import pairwise
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ModelWrapValidatorHandler, ValidationInfo, model_validator


class Section(BaseModel):
    """One mapping of the settings file. Unknown keys are refused, values never change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    @model_validator(mode="wrap")
    @classmethod
    def _remembered(cls, data: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo) -> Self:
        """Note who reads this mapping, for the answer to an unknown key; a key without a value counts as absent."""
        if not isinstance(data, dict):
            return handler(data)
        if isinstance(info.context, dict):
            info.context[id(data)] = cls
        return handler({key: value for key, value in data.items() if value is not None})

    @classmethod
    def known_keys(cls) -> tuple[str, ...]:
        """Return the keys that may be written here."""
        return tuple(field.alias or name for name, field in cls.model_fields.items())

    @classmethod
    def described(cls) -> dict[str, str]:
        """Return what each key means, from the text below its field.

        Read from the source when asked: as pydantic's own option it would cost every start 30 ms.
        """
        texts = dict[str, str]()
        for base in reversed(cls.__mro__):
            if issubclass(base, Section) and base is not Section:
                texts |= _texts(base)
        return {field.alias or name: texts[name] for name, field in cls.model_fields.items() if name in texts}


def _texts(section: type[Section]) -> dict[str, str]:
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(section))).body
    statements = body.body if isinstance(body, ast.ClassDef) else []
    return {
        field.target.id: text.value.value
        for field, text in pairwise(statements)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }
