"""Two questions that look alike and are not: a small word, its place, a time, who does it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clara_kit.audio.numbers import words
from clara_kit.cache.counting import counted, tokens
from clara_kit.cache.meaning import meaning
from clara_kit.cache.responses import Hit, Miss, ResponseCache, Scope
from clara_kit.cache.vocabulary import Vocabulary

APART = """
despachan a santiago | despachan de santiago
puedo usar retinol y vitamina c | puedo usar retinol o vitamina c
cuál es mi correo | cuál es su correo
cuál es mi teléfono | cuál es tu teléfono
cuándo me llaman por teléfono | cuándo los llamo por teléfono
qué crema uso | qué crema usas
qué crema me pongo | qué crema se ponen ustedes
cómo les pago el despacho | cómo me pagan el despacho
compran cremas usadas | compro cremas usadas
venden cremas usadas | vendo cremas usadas
me recomiendas el retinol | qué me recomiendas con retinol
puedo usar retinol si uso vitamina c | puedo usar retinol sin usar vitamina c
puedo usar retinol antes de la vitamina c | puedo usar vitamina c antes del retinol
tengo la piel seca y mi mamá grasa qué crema me recomiendas | tengo la piel grasa y mi mamá seca qué crema me recomiendas
puedo ir a la playa después de usar retinol | puedo ir a la playa y después usar retinol
puedo usar retinol dos veces por tres semanas | puedo usar retinol tres veces por dos semanas
qué crema tiene color y no tiene perfume | qué crema tiene perfume y no tiene color
me mandaron un sérum en vez de una crema | me mandaron una crema en vez de un sérum
pedí una crema y llegó un sérum | pedí un sérum y llegó una crema
despachan de santiago a talca | despachan de talca a santiago
cuánto cuesta el despacho | cuánto costó el despacho
cuánto demora el despacho | cuánto demoró el despacho
usa retinol mi mamá | usaba retinol mi mamá
puedo usar retinol mañana | puedo usar retinol en la mañana
abren hoy | abren mañana
tienen crema sin perfume | tienen crema con perfume
el retinol sirve para las manchas | el retinol no sirve para las manchas
puedo no usar protector solar | puedo usar protector solar
cuánto dura el retinol | cuánto demora el retinol
el protector es mejor que la crema | la crema es mejor que el protector
puedo cambiar la crema por el sérum | puedo cambiar el sérum por la crema
desde talca hasta santiago cuánto demora el despacho | desde santiago hasta talca cuánto demora el despacho
tienen tienda en talca | tienen despacho en talca
puedo pagar el lunes | puedo pagar el martes
tengo quince años puedo usar retinol | tengo cincuenta años puedo usar retinol
puedo usar retinol a los quince | puedo usar retinol a los cincuenta
mi hija puede usar retinol | mi hijo puede usar retinol
mi guagua puede usar protector solar | mi mamá puede usar protector solar
es normal que arda el retinol | el retinol es para piel normal
cada cuánto uso el retinol | cada cuánto usaba el retinol
puedo tomar colágeno | puedo usar colágeno
cuántas cuotas hay | cuántas cuotas sin interés hay
aceptan tarjeta de crédito | aceptan tarjeta de regalo
se me rompió el sérum | se me rompió la crema
debo usar tónico | puedo usar tónico
por qué usar tónico | para qué usar tónico
el sérum calma es para la mañana | el sérum calma es para la noche
cuál es el mejor sérum | cuál es el peor sérum
tienen muestras | venden muestras
hacen envíos | hacen envíos gratis
hacen envíos gratis a regiones | hacen envíos a regiones
hasta qué hora despachan | desde qué hora despachan
cuándo despachan | cuándo despacharon
quién despacha a regiones | cuándo despachan a regiones
puedo retirar hoy en la tienda | puedo retirar en la tienda
todos sus productos son veganos | sus productos son veganos
solo atienden los sábados | atienden los sábados
cuánto cuesta el kit sin el protector | cuánto cuesta el kit con el protector
qué tan seguro es comprar | es seguro comprar
mi pololo puede usar la crema nube | mi pololo puede usar la crema nube rica
puedo usar ácido con embarazo | puedo usar ácido sin embarazo
cuánto ácido tiene el tónico | tiene ácido el tónico
el tónico tiene ácido | el tónico tiene alcohol
me sirve la boleta para cambiar un producto | me sirve la factura para cambiar un producto
puedo cambiar un producto con boleta | puedo cambiar un producto sin boleta
a quién le puedo regalar el sérum aurora | quién me regala el sérum aurora
mi piel es seca qué crema uso | mi piel es seca qué crema usaba
dónde compro el sérum | cuándo compro el sérum
se puede usar el sérum en los ojos | se puede usar el sérum en los labios
el sérum aurora pica | el sérum aurora mancha
puedo comprar por teléfono | puedo pagar por teléfono
tengo cáncer puedo usar retinol | tuve cáncer puedo usar retinol
estoy en tratamiento con roacután puedo usar retinol | terminé el tratamiento con roacután puedo usar retinol
estoy embarazada de dos meses puedo usar retinol | estoy embarazada de ocho meses puedo usar retinol
después de cuánto uso la crema | antes de cuánto uso la crema
cuánto es el máximo de cuotas | cuánto es el mínimo de cuotas
más de treinta mil el envío es gratis | menos de treinta mil el envío es gratis
"""


@pytest.mark.parametrize("pair", APART.strip().splitlines())
def test_what_differs_in_a_small_thing_does_not_mean_the_same(pair: str) -> None:
    one, other = map(meaning, pair.split(" | "))
    assert one.key != other.key


@pytest.mark.parametrize(
    ("said", "numbers"),
    [
        ("treinta y cinco mil pesos", ["#35000"]), ("$30.000", ["#30000"]), ("30 lucas", ["#30000"]), ("una luca", ["#1000"]),
        ("dos mil veinte", ["#2020"]), ("ciento veinticinco", ["#125"]), ("dos tres", ["#2", "#3"]), ("veintiún días", ["#21"]),
        ("doce mil novecientos noventa", ["#12990"]), ("un mes", ["#1"]), ("una crema", []), ("uno y dos", ["#2"]), ("mil", ["#1000"]),
        ("treinta mil y cuarenta mil", ["#30000", "#40000"]), ("doscientas cincuenta", ["#250"]),
    ],
)  # fmt: skip
def test_numbers_are_the_same_in_words_and_in_digits(said: str, numbers: list[str]) -> None:
    assert [word for _, word in counted(tokens(said), Vocabulary.load()) if word[0] == "#"] == numbers


@settings(max_examples=60)
@given(st.text(max_size=60))
def test_whatever_is_said_means_something_or_nothing(text: str) -> None:
    meant = meaning(text)
    assert meaning(text) == meant
    cache = ResponseCache()
    if cache.remember(text, "Sí.", Scope(), ()):
        assert isinstance(cache.look_up(text, Scope()), Hit)
    else:
        assert isinstance(cache.look_up(text, Scope()), Miss)


@given(
    st.lists(
        st.sampled_from(
            words("puedo usar retinol no sin con vitamina c la el que cuando despacho regiones dos tres mi")
        ),
        max_size=9,
    )
)
def test_what_is_kept_is_found_by_its_own_words_and_denied_by_a_no(said: list[str]) -> None:
    question = " ".join(said)
    cache = ResponseCache()
    if cache.remember(question, "Sí.", Scope(), ()):
        assert isinstance(cache.look_up(question, Scope()), Hit)
        assert isinstance(cache.look_up(f"hola {question} po", Scope()), Hit)
        assert isinstance(cache.look_up(f"{question} en marte", Scope()), Miss)


def test_a_story_is_no_frequent_question() -> None:
    assert "too long" in meaning("tengo una crema " * 40).follows
