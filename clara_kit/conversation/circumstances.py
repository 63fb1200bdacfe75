"""What a customer told of themselves, or of whom it is for: from then on only the model knows what is right.

A kept answer knows one question; «tengo alergia a la miel» two turns before makes the right answer to «¿algo para los labios?» a
wrong one. So whatever such words may bear on is neither looked up nor kept any more. What the shop does for everybody (sending,
paying, hours, prices) they do not bear on. Errs on the side of the model: that costs a second.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from clara_kit.core.placeholders import fold

_TOLD = re.compile(
    r"\b(?:embaraz\w+|amamant\w+|dando (?:de mamar|(?:el )?pecho)|lactancia|alergi\w+|rosacea|dermatitis|eccemas?|eczemas?|psoriasis|herpes|"
    r"diabet\w+|cancer|heridas?|quem\w+|oper(?:e|aron|acion)|medic\w+|remedios?|recet\w+|antibiotico\w*|isotretinoina|roacutan|dermatolog\w+|"
    r"me (?:arde|pica|duele|irrit\w+|salio|salieron|hizo mal|cayo mal|hincho)|hinch\w+|ardor|picazon|acne|"
    r"guaguas?|bebes?|nin[oa]s?|hij[oa]s?|niet[oa]s?|sobrin[oa]s?|herman[oa]s?|mama|papa|abuel[oa]s?|polol[oa]|marido|espos[oa]|parej\w+|amig[oa]s?|regal\w+|"
    r"tengo \w+ an(?:os|itos)|adolescente\w*|menopausia|veg(?:ana?|etarian[oa])|"
    r"(?:piel|cara|cutis) (?:es |mas |muy |medio |un poco )*(?:seca|grasa|mixta|sensible|normal|grasosa|reseca|madura)|"
    r"no (?:puedo|quiero|uso|tolero|me (?:gusta|sirve|hace))|sin (?:perfume|alcohol|aceites?|parabenos|retinol))\b"
)
_OF_THE_SHOP = re.compile(
    r"\b(?:despach\w+|envi\w+|mand\w+|region\w*|pag\w+|cuotas?|tarjetas?|debito|transfer\w+|devol\w+|devuel\w+|cambi\w+|horario\w*|hora|horas|atiend\w+|"
    r"abren|cierran|cuesta\w*|precios?|vale\w*|sale|llama\w*|persona|robot)\b"
)


def told(earlier: Iterable[str], question: str) -> str:
    """What was told earlier that this question may not be answered without; empty where there is nothing."""
    if _OF_THE_SHOP.search(fold(question)):
        return ""
    found = (_TOLD.search(fold(text)) for text in earlier)
    return next((match[0] for match in found if match is not None), "")
