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
cuándo puedo pagar | cuándo tengo que pagar
cuánto tiempo puedo dejarme la mascarilla | cuánto tiempo tengo que dejarme la mascarilla
puedo usar retinol de noche y vitamina c de día | puedo usar vitamina c de noche y retinol de día
qué me recomiendas para las manchas | qué me recomiendas para no tener manchas
qué me recomiendas para piel seca | qué no me recomiendas para piel seca
qué crema tienen para manos | cuánto cuesta la crema de manos
cuántos días tengo para devolver | cuántos días demora la devolución
hasta cuándo puedo devolver | desde cuándo puedo devolver
el despacho a regiones es gratis | el despacho a regiones cuánto cuesta
puedo pagar con tarjeta de débito en cuotas | puedo pagar con tarjeta de crédito en cuotas
aceptan tarjeta | aceptan tarjeta en la tienda
puedo usar el sérum en la mañana | puedo usar el sérum en la noche
puedo usar el sérum todas las mañanas | puedo usar el sérum todas las noches
puedo usar el sérum mañana | puedo usar el sérum hoy
cada cuánto se usa la mascarilla | cuántas veces al día se usa la mascarilla
qué limpiador uso en la mañana | qué limpiador uso en la noche
qué sérum uso primero | qué sérum uso después
cuál sérum es más barato | cuál sérum es más caro
tienen algo más barato que el sérum aurora | tienen algo más caro que el sérum aurora
es mejor el sérum o la crema | es peor el sérum o la crema
por qué no puedo usar retinol en el embarazo | por qué puedo usar retinol en el embarazo
qué puedo usar en el embarazo | qué puedo usar después del embarazo
puedo usar retinol si quiero quedar embarazada | puedo usar retinol si estoy embarazada
puedo usar retinol si no estoy embarazada | puedo usar retinol si estoy embarazada
soy alérgica al retinol | soy alérgica a la niacinamida
puedo usar retinol si soy alérgica a las nueces | puedo usar retinol si soy alérgica al huevo
puedo usar retinol con alergia | puedo usar retinol sin alergia
mi hija de doce años puede usar retinol | mi hija de veintidós años puede usar retinol
mi abuela puede usar retinol | mi mamá puede usar retinol
es para hombres el sérum aurora | es para mujeres el sérum aurora
me operé la cara puedo usar retinol | me voy a operar la cara puedo usar retinol
me quemé con el sol puedo usar retinol | puedo usar retinol con sol
tomo roacután puedo usar retinol | tomaba roacután puedo usar retinol
tomo anticonceptivos puedo usar retinol | tomo antibióticos puedo usar retinol
la crema nube trae cincuenta mililitros | la crema nube trae quince mililitros
quiero cambiar mi pedido | quiero cancelar mi pedido
quiero dos sérums aurora | quiero un sérum aurora
me cobraron dos veces | me cobraron una vez
no me llegó el pedido | me llegó el pedido
me llegó un pedido incompleto | me llegó un pedido completo
dónde está mi pedido | dónde está mi boleta
quién hace los despachos | cuándo hacen los despachos
puedo retirar en santiago | puedo retirar en concepción
despachan a isla de pascua | despachan a chiloé
abren el veinticinco de diciembre | abren el primero de enero
abren el dieciocho | abren el diecinueve
abren a las nueve | abren a las diez
cierran a las siete | abren a las siete
atienden hasta las siete | atienden desde las siete
tienen servicio técnico | tienen servicio al cliente
puedo pagar en dólares | puedo pagar en pesos
cuánto cuesta en dólares el sérum aurora | cuánto cuesta el sérum aurora
el precio incluye iva | el precio incluye despacho
venden la crema nube en farmacias | venden la crema nube en supermercados
la crema es chilena | la crema es coreana
el sérum va con la crema | el sérum va sin la crema
puedo usar crema sin sérum | puedo usar sérum sin crema
uso la crema antes del sérum o después | uso el sérum antes de la crema o después
cuánto rato antes de salir me pongo protector | cuánto rato después de salir me pongo protector
a qué hora despachan los pedidos | cuándo despachan los pedidos
uso retinol en vez de vitamina c | uso retinol versus vitamina c
venden papel de regalo | envuelven para regalo
puedo devolver un producto usado | puedo devolver un producto abierto
puedo pagar con transferencia | puedo pagar con depósito
tienen bolsas | tengo ojeras
me sirve el aurora | le sirve el aurora
hay que usar retinol con el protector | hay que usar protector con el retinol
necesito retinol si me pongo protector solar | necesito protector solar si me pongo retinol
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
