"""`branch(run, …)`: enter any moment of a recorded conversation again, say something else, and get the other answer.

A branch is a run like any other: it begins with what was recorded, decided again, and goes on in the simulated world
(`onward.py`). Branches of branches are a tree. Equal arguments give equal bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from clara_kit.audio.wav import wav_bytes
from clara_kit.conversation.conversation import Conversation
from clara_kit.conversation.talk import Talk
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.errors import ClaraError, SettingsError
from clara_kit.core.outside import printable
from clara_kit.core.profile import fill
from clara_kit.core.prompt import Prompt
from clara_kit.core.records import HeardEstimated, Record
from clara_kit.core.settings import Settings
from clara_kit.lab.apart import Piece, marked
from clara_kit.lab.briefings import Customer
from clara_kit.lab.deciding import changes
from clara_kit.lab.onward import Onward
from clara_kit.lab.recorded import Recorded
from clara_kit.lab.retold import Told, retold
from clara_kit.lab.sentences import Language, table
from clara_kit.lab.stepping import Moment, Stepper
from clara_kit.lab.voiced import Recording, voiced
from clara_kit.measure.ledger import Turn
from clara_kit.measure.run import Run
from clara_kit.prompts.template import PromptTemplate
from clara_kit.runtime.run_log import RunLog, write_whole
from clara_kit.turns import usual_policies
from clara_kit.world.personas import Persona

Note = tuple[str, dict[str, str]]
"""A name of `sentences.yml`'s branches, and what stands in its braces."""
TAIL_MS = 400.0  # of silence after the last sound
EMPTY_WAV = 44  # bytes: a header alone


