"""No customer breaks a template that was loaded; and where one does all the same, the conversation goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from clara_kit.core.commands import Notify, Speak
from clara_kit.core.errors import ProviderError, TemplateError
from clara_kit.core.profile import CustomerProfile
from clara_kit.lab.briefings import across
from clara_kit.prompts.briefing import brief_or_why
from clara_kit.prompts.shapes import shapes
from clara_kit.prompts.template import PromptTemplate
from clara_kit.world.personas import Persona
from clara_kit.world.sim import simulate

FRONT = (
    "---\nid: probe\nversion: 1\ndescription: for tests\n"
    "variables: [first_name, skin_type, concerns, purchases, recommended, catalog, customer_data]\n---\n"
)


def source(static: str = "s", personal: str = "", greeting: str = "¡Hola!", front: str = FRONT) -> str:
    """Static stands in line 8, personal in line 11, the greeting in line 14."""
    return front + "".join(
        f"{{% block {name} %}}\n{text}\n{{% endblock %}}\n"
        for name, text in (("static", static), ("personal", personal), ("greeting", greeting))
    )


@pytest.mark.parametrize(
    ("greeting", "whom"),
    [
        ("{% if concerns %}{{ concerns[1] }}{% endif %}", "1 concerns"),
        ("{% if concerns|length > 1 %}{{ concerns[2] }}{% endif %}", "2 concerns"),
        ("{% if concerns|length == 5 %}{{ concerns[5] }}{% endif %}", "5 concerns"),
        ("{% if first_name %}{{ first_name }}{% else %}{{ concerns[0] }}{% endif %}", "0 concerns, no first_name"),
        ("{{ concerns|last }}", "0 concerns"),
        ("{{ first_name|first }}", "no first_name"),
        ("{% if skin_type == 'seca' %}{{ purchases[0] }}{% endif %}", "0 purchases, a skin_type"),
        ("{% if purchases %}{{ purchases[1].title }}{% endif %}", "1 purchases"),
        ("{% if purchases and purchases[0].days_ago > 300 %}{{ concerns[0] }}{% endif %}", "0 concerns, 1 purchases"),
        ("{% for p in recommended %}{{ p.reasons[0] }}{% endfor %}", "1 recommended (with 0 concerns)"),
        ("{% if recommended %}{{ recommended[0].ingredients[1] }}{% endif %}", "1 recommended (with 0 concerns)"),
        ("{{ catalog[0].title }}", "0 catalog"),
        ("{% if catalog and recommended|length > 2 %}{{ catalog[1] }}{% endif %}", "1 catalog (with 1 concerns), 3"),
        ("{{ 1e400|clp }}", "any customer"),
    ],
)
def test_a_template_that_some_customer_breaks_is_refused_and_says_which(greeting: str, whom: str) -> None:
    with pytest.raises(TemplateError) as caught:
        PromptTemplate.from_source(source(greeting=greeting), path=Path("probe.md"))
    assert str(caught.value).startswith("probe.md, line 14: ") and whom in str(caught.value), str(caught.value)


def test_a_part_is_tried_with_every_catalogue_too(tmp_path: Path) -> None:
    (tmp_path / "shop.md").write_text("uno\n{{ catalog[1].title }}\n", encoding="utf-8")
    for where in ("static", "personal"):
        with pytest.raises(TemplateError, match=r"parts/shop\.md, line 2: .* 0 catalog"):
            PromptTemplate.from_source(source(**{where: "{% include 'parts/shop.md' %}"}), parts=tmp_path)


def test_only_what_a_block_reads_is_varied() -> None:
    assert len(list(shapes((), ()))) == 1
    assert len(list(shapes(("first_name", "concerns"), ()))) == 2 * 4
    everything = ("first_name", "skin_type", "concerns", "purchases", "recommended", "catalog", "customer_data")
    fenced = [bool(s["customer_data"]) for s in shapes(everything[1:3] + everything[-1:], ())]
    assert fenced == [False, True] + [True] * 7  # known of whom something is known
    assert len(list(shapes(everything, range(4)))) < 2000


@pytest.mark.parametrize("number", ["9" * 5000, "0x" + "f" * 5000])
def test_what_python_says_to_a_number_is_a_mistake_with_its_line(number: str) -> None:
    with pytest.raises(TemplateError) as caught:
        PromptTemplate.from_source(source(greeting="\n{{ " + number + " }}"), path=Path("probe.md"))
    assert caught.value.line in (14, 15)


BREAKS = PromptTemplate.from_source(
    source(greeting="¡Hola!{% if first_name == 'Zoé' %}{{ concerns[7] }}{% endif %}"), path=Path("probe.md")
)
ZOE = CustomerProfile(first_name="Zoé", skin_type="Mixta")


def test_a_customer_who_breaks_a_template_is_greeted_as_a_stranger_and_the_team_is_told() -> None:
    run = simulate(["¿Qué me recomiendas?"], template=BREAKS, customer=ZOE)
    notice = next(r for r in run.trace if isinstance(r, Notify))
    assert "probe.md, line 14" in notice.message and "no element 7" in notice.message and "Zoé" not in notice.message
    said = [r.text for r in run.trace if isinstance(r, Speak)]
    assert said[0] == "¡Hola!" and len(said) > 1  # and the question is answered


def test_what_is_told_of_a_failure_holds_no_word_of_the_customer() -> None:
    why = brief_or_why(BREAKS, ZOE)
    assert isinstance(why, ProviderError) and not why.retryable and "Zoé" not in str(why) and "Mixta" not in str(why)
    assert not isinstance(brief_or_why(BREAKS, CustomerProfile(first_name="Ana")), ProviderError)


def test_one_customer_who_breaks_a_template_hides_no_other_from_the_table() -> None:
    template = BREAKS.with_source(BREAKS.source.replace("Zoé", "Camila"))
    rows = across(template, [Persona.load("camila"), Persona.load("paz")])._repr_html_()
    assert "✗ The template probe" in rows and "probe.md, line 14" in rows and "¡Hola!" in rows


# --- front matter ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("version: 1", "version: 2026-13-45", 3),
        ("for tests", "2026-02-30", 4),
        ("for tests", "2001-02-03T99:00:00Z", 4),
        ("for tests", "!!timestamp 'x'", 4),
        ("for tests", "!!bool x", 4),
        ("for tests", "!!int x", 4),
        ("for tests", "!!set {a, b}", 4),
        ("for tests", "!thing x", 4),
        ("for tests", "*nobody", 4),
        ("for tests", "&a [*a]", 4),
        ("variables: [", "variables: &v [*v, ", 5),
        ("id: probe", "? [a, b]\n: x\nid: probe", 2),
        ("id: probe", "{a: 1}: x\nid: probe", 2),
        ("id: probe", "id: probe\nid: other", 3),
        ("version: 1", "version: 1\nversion: 2", 4),
        ("version: 1", 'version: 1\n"version": 2', 4),
        ("version: 1", "version: true", 3),
        ("version: 1", "version: .nan", 3),
        ("version: 1", "version: -1", 3),
        ("id: probe", "no: x\nid: probe", 2),
        ("for tests", "\x07", 4),
    ],
)
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_front_matter_that_makes_no_sense_is_named_with_its_line(old: str, new: str, line: int, ends: str) -> None:
    text = source(front=FRONT.replace(old, new, 1)).replace("\n", ends)
    with pytest.raises(TemplateError) as caught:
        PromptTemplate.from_source(text, path=Path("probe.md"))
    assert (caught.value.file, caught.value.line) == ("probe.md", line), str(caught.value)


def test_a_template_in_another_encoding_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "probe.md"
    path.write_bytes(source(greeting="¡Hola!").encode("latin-1"))
    with pytest.raises(TemplateError, match=r"probe\.md, line 14: This is not UTF-8"):
        PromptTemplate.load(path)
    path.write_bytes(b"\xef\xbb\xbf" + source().encode())
    assert PromptTemplate.load(path).render().greeting == "¡Hola!"


# --- saving ---------------------------------------------------------------------------------------------------------

ODD_FRONTS = (
    FRONT.replace("version: 1\n", "version:   1   # the first\n"),
    FRONT.replace("version: 1\n", "version: 1\t# «ñ» and a tab\n").replace("for tests", "año 🌸"),
    FRONT.replace("version: 1\n", '# version: 9\n"version": 1\n'),
    FRONT.replace("for tests", "|\n  two lines\n  version: 7\nversion: 1").replace(
        "id: probe\nversion: 1\n", "id: probe\n"
    ),
    "---\n{id: probe, version: 1, description: d, variables: []} # flow\n---\n",
)


@pytest.mark.parametrize("front", ODD_FRONTS)
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_saving_changes_the_versions_number_and_not_a_byte_else(tmp_path: Path, front: str, ends: str) -> None:
    text = source(static="version: 1  \n\n\tx", front=front).replace("\n", ends)
    path = tmp_path / "probe.md"
    path.write_bytes(text.encode())
    saved = PromptTemplate.load(path).save(tmp_path)
    assert saved.path == tmp_path / "probe.v2.md" and saved.version == 2
    before, after = text.encode(), saved.path.read_bytes()
    changed = [n for n, (a, b) in enumerate(zip(before, after, strict=True)) if a != b]
    assert len(changed) == 1 and after[changed[0] : changed[0] + 1] == b"2"
    assert PromptTemplate.load(saved.path) == saved


def test_the_hash_is_the_same_whatever_ends_the_lines() -> None:
    assert len({PromptTemplate.from_source(source().replace("\n", ends)).hash for ends in ("\n", "\r\n", "\r")}) == 1


def test_a_number_that_another_file_has_already_is_not_given_again(tmp_path: Path) -> None:
    (tmp_path / "copy.md").write_text(source(front=FRONT.replace("version: 1", "version: 5")), encoding="utf-8")
    assert PromptTemplate.from_source(source()).save(tmp_path).version == 6


def test_a_disk_that_fails_leaves_no_half_a_template(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("clara_kit.prompts.file.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        PromptTemplate.from_source(source()).save(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_disk_without_links_takes_a_version_and_overwrites_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("clara_kit.prompts.file.os.link", refuse)
    template = PromptTemplate.from_source(source())
    assert [template.save(tmp_path).version for _ in range(2)] == [1, 2]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["probe.v1.md", "probe.v2.md"]


def test_bad_files_of_every_kind_hide_no_other_and_are_listed_with_their_reason(tmp_path: Path) -> None:
    (tmp_path / "good.md").write_text(source(), encoding="utf-8")
    (tmp_path / "date.md").write_text(source(front=FRONT.replace("for tests", "2026-13-45")), encoding="utf-8")
    (tmp_path / "latin.md").write_bytes(b"\xff\xfe")
    (tmp_path / "folder.md").mkdir()
    (tmp_path / "gone.md").symlink_to(tmp_path / "nowhere")
    (tmp_path / "one.md").write_text(source(greeting="{{ concerns[0] }}"), encoding="utf-8")
    good, bad = PromptTemplate.listed(tmp_path)
    assert [t.id for t in good][-1] == "probe" and len(good) == 5
    assert {Path(name).name for name in bad} == {"date.md", "latin.md", "folder.md", "gone.md", "one.md"}
    assert all(Path(name).name in str(exc) and isinstance(exc, TemplateError) for name, exc in bad.items())
