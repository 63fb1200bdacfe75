"""For whom and when an answer holds: the state of customer, shop and prompt that it was given in, and what of it matters.

Comes before `responses.py`, which keeps an answer only with what it depends on, and reuses it only while that is the same.
What is inferred here errs on the side of too much: an answer that depends on more is reused less.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from hashlib import sha256
from typing import Any, Protocol

from clara_kit.audio.numbers import words
from clara_kit.cache.vocabulary import Vocabulary, plain


@dataclass(frozen=True, slots=True)
class Scope:
    """Each a text that is the same while the thing is the same (a key, a hash, a date), "" where there is none.

    customer: a key, never a name. skin: «mixta». catalog, price, stock: see `shop_marks`. date: the day in Chile, ISO.
    """

    customer: str = ""
    skin: str = ""
    catalog: str = ""
    price: str = ""
    stock: str = ""
    date: str = ""
    prompt: str = ""
    model: str = ""

    def value(self, name: str) -> str:
        """One of them as text."""
        found: Any = getattr(self, name)
        return "" if found is None else str(found)


NAMES = tuple(field.name for field in fields(Scope))
NEEDED = frozenset(("customer", "date"))  # without these an answer that depends on them is not kept at all


class _Product(Protocol):
    @property
    def handle(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def price_clp(self) -> int: ...
    @property
    def stock(self) -> int: ...


def shop_marks(products: Iterable[_Product]) -> dict[str, str]:
    """What stands for catalogue, prices and stock in a `Scope`: 12 hex digits each, equal for equal shops.

    Of the stock only whether something is left counts: a sale changes no answer.
    """
    rows = sorted((p.handle, p.title, p.price_clp, p.stock > 0, repr(p)) for p in products)
    about = {
        "catalog": [re.sub(r"\b(price_clp|stock)=\d+", "", row[4]) for row in rows],
        "price": [(row[0], row[2]) for row in rows],
        "stock": [(row[0], row[3]) for row in rows],
    }
    return {name: sha256(repr(what).encode()).hexdigest()[:12] for name, what in about.items()}


_MONEY = re.compile(
    r"\$ ?\d|\d ?%|\b(?:pesos?|lucas?|por ciento|porciento|descuentos?|ofertas?|promoci\w+|promos?|rebajas?|gratis|gratuit\w+|"
    r"cuesta\w?|vale\w?|precios?|valor|costos?|cobra\w*|tarifas?|barat\w+|car[oa]s?|econ[oó]mic\w+|monto|cup[oó]n|intereses)\b"
)
_STOCK = re.compile(
    r"\b(?:stock|disponibl\w+|agotad\w+|quedan?|se acab\w+|repon\w+|repus\w+|sin existencias?|tenemos|no hay)\b"
)
_OFFER = re.compile(
    r"\b(?:recomiend\w+|tenemos|vendemos|nuestr[oa]s? (?:productos?|cremas?|l[ií]neas?)|cat[aá]logo|l[ií]nea|kit|cremas?|s[eé]rums?|"
    r"gel|limpiador\w*|protector\w*|bloqueador\w*|mascarillas?|t[oó]nicos?|b[aá]lsamos?|emulsi[oó]n|contorno|exfoliantes?|"
    r"hidratantes?|espuma|ampollas?|labial|aceites?|leche|agua micelar|spf|retin\w+|niacinamida|vitamina|[aá]cido|ingredientes?)\b"
)
_SKIN = re.compile(r"\b(?:seca|grasa|mixta|sensible|normal|grasosa|reseca|combinada|madura)s?\b")
_YOUR_SKIN = re.compile(
    r"\b(?:tu (?:piel|tipo de piel|rostro|cara|cutis)|tienes la piel|pieles como la tuya|tu rutina)\b"
)
_DAY = re.compile(
    r"\b(?:hoy|ayer|anteayer|pasado mañana|ahora|actualmente|por el momento|reci[eé]n|todav[ií]a|a[uú]n|pronto|"
    r"(?:est[ea]|pr[oó]xim[oa]|siguiente|que viene|pasad[oa]) ?(?:mes|semana|a[ñn]o|fin de semana|d[ií]as?|tarde|noche|lunes|martes|"
    r"mi[eé]rcoles|jueves|viernes|s[aá]bado|domingo|verano|invierno|navidad|temporada)?|(?:mes|semana|a[ñn]o) (?:que viene|pasad[oa])|"
    r"enero|febrero|marzo|abril|mayo|junio|julio|agosto|sep?tiembre|octubre|noviembre|diciembre|navidad|fiestas patrias|feriado|"
    r"cyber\w*|black friday|20[2-9]\d|\d{1,2}[/-]\d{1,2})\b"
)
_THIS = re.compile(
    r"\best[ea]\b(?! (?:mes|semana|a[ñn]o|fin|d[ií]a|tarde|noche|lunes|martes|mi|jueves|viernes|s|domingo|v|i|n|t))"
)
_TOMORROW = re.compile(
    r"(?<!la )(?<!cada )(?<!las )(?<!de )\bmañana\b|\b(?:para|hasta|desde) mañana\b|\bel (?:lunes|martes|mi[eé]rcoles|jueves|viernes|s[aá]bado|domingo)\b"
)
_PERSONAL = re.compile(  # what a general answer never says
    r"\b(?:compraste|pediste|llevaste|encargaste|usaste|la [uú]ltima vez|como siempre|la otra vez|vi que|s[eé] que t|veo que|me contaste|"
    r"(?:me|nos) dijiste|te (?:llamas|lleg[oó]|enviamos|mandamos|despachamos)|bienvenid[oa] de (?:vuelta|nuevo))\b|@|#\s?\d{3,}|"
    r"\+?56 ?9|\b\d{7,}\b"
)
_YOURS = re.compile(  # what a general answer may say, but also one to a single customer
    r"\b(?:tus? (?:[uú]ltim[oa]s? )?(?:pedidos?|compras?|[oó]rden(?:es)?|paquete|env[ií]o|despacho|cuenta|perfil|direcci[oó]n|correo|"
    r"tel[eé]fono|nombre|cumpleaños|edad|puntos|historial|datos|boleta|factura|alergias?|embarazo|acn[eé]|manchas?|ros[aá]cea|"
    r"rojeces|arrugas|poros|ojeras|granitos|espinillas|hij[oa]s?|mam[aá]|piel con)|(?:ya|siempre|que) (?:usas|llevas|compras))\b"
)
_MINE = re.compile(
    r"\b(?:mis? (?:pedidos?|compras?|orden|paquete|cuenta|nombre|direcci[oó]n|correo|datos|puntos|historial|edad|perfil|rutina)|me llamo|soy [A-ZÁÉÍÓÚÑ]\w+|"
    r"compr[eé]|ped[ií]|me (?:lleg[oó]|mandaron|enviaron)|qu[eé] (?:llevo|uso) (?:yo|siempre))\b"
)
_CAPITAL = re.compile(r"(?<![.!?…¡¿:«\"\n])(?<=[\w,;)]) +[«\"(]?([A-ZÁÉÍÓÚÑ][\wáéíóúñü]+)")
_CALLED = re.compile(
    r"(?:^|[.!?…¡¿«\"\n]\s*)([A-ZÁÉÍÓÚÑ][a-záéíóúñü]+)(?=\s*[,!?])|,\s*([A-ZÁÉÍÓÚÑ][a-záéíóúñü]+)(?=\s*[.!?,…]|$)"
)
_NO_NAMES = frozenset(
    words(
        """si no claro hola bueno mira perfecto genial dale ya oye excelente gracias ademas tambien entonces obvio cuentame dime
    lamentablemente efectivamente exacto ojo tranquila tranquilo por listo buenas buenos eso igual ahora luego asi vale ok oh uy ah ay
    beta skincare clara chile santiago instagram whatsapp facebook webpay transbank mercado pago visa mastercard paypal starken
    chilexpress correos bluexpress blue express spf fps uva uvb uv dha bha aha rm region metropolitana"""
    )
)
_GOODS = re.compile(
    r"\b(?:gel|crema|s[eé]rum|leche|agua|espuma|barra|b[aá]lsamo|emulsi[oó]n|protector|bloqueador|contorno|mascarilla|exfoliante|t[oó]nico|labial|kit|"
    r"ampollas|gotas|velo|aceite|l[ií]nea|solar|limpiador\w?|hidratante|reparador|desmaquillante|micelar|manos|corporal|y el|o el|y la|mejor el)"
    r"(?: [a-záéíóúñ]+)?(?: [A-ZÁÉÍÓÚÑ][\wáéíóúñ]+)*$"
)
UNSURE = re.compile(
    r"\b(?:no (?:lo )?s[eé]|no estoy segur[oa]|no tengo (?:esa|la) informaci[oó]n|no entend[ií]|me (?:lo )?repites|no te escuch[eé]|puedes repetir)\b"
)
_FITS = re.compile(  # what is right for one skin and wrong for another, whether or not it is named
    r"\b(?:(?:me|te|le) (?:sirv|convien|va (?:a|bien|mal|muy|excelente)|van (?:a|bien|mal|muy)|hac[eí]|har[aá]|qued|ayud|result|recomiend|recomendar|aconsej|irrit|seca|engras)\w*|"
    r"para (?:m[ií]|ti)|(?:puedo|puedes|debo|debes|deber[ií]as?|tengo que|tienes que) (?:usar|ocupar|aplicar|poner|echar|mezclar|combinar|exfoliar)\w*)\b"
)
_FOR_ONE = re.compile(r"\b(?:(?:me|te|le) (?:sirv|convien|va|hac|qued)\w*|para (?:m[ií]|ti))\b")
PASSING = re.compile(  # true for an hour at most, or of what was said another time
    r"\b(?:cu[aá]nto (?:falta|queda) para|qu[eé] hora (?:es|son)|(?:ya|todav[ií]a|a[uú]n) (?:cerraron|abrieron|est[aá]n? (?:abiert|cerrad))|"
    r"(?:abiert|cerrad|atiend|atend)\w+ (?:ahora|en este momento)|(?:ahora|en este momento) (?:est[aá]n?|atienden|abren)|"
    r"(?:me|nos) (?:dij|coment|cont|recomend|expli|aconsej)\w*(?:aste|iste|eron|aron)|te (?:dije|cont[eé]|pregunt[eé]|coment[eé])|"
    r"(?:la )?(?:otra|[uú]ltima) vez)\b|^\W*(?:(?:la tienda|el local) )?est[aá]n? (?:abiert|cerrad|atendiendo)"
)
BACK = re.compile(
    r"\b(?:como te (?:dec[ií]a|dije|coment[eé]|cont[eé])|ese|esa|esos|esas|eso|aquel\w*|lo que (?:me )?(?:dijiste|preguntaste)|como dec[ií]a\w*|el mismo|la misma|tambi[eé]n)\b"
)


def depends_on(question: str, answer: str) -> frozenset[str]:
    """What an answer that a model gave depends on, told from its words; always its prompt and model."""
    asked, said = question.casefold(), answer.casefold()
    both, found = f"{asked} {said}", {"prompt", "model"}
    if speaks_to(question, answer):
        found.add("customer")
    named = set(_SKIN.findall(asked))
    if _YOUR_SKIN.search(said) or (
        not named and (_SKIN.search(said) or _FITS.search(asked) or _FITS.search(said) or _recommends(asked))
    ):
        found.add("skin")
    if _FOR_ONE.search(asked):
        found.add("customer")
    if _MONEY.search(both):
        found.add("price")
    if _STOCK.search(both):
        found.add("stock")
    if _OFFER.search(both) or _goods(answer) or not Vocabulary.load().named.isdisjoint(re.findall(r"\w+", plain(both))):
        found.add("catalog")
    if _DAY.search(_THIS.sub(" ", both)) or _TOMORROW.search(both):
        found.add("date")
    return frozenset(found)


def speaks_to(question: str, answer: str) -> bool:
    """Whether question or answer may be about one customer: an order, a name, what was bought or told before."""
    said = answer.casefold()
    mine = _MINE.search(question) or _MINE.search(question.casefold())
    return bool(_YOURS.search(said) or mine) or names_customer(question, answer)


def names_customer(question: str, answer: str, customer: str = "") -> bool:
    """Whether they surely are: a name, a number, what was bought or told before."""
    if customer and len(customer) > 2 and plain(customer) in plain(f"{question} {answer}"):
        return True
    if _PERSONAL.search(answer.casefold()):
        return True
    called = {name for pair in _CALLED.findall(answer) for name in pair if name}
    called |= {m[1] for m in _CAPITAL.finditer(answer) if not _GOODS.search(answer[: m.start()])}
    return any(not _known(name) for name in called)


def _goods(answer: str) -> bool:
    return any(_GOODS.search(answer[: m.start()]) for m in _CAPITAL.finditer(answer))


def _known(name: str) -> bool:
    """Whether a word with a capital is no customer's name."""
    word, known = plain(name), Vocabulary.load()
    return word in _NO_NAMES or name.isupper() or known.kinds.get(known.noun(word)) in ("place", "date")


def _recommends(asked: str) -> bool:
    from clara_kit.cache.meaning import meaning

    return bool(meaning(asked).marks & {"RECOMMEND", "ROUTINE", "WHICHBEST"})