@dataclass(eq=False, kw_only=True)
class Branch:
    """A node of the tree: a run, and the moment `at_ms`, after its event number `step`, from which one goes on.

    parent: what it came from; None for the recorded run. number: its place in the tree, as "2.1"; "" for the recorded run.
    from_ms: until when it is its parent's, record for record. notes: what was under way then, and what is not as it was.
    """

    run: Run
    step: int
    at_ms: float
    parent: Branch | None = None
    name: str = ""
    number: str = ""
    from_ms: float = 0.0
    turn_id: int = 0
    notes: tuple[Note, ...] = ()
    children: list[Branch] = field(default_factory=list)
    recording: Recording | None = field(default=None, repr=False)
    _asked: int = 0  # how many there have been; a number is given once

    def go_on(
        self, line: str, *, settings: Settings | Mapping[str, Any] | None = None,
        template: PromptTemplate | Prompt | str | None = None, customer: Customer | None = None, cuts_in: bool = True,
        step: int | None = None, at_ms: float | None = None, name: str = "",
    ) -> Branch:  # fmt: skip
        """The other answer to this moment: `line` typed in it, with another prompt, customer or settings where given.

        settings: all of them, or only those that change. template, customer: as `simulate` takes them. cuts_in: the line comes
        now, whatever is under way; else once that has come to its end. step, at_ms: go on from another moment of this node.
        Raises `ClaraError` where the line is empty, or something given cannot be used.
        """
        if not line.strip():
            raise ClaraError("There is no line to go on with.", hint="write what the customer says next.")
        at = self if step is None and at_ms is None else self._at(step, at_ms)
        told, talk = retold(self.run, template, customer), at._talk
        changed = _changed(talk.settings, settings)
        conversation = Conversation(talk=talk.copy(), policies=usual_policies())
        conversation.talk.now_ms = at.at_ms
        conversation.trace[:] = at._prefix
        if changed:
            conversation.handle(ev.SettingsChanged(at_ms=at.at_ms, changes=tuple(changed.items())))
        world = Onward(
            at._recorded, conversation, at.step, briefing=told.briefing, prompt=told.prompt, placeholders=told.placeholders.fresh()
        )  # fmt: skip
        under_way = None if talk.is_quiet else "cut" if cuts_in else "continued"
        world.go_on(line, cuts_in=cuts_in)
        self._asked += 1
        number = f"{self.number}.{self._asked}".strip(".")
        inputs = self._inputs(told, {
            "of": self.id, "step": at.step, "at_ms": at.at_ms, "line": told.placeholders.hide(line), "settings": changed,
            "template": told.inputs["template"] if template is not None else None,
            "customer": _name(customer, told), "under_way": under_way,
        })  # fmt: skip
        words = dict(world.door.placeholders.map)
        trace = tuple(conversation.trace)
        run = Run(inputs=inputs, trace=trace, facts={"title": f"{self.root.title} ▸ {number}"}, words=words)
        typed = next(n for n, e in enumerate(run.events) if n > at.step and type(e) is ev.TextTyped)
        child = Branch(
            run=run, step=len(run.events) - 2, at_ms=run.events[-2].at_ms, parent=self, number=number, name=name or number,
            from_ms=at.at_ms,
            turn_id=_turn_after(run, typed), recording=at._recording(run), children=[],
            notes=(*at._notes(talk, trace, run.events[typed].at_ms, under_way, words), *((n, {}) for n in told.notes),
                   *(("assumed", {"what": what}) for what in dict.fromkeys(world.assumed))),
        )  # fmt: skip
        self.children.append(child)
        return child

    # --- where one stands -------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """What stands for it in those that come from it: the same whether it is kept or not."""
        return self.run.experiment_id if "branch" in self.run.inputs else self.run.run_id

    @property
    def root(self) -> Branch:
        """The recorded run."""
        return self if self.parent is None else self.parent.root

    @property
    def title(self) -> str:
        """What the run is called."""
        return self.run.title or self.run.run_id

    @cached_property
    def moment(self) -> Moment:
        """That moment: what happened, what was decided, what Clara remembers (what was heard of her, no more)."""
        return Stepper(self.run.trace, self.run.settings, words=self.run.shown().words and self.run.words).moment(
            self.step
        )

    @property
    def turn(self) -> Turn | None:
        """The turn of the line, with its times; None for the recorded run."""
        return next((turn for turn in self.run.ledger if turn.turn_id == self.turn_id), None) if self.parent else None

    @property
    def line(self) -> str:
        """What was typed."""
        return fill(str(self.about.get("line") or ""), self.run.words)

    @property
    def about(self) -> dict[str, Any]:
        """Where it comes from, as its inputs have it."""
        about = self.run.inputs.get("branch")
        return dict(about) if isinstance(about, dict) else {}

    @property
    def answer(self) -> str:
        """What Clara answered to the line, as far as it was heard."""
        turn = self.turn
        said = "" if turn is None else turn.clara if turn.heard is None else turn.heard
        return fill(said, self.run.words)

    def told(self, language: Language = "en") -> tuple[str, ...]:
        """What was under way at the moment and what became of it, and what is not as it was recorded, in sentences."""
        texts = table("branches")
        return tuple(texts[name][language == "es"].format(**values) for name, values in self.notes)

    def walk(self) -> Iterator[Branch]:
        """Itself and all that came of it, each before its own."""
        yield self
        for child in self.children:
            yield from child.walk()

    def beside(self, other: Branch) -> tuple[list[Piece], list[Piece]]:
        """Both answers in pieces, with what the other lacks marked."""
        return marked(self.answer, other.answer)

    # --- its sound --------------------------------------------------------------------------------------

    def sound(self, from_ms: float | None = None, to_ms: float | None = None) -> bytes:
        """A WAV with the customer left and Clara right: as recorded where it was, from there on the offline voice's.

        From and to which time, in ms; by default the answer alone. Raises `AudioError` where there is no voice.
        """
        begin = self.from_ms if from_ms is None else from_ms
        end = self.run.events[-1].at_ms + TAIL_MS if to_ms is None else to_ms
        return wav_bytes(*voiced(self.run, self.run.words, self.recording, begin, end))

    def sound_so_far(self) -> bytes:
        """The sound up to the moment from which one goes on."""
        return self.sound(self.run.sound_from_ms, self.at_ms)

    # --- keeping ----------------------------------------------------------------------------------------

    def keep(self, title: str = "", *, root: Path | str | None = None, sound: bool = True) -> Run:
        """Write it to `data/runs` (or `root`) as a run like any other, with its sound. Raises `RunLogError`.

        A real customer's words are not written: where they stood in the recorded run, placeholders stand here.
        """
        if self.parent is None:
            raise ClaraError("This is the recorded run itself.", hint="keep what was gone on from it.")
        title = title or (self.name if self.name != self.number else self.title)
        run_log = RunLog(self.run.inputs, title=title, root=root)
        if sound:
            write_whole(run_log.sound_path, self.sound(0.0))
        real = self.run.modes.get("shop", "").startswith("live")
        return run_log.close(list(self.run.trace), words={} if real else self.run.words)

    def drop(self) -> None:
        """Take it out of the tree, with all that came of it."""
        if self.parent is not None and self in self.parent.children:
            self.parent.children.remove(self)

    def __repr__(self) -> str:
        of = self.root.run.run_id
        if self.parent is None:
            return printable(
                f"<Branch of {of} at {self.at_ms / 1000:.2f} s: {len([*self.walk()]) - 1} went on from it>"
            )
        wait = "" if self.turn is None or self.turn.total_ms is None else f", after {self.turn.total_ms:.0f} ms"
        return printable(
            f"<Branch {self.name} of {of} at {self.from_ms / 1000:.2f} s: «{self.line}» → «{self.answer}»{wait}, {self.run.mix}>"
        )

    # --- inside -----------------------------------------------------------------------------------------

    @cached_property
    def _recorded(self) -> Recorded:
        return Recorded(self.run)

    @cached_property
    def _again(self) -> Conversation:
        """Decided again up to the moment: decisions are pure, so what stands there is what was."""
        conversation = Conversation(self.run.settings, policies=usual_policies())
        for event in self.run.events[: self.step + 1]:
            conversation.handle(event)
        return conversation

    @property
    def _talk(self) -> Talk:
        return self._again.talk

    @property
    def _prefix(self) -> list[Record]:
        return self._again.trace

    def _at(self, step: int | None, at_ms: float | None) -> Branch:
        """The same node at another moment."""
        step, at_ms = _moment(self.run, step, at_ms)
        return Branch(run=self.run, step=step, at_ms=at_ms, parent=self.parent, recording=self.recording)

    def _inputs(self, told: Told, about: dict[str, Any]) -> dict[str, Any]:
        """The recorded run's inputs, but for what is not as it was, and where this comes from."""
        inputs = {**self.run.inputs, **told.inputs, "branch": about, "policies": usual_policies().to_dict()}
        modes = dict(inputs.get("modes") or {})
        then = {
            name: mode for name, mode in modes.items() if name in ("llm", "tts", "avatar") and mode.split()[-1] != "sim"
        }
        return {**inputs, "modes": {**modes, **{name: f"{mode} then sim" for name, mode in then.items()}}}

    def _recording(self, child: Run) -> Recording | None:
        """What of the recorded sound a child shares."""
        if (one := self.recording) is None:
            return None
        until_ms = clara_ms = min(one.until_ms, self.at_ms)
        who = self._recorded.sounding(self.step + 1)
        if who is not None and until_ms == self.at_ms:
            ends = (_ends_ms(run, who) for run in (self.run, child))
            clara_ms = max(until_ms, min(one.clara_until_ms, *ends)) if _started(self._prefix, who) else until_ms
        return Recording(path=one.path, from_ms=one.from_ms, until_ms=until_ms, clara_until_ms=clara_ms)

    def _notes(
        self, talk: Talk, trace: tuple[Record, ...], line_ms: float, under_way: str | None, words: Mapping[str, str]
    ) -> Iterator[Note]:
        """What was under way at the moment, and what became of it."""
        if tuple(self._prefix) != self.run.trace[: len(self._prefix)]:
            yield "version", {}
        unanswered = fill(" ".join(filter(None, (talk.turn.question, talk.turn.interim))), words)
        if unanswered and under_way == "cut":
            yield "words", {"text": unanswered}
        elif talk.sounding:
            yield "sound", {}
        if under_way == "continued":
            yield "continued", {"seconds": f"{line_ms / 1000:.2f}"}
        if under_way != "cut":
            return
        fresh = trace[len(self._prefix) :]
        if (said := talk.utterance) is not None and said.phase == "sounding":
            cuts = (r for r in fresh if isinstance(r, HeardEstimated) and r.unheard)
            unheard = (
                fill(next(cuts).unheard, words)
                if any(isinstance(r, HeardEstimated) and r.unheard for r in fresh)
                else ""
            )
            yield ("cut", {"unheard": unheard}) if unheard else ("silenced", {})
        if talk.replies:
            yield "dropped", {}


