"""The scripted brain: retrieval over Spanish questions and answers, a plain «no sé» otherwise.

Behind the model's twin and in the simulation. It is no language model and is never shown as one.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from clara_kit import data_files
from clara_kit.core.errors import ScriptError
from clara_kit.core.paths import DATA
from clara_kit.prompts.catalog import Catalog, Product

# Cosine similarity below which a question counts as unknown. On the paraphrases and strangers of
# tests/world/test_answers.py the known score 0.71 or more and the strangers 0.40 or less.
THRESHOLD = 0.45
SURE = 0.8  # from here on an answer of the book comes before a price of the catalogue
ALMOST = 0.15  # answers this much less similar than the best still fit the question

_FILLER = """
a al algo con de del el en es esta este ese eso la las le lo los me mi mis muy o para pero por que
se si su te tu un una unas uno unos y ya clara tambien oye espera favor hola quiero tengo tiene tienen tienes hay
venden vendes
"""
_STOPWORDS = frozenset(_FILLER.split())
_SAME = {  # what is asked with other words; both sides without accents
    "cuesta": "cuestan precio precios vale valen valor",
    "protector": "bloqueador bloqueadores",
    "despacho": "despachan despachar envio envios envian enviar mandan mandar",
    "llevo": "llevas llevar llevara compro compras comprar comprara",
    "cara": "rostro",
    "grasa": "grasosa graso",
    "seca": "reseca seco",
    "dos": "2",
}
# About 3.3 characters of Spanish a token, an estimate for today's tokenizers (30 % more tokens than the former 4.3).
_TOKEN = re.compile(r"\s?\w{1,4}|\s?[^\w\s]|\s+")


def tokenize(text: str) -> list[str]:
    """Text in token-sized pieces; joined they are the text."""
    return _TOKEN.findall(text)


@dataclass(frozen=True, slots=True)
class Answer:
    """entry_id: None when nothing fits. score: cosine similarity to the best question, 0..1."""

    text: str
    entry_id: str | None
    score: float
    why: str


@dataclass(frozen=True, slots=True)
class Known:
    """What the shop knows of the customer's skin, for questions that leave it out. skin: «mixta», or empty."""

    skin: str = ""
    concerns: tuple[str, ...] = ()

    def extensions(self, question: str) -> tuple[str, ...]:
        """What the customer could have added to the question, and did not."""
        said = set(_terms(question))
        worries = [c for c in self.concerns if not said & set(_terms(c))]
        skin = "" if said & _SKINS or not self.skin else f"para piel {self.skin}"
        return tuple(filter(None, (skin, *worries)))


NOTHING_KNOWN = Known()


class AnswerBook:
    """Questions and answers of one YAML file of `data/answers/`."""

    def __init__(
        self,
        entries: Sequence[tuple[str, Sequence[str], str]],
        unknown: Sequence[str],
        *,
        products: Sequence[Product] = (),
        hash_: str = "",
    ) -> None:
        self.hash, self.products = hash_, tuple(products)
        titles = [(p, set(_terms(p.title))) for p in products]
        shared = Counter(term for _, terms in titles for term in terms)
        # A product is named by what it shares with the fewest others: «Brisa» rather than «gel».
        self._titles = [(p, terms, min(terms, key=lambda t: (shared[t], t))) for p, terms in titles if terms]
        self._unknown = tuple(unknown)
        self._answers = {entry_id: answer for entry_id, _, answer in entries}
        self._about = {entry_id: set(_terms(" ".join((*asked, answer)))) for entry_id, asked, answer in entries}
        questions = [(entry_id, question) for entry_id, asked, _ in entries for question in asked]
        documents = [set(_terms(q)) for _, q in questions]
        counts = Counter(term for document in documents for term in document)
        self._weight = {term: math.log(1 + len(documents) / n) for term, n in counts.items()}
        self._rarest = math.log(1 + len(documents))
        self._vectors = [(entry_id, self._vector(q)) for entry_id, q in questions]

    @classmethod
    def load(cls, name: str = "skincare_es") -> AnswerBook:
        """A file of `data/answers/`; read anew when it has changed. Raises `ScriptError`."""
        return data_files.made(data_files.find(name, DATA / "answers", "file of answers"), _read)

    def reply(self, question: str, history: Sequence[str] = (), known: Known = NOTHING_KNOWN) -> Answer:
        """The best answer. history: what the customer said before, for follow-ups («¿y cuánto cuesta?»).

        known: a question that names no skin type is answered as if it named this one.
        """
        extensions = known.extensions(question)
        if extensions and (better := _best_known(self, question, extensions)):
            return better
        answer, own = self._best(question), set(_terms(question))
        if history and own <= {_PRICE, _HOW_MUCH}:  # of what was just spoken of
            asked_before = f"{history[-1]} {self.reply(history[-1], (), known).text}"
            if (product := self._priced(own | set(_terms(asked_before)))) is not None:
                return _price_of(product, "as a follow-up: ")
        if answer.entry_id is None and history and len(own) <= 3:
            follow_up = self._best(f"{question} {history[-1]}")
            if own & self._about.get(follow_up.entry_id or "", set()):
                return replace(follow_up, why=f"as a follow-up: {follow_up.why}")
        return answer

    def _best(self, question: str) -> Answer:
        return _best_of(self, question)

    def best(self, question: str) -> Answer:
        """The best answer to a question alone."""
        vector = self._vector(question)
        scored = [
            (sum(w * vector.get(t, 0.0) for t, w in known.items()), entry_id) for entry_id, known in self._vectors
        ]
        score, entry_id = max(scored, default=(0.0, ""))
        if score < SURE and (product := self._priced(set(_terms(question)))) is not None:
            return _price_of(product)
        if score < THRESHOLD:
            text = self._unknown[sum(question.encode()) % len(self._unknown)]
            return Answer(text, None, score, f"nothing is similar enough ({score:.2f} < {THRESHOLD})")
        return Answer(self._answers[entry_id], entry_id, score, f"closest to {entry_id} ({score:.2f})")

    def _priced(self, terms: set[str]) -> Product | None:
        """The product whose price is asked for by its name, if there is one."""
        named = [(len(t & terms), -len(t - terms), p.title, p) for p, t, name in self._titles if name in terms]
        return max(named)[-1] if _PRICE in terms and named else None

    def best_known(self, question: str, extensions: Sequence[str]) -> Answer | None:
        """The best answer to the question extended by what is known; None where that must not change the answer.

        What is known chooses between the answers that fit the question itself, and only where an answer is about it.
        """
        terms = set(_terms(question))
        plain = self._scores(question)
        best = max(plain.values(), default=0.0)
        if terms & _ADVICE:  # fits: an answer that speaks of whatever else the question names
            fit = {entry_id for entry_id, about in self._about.items() if terms - _ADVICE <= about}
        elif best >= THRESHOLD:
            fit = {entry_id for entry_id, score in plain.items() if score >= best - ALMOST}
        else:
            return None
        extended = [
            (score, entry_id, extension)
            for extension in extensions
            for entry_id, score in self._scores(f"{question} {extension}", set(_terms(extension))).items()
            if entry_id in fit
        ]
        score, entry_id, extension = max(extended, default=(0.0, "", ""))
        if score < THRESHOLD:
            return None
        why = f"closest to {entry_id} ({score:.2f}), with «{extension}» from the profile"
        return Answer(self._answers[entry_id], entry_id, score, why)

    def _scores(self, question: str, needed: Set[str] = frozenset()) -> dict[str, float]:
        """Each entry's similarity to a question. needed: terms without which a way to ask does not count."""
        vector, scores = self._vector(question), dict.fromkeys(self._answers, 0.0)
        for entry_id, known in self._vectors:
            if needed <= known.keys():
                score = sum(w * vector.get(t, 0.0) for t, w in known.items())
                scores[entry_id] = max(scores[entry_id], score)
        return scores

    def _vector(self, text: str) -> dict[str, float]:
        counts = Counter(_terms(text))
        weights = {t: n * self._weight.get(t, self._rarest) for t, n in counts.items()}
        length = math.sqrt(sum(w * w for w in weights.values())) or 1.0
        return {t: w / length for t, w in weights.items()}


