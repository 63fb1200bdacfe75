"""What the widgets say, in English and Spanish: one table, so that no label is forgotten in either."""

from __future__ import annotations

import os
from typing import Literal

Language = Literal["en", "es"]
VARIABLE = "CLARA_LANGUAGE"

WORDS: dict[str, tuple[str, str]] = {
    "desk": ("Clara's desk", "El escritorio de Clara"),
    "customer": ("Customer", "Cliente"),
    "stranger": ("a stranger", "alguien desconocido"),
    "customer_live": ("e-mail or number in your shop", "correo o número en tu tienda"),
    "prompt": ("Prompt", "Prompt"),
    "speed": ("Speed of the twins", "Velocidad de los gemelos"),
    "live": ("Real vendors", "Proveedores reales"),
    "stt": ("Deepgram hears", "Deepgram escucha"),
    "llm": ("Claude thinks", "Claude piensa"),
    "tts": ("Deepgram speaks", "Deepgram habla"),
    "avatar": ("LiveAvatar shows her", "LiveAvatar la muestra"),
    "shop": ("Shopify knows the customer", "Shopify conoce al cliente"),
    "no_key": ("needs a key: see Keys below", "falta la llave: ve a Llaves, abajo"),
    "keys": ("Keys", "Llaves"),
    "call": ("Call Clara", "Llamar a Clara"),
    "hang_up": ("Hang up", "Colgar"),
    "say": ("Say", "Decir"),
    "say_hint": ("The offline voice speaks it to her", "La voz sin conexión se lo dice"),
    "type": ("Type", "Escribir"),
    "type_hint": ("Send it as typed text (Enter)", "Enviarlo escrito (Enter)"),
    "interrupt": ("Interrupt", "Interrumpir"),
    "interrupt_hint": ("Stop Clara now", "Callar a Clara ahora"),
    "line": ("Speak or write to Clara…", "Háblale o escríbele a Clara…"),
    "ready": ("Nobody is on the line.", "No hay nadie en línea."),
    "connecting": ("Connecting…", "Conectando…"),
    "ending": ("Hanging up; the record is being written…", "Colgando; se guarda el registro…"),
    "over": ("The conversation is over; it is below.", "La conversación terminó; está más abajo."),
    "soon": ("Clara is about to speak", "Clara está por hablar"),
    "IDLE": ("Clara waits", "Clara espera"),
    "USER_SPEAKING": ("The customer speaks", "Habla el cliente"),
    "PROCESSING": ("Clara thinks", "Clara piensa"),
    "AVATAR_SPEAKING": ("Clara speaks", "Habla Clara"),
    "INTERRUPTED": ("Clara was interrupted", "Interrumpieron a Clara"),
    "who_customer": ("customer", "cliente"),
    "who_typed": ("customer (typed)", "cliente (escrito)"),
    "offline": ("offline: no number here is a vendor’s", "sin conexión: ningún número es de un proveedor"),
    "live_badge": ("LIVE: this costs money", "EN VIVO: esto cuesta dinero"),
    "no_sound": ("this avatar gives no sound to the page", "este avatar no entrega su sonido a la página"),
    "turn": ("turn", "turno"),
    "first_sound": ("first sound after", "primer sonido tras"),
    "cost": ("the vendors’ tokens would cost", "los tokens del proveedor costarían"),
    "spent": ("spent", "gastado"),
    "unpriced": ("not counted", "sin contar"),
    "limit_usd": ("Stop at (USD)", "Parar en (USD)"),
    "limit": ("Hung up: the spending limit was reached", "Se colgó: se llegó al límite de gasto"),
    "language": ("Language", "Idioma"),
    "runs": ("Recorded conversations", "Conversaciones grabadas"),
    "no_runs": ("None.", "Ninguna."),
    "filter": ("Filter: any words", "Filtrar: cualquier palabra"),
    "refresh": ("Look again", "Mirar de nuevo"),
    "open": ("Open", "Abrir"),
    "col_when": ("when", "cuándo"),
    "col_title": ("title", "título"),
    "col_customer": ("customer", "cliente"),
    "col_prompt": ("prompt", "prompt"),
    "col_mix": ("what was real", "qué fue real"),
    "col_turns": ("turns", "turnos"),
    "col_first_sound": ("first sound after (median)", "primer sonido tras (mediana)"),
    "col_interruptions": ("interruptions", "interrupciones"),
    "col_ended": ("how it ended", "cómo terminó"),
    "col_size": ("size", "tamaño"),
    "compare_title": ("Two prompts side by side", "Dos prompts, uno al lado del otro"),
    "simulated": ("simulated, with the offline voice", "simulado, con la voz sin conexión"),
    "left": ("Prompt on the left", "Prompt a la izquierda"),
    "right": ("Prompt on the right", "Prompt a la derecha"),
    "questions": ("Questions, one a line", "Preguntas, una por línea"),
    "question": ("question", "pregunta"),
    "compare": ("Compare", "Comparar"),
    "same": ("{same} of {all} answers are the same", "{same} de {all} respuestas son iguales"),
    "hear": ("Hear this answer", "Oír esta respuesta"),
    "struck": ("Struck through: never heard.", "Tachado: nunca se oyó."),
}


def usual_language() -> Language:
    """What `CLARA_LANGUAGE` says (en or es); English where it says nothing, or something else."""
    return "es" if os.environ.get(VARIABLE, "").strip().lower().startswith("es") else "en"


def spoken_in(language: Language) -> dict[str, str]:
    """Every label in one language."""
    return {name: texts[language == "es"] for name, texts in WORDS.items()}
