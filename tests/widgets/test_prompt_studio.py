"""The studio without a browser: choose, edit, be told what is wrong, save, undo."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import soundfile

from clara_kit.core.errors import ClaraError
from clara_kit.prompts.template import PromptTemplate
from clara_kit.widgets.prompt_studio import PromptStudio
from clara_kit.world.voices import clara_voice


@pytest.fixture
def studio(tmp_path: Path) -> PromptStudio:
    return PromptStudio("camila", "warm", folder=tmp_path)


def test_it_opens_with_a_customer_and_a_template_and_shows_what_clara_is_told(studio: PromptStudio) -> None:
    assert studio.problem == ""
    assert "<mark>Camila</mark>" in studio._shown.value
    assert repr(studio) == "<PromptStudio warm v1 for camila>"


def test_an_edit_shows_at_once(studio: PromptStudio) -> None:
    assert studio.edit(studio.template.source.replace("Qué gusto saludarte", "Qué alegría verte")) == ""
    assert "Qué alegría verte" in studio._shown.value and "Qué alegría verte" in studio.briefing.greeting


def test_a_mistake_is_named_with_its_line_and_the_last_good_text_stays_shown(studio: PromptStudio) -> None:
    good = studio.template.source
    line = next(n for n, text in enumerate(good.split("\n"), start=1) if "{{ first_name }}" in text)
    problem = studio.edit(good.replace("{{ first_name }}", "{{ nombre }}"))
    assert f"line {line}" in problem and "first_name" in problem
    assert studio._save.disabled and "role='alert'" in studio._says.value
    assert "<mark>Camila</mark>" in studio._shown.value and studio.template.source == good
    with pytest.raises(ClaraError):
        studio.save()
    assert studio.edit(good) == "" and not studio._save.disabled


def test_half_typed_text_is_a_problem_and_never_an_exception(studio: PromptStudio) -> None:
    source = studio.template.source
    for end in range(0, len(source), 37):
        studio.edit(source[:end])
    assert studio.problem
    studio._undo.click()
    assert studio.problem == "" and studio._text.value == source


def test_saving_writes_a_new_version_each_time_and_changes_no_other_file(studio: PromptStudio, tmp_path: Path) -> None:
    studio.edit(studio.template.source.replace("Qué gusto", "Qué alegría"))
    first, second = studio.save(), studio.save()
    assert {p.name for p in tmp_path.iterdir()} == {"warm.v2.md", "warm.v3.md"} == {first.name, second.name}
    assert PromptTemplate.load("warm").version == 1
    assert "Qué alegría" in PromptTemplate.load(first).source
    assert "✓ Saved" in studio._says.value and studio._template.value == str(second)


def test_customers_and_templates_change_by_hand_or_by_call(studio: PromptStudio) -> None:
    assert "Rosario" in studio.choose(customer="rosario").greeting
    studio._template.value = "brief"
    assert studio.template.id == "brief" and "Soy Clara" in studio._shown.value
    assert studio.choose("matias", "expert").template.id == "expert"
    with pytest.raises(ClaraError, match="camila"):
        studio.choose(customer="nobody")
    with pytest.raises(ClaraError, match="warm"):
        studio.choose(template="nothing")
    assert studio.template.id == "expert"


def test_text_that_was_edited_is_not_lost_when_another_customer_or_template_is_looked_at(studio: PromptStudio) -> None:
    studio.edit(studio.template.source.replace("Qué gusto", "Qué alegría"))
    assert "Qué alegría saludarte" in studio.choose(customer="paz").greeting
    studio.choose(template="brief")
    assert "Qué alegría saludarte" in studio.choose(template="warm").greeting
    studio.undo()
    assert "Qué gusto saludarte" in studio.briefing.greeting


def test_a_bad_file_is_listed_with_its_reason_and_can_be_mended_here(tmp_path: Path) -> None:
    text = PromptTemplate.load("warm").source
    (tmp_path / "mine.md").write_text(text.replace("{{ first_name }}", "{{ concerns[1] }}"), encoding="utf-8")
    (tmp_path / "latin.md").write_bytes(b"\xe1")
    studio = PromptStudio("camila", "warm", folder=tmp_path)
    assert "mine.md, line" in studio._bad.value and "latin.md, line 1: This is not UTF-8" in studio._bad.value
    assert "with 0 concerns" in studio._bad.value
    studio._template.value = str(tmp_path / "mine.md")
    assert "concerns[1]" in studio._text.value and studio.problem and studio._save.disabled
    assert studio.edit(studio._text.value.replace("{{ concerns[1] }}", "{{ first_name }}")) == ""
    assert studio.save().name == "warm.v2.md"
    studio._template.value = str(tmp_path / "latin.md")
    assert studio.problem and studio._text.value == ""


def test_line_ends_that_a_browser_does_not_know_are_saved_as_they_were(tmp_path: Path) -> None:
    source = PromptTemplate.load("warm").source
    (tmp_path / "windows.md").write_bytes(source.replace("\n", "\r\n").encode())
    studio = PromptStudio("camila", str(tmp_path / "windows.md"), folder=tmp_path)
    studio.edit(source.replace("Qué gusto", "Qué alegría"))  # as it comes from a text area
    expected = source.replace("Qué gusto", "Qué alegría").replace("version: 1\n", "version: 2\n")
    assert studio.save().read_bytes() == expected.replace("\n", "\r\n").encode()


def test_two_files_of_one_version_are_both_there_to_choose(tmp_path: Path) -> None:
    for name in ("a.md", "b.md"):
        (tmp_path / name).write_text(PromptTemplate.load("warm").source, encoding="utf-8")
    labels = dict(PromptStudio("camila", "warm", folder=tmp_path)._template.options)
    assert {Path(name).name for name in labels.values()} >= {"a.md", "b.md", "warm"}


def test_the_draft_is_heard_before_it_is_saved(studio: PromptStudio) -> None:
    studio.edit(studio.template.source.replace("Qué gusto saludarte", "Qué alegría verte"))
    greeting, answer = studio.hear("¿Hacen <b>despachos</b> a regiones?")
    assert "Qué alegría verte" in greeting and "despach" in answer
    assert "simulated" in studio._heard.value and "&lt;b&gt;" in studio._heard.value
    sound, rate_hz = soundfile.read(io.BytesIO(studio._player.value), dtype="int16")
    said = clara_voice().synthesize(greeting).sound
    assert rate_hz == said.rate_hz and (sound[: len(said.samples)] == said.samples).all()
    assert studio._answer.children == (studio._heard, studio._player)


def test_of_each_new_sentence_it_is_said_whether_the_offline_model_can_sense_it(studio: PromptStudio) -> None:
    source = studio.template.source
    rule = "Usa un tono cálido, claro y tranquilo, como quien conversa en la tienda."
    assert rule in source and studio._says.value == ""
    studio.edit(source.replace(rule, "Contesta en no más de dos líneas. Nunca digas el precio."))
    assert "● «Nunca digas el precio.»: the offline model leaves out" in studio._says.value
    assert "○ «Contesta en no más de dos líneas.»" in studio._says.value
    assert "nearest that it can sense: «Contesta en no más de dos oraciones.»" in studio._says.value
    assert studio.hear("¿Hacen despachos a regiones?")[1].count("$") == 0
    studio.undo()
    assert studio._says.value == ""
