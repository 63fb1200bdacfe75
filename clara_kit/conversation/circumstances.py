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
    # of themselves: whatever they are, have, take or use, but for what everybody says to a shop
    r"\b(?:soy|tengo|tenia|tuve|estoy|estaba|ando|sufro|padezco|tomo|uso|use|usaba|probe|quede|cumplo|"
    r"mis?(?! (?:pedidos?|compras?|orden|paquete|nombre|correo|direccion|telefono|boleta|cuenta)\b)|"
    r"me (?:arde|pica|duele|irrit\w+|sali?\w+|hizo|hice|hicieron|hace|cayo|da|dan|dio|dieron|hincho|tatue|depile|quedo|deja|puse|puso|brilla|quem\w+|oper\w+)|"
    r"embaraz\w+|encinta|amamant\w+|dando de mamar|pecho|lactancia|alergi\w+|intoleran\w+|celia\w+|quimio\w*|cancer|diabet\w+|lupus|vitiligo|"
    r"rosacea|dermat\w+|e[cz]+emas?|psoriasis|herpes|heridas?|ronchas?|granos?|granitos?|espinillas?|acne|hinch\w+|ardor|picazon|"
    r"quem\w+|oper(?:e|aron|acion)|medic\w+|remedios?|recet\w+|tratamiento|antibiotico\w*|isotretinoina|tretinoina|roacutan|menopausia|"
    r"(?:piel|cara|cutis) (?:es |mas |muy |super |bien |medio |un poco )*(?:sec|gras|mixt|sensibl|normal|resec|madur|acneic)\w*|"
    # of whom it is for
    r"guag\w+|beb(?:e|it)\w*|(?:nin|hij|niet|sobrin|herman|abuel|prim|suegr|cunad|vecin|novi|polol|espos|amig)(?:it)?[oa]s?|tias?|tios?|"
    r"mam[aiy]\w*|pap[aiy]|senora|marido|parej\w+|cabr[oa]s? chic[oa]s?|escolar\w*|adolescente\w*|regal\w+|tiene \w+ (?:ano|mes)\w*|"
    # of what it must not be
    r"veg(?:an|etarian)[oa]s?|no (?:l[oa]s? )?(?:puedo|quiero|uso|tolero|tengan?|lleven?|contengan?|me (?:gust|sirv|hac)\w+)|libre de|sin (?:perfume|fragancia|alcohol|aceites?|parabenos|retinol)|"
    r"nada (?:con|de)|prefiero|menos de)\b"
)
_PLEASANTRIES = re.compile(
    r"\b(?:(?:tengo|traigo) (?:una |unas |otra |algunas )?(?:preguntas?|dudas?|consultas?)|"
    r"(?:estoy|estaba|ando|andaba) (?:buscando|mirando|viendo|pensando|interesad[oa]|llamando|list[oa]|bien|en (?:la pagina|el sitio)))\b"
)
_OF_THE_SHOP = re.compile(
    r"\b(?:despach\w+|envi\w+|mand\w+|region\w*|pag\w+|cuotas?|tarjetas?|debito|transfer\w+|devol\w+|devuel\w+|cambi\w+|horario\w*|"
    r"a que hora|atiend\w+|abren|cierran|cuanto (?:cuesta\w*|vale\w*|sale\w*)|precios?|llama\w*|persona|robot)\b"
)
_OF_CARE = re.compile(
    r"\b(?:us[aeo]\w*|utiliz\w+|aplic\w+|pon\w+|pong\w+|ech[aeo]\w*|piel(?:es)?|cara|rostro|ojos|labios|rutina|recom\w+|sirv\w+|convien\w+|"
    r"barat\w+|econom\w+|menos|embaraz\w+|alergi\w+)\b"
)


def told(earlier: Iterable[str], question: str) -> str:
    """What was told earlier that this question may not be answered without; empty where there is nothing."""
    asked = fold(question)
    if _OF_THE_SHOP.search(asked) and not _OF_CARE.search(asked):
        return ""
    found = [[m[0] for m in _TOLD.finditer(_PLEASANTRIES.sub(" ", fold(text)))] for text in earlier]
    return next((max(words, key=len) for words in found if words), "")  # «embarazada» says more than «estoy»
