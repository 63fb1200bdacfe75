"""The explorer of the response cache, by the methods that its page calls; and what its curve counts."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from clara_kit.cache.faq import read_faq
from clara_kit.cache.responses import Hit, Miss
from clara_kit.core.errors import ScriptError
from clara_kit.core.paths import DATA
from clara_kit.lab.caching import Drafts, Situation, curve
from clara_kit.widgets.caching import CacheExplorer, what_was_ready
from clara_kit.widgets.words import WORDS

FEW = tuple(one for one in read_faq() if one.id.startswith(("shipping", "retinol", "price_nube", "my_cleanser")))


@pytest.fixture
def explorer(tmp_path: Path) -> CacheExplorer:
    return CacheExplorer(drafts=tmp_path / "mine" / "asked.yml")


def test_a_question_as_it_is_heard_finds_its_answer_and_a_near_miss_does_not(explorer: CacheExplorer) -> None:
    assert explorer.found["hit"] and "$3.990" in explorer.found["answer"] and explorer.entry["id"] == "shipping_price"
    found = explorer.ask("cuanto cuesta el despacho a peru")
    assert isinstance(found, Miss) and not explorer.found["hit"] and not explorer.found["answer"]
    assert explorer.found["near"] and all(
        f"ca_differs_{kind}" in WORDS for *_, kinds in explorer.found["near"] for kind in kinds
    )


def test_what_changes_makes_those_answers_fall_that_depend_on_it(explorer: CacheExplorer) -> None:
    shipped = set(explorer.situate())
    assert all(one.startswith("my_") for one in shipped)  # a stranger's skin is not known
    cheaper = set(explorer.situate(product="crema-nube", price_clp=9990)) - shipped
    assert "price_nube" in cheaper and "shipping_price" not in cheaper
    explorer.reset()
    reworded = set(explorer.situate(reworded=True)) - shipped
    assert "shipping_price" in reworded and "price_nube" not in reworded and "niacinamide_for" not in reworded
    explorer.reset()
    assert "two_sunscreens" in set(explorer.situate(date="2027-02-01")) - shipped
    explorer.reset()
    dry = next(
        name for name, _ in explorer.offers["customers"] if Situation(customer=name).scope.skin.lower() == "seca"
    )
    assert "my_cleanser_dry" not in explorer.situate(customer=dry)
    assert isinstance(found := explorer.ask("qué limpiador me recomiendas"), Hit) and "Alba" in found.answer


def test_a_draft_answers_here_and_never_touches_what_is_shipped(explorer: CacheExplorer, tmp_path: Path) -> None:
    before = {file: file.read_bytes() for file in (DATA / "faq").glob("*.yml")}
    explorer.choose("shipping_price")
    explorer.add_way("a cuánto me queda que me lo traigan a la casa")
    assert isinstance(explorer.ask("a cuanto me queda que me lo traigan a la casa"), Hit)
    assert explorer.entry["mine"] and explorer.entry["mine"][0] not in explorer.entry["asked"]
    again = CacheExplorer(drafts=tmp_path / "mine" / "asked.yml")
    assert isinstance(again.ask("a cuanto me queda que me lo traigan a la casa"), Hit)
    with pytest.raises(ScriptError):
        explorer.add_way("¿Cuánto se demora el despacho a regiones?")  # another answer's
    again.choose("shipping_price")
    again.drop_way("a cuánto me queda que me lo traigan a la casa")
    assert isinstance(again.ask("a cuanto me queda que me lo traigan a la casa"), Miss)
    assert {file: file.read_bytes() for file in (DATA / "faq").glob("*.yml")} == before


def test_drafts_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (file := tmp_path / "asked.yml").write_text("- nothing\n")
    with pytest.raises(ScriptError, match="no list of questions"):
        Drafts(file)


def test_an_answer_of_the_model_is_kept_for_the_same_situation_alone_and_forgotten_when_it_is_cut(
    explorer: CacheExplorer,
) -> None:
    asked = "tienen contorno de ojos para las ojeras"
    explorer.situate(customer="camila")
    assert isinstance(explorer.ask(asked), Miss)
    assert explorer.let_model_answer() and explorer.found["kept"] and explorer.found["said"]
    assert isinstance(explorer.ask(asked), Hit) and explorer.found["learnt"]
    explorer.situate(reworded=True)
    assert not explorer.found["hit"]
    explorer.situate(reworded=False)
    assert explorer.found["hit"]
    for _ in range(2):
        explorer.interrupt()
    assert not explorer.found["hit"]
    explorer.ask("cuál es la capital de francia")
    assert not explorer.let_model_answer() and explorer.found["note"] and not explorer.found["kept"]


def test_the_guard_lets_no_near_miss_through_where_likeness_alone_lets_many() -> None:
    found = curve(FEW)
    assert found.ways == sum(len(one.asked) for one in FEW) and found.misses == sum(len(one.unlike) for one in FEW)
    assert found.shipped.wrong == 0 and not found.wrong
    strictest, none = found.guards[0], found.guards[-1]
    assert max(point.wrong for point in strictest) == 0 and none[0].wrong > 0.1
    for points in found.guards:
        assert [point.right for point in points] == sorted((point.right for point in points), reverse=True)
    assert [points[0].wrong for points in found.guards] == sorted(points[0].wrong for points in found.guards)


async def test_the_page_asks_for_each_of_it_and_nonsense_does_nothing(explorer: CacheExplorer) -> None:
    tell = lambda **content: explorer._handle_custom_msg(content, [])  # noqa: E731
    tell(kind="ask", text="a qué hora atienden")
    assert explorer.found["hit"] and "siete" in explorer.found["answer"]
    tell(kind="situate", changes={"reworded": True, "price_clp": "many", "nonsense": 1})
    assert explorer.now.reworded and explorer.now.price_clp == 0 and not explorer.found["hit"]
    tell(kind="reset")
    tell(kind="choose", text="nothing")
    assert "There is no answer" in explorer.problem
    tell(kind="choose", text="hours")
    tell(kind="add", text="a qué hora están")
    assert explorer.entry["mine"] == ["a qué hora están"] and explorer.status and not explorer.problem
    tell(kind="situate", changes={"prompt": "none like this"})
    assert explorer.problem and explorer.now.prompt == "warm"
    for nonsense in (
        None,
        {},
        {"kind": 3},
        {"kind": "situate", "changes": []},
        {"kind": "ask"},
        {"kind": "choose", "text": 3},
    ):
        explorer._handle_custom_msg(nonsense, [])
    await asyncio.sleep(0)


async def test_the_same_question_is_heard_sooner_with_the_cache(explorer: CacheExplorer) -> None:
    explorer._handle_custom_msg({"kind": "hear"}, [])
    async with asyncio.timeout(300):
        while not explorer.sound and not explorer.problem:
            await asyncio.sleep(0.05)
    without, kept = explorer.pair.waits_ms if explorer.pair else (None, None)
    assert without is not None and kept is not None and kept < without - 300
    assert explorer.sound[:4] == b"RIFF" and explorer.heard["waits"] == (without, kept)


def test_what_was_ready_in_a_call_is_a_table() -> None:
    sheet = what_was_ready(language="es")
    assert sheet.frame["había una respuesta lista"].to_list() == ["sí", "sí", "no"] and "simulado" in sheet.caption
    assert (
        "antes se dijo «embarazada»" in sheet.frame["por qué"].to_list()[2]
    )  # never «was not asked» where it is known why


def test_every_word_of_the_page_is_there() -> None:
    assert {f"ca_on_{name}" for name in ("catalog", "price", "stock", "prompt")} <= set(WORDS)
    assert {f"ca_differs_{miss.differs}" for one in read_faq() for miss in one.unlike} <= set(WORDS)