def branch(run: Run | str | Path, step: int | None = None, *, at_ms: float | None = None) -> Branch:
    """Enter a recorded run again right after event number `step` (from 0), or after the last one up to `at_ms`.

    By default at its end, before it was hung up. run: a `Run`, live, twin or simulated, or a path to one.
    Raises `RunLogError` if it cannot be read, `ClaraError` where it has no such moment.
    """
    run = run if isinstance(run, Run) else Run.load(run)
    step, at_ms = _moment(run, step, at_ms)
    wav, recording = run.folder / "conversation.wav" if run.folder is not None else None, None
    if wav is not None and wav.is_file() and wav.stat().st_size > EMPTY_WAV:
        recording = Recording(path=wav, from_ms=run.sound_from_ms, until_ms=1e12, clara_until_ms=1e12)
    return Branch(run=run, step=step, at_ms=at_ms, recording=recording)


def _moment(run: Run, step: int | None, at_ms: float | None) -> tuple[int, float]:
    """A step and a time that one can go on from: not past the end, where somebody hung up."""
    events = run.events
    last = next((n for n, event in enumerate(events) if type(event) is ev.ConversationStopped), len(events)) - 1
    if step is None:
        step = last if at_ms is None else max((n for n, event in enumerate(events) if event.at_ms <= at_ms), default=0)
    if last < 0 or not 0 <= step < len(events):
        raise ClaraError(f"This run has no moment {step}.", hint=f"it has {len(events)} events, from 0.")
    step = min(step, last)
    begin_ms, end_ms = (
        max(e.at_ms for e in events[: step + 1]),
        events[step + 1].at_ms if step + 1 < len(events) else 1e12,
    )
    return step, min(max(begin_ms, begin_ms if at_ms is None else float(at_ms)), max(begin_ms, end_ms))


