"""What widgets say of an error, in the language of the page: every text of the code has its Spanish."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from clara_kit import Desk, Fault, data_files
from clara_kit.core import events as ev
from clara_kit.core.commands import SwitchTo
from clara_kit.core.errors import ClaraError, ScriptError, SettingsError, TemplateError
from clara_kit.core.settings import Keys, Settings
from clara_kit.prompts.template import PromptTemplate
from clara_kit.runtime.compose import compose
from clara_kit.runtime.ending import worded
from clara_kit.shop.errors import from_status
from clara_kit.widgets.telling import lasting, tell
from clara_kit.widgets.view import HERE
from clara_kit.world.personas import Persona
from tests.widgets.messages import messages

TABLE: dict[str, str] = data_files.data(HERE / "errors.yml")


def test_no_widget_shows_an_error_past_tell() -> None:
    for file in HERE.glob("*.py"):
        for number, line in enumerate(file.read_text("utf-8").splitlines(), start=1):
            assert not re.search(r"str\(exc\)|\{exc\}", line), f"{file.name}:{number}: show tell(exc, language)"


def bare(text: str) -> str:
    return text.strip("{}. :()")


def test_every_error_that_a_widget_can_show_has_its_spanish() -> None:
    found, known = messages(), set(map(bare, TABLE))
    assert len(found) > 400
    missing = [f'"{text}": ""  # {where}' for text, where in found.items() if bare(text) not in known]
    missing = [line for line in missing if re.search("[a-z]{2}", line.replace("HTTP", "").partition('":')[0])]
    assert not missing, "in clara_kit/widgets/errors.yml lack:\n" + "\n".join(missing)


def test_a_spanish_text_puts_in_all_that_the_english_one_does_and_no_more() -> None:
    for english, spanish in TABLE.items():
        holes, places = english.count("{}"), re.findall(r"\{(\d?)\}", spanish)
        assert sorted(places) in ([""] * holes, [str(n) for n in range(holes)]), english


def raised(code: str) -> ClaraError:
    with pytest.raises(ClaraError) as caught:
        {
            "no key": lambda: compose("twin", llm="live", keys=Keys()),
            "no customer": lambda: Persona.load("nobody"),
            "no variable": lambda: PromptTemplate.from_source(PromptTemplate.load("warm").source.replace("first_name }}", "firstname }}")),
            "bad setting": lambda: Settings.of(turn_hold_ms=-1),
        }[code]()  # fmt: skip
    return caught.value


@pytest.mark.parametrize(
    ("code", "spanish"),
    [
        ("no key", r"Falta ANTHROPIC_API_KEY\. Qué hacer: consíguela en https://\S+ y escribe ANTHROPIC_API_KEY=\.\.\. en el archivo \.env\."),
        ("no customer", r"No hay ningún cliente inventado 'nobody'\. Qué hacer: usa uno de: .*camila.*"),
        ("no variable", r".*, línea \d+: Nada entrega la variable firstname\. Qué hacer: ¿quisiste decir first_name\?"),
        ("bad setting", r"Un ajuste está mal\. turn_hold_ms: .* Qué hacer: mira en Settings los nombres y los rangos\."),
    ],
)  # fmt: skip
def test_errors_as_they_come_are_told_in_spanish_with_what_to_do(code: str, spanish: str) -> None:
    error = raised(code)
    assert re.fullmatch(spanish, tell(error, "es"))
    assert tell(error, "en") == str(error)


def test_the_setting_decides_where_nobody_says_which_language(monkeypatch: pytest.MonkeyPatch) -> None:
    error = SettingsError("STT_MODEL is not set.", hint="try again.")
    monkeypatch.setenv("CLARA_LANGUAGE", "es_CL")
    assert tell(error) == "Falta STT_MODEL. Qué hacer: inténtalo de nuevo."
    monkeypatch.delenv("CLARA_LANGUAGE")
    assert tell(error) == str(error)


def test_a_vendors_failure_and_an_end_are_told_and_its_own_codes_stay() -> None:
    refused = from_status(401, {"x-request-id": "0123abcd-0123-0123-0123-0123456789ab"}, None)
    told = tell(refused, "es")
    assert told.startswith(
        "Shopify rechazó el token (HTTP 401, petición 0123abcd-0123-0123-0123-0123456789ab). Qué hacer:"
    )
    asleep = "no word of the customer for 5 minutes (ABSENCE_MS)"
    assert tell(asleep, "es") == "el cliente no dijo nada durante 5 minutos (ABSENCE_MS)"
    assert tell(ClaraError(f"The conversation was ended: {asleep}.", hint="start a new one."), "es") == (
        "La conversación terminó: el cliente no dijo nada durante 5 minutos (ABSENCE_MS). Qué hacer: inicia una nueva."
    )


def test_an_error_within_an_error_is_told_too() -> None:
    inner = TemplateError("There is no block saludo.", file="mine.md", line=3)
    told = tell(ScriptError(f"demo.yaml, line 2: {inner.message}"), "es")
    assert told == "demo.yaml, línea 2: mine.md, línea 3: No existe el bloque saludo."
    assert tell(worded(PermissionError(13, "Permission denied")), "es").startswith("No se pudo guardar: ")


@pytest.mark.parametrize(
    ("english", "spanish"),
    [
        ("There is no readable run at /x/y: manifest.json: It cannot be read: No such file or directory.",
         "No hay una conversación legible en /x/y: manifest.json: No se puede leer: no existe ese archivo o carpeta."),
        ("LiveAvatar refused the key at /v1/sessions/token (HTTP 401, code 4001).",
         "LiveAvatar rechazó la llave en /v1/sessions/token (HTTP 401, código 4001)."),
        ("Clara gave no answer within 8 s; the state is IDLE. Anthropic is overloaded or has an internal error (HTTP 529).",
         "Clara no respondió en 8 s; el estado es IDLE. Anthropic está sobrecargado o tiene un error interno (HTTP 529)."),
        ("Anthropic does not serve claude-x any more. claude-x was retired by Anthropic on 2026-01-01: requests to it "
         "fail. Use claude-y. (HTTP 404).",
         "Anthropic ya no ofrece claude-x. Anthropic retiró claude-x el 2026-01-01: ya no responde. Usa claude-y. (HTTP 404)."),
        ("products.json, product 3 (crema): a price of $0 makes no sense.",
         "products.json, producto 3 (crema): un precio de $0 no tiene sentido."),
        ("demo.yaml, line 3: llm: a stage has one law.", "demo.yaml, línea 3: llm: una etapa tiene una sola ley."),
    ],
)  # fmt: skip
def test_texts_that_are_put_together_are_told_piece_by_piece(english: str, spanish: str) -> None:
    assert tell(english, "es") == spanish


def test_what_nobody_knows_stays_as_it_is() -> None:
    words = "Etwas ganz anderes; 3 Dinge (von dort)"
    assert tell(words, "es") == words == tell(words, "en")


def test_a_failure_lasts_until_its_own_service_works_again() -> None:
    failed = ev.ProviderFailed(
        at_ms=1, service="llm", kind="overloaded", message="Anthropic gave up waiting.", retryable=True
    )
    elsewhere = ev.ProviderRecovered(at_ms=2, service="stt")
    assert lasting([failed, elsewhere]) is failed and lasting([elsewhere], failed) is failed
    answered = ev.ReplyCompleted(at_ms=3, reply_id=1, stop_reason="end_turn")
    dropped = ev.ReplyCompleted(at_ms=3, reply_id=1, stop_reason="cancelled")
    assert lasting([dropped], failed) is failed
    assert lasting([answered], failed) is None and lasting([answered, failed]) is failed
    assert tell(failed, "es") == "Anthropic se cansó de esperar."
    backup = ev.ProviderFailed(at_ms=4, service="backup", kind="cut", message="It is over.", retryable=False)
    assert (
        lasting([backup, SwitchTo(at_ms=4, reason="", service="avatar", target="")]) is None
    )  # Clara's own face is back


async def test_a_vendor_that_fails_in_mid_conversation_is_told_at_the_desk(tmp_path: Path) -> None:
    desk = Desk(log_root=tmp_path, language="es")
    desk.choose(speed="fast")
    clara = await desk.call()
    await clara.until(clara.state.IDLE)
    clara.inject(Fault(service="llm", kind="refuse", status=401))
    await desk.type("¿Hacen despachos?")
    async with asyncio.timeout(60):
        while not desk._view.problem:
            await asyncio.sleep(0.05)
    await desk.hang_up()
    assert re.match(
        r"Anthropic rechazó la llave \(HTTP 401.*\)\. Qué hacer: revisa ANTHROPIC_API_KEY", desk._view.problem
    )
    assert desk._keys.status("anthropic") in ("todavía sin llave", "ya está puesta")
