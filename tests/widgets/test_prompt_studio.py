"""The studio without a browser: choose, write, be told what is wrong, hear, save, use, undo."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import soundfile

from clara_kit.core.errors import ClaraError
from clara_kit.lab.kernel import Kernel
from clara_kit.prompts.template import PromptTemplate
from clara_kit.widgets import choice as choice_module
from clara_kit.widgets import desk as desk_module
from clara_kit.widgets import prompt_studio as studio_module
from clara_kit.widgets.desk import Choice, Desk
from clara_kit.widgets.prompt_studio import PromptStudio
from clara_kit.widgets.view import HERE
from clara_kit.widgets.words import WORDS
from clara_kit.world.instructions import SENSED
from clara_kit.world.voices import clara_voice


@pytest.fixture(autouse=True)
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    fresh = Kernel()
    for module in (studio_module, desk_module, choice_module):
        monkeypatch.setattr(module, "KERNEL", fresh)
    return fresh


@pytest.fixture
def studio(tmp_path: Path) -> PromptStudio:
    return PromptStudio("camila", "warm", folder=tmp_path)


def by_hand(studio: PromptStudio, kind: str, **more: Any) -> None:
    """What the page sends."""
    studio._handle_custom_msg({"kind": kind, **more}, [])


def number(studio: PromptStudio, fits: Callable[[dict[str, Any]], bool]) -> int:
    return next(n for n, field in enumerate(studio.fields) if fits(field))


def greeting(studio: PromptStudio) -> int:
    return number(studio, lambda field: field["section"] == "greeting")


def tone(studio: PromptStudio) -> int:
    return number(studio, lambda field: field["text"].startswith("Usa un tono"))


def marked(studio: PromptStudio, part: str, mark: str) -> list[str]:
    return [text for text, marks in studio.told[part] if mark in marks]


def test_it_opens_with_a_customer_and_a_template_and_shows_what_clara_is_told(studio: PromptStudio) -> None:
    assert studio.problem == "" and not studio.changed
    assert marked(studio, "greeting", "customer") == ["Camila", "piel mixta"]
    assert any("Usa su nombre de vez en cuando" in text for text in marked(studio, "personal", "given"))
    assert repr(studio) == "<PromptStudio warm v1 for camila>"


def test_a_sentence_that_is_written_changes_that_text_of_the_template_alone(studio: PromptStudio) -> None:
    before = studio.text
    assert studio.write(tone(studio), "Habla con alegría.") == ""
    rule = "Usa un tono cálido, claro y tranquilo, como quien conversa en la tienda. Nada de frases de vendedor."
    assert studio.text == before.replace(rule, "Habla con alegría.") and studio.changed
    assert "Habla con alegría." in studio.briefing.prompt.static


def test_an_edit_of_the_template_shows_in_its_sentence_and_in_what_clara_is_told(studio: PromptStudio) -> None:
    assert studio.edit(studio.text.replace("Qué gusto saludarte", "Qué alegría verte")) == ""
    assert "Qué alegría verte" in studio.fields[greeting(studio)]["text"]
    assert "Qué alegría verte" in studio.briefing.greeting == "".join(text for text, _ in studio.told["greeting"])


def test_writing_key_by_key_replaces_what_stood_there_when_the_field_was_entered(studio: PromptStudio) -> None:
    n, before = tone(studio), studio.text
    by_hand(studio, "begin", n=n)
    for text in ("", "H", "Ha\n\nb", "Habla."):  # emptied, the field is no more, until something stands there again
        by_hand(studio, "write", text=text)
    assert studio.text == before.replace(before.split("\n")[8], "Habla.")
    by_hand(studio, "begin", n=99)
    by_hand(studio, "write", text="nowhere")
    assert "nowhere" not in studio.text


def test_a_shared_part_says_what_an_edit_means_and_becomes_a_copy(studio: PromptStudio) -> None:
    n = number(studio, lambda field: field["shared"] == "guard_rails")
    assert studio.write(n, studio.fields[n]["text"] + "\n- Nunca hables de política.") == ""
    assert studio.fields[n]["shared"] == "" and "- Nunca hables de política." in studio.text
    assert 'include "parts/guard_rails.md"' not in studio.text and 'include "parts/shop.md"' in studio.text
    assert "política" not in PromptTemplate.load("brief").render().prompt.static


def test_a_brace_that_is_open_is_told_and_the_text_stays_as_it_was(studio: PromptStudio) -> None:
    before = studio.text
    assert "{first name}" in studio.write(greeting(studio), "¡Hola, {nom")
    assert studio.text == before
    with pytest.raises(ClaraError):
        studio.save()
    assert studio.write(greeting(studio), "¡Hola!") == ""


def test_a_mistake_is_named_with_its_line_and_the_last_good_text_stays_shown(studio: PromptStudio) -> None:
    good = studio.template.source
    line = next(n for n, text in enumerate(good.split("\n"), start=1) if "{{ first_name }}" in text)
    problem = studio.edit(good.replace("{{ first_name }}", "{{ nombre }}"))
    assert f"line {line}" in problem and "first_name" in problem and studio.problem == problem
    assert "Camila" in marked(studio, "greeting", "customer") and studio.template.source == good
    with pytest.raises(ClaraError):
        studio.save()
    assert studio.edit(good) == ""


def test_half_typed_text_is_a_problem_and_never_an_exception(studio: PromptStudio) -> None:
    source = studio.text
    for end in range(0, len(source), 400):
        by_hand(studio, "text", text=source[:end])
    assert studio.problem
    by_hand(studio, "undo")
    assert studio.problem == "" and studio.text == source and not studio.changed


def test_saving_writes_a_new_version_and_none_that_says_the_same(studio: PromptStudio, tmp_path: Path) -> None:
    assert studio.save().name == "warm.md" and not list(tmp_path.iterdir())
    assert "Nothing was written" in studio.status
    studio.write(greeting(studio), "¡Hola!")
    first, again = studio.save(), studio.save("a note alone makes no version")
    assert [p.name for p in tmp_path.iterdir()] == ["warm.v2.md"] and first == again
    studio.choose(template="warm")
    studio.write(greeting(studio), "¡Hola!")
    assert studio.save() == first
    studio.write(greeting(studio), "¡Buenas!")
    assert studio.save().name == "warm.v3.md"
    assert "Saved as version 3" in studio.status and studio.saved["name"].endswith("warm.v3.md")
    assert PromptTemplate.load("warm").version == 1


def test_a_note_is_kept_in_the_version_and_shown_in_the_list(studio: PromptStudio) -> None:
    note = '  más breve: «sí», #2 "comillas" \n y\\líneas 🌸 '
    studio.write(greeting(studio), "¡Hola!")
    saved = PromptTemplate.load(studio.save(note))
    assert saved.note == " ".join(note.split())
    assert [row[2] for row in studio.prompts if row[0] == saved.name] == [saved.note]
    studio.write(greeting(studio), "¡Buenas!")
    assert PromptTemplate.load(studio.save()).note == ""


def test_where_it_was_saved_is_a_place_that_jupyterlab_opens(studio: PromptStudio, tmp_path: Path) -> None:
    by_hand(studio, "shown", root=str(tmp_path.parent))
    studio.write(greeting(studio), "¡Hola!")
    by_hand(studio, "save", note="")
    assert studio.saved["path"] == f"{tmp_path.name}/warm.v2.md"
    by_hand(studio, "shown", root=str(tmp_path / "elsewhere"))
    studio.write(greeting(studio), "¡Buenas!")
    studio.save()
    assert studio.saved["path"] == ""


async def test_the_prompt_that_is_shown_is_used_by_the_desk_that_is_open_and_by_the_next(
    studio: PromptStudio, tmp_path: Path
) -> None:
    opened = Desk(log_root=tmp_path)
    studio.choose(template="brief")
    by_hand(studio, "use")
    assert opened.chosen.prompt == "brief" and "brief" in studio.status
    studio.write(greeting(studio), "¡Hola!")
    name = studio.use()
    assert PromptTemplate.load(name).render().greeting.startswith("¡Hola!") and "Saved" in studio.status
    later = Desk(log_root=tmp_path)
    assert opened.chosen.prompt == later.chosen.prompt == name and name in later._view.offers["prompts"]
    assert Desk(choice=Choice(prompt="warm"), log_root=tmp_path).chosen.prompt == "warm"


def test_a_desk_that_is_gone_is_told_nothing(kernel: Kernel) -> None:
    class Gone:
        def choose(self, prompt: str) -> None:
            raise AssertionError

    gone = Gone()
    kernel.follow(gone.choose)
    del gone
    kernel.use("brief")
    assert kernel.prompt == "brief"


def test_what_a_hand_wrote_and_did_not_save_is_there_when_the_cell_runs_again(tmp_path: Path) -> None:
    first = PromptStudio("camila", "warm", folder=tmp_path)
    by_hand(first, "shown", root="")
    assert not first.kept
    by_hand(first, "begin", n=greeting(first))
    by_hand(first, "write", text="¡Hola!")
    in_a_cell = PromptStudio("camila", "warm", folder=tmp_path)  # shown nowhere: it has its own text
    assert not in_a_cell.changed
    again = PromptStudio("camila", "warm", folder=tmp_path)
    by_hand(again, "shown", root="")
    assert again.kept and again.changed and again.briefing.greeting.startswith("¡Hola!")
    by_hand(again, "undo")
    assert not again.kept and not again.changed
    last = PromptStudio("camila", "warm", folder=tmp_path)
    by_hand(last, "shown", root="")
    assert not last.kept and not last.changed


def test_customers_and_templates_change_by_hand_or_by_call(studio: PromptStudio) -> None:
    assert "Rosario" in studio.choose(customer="rosario").greeting
    by_hand(studio, "choose", template="brief")
    assert studio.template.id == "brief" and "Soy Clara" in studio.briefing.greeting
    assert studio.choose("matias", "expert").template.id == "expert"
    with pytest.raises(ClaraError, match="camila"):
        studio.choose(customer="nobody")
    with pytest.raises(ClaraError, match="warm"):
        studio.choose(template="nothing")
    assert studio.template.id == "expert" and studio.chosen["template"] == "expert"


def test_text_that_was_edited_is_not_lost_when_another_customer_or_template_is_looked_at(studio: PromptStudio) -> None:
    studio.edit(studio.text.replace("Qué gusto", "Qué alegría"))
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
    told = " ".join(why for _, why in studio.unusable)
    assert "mine.md, line" in told and "latin.md, line 1: This is not UTF-8" in told and "with 0 concerns" in told
    studio.choose(template=str(tmp_path / "mine.md"))
    assert "concerns[1]" in studio.text and studio.problem
    n = greeting(studio)
    assert studio.write(n, studio.fields[n]["text"].replace("{concerns[1]}", "{first name}") + " ¡Sí!") == ""
    assert studio.save().name == "warm.v2.md"
    studio.choose(template=str(tmp_path / "latin.md"))
    assert studio.problem and studio.text == "" and studio.fields == []


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
    labels = [row[1] for row in PromptStudio("camila", "warm", folder=tmp_path).prompts]
    assert len(set(labels)) == len(labels) and {"warm v1: a.md", "warm v1: b.md", "warm v1: warm"} <= set(labels)


def test_the_draft_is_heard_before_it_is_saved(studio: PromptStudio) -> None:
    studio.write(greeting(studio), "¡Hola! Qué alegría verte.")
    greets, answer = studio.hear("¿Hacen <b>despachos</b> a regiones?")
    assert "Qué alegría verte" in greets and "despach" in answer
    assert [who for who, _ in studio.heard] == ["clara", "customer", "clara"]
    assert "simulated" in studio.heard_under and "not saved" in studio.heard_under and studio.busy == ""
    sound, rate_hz = soundfile.read(io.BytesIO(studio.sound), dtype="int16")
    said = clara_voice().synthesize(greets).sound
    assert rate_hz == said.rate_hz and (sound[: len(said.samples)] == said.samples).all()


def test_words_are_there_before_the_sound_and_it_says_what_it_is_doing(studio: PromptStudio) -> None:
    seen: list[tuple[str, int]] = []
    studio.observe(lambda change: seen.append((change["new"], len(studio.heard))), "busy")
    by_hand(studio, "hear", text="¿Hacen despachos?")
    assert seen == [("studio_thinking", 0), ("studio_voicing", 3), ("", 3)]


def test_beside_each_new_sentence_stands_whether_the_offline_model_can_sense_it(studio: PromptStudio) -> None:
    assert not any(field["notes"] for field in studio.fields)
    n = tone(studio)
    studio.write(n, "Contesta en no más de dos líneas. Nunca digas el precio.")
    assert [m for m, field in enumerate(studio.fields) if field["notes"]] == [n]
    lines, price = studio.fields[n]["notes"]
    assert lines["sentence"] == "Contesta en no más de dos líneas." and not lines["sensed"]
    assert lines["nearest"] == "Contesta en no más de dos oraciones."
    assert price["sensed"] and price["says"] == "the offline model leaves out sentences with prices"
    assert studio.hear("¿Hacen despachos a regiones?")[1].count("$") == 0
    studio.save()
    assert not studio.fields[n]["notes"]


def test_it_speaks_spanish_where_that_is_the_setting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CLARA_LANGUAGE", "es")
    studio = PromptStudio("camila", "warm", folder=tmp_path)
    first = studio.fields[greeting(studio)]
    assert first["text"].startswith("¡Hola[, {nombre}]!") and ("nombre", "[ {nombre}]") in first["offers"]
    assert "cuando se sabe el tipo de piel" in [field["when"] for field in studio.fields]
    studio.write(tone(studio), "Nunca digas el precio.")
    assert (
        studio.fields[tone_after(studio)]["notes"][0]["says"] == "el modelo sin conexión omite las frases con precios"
    )
    studio.save()
    assert studio.status == "Guardado como versión 2:"


def tone_after(studio: PromptStudio) -> int:
    return number(studio, lambda field: field["text"] == "Nunca digas el precio.")


def test_whatever_the_offline_model_senses_is_told_in_both_languages() -> None:
    for kind, does in SENSED:
        english, spanish = WORDS[f"does_{kind}"]
        assert english == does and spanish and spanish != english


def test_whatever_the_page_and_the_studio_say_is_in_the_table() -> None:
    view = (HERE / "prompt_studio.js").read_text(encoding="utf-8")
    asked = set(re.findall(r'(?:\bw|button|named)\("(\w+)"', view)) - {"field"}
    assert asked <= set(WORDS) and {"studio_hear", "studio_note", "told_static"} <= asked
    assert {f"studio_s_{section}" for section in ("greeting", "tone", "when", "rails")} <= set(WORDS)
    both = view + Path(studio_module.__file__).read_text(encoding="utf-8")
    own = {key for key in WORDS if key.startswith(("studio_", "told_")) and not key.startswith("studio_s_")}
    assert {key for key in own if f'"{key}"' not in both and f"'{key}'" not in both} == set()


@pytest.mark.parametrize(
    "content",
    [
        None,
        [],
        {},
        {"kind": "write"},
        {"kind": "begin", "n": "x"},
        {"kind": "choose", "template": "no"},
        {"kind": ["x"]},
    ],
)
def test_a_message_that_makes_no_sense_changes_nothing(studio: PromptStudio, content: Any) -> None:
    before = studio.text
    studio._handle_custom_msg(content, [])
    assert studio.text == before and studio.chosen["template"] == "warm"


def test_whoever_clears_a_sentence_goes_on_writing_there_and_not_into_the_next(studio: PromptStudio) -> None:
    before, source = [field["text"] for field in studio.fields], studio.template.source
    for n, was in enumerate(before):
        by_hand(studio, "begin", n=n)
        by_hand(studio, "write", text="")
        assert [field["text"] for field in studio.fields] == [*before[:n], "", *before[n + 1 :]], was
        by_hand(studio, "write", text=was)
        assert [field["text"] for field in studio.fields] == before
        by_hand(studio, "undo")
    for n in (0, 2, 1):  # several, in any order; another sentence gets longer meanwhile
        by_hand(studio, "begin", n=n)
        by_hand(studio, "write", text=" ")
    by_hand(studio, "begin", n=3)
    by_hand(studio, "write", text=f"{before[3]} Y algo más.")
    for n in (2, 0, 1, 3):
        by_hand(studio, "begin", n=n)
        by_hand(studio, "write", text=before[n])
    assert [field["text"] for field in studio.fields] == before
    assert studio.text == source or studio.problem == ""


def test_unsaved_text_of_a_saved_version_comes_back_where_the_cell_names_the_template(tmp_path: Path) -> None:
    first = PromptStudio("camila", "warm", folder=tmp_path)
    by_hand(first, "shown", root="")
    first.write(greeting(first), "¡Hola! Esta es la segunda.")
    first.save()
    first.write(greeting(first), "¡Hola! Esto aún no.")
    again = PromptStudio("camila", "warm", folder=tmp_path)
    by_hand(again, "shown", root="")
    assert again.kept and again.chosen["template"].endswith("warm.v2.md")
    assert again.briefing.greeting.startswith("¡Hola! Esto aún no.")
    again.choose(template="brief")
    other = PromptStudio("camila", "brief", folder=tmp_path)
    by_hand(other, "shown", root="")
    assert not other.kept and not other.changed