@lru_cache(maxsize=4096)
def _best_of(book: AnswerBook, question: str) -> Answer:
    return book.best(question)


@lru_cache(maxsize=4096)
def _best_known(book: AnswerBook, question: str, extensions: tuple[str, ...]) -> Answer | None:
    return book.best_known(question, extensions)


def _price_of(product: Product, how: str = "") -> Answer:
    text = f"{product.title} cuesta {product.price_text}."
    return Answer(text, f"price of {product.handle}", 1.0, f"{how}the price stands in the catalogue")


_Text = Annotated[str, Meta(pattern=r"\S")]
_Texts = Annotated[list[_Text], Meta(min_length=1)]


class _Entry(Struct, forbid_unknown_fields=True):
    id: _Text
    q: _Texts
    a: _Text


class _File(Struct, forbid_unknown_fields=True):
    entries: Annotated[list[_Entry], Meta(min_length=1)]
    unknown: _Texts


def _read(path: Path) -> AnswerBook:
    def made(data: Any) -> AnswerBook:
        file = msgspec.convert(data, _File)
        seen: set[str] = set()
        for n, entry in enumerate(file.entries):
            if entry.id in seen:
                raise ScriptError(f"The id {entry.id!r} stands there twice.", where=f"$.entries[{n}].id")
            seen.add(entry.id)
        hash_ = sha256(data_files.raw(path)).hexdigest()[:12]
        entries = [(e.id, e.q, e.a) for e in file.entries]
        return AnswerBook(entries, file.unknown, products=tuple(Catalog.load()), hash_=hash_)

    return data_files.built(path, made, "an entry has id, q (a list of questions) and a; unknown is a list of answers.")


def _terms(text: str) -> list[str]:
    """Stems without accents and filler; the whole text where nothing else is left («hola»)."""
    plain = unicodedata.normalize("NFD", text.casefold())
    words = re.findall(r"[a-z0-9]+", "".join(c for c in plain if not unicodedata.combining(c)))
    kept = [_stem(w) for w in words if w not in _STOPWORDS]
    return [_MEANS.get(t, t) for t in kept or map(_stem, words)]


def _stem(word: str) -> str:
    """A rough Spanish stem: plural and gender off, verbs cut to their beginning."""
    word = re.sub(r"(es|s)$", "", word) if len(word) > 4 else word
    return re.sub(r"[aeo]$", "", word)[:7] if len(word) > 3 else word


_MEANS = {_stem(other): _stem(word) for word, others in _SAME.items() for other in others.split()}
_PRICE, _HOW_MUCH = _stem("cuesta"), _stem("cuanto")
_SKINS = frozenset(_stem(w) for w in ("seca", "grasa", "mixta", "sensible", "normal"))
_ADVICE = frozenset(
    _stem(w)
    for w in (
        "recomiendas", "recomendar", "recomiéndame", "aconsejas", "sirve", "conviene", "uso", "usar", "pongo",
        "busco", "necesito",
    )
)  # fmt: skip