def _changed(now: Settings, wanted: Settings | Mapping[str, Any] | None) -> dict[str, Any]:
    """The settings that change, as an event can tell them. Raises `SettingsError`."""
    if wanted is None:
        return {}
    other = wanted if isinstance(wanted, Settings) else now.with_changes(**wanted)
    found = {name: value for name, (_, value) in changes(now, other).items()}
    for name, value in found.items():
        if not isinstance(value, bool | int | float | str):
            raise SettingsError(f"{name} cannot be changed in mid-conversation.", hint="leave it as it was recorded.")
    return found


def _name(customer: Customer | None, told: Told) -> str | None:
    """An invented customer's name; of anybody else what stands for them."""
    if customer is None:
        return None
    return (
        customer
        if isinstance(customer, str)
        else customer.name
        if isinstance(customer, Persona)
        else told.inputs["customer"]
    )


def _turn_after(run: Run, typed: int) -> int:
    """The turn that the line is part of: that of the first request after it."""
    step = -1
    for record in run.trace:
        step += isinstance(record, ev.Event)
        if step >= typed and isinstance(record, do.RequestReply):
            return record.turn_id
    return -1


def _ends_ms(run: Run, who: int) -> float:
    ends = (
        e.at_ms
        for e in run.events
        if isinstance(e, ev.SpeakingEnded | ev.SpeakingInterrupted) and e.utterance_id == who
    )
    return next(ends, run.events[-1].at_ms)


def _started(trace: list[Record], who: int) -> bool:
    return any(type(r) is ev.SpeakingStarted and r.utterance_id == who for r in trace)
