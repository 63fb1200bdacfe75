"""A template as sentences, and back: nothing is lost, and nothing changes but what was written."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from clara_kit.core.errors import TemplateError
from clara_kit.core.profile import ANONYMOUS
from clara_kit.lab.draft import part_text
from clara_kit.prompts import file as template_file
from clara_kit.prompts.catalog import Catalog
from clara_kit.prompts.fields import Field, fields, with_text
from clara_kit.prompts.template import PromptTemplate
from clara_kit.prompts.wording import HOLES, KEYS, in_words, names, offered
from clara_kit.widgets.words import WORDS, spoken_in
from clara_kit.world.personas import Persona

ENGLISH, SPANISH = spoken_in("en"), spoken_in("es")
NAMES = names(ENGLISH)
SHIPPED = {name: template_file.read(template_file.find(name)) for name in ("baseline", "brief", "expert", "warm")}
FRONT = "---\nid: probe\nversion: 1\ndescription: d\nvariables: [first_name, skin_type, concerns, recommended, catalog]\n---\n"
HOLE = st.sampled_from(
    ["{first name}", "{skin type}", "a[, {first name}]", "[ a {skin type} y]b", "c[{concerns}? , sí{first name}]"]
)
SENTENCE = st.lists(st.one_of(HOLE, st.text("abc ñ¿?¡!.,:;%#|$'\"-\n", min_size=1, max_size=8)), max_size=6).map(
    "".join
)


def read(source: str) -> tuple[Field, ...]:
    return fields(source, NAMES, part_text)


def write(source: str, field: Field, text: str) -> str:
    return with_text(source, field, text, NAMES, part_text)


def lines(several: tuple[Field, ...]) -> list[str]:
    return [line.strip() for field in several for line in field.text.split("\n") if line.strip()]


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_template_can_be_written_as_sentences_and_each_comes_back_byte_for_byte(name: str) -> None:
    source = SHIPPED[name]
    several = read(source)
    assert not any(field.locked for field in several)
    assert {field.section for field in several} == {"greeting", "tone", "when", "rails"}
    for field in several:
        assert not re.search(r"\{\{|\{%|[|_]", field.text.replace("datos_del_cliente", "").replace("product.", ""))
        again = write(source, field, f"{field.text} x")
        found = next(f for f in read(again) if f.text == f"{field.text} x")
        if not field.part:
            assert again[: field.start] == source[: field.start] and again.endswith(source[field.end :])
            assert write(again, found, field.text) == source


@settings(max_examples=50)
@given(st.sampled_from(sorted(SHIPPED)), st.integers(0, 30), SENTENCE)
def test_what_is_written_into_a_field_is_what_is_read_there_and_all_else_stays(name: str, n: int, text: str) -> None:
    source = SHIPPED[name]
    before = read(source)
    field = before[n % len(before)]
    again = write(source, field, text)
    if not field.part:
        assert again[: field.start] == source[: field.start]
        assert again[len(again) - len(source) + field.end :] == source[field.end :]
    after = read(again)
    at = before.index(field)
    assert lines(after) == [
        *lines(before[:at]),
        *(s.strip() for s in text.split("\n") if s.strip()),
        *lines(before[at + 1 :]),
    ]


@settings(max_examples=60)
@given(st.integers(0, 30), st.text("abc {first name}[]?%#\n", max_size=20))
def test_whatever_is_typed_is_refused_or_read_again(n: int, text: str) -> None:
    source = SHIPPED["warm"]
    before = read(source)
    field = before[n % len(before)]
    with suppress(TemplateError):
        again = write(source, field, text)
        holes = [sum(line.count("{") for line in lines(several)) for several in (before, read(again))]
        assert "]" in text or holes[1] == holes[0] - field.text.count("{") + text.count("{")


@pytest.mark.parametrize("name", ["expert", "warm"])
def test_a_part_that_is_written_into_becomes_a_copy_that_renders_the_same(name: str) -> None:
    source, catalog = SHIPPED[name], Catalog.load()
    before = PromptTemplate.from_source(source)
    for shared in {field.part: field for field in read(source) if field.part}.values():
        changed = write(source, shared, f"{shared.text} x")
        assert shared.part not in changed and len(read(changed)) == len(read(source))
        copy = next(f for f in read(changed) if f.text == f"{shared.text} x")
        assert not copy.part
        after = PromptTemplate.from_source(write(changed, copy, shared.text))
        for profile in (Persona.load("camila").profile, ANONYMOUS):
            assert before.render(profile, catalog).prompt == after.render(profile, catalog).prompt


def block(body: str, name: str = "greeting") -> str:
    rest = "".join(f"{{% block {n} %}}{{% endblock %}}\n" for n in ("static", "personal", "greeting") if n != name)
    return f"{FRONT}{{% block {name} %}}\n{body}\n{{% endblock %}}\n{rest}"


ODD = (
    "Literal [corchete] aquí.", "Literal {llave} aquí.", "{# nota #}Hola.", "{{- first_name -}} hola",
    "{% raw %}{{ x }}{% endraw %} hola", "Hola{%if first_name%}, {{ first_name }}{%endif%}!", "{{ '}}' }} hola",
    "{{ first_name }} y {{first_name}}", "{% include 'parts/../x.md' %}",
)  # fmt: skip


@pytest.mark.parametrize("odd", ODD)
def test_what_cannot_be_shown_as_a_sentence_stays_locked_and_its_neighbours_do_not(odd: str) -> None:
    source = block(f"Antes.\n{odd}\nDespués.")
    before, locked, after = (f for f in read(source) if f.text)
    assert locked.locked and locked.text == odd and not before.locked and not after.locked
    assert write(source, locked, "otra cosa") == source
    assert write(source, after, "Al final.") == source.replace("Después.", "Al final.")


def test_conditions_on_one_line_and_without_text_are_fields_too() -> None:
    source = block("{% if skin_type == 'seca' %}Seca.{% elif not concerns %}{% else %}Otra{% endif %}")
    told = [(f.text, in_words(f.when, ENGLISH)) for f in read(source) if f.section == "greeting"]
    assert told == [
        ("Seca.", "when the skin type is «seca»"),
        ("", "otherwise, when no concern is known"),
        ("Otra", "otherwise"),
    ]
    empty = next(f for f in read(source) if not f.text and f.when)
    assert "{% elif not concerns %}Nada.{% else %}" in write(source, empty, " Nada. ")


def test_a_line_of_nothing_but_a_bracket_is_read_as_a_line_with_its_condition() -> None:
    source = SHIPPED["warm"]
    field = next(f for f in read(source) if f.section == "greeting")
    fresh = next(f for f in read(write(source, field, "[Hola, {first name}.]")) if f.section == "greeting")
    assert fresh.text == "Hola, {first name}." and in_words(fresh.when, ENGLISH) == "when the name is known"


@pytest.mark.parametrize(
    "text", ["Hola[, {first name}]", "[Tu piel es {skin type}.]", "Hola\n[Cuida {concerns}]\nChao"]
)
def test_a_line_that_ends_with_a_bracket_is_not_glued_to_the_next(text: str) -> None:
    warm = SHIPPED["warm"]
    field = next(one for one in read(warm) if one.section == "greeting")
    made = PromptTemplate.from_source(write(warm, field, text)).render(Persona.load("camila").profile, Catalog.load())
    assert re.search(r"(Camila|mixta\.|brillo Chao) Vi que tienes", made.greeting), made.greeting


def test_an_empty_block_has_a_field_to_write_into() -> None:
    greeting = next(f for f in read(block("", "static")) if f.section == "greeting")
    assert "{% block greeting %}¡Hola!{% endblock %}" in write(block("", "static"), greeting, "¡Hola!")


def test_tags_that_do_not_fit_together_are_refused_with_their_line() -> None:
    for broken in ("{% if first_name %}", "{% endif %}", "{% for x in catalog %}{% endif %}{% endfor %}"):
        with pytest.raises(TemplateError, match="not right"):
            read(block(broken))
    assert read("no front matter") == ()


@pytest.mark.parametrize(
    "text", ["{", "a } b", "{}", "{% if x %}", "[hola]", "[, {first name}", "]", "[a\n{first name}]"]
)
def test_braces_and_brackets_that_make_no_sense_say_what_to_write(text: str) -> None:
    source = block("Hola.")
    with pytest.raises(TemplateError) as caught:
        write(source, next(f for f in read(source) if f.text), text)
    assert "{first name}" in caught.value.hint


def test_a_name_that_nothing_has_is_answered_with_those_there_are() -> None:
    source = SHIPPED["warm"]
    greeting = next(f for f in read(source) if f.section == "greeting")
    with pytest.raises(TemplateError, match=r"Nothing is called \{first nam\}.*did you mean first name"):
        write(source, greeting, "¡Hola, {first nam}!")
    with pytest.raises(TemplateError, match="there are first name, skin type"):
        write(source, greeting, "¡Hola, {apodo}!")
    assert "{{ recommended[0].title }}" in write(source, greeting, "¡Hola, {recommended[0].title}!")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("warm", ["", "when the skin type is known", "when the skin type is not known"]),
        ("expert", ["", "when the skin type is known and a concern is known", "otherwise, when the skin type is known",
                    "otherwise, when a concern is known", "otherwise"]),
    ],
)  # fmt: skip
def test_the_conditions_of_a_greeting_are_said_in_plain_words(name: str, told: list[str]) -> None:
    assert [in_words(f.when, ENGLISH) for f in read(SHIPPED[name]) if f.section == "greeting"] == told


@pytest.mark.parametrize("words", [ENGLISH, SPANISH])
def test_no_condition_of_a_shipped_template_is_left_in_code(words: dict[str, str]) -> None:
    for source in SHIPPED.values():
        for field in fields(source, names(words), part_text):
            assert "«" not in in_words(field.when, words).replace("«if product.ingredients»", "")


def test_the_same_sentences_in_spanish_give_the_same_template() -> None:
    source, spanish = SHIPPED["warm"], names(SPANISH)
    first = next(f for f in fields(source, spanish, part_text) if f.section == "greeting")
    assert first.text.startswith("¡Hola[, {nombre}]!")
    assert with_text(source, first, first.text + " {nombre}", spanish, part_text).count("{{ first_name }}") == 2


def test_a_hole_is_offered_in_brackets_unless_it_is_known_there_anyway() -> None:
    always, known, unknown = (dict(offered(f, ENGLISH)) for f in read(SHIPPED["warm"]) if f.section == "greeting")
    assert always["skin type"] == unknown["skin type"] == "[ {skin type}]" and known["skin type"] == "{skin type}"


@pytest.mark.parametrize("words", [ENGLISH, SPANISH])
def test_every_hole_has_a_name_of_its_own(words: dict[str, str]) -> None:
    assert set(KEYS) <= set(WORDS) and len(set(names(words).values())) == len(HOLES)
    assert not any(re.search(r"[\[\]{}?]", name) for name in names(words).values())


def test_an_unknown_condition_is_shown_as_it_stands() -> None:
    source = block("{% if concerns[1:] %}\nHola.\n{% else %}\nNo.\n{% endif %}")
    assert [in_words(f.when, ENGLISH) for f in read(source) if f.section == "greeting"] == [
        "when «concerns[1:]»", "when not «concerns[1:]»",
    ]  # fmt: skip


@given(st.text("{}%# -+ifendor\nax'\"", max_size=60))
def test_no_text_breaks_the_reading(text: str) -> None:
    assume("\r" not in text)
    source = block(text)
    try:
        several = read(source)
    except TemplateError:
        return
    for field in several:
        assert field.text == source[field.start : field.end] or not field.locked
        assert write(source, field, field.text) == source
