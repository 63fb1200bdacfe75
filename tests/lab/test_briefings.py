"""What Clara is told, laid out to be read; what a broken shop would let a customer notice."""

from __future__ import annotations

import re

import pytest

from clara_kit import Fault
from clara_kit.core.errors import ClaraError
from clara_kit.lab.briefings import across, noticed, replies, side_by_side, told
from clara_kit.lab.offline_shop import shop_errors
from clara_kit.lab.sheet import Sheet
from clara_kit.world.faults import APPLIES
from clara_kit.world.personas import Persona

EVERY = [
    *(Fault(service="shop", kind="refuse", status=s) for s in (401, 402, 403, 404, 423, 429, 430, 500, 503)),
    *(Fault(service="shop", kind="error", detail=d) for d in
      ("THROTTLED", "ACCESS_DENIED", "PROTECTED", "SHOP_INACTIVE", "INTERNAL_SERVER_ERROR", "MAX_COST_EXCEEDED")),
    *(Fault(service="shop", kind=k) for k in ("cut", "stall", "garble", "truncate")),
    Fault(service="shop", kind="slow", for_ms=3000),
]  # fmt: skip


def test_every_fault_of_the_shop_is_tried_here() -> None:
    assert {f.kind for f in EVERY} == set(APPLIES["shop"])


def test_the_customers_words_are_marked_and_what_is_not_sensed_is_dotted() -> None:
    html = told("camila")._repr_html_()
    assert "<mark>Camila</mark>" in html and "&lt;datos_del_cliente&gt;" in html
    dotted = re.findall(r"class='unsensed'[^>]*>([^<]*)<", html)
    assert any("Usa su nombre de vez en cuando" in d for d in dotted)
    assert not any("Te llamas Clara" in d for d in dotted)


def test_hostile_text_is_shown_and_not_obeyed_by_the_page() -> None:
    html = told("hostil")._repr_html_()
    assert "<script" not in html and "</datos_del_cliente>" not in html
    assert html.count("&lt;/datos_del_cliente&gt;") == 1


def test_templates_stand_side_by_side() -> None:
    sheet = side_by_side("camila", "baseline", "warm")
    assert "¡Hola Camila! Vi que tienes piel mixta" in repr(sheet)
    assert sheet._repr_html_().count("<h3>") == 2


def test_one_template_for_everybody_is_one_row_each_the_hard_cases_last() -> None:
    frame = across("warm").frame
    assert sorted(frame["customer"]) == [p.name for p in Persona.all()]
    assert not Persona.load(frame["customer"][0]).hard and Persona.load(frame["customer"][-1]).hard


def test_two_templates_answer_the_same_questions() -> None:
    frame = replies(["¿Qué limpiador uso?"], "camila", "warm", "brief").frame
    question, warm, brief = frame.row(0)
    assert question == "¿Qué limpiador uso?" and warm.startswith(brief) and len(warm) > len(brief)


def test_a_template_beside_itself_has_two_columns() -> None:
    assert len(replies(["¿Qué limpiador uso?"], "camila", "warm", "warm").frame.columns) == 3


def test_no_fault_of_the_shop_keeps_a_customer_waiting_or_tells_them_anything() -> None:
    frame = noticed(EVERY).frame
    first = frame["first sound (ms)"]
    assert (first <= first[0] + 1500).all()
    assert frame["Clara greets"].str.starts_with("¡Hola").all()
    assert frame["then answers"].str.contains("hidratante|crema").all()
    assert frame["mix"].unique().to_list() == ["simulated"]
    failed = frame.filter(frame["profile"] == "never came")
    assert len(failed) >= 8 and (failed["told to the team"] != "").all()


@pytest.mark.parametrize("name", ["nobody", "../camila"])
def test_an_unknown_customer_is_named_with_those_there_are(name: str) -> None:
    with pytest.raises(ClaraError, match="camila"):
        told(name)


async def test_each_fault_is_mended_or_says_what_to_do() -> None:
    frame = (await shop_errors([f for f in EVERY if f.kind != "slow"], timeout_ms=1500)).frame
    for row in frame.iter_rows(named=True):
        known = row["outcome"].startswith("known: ")
        assert known or (row["kind"] not in ("warning", "mended by itself") and row["what to do"])
    kinds = dict(zip(frame["the shop"], frame["kind"], strict=True))
    assert kinds["refuse with status 401"] == "bad_token" and kinds["garble"] == "not_json"
    assert kinds["error (THROTTLED)"] == kinds["cut"] == "mended by itself"


def test_a_sheet_cuts_nothing_off_and_escapes_what_it_shows() -> None:
    import polars as pl

    sheet = Sheet(pl.DataFrame({"a": ["<b>" + "x" * 500], "n": [1234]}))
    assert "&lt;b&gt;" + "x" * 500 in sheet._repr_html_() and "1,234" in sheet._repr_html_()
    assert "x" * 500 in repr(sheet)
