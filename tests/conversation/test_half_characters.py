"""Half a character, wherever it comes in: joined where its other half comes too, U+FFFD where not, and nothing else is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec
import pytest

from clara_kit import (
    Conversation,
    ConversationManager,
    ConversationState,
    PromptTemplate,
    Run,
    Settings,
    compose,
    data_files,
    replay,
    simulate,
)  # fmt: skip
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.errors import ClaraError
from clara_kit.core.profile import CustomerProfile, Purchase
from clara_kit.core.prompt import Prompt
from clara_kit.core.records import Record
from clara_kit.core.text import whole
from clara_kit.measure import codec
from clara_kit.world.script import Script

S = ConversationState
FIRST, SECOND = "\ud83d", "\ude42"  # 🙂 in two halves
ASK = "¿Hacen despachos a regiones?"


def ask(conversation: Conversation, *deltas: str, reply_id: int = 1) -> list[do.Command]:
    """Somebody types half a character; the model answers in these deltas. Returns what was ordered."""
    done = [*conversation.handle(ev.TextTyped(at_ms=1000 * reply_id, text=f"Hola {FIRST}"))]
    for n, text in enumerate(deltas):
        done += conversation.handle(ev.ReplyDelta(at_ms=1000 * reply_id + 10 + n, reply_id=reply_id, text=text))
    done += conversation.handle(
        ev.ReplyCompleted(at_ms=1000 * reply_id + 100, reply_id=reply_id, stop_reason="end_turn")
    )
    return done


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("Hola", "Hola"), ("¿Ñandú? 🙂", "¿Ñandú? 🙂"), (FIRST + SECOND, "🙂"), (FIRST, "\ufffd"), (SECOND, "\ufffd"),
        (SECOND + FIRST, "\ufffd\ufffd"), (f"{FIRST}{FIRST}{SECOND}{SECOND}a", "\ufffd🙂\ufffda"), ("a\0b\x1f\ufffe", "a\0b\x1f\ufffe"),
        ({"a" + FIRST: [FIRST, (SECOND, 1, None)]}, {"a\ufffd": ["\ufffd", ("\ufffd", 1, None)]}),
    ],
)  # fmt: skip
def test_halves_are_joined_or_replaced_and_all_else_stays(text: Any, made: Any) -> None:
    assert whole(text) == made
    assert whole(made) == made


@pytest.mark.parametrize(
    ("deltas", "said"),
    [
        (["¡Hola ", FIRST, SECOND, "! Te ayudo."], "¡Hola 🙂! Te ayudo."),
        ([f"¡Hola {FIRST}", f"{SECOND}! Te ayudo."], "¡Hola 🙂! Te ayudo."),
        ([f"Hola {FIRST}", "", "", f"{SECOND}."], "Hola 🙂."),
        ([f"Hola {FIRST}", "a. Sí."], "Hola \ufffda. Sí."),
        ([f"Hola {SECOND}. Sí", FIRST], "Hola \ufffd. Sí\ufffd"),
        ([f"Hola {FIRST}", f"{FIRST}{SECOND} sí."], "Hola \ufffd🙂 sí."),
    ],
)
def test_a_reply_streamed_in_half_characters_is_spoken_whole_and_the_next_request_goes_out(
    deltas: list[str], said: str
) -> None:
    conversation = Conversation(Settings.of(greeting=""))
    done = ask(conversation, *deltas)
    assert " ".join(c.text for c in done if isinstance(c, do.Speak)) == said
    assert "".join(r.text for r in conversation.trace if isinstance(r, ev.ReplyDelta)) == said
    utterance = next(c.utterance_id for c in done if isinstance(c, do.Speak))
    conversation.handle(ev.SpeakingStarted(at_ms=1200, utterance_id=utterance))
    conversation.handle(ev.SpeakingEnded(at_ms=1900, utterance_id=utterance))
    (request,) = [c for c in ask(conversation, reply_id=2) if isinstance(c, do.RequestReply)]
    assert [m.text for m in request.messages] == ["Hola \ufffd", said, "Hola \ufffd"]
    assert codec.to_jsonl(conversation.trace).encode()


def test_a_half_of_a_reply_that_was_cancelled_is_not_told_in_the_next() -> None:
    conversation = Conversation(Settings.of(greeting=""))
    conversation.handle(ev.TextTyped(at_ms=0, text="Hola"))
    conversation.handle(ev.ReplyDelta(at_ms=1, reply_id=1, text=f"Hola {FIRST}"))
    done = ask(conversation, f"{SECOND} Sí.", reply_id=2)
    assert [c.text for c in done if isinstance(c, do.Speak)] == ["\ufffd Sí."]


def _with_half(kind: Any, name: str) -> Any:
    """A value of this kind, its text in halves."""
    if kind is str:
        return f"{name} {FIRST}"
    if hasattr(kind, "__struct_fields__"):
        return kind(**{n: _with_half(k, n) for n, k in get_type_hints(kind).items()})
    if getattr(kind, "__origin__", None) is tuple:
        return (_with_half(get_args(kind)[0], name),)
    return 1


@pytest.mark.parametrize("kind", ev.Event.__subclasses__())
def test_no_event_brings_half_a_character_into_the_trace(kind: type[ev.Event]) -> None:
    fields = {n: _with_half(k, n) for n, k in get_type_hints(kind).items()}
    if kind is ev.SettingsChanged:
        fields["changes"] = (("apology", f"Perdón {FIRST}"),)
    conversation = Conversation()
    conversation.handle(kind(**fields))
    conversation.handle(ev.ReplyCompleted(at_ms=2, reply_id=1, stop_reason="end_turn"))
    assert conversation.trace
    msgspec.json.encode(conversation.trace)
    assert not any("internal error" in getattr(r, "reason", "") for r in conversation.trace)


async def test_a_conversation_with_halves_everywhere_is_answered_written_and_read_again(tmp_path: Path) -> None:
    settings = Settings.of(greeting=f"Hola {FIRST}", apology=FIRST, local_vad=False)
    prompt = Prompt(static=f"Eres Clara {FIRST}{SECOND} {FIRST}.")
    clara = ConversationManager(
        compose("sim", llm="twin", latency="fast", settings=settings, prompt=prompt), log_root=tmp_path, title=FIRST, tags=(SECOND,),
        extra_inputs={f"mine {FIRST}": FIRST + SECOND},
    )  # fmt: skip
    async with clara:
        await clara.until(S.AVATAR_SPEAKING)
        await clara.until(S.IDLE)
        await clara.type(f"{ASK} {FIRST}")
        await clara.until(S.AVATAR_SPEAKING)
        await clara.until(S.IDLE)
        turn = await clara.ask(f"¿Cuánto cuesta el protector\0 solar? {FIRST}{SECOND}", timeout_s=30)
    assert turn.clara.startswith("El protector Sol Ligero")
    run = clara.run
    assert run is not None and run.folder is not None and run.facts["title"] == run.facts["tags"][0] == "\ufffd"
    assert run.inputs["mine \ufffd"] == "🙂" and run.inputs["prompt"] == "Eres Clara 🙂 \ufffd."
    loaded = Run.load(run.folder)
    assert loaded.trace == run.trace and loaded.inputs == run.inputs and loaded.experiment_id == run.experiment_id
    assert loaded.problems == () and replay(loaded).same


def test_templates_and_customers_with_halves_are_told_whole() -> None:
    source = PromptTemplate.load("warm").source.replace("Clara", f"Clara {FIRST}{SECOND} {FIRST}")
    template = PromptTemplate.load("warm").with_source(source)
    someone = CustomerProfile(
        first_name=f"Ana{FIRST}{SECOND}",
        skin_type="Seca",
        purchases=(Purchase(handle="x", title=f"Crema {FIRST}", days_ago=9),),
    )
    run = simulate([f"Hola {FIRST}"], template=template, customer=someone)
    prompt = template.render(someone).prompt.text
    assert prompt.encode() and "Clara 🙂 \ufffd" in prompt and "Ana🙂" in prompt
    assert run.revealed().ledger[0].clara.startswith("¡Hola, Ana🙂!") and run.revealed().to_jsonl().encode()


def test_data_files_may_write_a_character_in_two_halves_as_json_does(tmp_path: Path) -> None:
    for name in ("a.yaml", "a.json"):
        (tmp_path / name).write_text('{"\\ud83d\\ude42": ["\\ud83d", "\\\\ud83d"]}')
        assert data_files.data(tmp_path / name) == {"🙂": ["\ufffd", "\\ud83d"]}


def test_what_a_policy_of_ones_own_writes_in_halves_is_written_whole() -> None:
    records: list[Record] = [do.Notify(at_ms=1, reason=FIRST, message=FIRST + SECOND)]
    (read,) = codec.from_log(codec.to_log(records).strip())
    assert read == codec.from_line(codec.to_line(records[0])) == do.Notify(at_ms=1, reason="\ufffd", message="🙂")


def test_what_is_refused_with_half_a_character_in_it_can_be_shown(tmp_path: Path) -> None:
    for refused in (
        lambda: Run.load("/nowhere/\ud83d"), lambda: PromptTemplate.load("\ud83d"), lambda: Script.load("\ud83d\ude42"),
    ):  # fmt: skip
        with pytest.raises(ClaraError) as caught:
            refused()
        assert str(caught.value).encode()
