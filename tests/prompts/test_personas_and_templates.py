"""Every invented customer with every template, the shop's own catalogue and its recommendations."""

from __future__ import annotations

import re

import pytest

from clara_kit.core.profile import ANONYMOUS
from clara_kit.prompts.catalog import Catalog
from clara_kit.prompts.recommend import recommend
from clara_kit.prompts.template import PromptTemplate
from clara_kit.prompts.values import customer_data
from clara_kit.world.answers import AnswerBook
from clara_kit.world.instructions import sense
from clara_kit.world.personas import Persona
from clara_kit.world.timelines import answer

TEMPLATES = PromptTemplate.all()
PEOPLE = Persona.all()


@pytest.mark.parametrize("person", PEOPLE, ids=lambda p: p.name)
def test_every_persona_reads_well_in_every_template(person: Persona) -> None:
    shelf = Catalog.load()
    recommended = recommend(person.profile, shelf)
    for template in TEMPLATES:
        rendered = template.render(person.profile, shelf, recommended)
        nobody = template.render(ANONYMOUS, shelf)
        assert rendered.prompt.static == nobody.prompt.static
        assert rendered.prompt.personal.count("</datos_del_cliente>") == bool(customer_data(person.profile))
        assert rendered.greeting.count("¿") == rendered.greeting.count("?") <= 1
        assert re.fullmatch(r"¡Hola(,? [^!]+)?! .+[.?]", rendered.greeting)
        for text in (rendered.prompt.text, rendered.greeting):
            assert "  " not in text and "None" not in text and " ," not in text and "()" not in text


@pytest.mark.parametrize("person", PEOPLE, ids=lambda p: p.name)
def test_no_persona_gives_orders(person: Persona) -> None:
    for template in TEMPLATES:
        told = sense(template.render(person.profile).prompt.text)
        orders = [i for i in told.instructions if i.kind not in {"customer", "skin", "concerns"}]
        assert orders == list(sense(template.render().prompt.text).instructions)
        reply = answer(AnswerBook.load(), "¿Qué hidratante me recomiendas?", told)
        skin = (person.profile.skin_type or "").lower()
        assert person.profile.first_name in reply
        assert not skin or f"piel {skin}" in reply
