"""Which instructions of a prompt the offline brain can sense, and how it obeys them.

The list is published (`SENSED`) and tested. Everything else in a prompt is reported as not sensed, so that
nobody takes the twin's silence about an instruction for the model's.

What stands between the lines `<datos_del_cliente>` and `</datos_del_cliente>` is data about the customer: three
fields of it are used, the rest is neither obeyed nor reported.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Set
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache, lru_cache
from typing import NamedTuple

from clara_kit.prompts.catalog import Product
from clara_kit.prompts.values import CONCERNS, FENCE_CLOSE, FENCE_OPEN, NAME, SKIN


@dataclass(frozen=True, slots=True)
class Instruction:
    """One sensed instruction: its kind, its value, and the sentence of the prompt that holds it."""

    kind: str
    value: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Sensed:
    """What was sensed in a prompt, and the sentences in which nothing was."""

    instructions: tuple[Instruction, ...]
    unsensed: tuple[str, ...]

    def value(self, kind: str) -> str | None:
        """The last value given for a kind: later instructions win."""
        return next((i.value for i in reversed(self.instructions) if i.kind == kind), None)


_NUMBERS = {
    word: n
    for n, words in enumerate(("un una one", "dos two", "tres three", "cuatro four", "cinco five", "seis six"), start=1)
    for word in words.split()
} | {"diez": 10, "doce": 12, "quince": 15, "veinte": 20, "veinticinco": 25, "treinta": 30, "cuarenta": 40}
_N = rf"(\d+|{'|'.join(_NUMBERS)})"
_NOT = r"(?:no|nunca|jamás|never|do not|don't)"
_QUOTED = r"[«\"“]([^»\"”]+)[»\"”]"


class Rule(NamedTuple):
    """How one kind of instruction is sensed. pattern: its first group is the value. forms: usual ways to say it."""

    kind: str
    pattern: str
    does: str
    forms: tuple[str, ...]


RULES: tuple[Rule, ...] = tuple(Rule(*rule) for rule in (
    ("name", r"(?:te llamas|tu nombre es|your name is|preséntate como)\s+([A-ZÁÉÍÓÚÑ]\w+)",
     "says this name when asked who she is", ("Te llamas Sofía.", "Tu nombre es Sofía.", "Preséntate como Sofía.")),
    ("customer", r"(?:(?:la clienta|el cliente|la persona) se llama|the customer(?:'s name)? is(?: called)?)\s+([A-ZÁÉÍÓÚÑ]\w+)",
     "begins the first reply, and every recommendation, with the customer's name", ("La clienta se llama Ana.",)),
    ("no_name", rf"{_NOT} (?:uses|digas|repitas|menciones|llames a (?:la|el) \w+ por) (?:el|su) (nombre)|sin (nombrarl[ao])",
     "never says the customer's name", ("No uses el nombre.", "Nunca digas su nombre.", "No menciones el nombre de la clienta.")),
    ("sentences", rf"(?<!\w)(?:(?:dos|una?|\d) o )?{_N} (?:solas? )?(?:frases?|oraci[oó]n(?:es)?|sentences?)|una sola (frase|oración)",
     "cuts the reply to so many sentences",
     ("Responde en una frase.", "Usa una sola frase.", "Contesta en no más de dos oraciones.", "Máximo 2 frases.", "No pases de tres frases.")),
    ("words", rf"(?:máximo|como (?:mucho|máximo)|hasta|(?:en )?menos de|(?:no )?más de|no pases de|at most|under)\s+{_N} (?:palabras|words)\b(?! (?:cada|por))",
     "cuts the reply at so many words, at a sentence if it can", ("Usa como mucho 6 palabras.", "Responde en menos de veinte palabras.", "No pases de 15 palabras.")),
    ("brief", r"\b(?:sé|responde|contesta|habla) (?:siempre |muy )*(breve|corto|concisa?)(?:mente)?\b|\b(be brief)|(?:da|usa|con) respuestas (?:muy )?(breves|cortas)\b(?! y)",
     "keeps the first sentence only", ("Sé breve.", "Responde muy corto.", "Da respuestas breves.", "Sé concisa.")),
    ("formal", r"(?<!nunca )(?<!no )(?:trát\w*|trata\w*|hábla\w*|habla\w*|usa)(?: (?:siempre|a l[ao]s? \w+))* (?:de )?(usted)\b|(formal tone)|no (?:la |lo )?(tutees)|sin (tutear)",
     "says «usted» for «tú» in common words", ("Trátala de usted.", "Trata de usted a la persona.", "Háblale siempre de usted.", "Usa usted.", "No tutees.")),
    ("familiar", r"(?:trát\w*|trata\w*|hábla\w*|habla\w*)(?: a l[ao]s? \w+)* de (tú)\b|(tutéa\w+|tutea\w*)", "says «tú», as the book does",
     ("Trátala de tú.", "Tutéala.", "Háblale de tú.")),
    ("question", r"(?<!no )(?:termina|acaba|cierra|end)\w* (?:siempre )?(?:con|with) (una pregunta|a question)|(?<!no )(haz una pregunta al final)|(ofrece más ayuda)",
     "ends with a question", ("Termina con una pregunta.", "Cierra siempre con una pregunta.", "Haz una pregunta al final.", "Ofrece más ayuda.")),
    ("no_question", rf"{_NOT} (?:hagas|termines con|cierres con) (?:una )?(preguntas?)|(sin preguntas)", "leaves out her own questions",
     ("No hagas preguntas.", "No termines con una pregunta.", "Responde sin preguntas.")),
    ("no_prices", rf"{_NOT} (?:digas|menciones|des|hables de|nombres|mention) (?:nunca )?(?:el |los |the )?(precios?|prices?)|(sin precios)",
     "leaves out sentences with prices", ("No menciones los precios.", "Nunca digas el precio.", "Responde sin precios.", "No hables de precios.")),
    ("prices", r"(?<!no )(?<!nunca )(?:nombra|menciona|di|incluye|agrega|da)(?: siempre)? (el precio|su precio|los precios)\b(?! en)",
     "keeps the sentence with the price, or adds the price of the product it names", ("Nombra siempre el precio.", "Di siempre el precio.", "Incluye el precio.", "Menciona siempre los precios.")),
    ("signoff", rf"(?:termina(?: siempre)? diciendo|despídete (?:siempre )?(?:con|diciendo)|always end by saying)\s+{_QUOTED}",
     "ends with this phrase", ("Despídete con «Un abrazo».", "Termina siempre diciendo «Un abrazo».")),
    ("opening", rf"(?:empieza(?: siempre)? (?:diciendo|con)|comienza (?:siempre )?(?:con|diciendo)|always begin with)\s+{_QUOTED}",
     "begins with this phrase", ("Comienza con «Mira,».", "Empieza siempre diciendo «Mira,».")),
    ("forbidden", rf"(?:{_NOT} (?:uses|digas) (?:nunca )?(?:la palabra )?|never say )\s*{_QUOTED}",
     "leaves out sentences with this word", ("No digas «gel».", "Nunca uses la palabra «gel».")),
    ("required", rf"(?:menciona|di|incluye)(?: siempre)?\s+{_QUOTED}", "says this too, where it would not have", ("Menciona siempre «sin perfume».", "Di siempre «sin perfume».")),
    ("emoji", r"(?<!no )(?<!nunca )(?:\busa|\bagrega|\buse)(?: siempre)? (?:un )?(emojis?)", "adds an emoji", ("Siempre usa emojis.", "Agrega un emoji.")),
    ("no_emoji", rf"{_NOT} (?:uses|agregues|use) (emojis?)|(sin emojis)", "uses none, as the book does", ("No uses emojis.", "Escribe sin emojis.")),
    ("greeting", r"(?<!no )(?<!nunca )\b(saluda) (?:siempre|primero|al empezar|antes)", "begins every reply with a greeting", ("Saluda siempre.", "Saluda primero.")),
    ("no_greeting", rf"{_NOT} (saludes)|(sin saludos?)", "leaves out greetings", ("No saludes.", "Responde sin saludos.")),
    ("thanks", r"(?<!no )(?:(agradece) (?:siempre|la|su|por)|(da) (?:siempre )?las gracias)", "thanks at the end", ("Agradece la pregunta.", "Da siempre las gracias.")),
    ("doctor", r"(?<!no )(?:recomienda|sugiere|aconseja)(?: siempre)? (?:ver|consultar|ir) (?:a |con )?(?:un |una |al |la )?(dermatólog[oa]|médic[oa])",
     "adds that a dermatologist can help", ("Recomienda siempre ver a un dermatólogo.", "Sugiere consultar a un dermatólogo.")),
    ("shipping", r"(?<!no )(?:menciona|recuerda|di|nombra)(?: siempre)?(?: que)? (?:el |hay )?(env[ií]o|despacho) (?:es )?gratis", "adds from when on shipping is free",
     ("Menciona siempre el envío gratis.", "Recuerda que hay despacho gratis.")),
    ("sunscreen", r"(?<!no )(?:recuerda|recomienda|menciona)(?: siempre)?(?: usar)? (?:el )?(protector solar)", "adds a word on sunscreen",
     ("Recuerda siempre el protector solar.", "Recomienda usar protector solar.")),
    ("calm", rf"{_NOT} (?:uses|pongas) (?:signos de |las )?(exclamaci[oó]n(?:es)?)|(sin exclamaciones)", "speaks without exclamation marks",
     ("No uses signos de exclamación.", "Habla sin exclamaciones.")),
))  # fmt: skip

# Lines of the fence: field, kind, what the twin does. Nothing else inside it is ever an instruction.
_DATA: tuple[tuple[str, str, str], ...] = (
    (NAME, "customer", "begins the first reply, and every recommendation, with the customer's name"),
    (SKIN, "skin", "recommends as if the customer had named this skin type, where the question names none"),
    (CONCERNS, "concerns", "recommends for these concerns, where the question names none of them"),
)

SENSED: tuple[tuple[str, str], ...] = (
    *((rule.kind, rule.does) for rule in RULES),
    *((kind, what) for _, kind, what in _DATA if kind != "customer"),
)
"""(kind, what the twin does) of every instruction that is sensed, in the prompt or as data inside its fence."""


@cache
def _compiled() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """When they are first asked for: who simulates without a prompt never does."""
    named = {"name", "customer"}
    return tuple((r.kind, re.compile(r.pattern, 0 if r.kind in named else re.IGNORECASE)) for r in RULES)


_SENTENCE = re.compile(r"[^.\n!?]+(?:[.!?](?=\d)[^.\n!?]*)*[.!?]?")
_RECOMMENDS = re.compile(r"(?i)\b(?:[tl]e (?:recomiendo|sirven?|ayudan?|va bien|va a gustar)|prueba|busca)\b")
_SPOKEN = re.compile(r"(?<=[.!?…])\s+(?=[A-ZÁÉÍÓÚÑ¿¡])")


def sense(prompt: str) -> Sensed:
    """Go through a prompt sentence by sentence; fenced lines are data."""
    text, data = _apart(prompt)
    found: list[Instruction] = []
    unsensed: list[str] = []
    for sentence in (s.strip(" -•*\t") for s in _SENTENCE.findall(text)):
        if any(map(str.isalnum, sentence)):
            here = _told(sentence)
            found += here
            unsensed += () if here else (sentence,)
    return Sensed((*found, *_known(data)), tuple(unsensed))


@lru_cache(maxsize=2048)  # most sentences of a prompt are the same for every customer
def _told(sentence: str) -> tuple[Instruction, ...]:
    if re.match(r"(?i)(?:si|cuando|when|if)\b", sentence):  # whether it holds cannot be told here
        return ()
    here = []
    for kind, pattern in _compiled():
        match = pattern.search(sentence) or pattern.search(sentence[:1].lower() + sentence[1:])
        if match:
            here.append(Instruction(kind, next((g for g in match.groups() if g), ""), sentence))
    return tuple(here)


def unsensed(prompt: str) -> tuple[str, ...]:
    """The sentences of a prompt that mean nothing to the offline brain, to be marked as such."""
    return sense(prompt).unsensed


def _apart(prompt: str) -> tuple[str, list[str]]:
    """The prompt without its fence, and the lines of the fence. One that is never closed reaches to the end."""
    text: list[str] = []
    data: list[str] = []
    fenced = False
    for line in prompt.split("\n"):
        if line.strip() in (FENCE_OPEN, FENCE_CLOSE):
            fenced = line.strip() == FENCE_OPEN
        else:
            (data if fenced else text).append(line)
    return "\n".join(text), data


def _known(lines: list[str]) -> list[Instruction]:
    """The first line of each field counts: what follows could only be an imitation of it."""
    found: dict[str, Instruction] = {}
    for line in lines:
        for field, kind, _ in _DATA:
            value = line.removeprefix(f"{field}:").strip()
            if line.startswith(f"{field}:") and value:
                found.setdefault(kind, Instruction(kind, value, line))
    return list(found.values())


def nearest(sentence: str) -> str:
    """The published form that is most like a sentence which was not sensed; empty where none is."""
    forms = [form for rule in RULES for form in rule.forms]
    return next(iter(get_close_matches(sentence, forms, n=1, cutoff=0.65)), "")


def apply(text: str, sensed: Sensed, *, first: bool = True, products: Iterable[Product] = ()) -> str:
    """The answer as the sensed instructions want it. first: nothing was answered in this conversation before.

    products: whose prices are named where the prompt wants prices and the answer has none.
    """
    on = {i.kind for i in sensed.instructions}
    sentences = _without(_SPOKEN.split(text.strip()), sensed, on)
    price = _price(sentences, products) if "prices" in on else ""
    for kind in ("sentences", "brief"):
        if limit := sensed.value(kind):
            sentences = sentences[: _number(limit)]
    if words := sensed.value("words"):
        sentences = _at_most(sentences, _number(words))
    if price and not any("$" in s for s in sentences):
        sentences = [*sentences[: max(1, len(sentences) - 1)], price] if len(sentences) > 1 else [*sentences, price]
    result = " ".join(sentences)
    if (name := sensed.value("name")) and name != "Clara":
        result = re.sub(r"\bClara\b", name, result)
    customer = sensed.value("customer") if "no_name" not in on else None
    if customer and customer not in result and (first or _RECOMMENDS.search(result)):
        result = _addressed(result, customer)
    if "greeting" in on and not result.startswith("¡Hola"):
        result = f"¡Hola! {result}"
    if opening := sensed.value("opening"):
        result = f"{opening} {result}"
    required = [i.value for i in sensed.instructions if i.kind == "required"]
    added = [_sentence(r) for r in required if r.casefold() not in result.casefold()]
    added += [says for kind, says in _ADDED.items() if kind in on and says not in result]
    result = " ".join((result, *added))
    if _later(sensed, "question", "no_question") and not result.rstrip().endswith("?"):
        result = f"{result} ¿Te ayudo con algo más?"
    if _later(sensed, "formal", "familiar"):
        result = _formal(result)
    if "calm" in on:
        result = re.sub(r"[¡!]+(?=\s|$)", ".", re.sub(r"¡(?=\w)", "", result)).replace("?.", "?")
    if signoff := sensed.value("signoff"):
        result = f"{result} {signoff}"
    return f"{result} 😊" if _later(sensed, "emoji", "no_emoji") else result


_ADDED = {  # kind, what is added
    "doctor": "Si la molestia sigue, conviene ver a un dermatólogo.",
    "shipping": "El envío es gratis desde $30.000.",
    "sunscreen": "Y de día, no olvides el protector solar.",
    "thanks": "Gracias por preguntar.",
}


def _without(sentences: list[str], sensed: Sensed, on: Set[str]) -> list[str]:
    """The sentences that no instruction forbids; at least one."""
    if _later(sensed, "no_prices", "prices"):
        sentences = [s for s in sentences if "$" not in s] or sentences[:1]
    forbidden = [i.value.casefold() for i in sensed.instructions if i.kind == "forbidden"]
    sentences = [s for s in sentences if not any(f in s.casefold() for f in forbidden)] or ["No sé qué decirte."]
    if "no_greeting" in on:
        sentences = [s for s in sentences if not s.startswith("¡Hola")] or sentences
    if _later(sensed, "no_question", "question"):
        sentences = [s for s in sentences if "?" not in s] or sentences
    return sentences


def _later(sensed: Sensed, kind: str, other: str) -> bool:
    """Whether this kind is wanted, and its opposite not after it."""
    kinds = [i.kind for i in sensed.instructions if i.kind in (kind, other)]
    return bool(kinds) and kinds[-1] == kind


def _price(sentences: list[str], products: Iterable[Product]) -> str:
    """The sentence that names the price, or one about the product that is spoken of."""
    if said := next((s for s in sentences if "$" in s), ""):
        return said
    text = " ".join(sentences).casefold()
    named = [p for p in products if all(word in text for word in p.title.casefold().split())]
    return f"{named[0].title} cuesta {named[0].price_text}." if named else ""


def _number(value: str) -> int:
    return int(value) if value.isdigit() else _NUMBERS.get(value.lower(), 1)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def _at_most(sentences: list[str], words: int) -> list[str]:
    kept: list[str] = []
    for sentence in sentences:
        if sum(len(s.split()) for s in kept) + len(sentence.split()) > words:
            break
        kept.append(sentence)
    return kept or [" ".join(sentences[0].split()[:words]).rstrip(",;:") + "."]


_FORMAL = tuple((re.compile(rf"\b{familiar}\b"), formal) for familiar, formal in (
    ("te", "le"), ("Te", "Le"), ("tu", "su"), ("Tu", "Su"), ("tus", "sus"), ("quieres", "quiere"), ("Úsalo", "Úselo"),
    ("Aplícalo", "Aplíquelo"), ("Aplícala", "Aplíquela"), ("tienes", "tiene"), ("Puedes", "Puede"), ("puedes", "puede"),
    ("buscas", "busca"), ("prueba", "pruebe"), ("Pruébala", "Pruébela"), ("Cuéntame", "Cuénteme"), ("Dime", "Dígame"),
    ("dices", "dice"), ("llevas", "lleva"), ("Vuelve", "Vuelva"), ("Empieza", "Empiece"), ("Parte", "Parta"),
    ("Pregúntale", "Pregúntele"), ("olvides", "olvide"), ("tuya", "suya"), ("tú", "usted"),
))  # fmt: skip


def _formal(text: str) -> str:
    for familiar, formal in _FORMAL:
        text = familiar.sub(formal, text)
    return text


def _addressed(text: str, name: str) -> str:
    if text.startswith("¡Hola!"):
        return f"¡Hola, {name}!{text[6:]}"
    return f"{name}, {_lower_first(text)}"


def _lower_first(text: str) -> str:
    return text if text[:2].isupper() or text[:1] in "¡¿" else text[:1].lower() + text[1:]
