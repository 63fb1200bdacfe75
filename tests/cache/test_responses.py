"""Which answers are given again: never a wrong one, and most of those that fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from clara_kit.cache.faq import Curated, Unlike, read_faq
from clara_kit.cache.meaning import meaning
from clara_kit.cache.responses import Entry, Hit, Miss, ResponseCache, Scope, usual_cache
from clara_kit.cache.scope import depends_on, shop_marks
from clara_kit.core.errors import ScriptError, SettingsError
from clara_kit.prompts.catalog import Catalog

HERE = Path(__file__).parent
SCOPE = Scope("c1", "seca", "cat1", "price1", "stock1", "2026-11-30", "prompt1", "model1")
SHIPPING = "¿Hacen despachos a regiones?"
YES = "Sí, despachamos a todo Chile."


def spoken(name: str) -> list[dict[str, Any]]:
    return yaml.safe_load((HERE / f"{name}.yml").read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def kept(*pairs: tuple[str, str], **of: Any) -> ResponseCache:
    cache = ResponseCache(**of)
    for question, answer in pairs:
        assert cache.remember(question, answer, SCOPE, ()), question
    return cache


@pytest.mark.parametrize(
    ("name", "share"),
    [("said", 0.95), ("said_later", 0.85), ("said_last", 0.8), ("said_new", 0.75), ("said_fresh", 0.9)],
)
def test_not_one_wrong_answer_is_given_and_most_that_fit_are(name: str, share: float) -> None:
    groups = spoken(name)
    cache = kept(*((g["q"], f"Respuesta de {n}.") for n, g in enumerate(groups)))
    right = asked = 0
    same = {meaning(way).words: n for n, g in enumerate(groups) for way in (g["q"], *g["same"])}
    for n, group in enumerate(groups):
        for way in group["same"]:
            found, asked = cache.look_up(way, SCOPE), asked + 1
            assert isinstance(found, Miss) or found.answer == f"Respuesta de {n}.", (way, found)
            right += isinstance(found, Hit)
        for way in group["other"]:
            found = cache.look_up(way, SCOPE)
            assert isinstance(found, Miss) or found.answer == f"Respuesta de {same[meaning(way).words]}.", (way, found)
    assert right >= share * asked, f"{right} of {asked}"


def test_every_paraphrase_of_the_shops_own_questions_is_found_and_no_near_miss_is_taken_for_it() -> None:
    cache = usual_cache()
    for entry in cache.curated:
        scope = replace(
            SCOPE,
            catalog="",
            price="",
            stock="",
            prompt="",
            skin=(entry.skin or ("",))[0],
            date=entry.days[0] or SCOPE.date,
        )
        for way in entry.ways:
            found = cache.look_up(way, scope)
            assert isinstance(found, Hit) and found.answer == entry.answer, (way, found)
        for near in entry.unlike:
            found = cache.look_up(near.text, scope)
            assert isinstance(found, Miss) or found.entry.id != entry.id, (near, found)
    assert len(cache.curated) >= 60


@pytest.mark.parametrize(
    "question",
    [
        "¿y cuánto cuesta ese?", "¿cuánto cuesta?", "lo puedo devolver", "y si llevo dos", "puedo usarlo de noche", "y para piel seca",
        "sirve para el acné", "tiene perfume", "se puede usar en el embarazo", "también lo venden", "cuál es mejor", "es vegano",
        "y la otra", "cuánto dura", "y con tarjeta", "qué pasa si lo abro", "",
    ],
)  # fmt: skip
def test_what_needs_the_words_before_it_is_neither_kept_nor_answered(question: str) -> None:
    cache = ResponseCache()
    assert not cache.remember(question, "Sí.", SCOPE, ())
    assert isinstance(cache.look_up(question, SCOPE), Miss)


def test_what_was_named_in_the_same_breath_needs_nothing_before_it() -> None:
    cache = kept(("¿Puedo usar el retinol de noche?", "Sí, de noche."))
    assert isinstance(cache.look_up("el retinol ¿lo puedo usar en la noche?", SCOPE), Hit)


@pytest.mark.parametrize("changed", ["prompt", "model", "price"])
def test_an_answer_falls_with_what_it_depends_on_and_with_nothing_else(changed: str) -> None:
    cache = ResponseCache()
    assert cache.remember("¿Cuánto cuesta el despacho?", "Cuesta $3.990.", SCOPE)
    others = replace(SCOPE, customer="c2", skin="grasa", catalog="cat2", stock="stock2", date="2026-12-24")
    assert isinstance(cache.look_up("cuánto vale el envío", others), Hit)
    found = cache.look_up("cuánto vale el envío", replace(SCOPE, **{changed: "another"}))
    assert isinstance(found, Miss) and changed in found.why


def test_what_names_a_customer_is_never_said_to_another_whatever_was_declared() -> None:
    cache = ResponseCache()
    for answer in (
        "Claro, Camila, despachamos a todo Chile.",
        "¡Hola Camila! Sí, a todo Chile.",
        "Sí. La última vez te llegó en tres días.",
    ):
        assert cache.remember(SHIPPING, answer, SCOPE, ())
        assert isinstance(cache.look_up(SHIPPING, SCOPE), Hit)
        assert isinstance(cache.look_up(SHIPPING, replace(SCOPE, customer="c2")), Miss), answer
        assert not cache.remember(SHIPPING, answer, replace(SCOPE, customer="")), "whose it is, nobody knows"


@pytest.mark.parametrize(
    ("question", "answer", "also"),
    [
        (SHIPPING, YES, set()),
        ("¿Qué limpiador me recomiendas?", "Para tu piel mixta, el gel limpiador Brisa.", {"skin", "catalog"}),
        ("¿Qué limpiador me recomiendas para piel mixta?", "El gel limpiador Brisa.", {"catalog"}),
        ("¿Cuánto cuesta el sérum Aurora?", "Cuesta $18.990.", {"price", "catalog"}),
        ("¿Tienen el sérum Aurora?", "Sí, quedan unidades.", {"stock", "catalog"}),
        ("¿A qué hora abren mañana?", "A las nueve.", {"date"}),
        ("¿A qué hora abren?", "De lunes a viernes, a las nueve de la mañana.", set()),
        ("¿Tienen descuentos?", "Sí, este mes hay un 20 % de descuento.", {"price", "date"}),
        ("¿Dónde está mi pedido?", "Va en camino.", {"customer"}),
        ("¿Me sirve el Aurora?", "Sí, te sirve.", {"customer", "skin", "catalog"}),
        ("¿Puedo usar la Nube dos veces?", "Sí, puedes.", {"skin", "catalog"}),
        ("¿Tienen tienda física?", "Sí, en Santiago, y nos encuentras en Instagram.", set()),
    ],
)
def test_what_an_answer_depends_on_is_told_from_its_words(question: str, answer: str, also: set[str]) -> None:
    assert depends_on(question, answer) == {"prompt", "model"} | also


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (SHIPPING, "No lo sé."), (SHIPPING, "  "), (SHIPPING, "Sí. " * 500), ("blablá", "Sí."), ("¿A qué hora abren mañana?", "A las nueve."),
        ("¿Cuánto falta para que cierren?", "Unas dos horas."), ("¿Está abierta la tienda?", "Sí."), ("¿Qué me dijiste del retinol?", "De noche."),
    ],
)  # fmt: skip
def test_what_cannot_be_relied_on_is_not_kept_and_says_why(question: str, answer: str) -> None:
    found = ResponseCache().remember(question, answer, replace(SCOPE, date=""))
    assert not found and found.why


@pytest.mark.parametrize(
    "question",
    ["¿Puedo devolver un producto que está abierto?", "¿Tienen descuentos ahora?", "¿Cuánto dura si está abierto?"],
)
def test_a_word_of_the_hour_that_asks_of_no_hour_keeps_nothing_from_being_learnt(question: str) -> None:
    assert "hour" not in ResponseCache().remember(question, "Sí.", SCOPE).why


def test_an_answer_that_leans_on_the_conversation_is_not_kept() -> None:
    cache = ResponseCache()
    assert not cache.remember("¿Puedo usar el retinol de noche?", "Sí, como te decía, de noche.", SCOPE, follows=True)
    assert cache.remember("¿Puedo usar el retinol de noche?", "Sí, solo de noche.", SCOPE, follows=True)


def test_a_learnt_answer_expires_and_a_newer_one_takes_its_place() -> None:
    now = [1000.0]
    cache = kept((SHIPPING, YES), now=lambda: now[0], expire_h=1)
    assert cache.remember(SHIPPING, "Sí, a todas las regiones.", SCOPE, ())
    found = cache.look_up("mandan a regiones", SCOPE)
    assert isinstance(found, Hit) and found.answer == "Sí, a todas las regiones." and len(cache.entries()) == 1
    now[0] += 3601
    assert isinstance(cache.look_up(SHIPPING, SCOPE), Miss) and cache.entries() == ()
    assert not ResponseCache(expire_h=0).remember(SHIPPING, YES, SCOPE, ())


def test_trust_falls_with_each_correction_and_twice_is_enough(tmp_path: Path) -> None:
    curated = Curated(id="shipping", question=SHIPPING, answer=YES, asked=("llegan a regiones con los pedidos",))
    cache = ResponseCache(tmp_path / "answers.db", faq=[curated])
    assert cache.remember("¿Dan factura?", "Sí.", SCOPE, ())
    for asked, answer in ((SHIPPING, YES), ("¿Dan factura?", "Sí.")):
        assert cache.distrust(asked, answer) == 0.5
        found = cache.look_up(asked, SCOPE)
        assert isinstance(found, Hit) and found.trust == found.entry.trust == 0.5
        cache.distrust(asked, answer)
        assert isinstance(cache.look_up(asked, SCOPE), Miss)
    assert isinstance(cache.look_up("llegan a regiones con los pedidos", SCOPE), Miss), "by another way of asking"
    assert not cache.remember("¿Dan factura?", "Sí.", SCOPE, ()), "nor is it learnt again"
    assert isinstance(ResponseCache(tmp_path / "answers.db", faq=[curated]).look_up(SHIPPING, SCOPE), Miss), (
        "nor next time"
    )


def test_two_processes_that_each_hear_a_correction_count_two(tmp_path: Path) -> None:
    one, other = ResponseCache(tmp_path / "answers"), ResponseCache(tmp_path / "answers")
    assert one.remember(SHIPPING, YES, SCOPE)
    assert one.distrust(SHIPPING, YES) == 0.5 and other.distrust(SHIPPING, YES) == 0
    assert isinstance(one.look_up(SHIPPING, SCOPE), Miss) and not one.remember(SHIPPING, YES, SCOPE)


def test_what_is_learnt_is_there_the_next_time_and_for_another_process(tmp_path: Path) -> None:
    here, there = ResponseCache(tmp_path / "answers.db"), ResponseCache(tmp_path / "answers.db")
    assert here.remember(SHIPPING, YES, SCOPE)
    assert isinstance(there.look_up("mandan a regiones", SCOPE), Hit)
    assert isinstance(ResponseCache(tmp_path / "answers.db").look_up("mandan a regiones", SCOPE), Hit)
    assert there.forget(SHIPPING) == 1
    assert isinstance(here.look_up(SHIPPING, SCOPE), Miss)


def test_what_one_customer_was_told_can_be_forgotten(tmp_path: Path) -> None:
    cache = ResponseCache(tmp_path / "answers.db")
    assert cache.remember("¿Dónde está mi pedido?", "Va en camino.", SCOPE) and cache.remember(SHIPPING, YES, SCOPE)
    assert cache.forget(customer="c1") == 1 and [e.question for e in cache.entries()] == [SHIPPING]


def test_a_disk_that_fails_costs_what_is_learnt_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    cache = ResponseCache(tmp_path / "file" / "answers.db")
    assert cache.remember(SHIPPING, YES, SCOPE) and isinstance(cache.look_up(SHIPPING, SCOPE), Hit)
    (tmp_path / "answers.db").write_bytes(b"no database at all" * 100)
    assert isinstance(ResponseCache(tmp_path / "answers.db").look_up(SHIPPING, SCOPE), Miss)


def test_a_miss_names_what_is_closest_and_what_differs() -> None:
    cache = kept(("¿Puedo usar retinol durante el embarazo?", "Mejor no."))
    for question, differs in (
        ("puedo usar retinol si estoy dando pecho", "pregnancy"), ("puedo usar niacinamida embarazada", "ingredient"),
        ("no puedo usar retinol embarazada", "negation"), ("cuánto cuesta el retinol", "verb"),
        ("puedo usar retinol dos veces en el embarazo", "number"), ("usé retinol embarazada", "tense"),
    ):  # fmt: skip
        found = cache.look_up(question, SCOPE)
        assert isinstance(found, Miss) and found.nearest is not None
        assert differs in found.nearest.differs and differs in found.why, found
    assert cache.nearest("puedo usar retinol embarazada")[0].differs == ()
    assert cache.nearest("se puede usar retinol embarazada", 1)[0].similarity == 1


def test_the_order_of_things_tells_where_it_matters() -> None:
    cache = kept(("¿El sérum va antes de la crema?", "Sí."), ("¿Puedo mezclar retinol con vitamina C?", "Mejor no."))
    found = cache.look_up("la crema va antes del sérum", SCOPE)
    assert isinstance(found, Miss) and found.nearest is not None and found.nearest.differs == ("comparison",)
    assert isinstance(cache.look_up("puedo mezclar vitamina c con retinol", SCOPE), Hit)


def test_numbers_are_heard_as_they_are_said() -> None:
    cache = kept(("¿El envío es gratis desde $30.000?", "Sí."), ("¿Hay descuento si llevo 2?", "Sí."))
    for question in (
        "el envío es gratis desde treinta mil",
        "desde treinta lucas el envío es gratis",
        "el despacho es gratis desde treinta mil pesos",
    ):
        found = cache.look_up(question, SCOPE)
        assert isinstance(found, Hit) == ("desde treinta lucas" not in question), question  # whose order differs
    assert isinstance(cache.look_up("hay descuento si llevo dos", SCOPE), Hit)
    for question in (
        "el envío es gratis desde treinta y tres mil",
        "el envío es gratis desde trece mil",
        "hay descuento si llevo doce",
    ):
        assert isinstance(cache.look_up(question, SCOPE), Miss), question


def test_curated_answers_hold_for_the_state_of_the_shop_they_were_written_for(tmp_path: Path) -> None:
    (tmp_path / "one.yml").write_text(
        "written_for: {price: [p1, p2]}\nanswers:\n"
        "  - {id: price, question: ¿Cuánto cuesta el sérum Aurora?, answer: '$18.990', depends: [price]}\n"
        "  - {id: dry, question: ¿Qué crema me recomiendas?, answer: Nube Rica, skin: [seca]}\n"
        "  - {id: oily, question: ¿Qué crema me recomiendas?, answer: Bambú, skin: [grasa]}\n"
        "  - {id: xmas, question: ¿Abren en Navidad?, answer: No., from: 2026-12-01, until: 2026-12-25}\n",
        encoding="utf-8",
    )
    cache = ResponseCache(faq=tmp_path)

    def answer(question: str, **changed: str) -> str:
        found = cache.look_up(question, replace(SCOPE, **changed))
        return found.answer if isinstance(found, Hit) else ""

    assert [answer("precio del sérum aurora", price=p) for p in ("p1", "p2", "p3", "")] == [
        "$18.990",
        "$18.990",
        "",
        "$18.990",
    ]
    assert [answer("qué crema me recomiendas", skin=s) for s in ("seca", "grasa", "mixta", "")] == [
        "Nube Rica",
        "Bambú",
        "",
        "",
    ]
    assert [answer("abren en navidad", date=d) for d in ("2026-12-24", "2026-12-26", "")] == ["No.", "", ""]


@pytest.mark.parametrize(
    ("entries", "blame"),
    [
        ("- {id: a, question: ¿y ese?, answer: Sí}", "a: «¿y ese?» is not a whole question"),
        ("- {id: a, question: ¿Dan factura?, answer: 'Sí, {x}'}", "answer"),
        ("- {id: a, question: ¿Dan factura?, answer: Sí, depends: [model]}", "depends"),
        (
            "- {id: a, question: ¿Dan factura?, answer: Sí, unlike: [{text: emiten facturas, differs: verb}]}",
            "cannot be told from",
        ),
        (
            "- {id: a, question: ¿Dan factura?, answer: Sí}\n  - {id: b, question: hacen factura, answer: Nunca}",
            "means the same as a question of a",
        ),
        ("- {id: a, question: ¿Dan factura?, answer: Sí}\n  - {id: a, question: ¿Dan boleta?, answer: Sí}", "twice"),
    ],
)
def test_a_file_in_which_a_question_could_mean_two_things_is_refused(tmp_path: Path, entries: str, blame: str) -> None:
    (tmp_path / "one.yml").write_text(f"answers:\n  {entries}\n", encoding="utf-8")
    with pytest.raises(ScriptError) as told:
        read_faq(tmp_path)
    assert blame in str(told.value)


def test_a_draft_leaves_the_shipped_answers_as_they_are() -> None:
    curated = Curated(id="shipping", question=SHIPPING, answer=YES, unlike=(Unlike("despachan a argentina", "place"),))
    cache = ResponseCache(faq=[curated])
    draft = cache.with_asked("shipping", ["les llega la mercadería a los de Aysén"])
    assert isinstance(draft.look_up("les llega la mercadería a los de Aysén", SCOPE), Hit)
    assert isinstance(cache.look_up("les llega la mercadería a los de Aysén", SCOPE), Miss)


def test_what_an_answer_may_depend_on_is_named_by_the_scope() -> None:
    with pytest.raises(SettingsError, match="weather"):
        ResponseCache().remember(SHIPPING, YES, SCOPE, ["weather"])


def test_prices_stock_and_catalogue_have_marks_of_their_own() -> None:
    products = list(Catalog.load())
    before = shop_marks(products)
    dearer = shop_marks([replace(products[0], price_clp=1), *products[1:]])
    gone = shop_marks([replace(products[0], stock=0), *products[1:]])
    fewer = shop_marks(products[1:])
    assert [name for name in before if dearer[name] != before[name]] == ["price"]
    assert [name for name in before if gone[name] != before[name]] == ["stock"]
    assert fewer["catalog"] != before["catalog"] and shop_marks(reversed(products)) == before


def test_entries_tell_what_they_depend_on() -> None:
    cache = ResponseCache()
    cache.remember("¿Cuánto cuesta el despacho?", "Cuesta $3.990.", SCOPE)
    (entry,) = cache.entries()
    assert isinstance(entry, Entry) and dict(entry.depends) == {
        "price": ("price1",),
        "prompt": ("prompt1",),
        "model": ("model1",),
    }
    assert cache.holds(entry, SCOPE) == "" and "price" in cache.holds(entry, replace(SCOPE, price="p2"))
