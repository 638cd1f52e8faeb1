"""Templates say it in other words, and whatever is wrong with one, the page still goes out."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calslo_dagster.alerting.facts import Facts
from calslo_dagster.alerting.headline import LONGEST_TITLE
from calslo_dagster.alerting.message import LONGEST_TEXT, compose
from calslo_dagster.alerting.model import Action
from calslo_dagster.alerting.templates import LONGEST_PROBLEM, Templates, render
from calslo_dagster_tests.alerting.messages import BASE, KINDS, PIPELINE, nasty_facts, texts
from calslo_dagster_tests.strategies import steady

GOOD = {
    "all.title": "{{ default.title }} [{{ owner }}]",
    "all.text": (
        "{{ model | upper }} {{ facts.slo }} {{ action }} since {{ since }} for {{ (at - since) | spoken }}\n"
        "{% for one in worst[:2] %}\n"
        "{{ loop.index }}. {{ one.slice | place }}: {{ one.finding | estimate(unit) }}\n"
        "{% endfor %}\n"
        "{% set note = owner ~ ' / ' ~ episode %}{{ note }}\n"
        "{% if severity in ['critical', 'emergency'] %}{{ links | map(attribute='url') | join(', ') }}{% endif %}"
    ),
}


def test_without_templates_the_message_is_ours() -> None:
    assert render(BASE, Action.TRIGGER, Templates.of({})) == (compose(BASE, Action.TRIGGER), None)


def test_templates_say_it_in_other_words() -> None:
    words, problem = render(BASE, Action.TRIGGER, Templates.of(GOOD))

    assert problem is None
    assert words.title == f"{compose(BASE, Action.TRIGGER).title} [risk-ml]"
    assert words.text == (
        "FRAUD-V12 ece_bound trigger since 2026-03-02 10:00 UTC for 2 h 10 min\n"
        "1. country=de: 0.0831 [0.0712, 0.0961], n = 41,280\n"
        "2. country=fr: 0.071 [0.06, 0.08], n = 9,000\n"
        "risk-ml / 2\n"
        "https://runbooks.test/ece_bound, https://reports.test/7"
    )


def test_a_template_of_the_action_goes_before_the_general_one() -> None:
    templates = Templates.of({"all.title": "any", "resolve.title": "over: {{ slo }}"})

    assert render(BASE, Action.RESOLVE, templates)[0].title == "over: ece_bound"
    assert render(BASE, Action.TRIGGER, templates)[0].title == "any"
    assert render(BASE, Action.TRIGGER, templates)[0].text == compose(BASE, Action.TRIGGER).text


def test_a_template_may_be_a_file(tmp_path: Path) -> None:
    file = tmp_path / "text.j2"
    file.write_text("{{ slo }} is bad: größer", encoding="utf-8")

    assert render(BASE, Action.TRIGGER, Templates.of({"all.text": file}))[0].text == "ece_bound is bad: größer"


def test_a_file_that_is_not_there_loses_no_page(tmp_path: Path) -> None:
    words, problem = render(BASE, Action.TRIGGER, Templates.of({"all.text": tmp_path / "none.j2"}))

    assert words == compose(BASE, Action.TRIGGER)
    assert problem is not None
    assert problem.startswith("template all.text: FileNotFoundError: ")


def test_a_file_that_is_no_text_loses_no_page(tmp_path: Path) -> None:
    (tmp_path / "text.j2").write_bytes(b"\xff\xfe\x00")

    _, problem = render(BASE, Action.TRIGGER, Templates.of({"all.text": tmp_path / "text.j2"}))

    assert problem is not None
    assert "UnicodeDecodeError" in problem


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("{{ slo", "line 1: TemplateSyntaxError: "),
        ("a\nb\n{% if %}", "line 3: TemplateSyntaxError: "),
        ("a\n{{ sloo }}", "line 2: UndefinedError: 'sloo' is undefined"),
        ("{{ facts.sloo }}", "line 1: UndefinedError: "),
        ("{{ worst[9].slice }}", "line 1: UndefinedError: "),
        ("{{ nothing | upper }}", "line 1: UndefinedError: "),
        ("{{ slo | sloppy }}", "line 1: TemplateAssertionError: "),
        ("\n\n{{ 1 / 0 }}", "line 3: ZeroDivisionError: "),
        ("{{ model.__class__.__mro__ }}", "line 1: SecurityError: "),
        ("{{ facts.to_json() }}", "line 1: SecurityError: "),
        ("{{ ''.join.__globals__ }}", "line 1: SecurityError: "),
        ("{{ self._TemplateReference__context }}", "line 1: SecurityError: "),
        ("{{ '{0.__class__}'.format(slo) }}", "line 1: SecurityError: "),
        ("{{ facts }}", "line 1: TypeError: Facts cannot be written"),
        ("{{ worst }}", "line 1: TypeError: tuple cannot be written"),
        ("{% include 'other' %}", "line 1: TemplateAssertionError: other templates are not allowed"),
        ("{% import 'other' as o %}", "line 1: TemplateAssertionError: other templates are not allowed"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "line 1: TemplateAssertionError: macros are not allowed"),
        ("{% set x %}y{% endset %}", "line 1: TemplateAssertionError: set blocks are not allowed"),
        ("{{ {'a': 1} }}", "line 1: TemplateAssertionError: mappings are not allowed"),
        ("{% for x in worst recursive %}{% endfor %}", "line 1: TemplateAssertionError: recursive loops"),
        ("  \n ", "writes nothing"),
        ("{# only a comment #}", "writes nothing"),
        ("x" * 30_000, "ValueError: is 30,000 characters long"),
    ],
)
def test_a_broken_template_falls_back_and_is_reported(source: str, problem: str) -> None:
    words, found = render(BASE, Action.TRIGGER, Templates.of({"all.text": source, "all.title": "still {{ slo }}"}))

    assert words.text == compose(BASE, Action.TRIGGER).text
    assert words.title == "still ece_bound"
    assert found is not None
    assert found.startswith("template all.text")
    assert problem in found
    assert len(found) <= LONGEST_PROBLEM
    assert "\n" not in found


NESTED = "{% for i in range(1000) %}{% for j in range(1000) %}{% for k in range(1000) %}"


@pytest.mark.parametrize(
    "source",
    [
        NESTED + "{% endfor %}" * 3,
        NESTED + "x" + "{% endfor %}" * 3,
        "{% for i in range(1001) %}{% endfor %}",
        "{{ range(10 ** 9) | list | length }}",
        "{{ 'x' * 1000000000 }}",
        "{{ 1000000000 * [0] }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ '{:1000000000d}'.format(1) }}",
        "{{ 'x'.ljust(1000000000) }}",
        "{{ (1).to_bytes(1000000000, 'big') }}",
        "{% set a = 'xxxxxxxxxx' %}" + "{% set a = a ~ a %}" * 40 + "{{ a }}",
        "{% set a = 'xxxxxxxxxx' %}" + "{% set a = a + a %}" * 40 + "{{ a }}",
        "{% set a = [1, 2] %}" + "{% set a = a + a %}" * 40 + "{{ a | length }}",
        "{% set a = [1, 2] %}" + "{% set a = [a, a] %}" * 40 + "{{ a == a }}",
        "{% set a = 9 %}" + "{% set a = a * a %}" * 40 + "{{ a }}",
        "{% for i in range(1000) %}{{ 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' }}{% endfor %}",
        "{{ lipsum(1000) }}",
        "{{ " + "(" * 3000 + " }}",
        "{% if 1 %}" * 300 + "{% endif %}" * 300,
        "{% for i in range(2) %}" * 60 + "{% endfor %}" * 60,
        "{% for i in range(1000) %}{{ range(1000) | map('upper') | list | length }}{% endfor %}",
        "{{ ('x' ~ 'y' * 3) | replace('x', 'y') }}",
    ],
)
@pytest.mark.timeout(20)
def test_a_template_without_end_is_ended(source: str) -> None:
    """Each of these would take minutes or gigabytes; the bound on this test is on all of it at once."""
    words, problem = render(BASE, Action.TRIGGER, Templates.of({"all.text": source}))

    assert words == compose(BASE, Action.TRIGGER)
    assert problem is not None
    assert problem.startswith("template all.text")


def test_each_message_has_its_own_steps() -> None:
    """What one message has used up is not missing in the next."""
    many = Templates.of(
        {"all.text": "{% for i in range(900) %}{% for j in range(9) %}{% endfor %}{% endfor %}{{ slo }}"}
    )

    assert [render(BASE, Action.TRIGGER, many)[1] for _ in range(4)] == [None] * 4


def test_a_name_that_is_none_is_a_problem_of_the_settings() -> None:
    templates = Templates.of({"triger.title": "x", "all.title": "{{ slo }}"})

    assert "there are all.title, all.text, trigger.title" in templates.problems["triger.title"]
    assert render(BASE, Action.TRIGGER, templates)[1] is None


def test_a_broken_template_is_known_before_anything_is_sent() -> None:
    templates = Templates.of({"all.title": "{{", "all.text": "{{ slo }}"})

    assert list(templates.problems) == ["all.title"]
    assert list(templates.code) == ["all.text"]


def test_both_parts_may_be_broken() -> None:
    words, problem = render(BASE, Action.TRIGGER, Templates.of({"all.title": "{{ a }}", "all.text": "{{ b }}"}))

    assert words == compose(BASE, Action.TRIGGER)
    assert problem == (
        "template all.title, line 1: UndefinedError: 'a' is undefined; "
        "template all.text, line 1: UndefinedError: 'b' is undefined"
    )


def test_what_is_not_known_is_a_dash() -> None:
    text = "{{ resolved_at }} {{ worst[0].finding.value }} {{ worst[0].finding.value | figure(unit) }}"
    text += " {{ worst[0].finding | estimate }} {{ resolved_at | moment }} {{ none | spoken }}"

    assert render(PIPELINE, Action.TRIGGER, Templates.of({"all.text": text}))[0].text == "- - - - - -"


def test_long_words_are_cut_to_what_channels_take() -> None:
    templates = Templates.of({"all.title": "word " * 100, "all.text": "a line of words\n" * 400})

    words, problem = render(BASE, Action.TRIGGER, templates)

    assert problem is None
    assert LONGEST_TITLE - 10 < len(words.title) <= LONGEST_TITLE
    assert LONGEST_TEXT - 20 < len(words.text) <= LONGEST_TEXT
    assert words.text.endswith("a line of words\n…")


def test_what_facts_hold_is_no_template() -> None:
    odd = replace(BASE, note="{{ 7 * 7 }}", owner="{% for %}\n\x1b")

    words, problem = render(odd, Action.TRIGGER, Templates.of({"all.text": "{{ note }} {{ owner }}"}))

    assert (words.text, problem) == ("{{ 7 * 7 }} {% for %} \\x1b", None)


@pytest.mark.parametrize("facts", KINDS)
@pytest.mark.parametrize("action", Action)
def test_the_example_works_for_every_kind_and_action(facts: Facts, action: Action) -> None:
    _, problem = render(facts, action, Templates.of(GOOD))

    assert problem is None


@steady
@given(nasty_facts, st.sampled_from(Action), texts)
def test_no_facts_and_no_template_lose_a_page(facts: Facts, action: Action, source: str) -> None:
    for templates in (Templates.of(GOOD), Templates.of({"all.title": source, "all.text": source})):
        words, problem = render(facts, action, templates)

        assert 0 < len(words.title) <= LONGEST_TITLE
        assert len(words.title.splitlines()) == 1
        assert 0 < len(words.text) <= LONGEST_TEXT
        assert problem is None or 0 < len(problem) <= 2 * LONGEST_PROBLEM + 2


def test_who_has_no_template_does_not_load_jinja() -> None:
    code = (
        "import sys; from calslo_dagster.alerting.templates import Templates; Templates.of({}); "
        "print('jinja2' in sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"
