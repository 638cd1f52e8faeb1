"""Messages in the words of the people who get them: Jinja2 templates that cannot lose a page.

A template makes the title or the text of one action, or of every action that has none of its own: it is called
`resolve.title`, `all.text` and the like. It sees every field of `Facts` by its name, all of them as `facts`, the
`action`, and as `default` the title and text that would be sent without it. Beyond Jinja2's own filters for text and
lists there are `figure(unit)`, `estimate(unit)`, `moment`, `spoken`, `place` and `shorten(most)`.

    {{ default.title }} [{{ owner }}]
    {% for one in worst[:5] %}{{ one.slice | place }}: {{ one.finding | estimate(unit) }}
    {% endfor %}
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Any, Final, Self

from calslo_dagster.alerting.facts import Facts, Words
from calslo_dagster.alerting.headline import LONGEST_TITLE
from calslo_dagster.alerting.message import LONGEST_TEXT, compose
from calslo_dagster.alerting.model import Action
from calslo_dagster.alerting.phrases import one_line, several_lines
from calslo_dagster.alerting.plain_facts import plain_facts

if TYPE_CHECKING:
    from calslo_dagster.alerting.sandbox import Sandbox

ALL: Final = "all"
PARTS: Final = ("title", "text")
NAMES: Final = tuple(f"{action}.{part}" for action in (ALL, *Action) for part in PARTS)
LONGEST_PROBLEM: Final = 300


@dataclass(frozen=True, slots=True)
class Templates:
    """Compiled templates by name, and what is wrong with those that do not compile."""

    code: Mapping[str, CodeType] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, sources: Mapping[str, str | Path]) -> Self:
        """Return the templates of these texts, or of the files that paths name; `problems` says what is wrong."""
        code, problems = dict[str, CodeType](), dict[str, str]()
        for name, source in sources.items():
            try:
                code[name] = _compiled(name, source)
            except Exception as error:  # noqa: BLE001 - a broken template must not stop the others, whatever is wrong
                problems[name] = _told(name, error)
        return cls(code, problems)

    def name_for(self, action: Action, part: str) -> str | None:
        """Return the name of the template for a part of the action's message, the action's own before the general."""
        known = {*self.code, *self.problems}
        return next((name for name in (f"{action}.{part}", f"{ALL}.{part}") if name in known), None)


def render(facts: Facts, action: Action, templates: Templates) -> tuple[Words, str | None]:
    """Return the message, and what was wrong with a template: its part is then what `compose` says."""
    composed = compose(facts, action)
    if not templates.code and not templates.problems:
        return composed, None
    variables = _variables(facts, action, composed)
    title, wrong_title = _part(templates, action, "title", variables)
    text, wrong_text = _part(templates, action, "text", variables)
    words = Words(
        title=one_line(title, LONGEST_TITLE) or composed.title,
        text=several_lines(text, LONGEST_TEXT) or composed.text,
    )
    return words, "; ".join(filter(None, (wrong_title, wrong_text))) or None


def _part(templates: Templates, action: Action, part: str, variables: Mapping[str, Any]) -> tuple[str, str | None]:
    """Return the filled template and no problem, or nothing and its problem; nothing at all if there is no template."""
    name = templates.name_for(action, part)
    if name is None or name in templates.problems:
        return "", templates.problems.get(name) if name else None
    try:
        filled = _sandbox().filled(templates.code[name], variables)
    except Exception as error:  # noqa: BLE001 - the page must go out, whatever a template does
        return "", _told(name, error)
    return filled, None if filled.strip() else f"template {name} writes nothing"


def _variables(facts: Facts, action: Action, composed: Words) -> dict[str, Any]:
    shown = plain_facts(facts)
    named = {f.name: getattr(shown, f.name) for f in fields(Facts)}
    return {**named, "facts": shown, "action": action, "default": composed}


def _compiled(name: str, source: str | Path) -> CodeType:
    if name not in NAMES:
        raise ValueError(f"is no name of a template; there are {', '.join(NAMES)}")
    text = source.read_text(encoding="utf-8") if isinstance(source, Path) else source
    return _sandbox().compiled(text, name)


@cache
def _sandbox() -> "Sandbox":
    # Jinja2 takes 30 ms to load, which nobody pays who has no template.
    from calslo_dagster.alerting.sandbox import Sandbox  # noqa: PLC0415

    return Sandbox()


def _told(name: str, error: Exception) -> str:
    """Return the problem with the template's name and the line, if the error came from one."""
    line, said = _line(name, error), getattr(error, "message", None) or str(error)
    place = f"template {name}, line {line}" if line else f"template {name}"
    return one_line(f"{place}: {type(error).__name__}: {said}", LONGEST_PROBLEM)


def _line(name: str, error: Exception) -> int | None:
    if isinstance(error, SyntaxError):
        # Python's own, when blocks are nested too deeply; its line is one of the code that Jinja2 has made.
        return None
    found, step = getattr(error, "lineno", None), error.__traceback__
    while step is not None:
        # Jinja2 rewrites its part of the traceback to the lines of the template, under the name it was compiled with.
        found = step.tb_lineno if step.tb_frame.f_code.co_filename == name else found
        step = step.tb_next
    return found
