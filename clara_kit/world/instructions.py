"""Which instructions of a prompt the offline brain can sense, and how it obeys them.

The list is published (`SENSED`) and tested. Everything else in a prompt is reported as not sensed, so that
nobody takes the twin's silence about an instruction for the model's.

What stands between the lines `<datos_del_cliente>` and `</datos_del_cliente>` is data about the customer: three
fields of it are used, the rest is neither obeyed nor reported.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

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
    "una": 1,
    "un": 1,
    "dos": 2,
    "tres": 3,
    "cuatro": 4,
    "cinco": 5,
    "one": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
}
_N = r"(\d+|una?|dos|tres|cuatro|cinco|one|two|three|four|five)"

# kind, pattern (its first group is the value), what the twin does
_RULES: tuple[tuple[str, str, str], ...] = (
    ("name", r"(?:te llamas|tu nombre es|your name is)\s+([A-ZÁÉÍÓÚÑ]\w+)", "says this name when asked who she is"),
    ("customer", r"(?:(?:la clienta|el cliente|la persona) se llama|the customer(?:'s name)? is(?: called)?)\s+([A-ZÁÉÍÓÚÑ]\w+)", "begins the first reply, and every recommendation, with the customer's name"),
    ("sentences", rf"(?:(?:dos|una?|\d) o )?{_N} (?:frases?|oraciones|sentences?)", "cuts the reply to so many sentences"),
    ("words", r"(?:máximo|como mucho|hasta|menos de|at most|under)\s+(\d+) (?:palabras|words)", "cuts the reply at so many words, at a sentence if it can"),
    ("brief", r"\b(?:sé|responde|contesta) (?:muy )?(breve|corto)|\b(be brief)", "keeps the first sentence only"),
    ("formal", r"(?:trata\w* de|habla\w* de|usa) (usted)\b|(formal tone)", "says «usted» for «tú» in common words"),
    ("question", r"(?:termina|acaba|end)\w* (?:siempre )?(?:con|with) (una pregunta|a question)", "ends with a question"),
    ("no_prices", r"(?:no (?:digas|menciones|des)|do not mention|never mention) (?:los |the )?(precios?|prices?)", "leaves out sentences with prices"),
    ("signoff", r"(?:termina siempre diciendo|despídete con|always end by saying)\s+[«\"“]([^»\"”]+)[»\"”]", "ends with this phrase"),
    ("opening", r"(?:empieza siempre diciendo|comienza con|always begin with)\s+[«\"“]([^»\"”]+)[»\"”]", "begins with this phrase"),
    ("forbidden", r"(?:no uses la palabra|no digas|never say)\s+[«\"“]([^»\"”]+)[»\"”]", "leaves out sentences with this word"),
    ("emoji", r"(?<!no )(?<!nunca )(?:\busa|\bagrega|\buse) (emojis?)", "adds an emoji"),
)  # fmt: skip

# Lines of the fence: field, kind, what the twin does. Nothing else inside it is ever an instruction.
_DATA: tuple[tuple[str, str, str], ...] = (
    (NAME, "customer", "begins the first reply, and every recommendation, with the customer's name"),
    (SKIN, "skin", "recommends as if the customer had named this skin type, where the question names none"),
    (CONCERNS, "concerns", "recommends for these concerns, where the question names none of them"),
)

SENSED: tuple[tuple[str, str], ...] = tuple(
    {kind: what for kind, _, what in (*_RULES, *((k, f, w) for f, k, w in _DATA))}.items()
)
"""(kind, what the twin does) of every instruction that is sensed, in the prompt or as data inside its fence."""

_COMPILED = tuple(
    (kind, re.compile(pattern, re.IGNORECASE if kind not in {"name", "customer"} else 0)) for kind, pattern, _ in _RULES
)
_SENTENCE = re.compile(r"[^.\n!?]+(?:[.!?](?=\d)[^.\n!?]*)*[.!?]?")
_RECOMMENDS = re.compile(r"(?i)\b(?:[tl]e (?:recomiendo|sirven?|ayudan?|va bien|va a gustar)|prueba|busca)\b")
_SPOKEN = re.compile(r"(?<=[.!?…])\s+(?=[A-ZÁÉÍÓÚÑ¿¡])")


def sense(prompt: str) -> Sensed:
    """Go through a prompt sentence by sentence; fenced lines are data."""
    text, data = _apart(prompt)
    found: list[Instruction] = []
    unsensed: list[str] = []
    for sentence in (s.strip(" -•*\t") for s in _SENTENCE.findall(text)):
        if not any(map(str.isalnum, sentence)):
            continue
        here = []
        for kind, pattern in _COMPILED:
            match = pattern.search(sentence) or pattern.search(sentence[:1].lower() + sentence[1:])
            if match:
                here.append(Instruction(kind, next((g for g in match.groups() if g), ""), sentence))
        found += here
        if not here:
            unsensed.append(sentence)
    return Sensed((*found, *_known(data)), tuple(unsensed))


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


def apply(text: str, sensed: Sensed, *, first: bool = True) -> str:
    """The answer as the sensed instructions want it. first: nothing was answered in this conversation before."""
    sentences = _SPOKEN.split(text.strip())
    if sensed.value("no_prices"):
        sentences = [s for s in sentences if "$" not in s] or sentences[:1]
    forbidden = [i.value.casefold() for i in sensed.instructions if i.kind == "forbidden"]
    sentences = [s for s in sentences if not any(f in s.casefold() for f in forbidden)] or ["No sé qué decirte."]
    limit = sensed.value("sentences")
    if limit:
        sentences = sentences[: int(_NUMBERS.get(limit.lower(), 0) or limit)]
    if sensed.value("brief"):
        sentences = sentences[:1]
    words = sensed.value("words")
    if words:
        sentences = _at_most(sentences, int(words))
    result = " ".join(sentences)
    if (name := sensed.value("name")) and name != "Clara":
        result = re.sub(r"\bClara\b", name, result)
    if sensed.value("formal"):
        result = _formal(result)
    customer = sensed.value("customer")
    if customer and customer not in result and (first or _RECOMMENDS.search(result)):
        result = _addressed(result, customer)
    if opening := sensed.value("opening"):
        result = f"{opening} {result}"
    if sensed.value("question") and not result.rstrip().endswith("?"):
        result = f"{result} ¿Te ayudo con algo más?"
    if signoff := sensed.value("signoff"):
        result = f"{result} {signoff}"
    return f"{result} 😊" if sensed.value("emoji") else result


def _at_most(sentences: list[str], words: int) -> list[str]:
    kept: list[str] = []
    for sentence in sentences:
        if sum(len(s.split()) for s in kept) + len(sentence.split()) > words:
            break
        kept.append(sentence)
    return kept or [" ".join(sentences[0].split()[:words]).rstrip(",;:") + "."]


_FORMAL = (("te recomiendo", "le recomiendo"), ("te va", "le va"), ("te sirve", "le sirve"), ("tu piel", "su piel"), ("quieres", "quiere"), ("Úsalo", "Úselo"), ("tienes", "tiene"), ("Puedes", "Puede"), ("¿Te ", "¿Le "))  # fmt: skip


def _formal(text: str) -> str:
    for familiar, formal in _FORMAL:
        text = text.replace(familiar, formal)
    return text


def _addressed(text: str, name: str) -> str:
    if text.startswith("¡Hola!"):
        return f"¡Hola, {name}!{text[6:]}"
    return f"{name}, {_lower_first(text)}"


def _lower_first(text: str) -> str:
    return text if text[:2].isupper() or text[:1] in "¡¿" else text[:1].lower() + text[1:]
