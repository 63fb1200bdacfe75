"""`branch(run, …)`: enter any moment of a recorded conversation again, say something else, and get the other answer.

A branch is a run like any other: it begins with what was recorded, decided again, and goes on in the simulated world
(`onward.py`). Branches of branches are a tree. Equal arguments give equal bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
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
from clara_kit.core.settings import Settings
from clara_kit.lab.apart import Piece, marked
from clara_kit.lab.briefings import Customer
from clara_kit.lab.deciding import changes
from clara_kit.lab.onward import Note, Onward
from clara_kit.lab.recorded import Recorded
from clara_kit.lab.retold import Told, retold
from clara_kit.lab.sentences import Language, table
from clara_kit.lab.shelf import kept
from clara_kit.lab.stepping import Moment, Stepper
from clara_kit.lab.voiced import TAIL_MS, Recording, recording_of, voiced
from clara_kit.measure.ledger import Turn
from clara_kit.measure.run import Run
from clara_kit.prompts.template import PromptTemplate
from clara_kit.runtime.run_log import RunLog, write_whole
from clara_kit.turns import usual_policies
from clara_kit.world.brain import LLM, Brain
from clara_kit.world.personas import Persona

OF = "branch"  # what a run's inputs call where it comes from


@dataclass(eq=False, kw_only=True)
class Branch:
    """A node of the tree: a run, and the moment `at_ms`, after its event number `step`, from which one goes on.

    parent: what it came from; None for the recorded run. number: its place in the tree, as "2.1"; "" for the recorded run.
    kept: the folder that it was written to.
    """

    run: Run
    step: int
    at_ms: float
    parent: Branch | None = None
    number: str = ""
    name: str = ""
    recording: Recording | None = field(default=None, repr=False)
    kept: Path | None = None
    children: list[Branch] = field(default_factory=list)
    _before: Talk = field(init=False, repr=False)
    _asked: int = 0  # how many there have been: no number is given twice

    def go_on(
        self, line: str, *, settings: Settings | Mapping[str, Any] | None = None,
        template: PromptTemplate | Prompt | str | None = None, customer: Customer | None = None, cuts_in: bool = True,
        step: int | None = None, at_ms: float | None = None, name: str = "", llm: LLM | Brain = "scripted",
    ) -> Branch:  # fmt: skip
        """The other answer to this moment: `line` typed in it, with another prompt, customer or settings where given.

        settings: all of them, or only those that change. template, customer: as `simulate` takes them. cuts_in: the line comes
        now, whatever is under way; else once that has come to its end. step, at_ms: go on from another moment of this node.
        llm: who writes the answers, as `brain_for` knows them, or a brain (default: the scripted one, at this run's medians).
        Raises `ClaraError` where the line is empty, or something given cannot be used.
        """
        if not line.strip():
            raise ClaraError("There is no line to go on with.", hint="write what the customer says next.")
        at = self if step is None and at_ms is None else self._at(step, at_ms)
        told, before = retold(self.run, template, customer), at._again.talk
        changed = _changed(before.settings, settings)
        conversation = Conversation(talk=before.copy(), policies=usual_policies())
        conversation.talk.now_ms = at.at_ms
        conversation.trace[:] = at._again.trace
        brain = _brain(llm, before.settings.with_changes(**changed))
        world = Onward(at._recorded, conversation, at.step, told, changed, brain)
        under_way = None if before.is_quiet else "cut" if cuts_in else "continued"
        try:
            world.go_on(line, cuts_in=cuts_in)
        finally:
            if brain is not llm and brain is not None:
                brain.close()  # type: ignore[attr-defined]
        version = tuple(at._again.trace) != self.run.trace[: len(at._again.trace)]
        notes = [*((name, {}) for name in (*("version",) * version, *told.notes)), *world.notes(before, under_way)]
        about = {
            "of": self.id, "step": at.step, "at_ms": at.at_ms, "line": told.placeholders.hide(line), "settings": changed,
            "template": told.inputs["template"] if template is not None else None,
            "customer": _name(customer, told), "under_way": under_way, "notes": [list(note) for note in notes],
        }  # fmt: skip
        inputs = self._inputs(told, about, "sim" if brain is None else brain.mode)
        if brain is not None:
            inputs["written"] = world.writer.written
        run = Run(inputs=inputs, trace=tuple(conversation.trace), words=world.door.placeholders.map)
        child = self._grown(run, name)
        who = at._recorded.sounding(at.step + 1)
        child.recording = at.recording and at.recording.shared(at.at_ms, who, self.run, run)
        return child

    def _grown(self, run: Run, name: str = "", kept: Path | None = None) -> Branch:
        """A new node below this one."""
        self._asked += 1
        number = f"{self.number}.{self._asked}".strip(".")
        title = f"{self.root.run.title or self.root.run.run_id} ▸ {number}"
        run = run if kept else replace(run, facts={"title": title})
        step, at_ms = _moment(run, None, None)
        child = Branch(run=run, step=step, at_ms=at_ms, parent=self, number=number, name=name or number, kept=kept)
        self.children.append(child)
        return child

    # --- what it is -------------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """What stands for it in those that come from it: the same whether it is kept or not."""
        return self.run.experiment_id if OF in self.run.inputs else self.run.run_id

    @property
    def root(self) -> Branch:
        """The recorded run."""
        return self if self.parent is None else self.parent.root

    @property
    def about(self) -> dict[str, Any]:
        """Where its run comes from, as its inputs have it; empty for a recorded one."""
        about = self.run.inputs.get(OF)
        return dict(about) if isinstance(about, dict) else {}

    @property
    def from_ms(self) -> float:
        """Until when its run is its parent's, record for record."""
        return float(self.about.get("at_ms", 0.0))

    @cached_property
    def moment(self) -> Moment:
        """The moment from which one goes on: what happened and was decided, what Clara remembers (what was heard of her)."""
        _ = self._again
        stepper = Stepper(self.run.trace, self.run.settings, words=self._words)
        return stepper.knows(self.step, self._before).moment(self.step)

    @cached_property
    def turn(self) -> Turn | None:
        """The turn of the line, with its times; None for a recorded run."""
        number, typed = -1, False
        for record in self.run.trace if self.about else ():
            number += isinstance(record, ev.Event)
            typed = typed or (number > self.about["step"] and type(record) is ev.TextTyped)
            if typed and isinstance(record, do.RequestReply | do.AskBackup):
                return next((turn for turn in self.run.ledger if turn.turn_id == record.turn_id), None)
        return None

    @property
    def line(self) -> str:
        """What was typed."""
        return fill(str(self.about.get("line") or ""), self._words)

    @property
    def answer(self) -> str:
        """What Clara answered to the line, as far as it was heard."""
        turn = self.turn
        return "" if turn is None else fill(turn.clara if turn.heard is None else turn.heard, self._words)

    @property
    def notes(self) -> tuple[Note, ...]:
        """What `told` tells, by the names in `sentences.yml`."""
        return tuple((name, dict(values)) for name, values in self.about.get("notes") or ())

    def told(self, language: Language = "en") -> tuple[str, ...]:
        """What was under way at the moment and what became of it, and what is not as it was recorded, in sentences."""
        texts = table("branches")
        return tuple(fill(texts[name][language == "es"].format(**values), self._words) for name, values in self.notes)

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

        From and to which time, in ms; by default from the line to the end. Raises `AudioError` where there is no voice.
        """
        begin = self.from_ms if from_ms is None else from_ms
        end = self.run.events[-1].at_ms + TAIL_MS if to_ms is None else to_ms
        return wav_bytes(*voiced(self.run, self.run.words, self.recording, begin, end))

    # --- keeping ----------------------------------------------------------------------------------------

    def keep(self, title: str = "", *, root: Path | str | None = None, sound: bool = True) -> Run:
        """Write it to `data/runs` (or `root`) as a run like any other, with its sound. Raises `RunLogError`.

        A real customer's words are not written: where they stood in the recorded run, placeholders stand here.
        """
        if self.parent is None:
            raise ClaraError("This is the recorded run itself.", hint="keep what was gone on from it.")
        title = title or (self.name if self.name != self.number else self.run.title)
        run_log = RunLog(self.run.inputs, title=title, root=root)
        run_log.facts["branch_of"] = self.about["of"]
        if sound:
            write_whole(run_log.sound_path, self.sound(0.0))
        run = run_log.close(list(self.run.trace), words=self._words)
        self.name, self.kept = title, run.folder
        return run

    def gather(self, root: Path | str | None = None) -> None:
        """Put beneath it what was kept of it under `root` (default `data/runs`), the oldest first."""
        there = {node.kept for node in self.walk()}
        for one in reversed(kept(root)):
            if one.branch_of == self.id and one.folder not in there:
                child = self._grown(one.load(), one.title, one.folder)
                child.recording = recording_of(child.run)
                child.gather(root)

    def drop(self) -> None:
        """Take it out of the tree, with all that came of it; what was kept stays on the shelf."""
        if self.parent is not None and self in self.parent.children:
            self.parent.children.remove(self)

    def __repr__(self) -> str:
        of = self.root.run.run_id
        if self.parent is None:
            count = len([*self.walk()]) - 1
            return printable(f"<Branch of {of} at {self.at_ms / 1000:.2f} s: {count} went on from it>")
        wait = "" if self.turn is None or self.turn.total_ms is None else f", after {self.turn.total_ms:.0f} ms"
        said = f"«{self.line}» → «{self.answer}»{wait}"
        return printable(f"<Branch {self.name} of {of} at {self.from_ms / 1000:.2f} s: {said}, {self.run.mix}>")

    # --- inside -----------------------------------------------------------------------------------------

    @property
    def _words(self) -> dict[str, str]:
        """What may be shown and written of the customer's words: an invented one has nothing to protect."""
        return {} if self.run.modes.get("shop", "").startswith("live") else self.run.words

    @cached_property
    def _recorded(self) -> Recorded:
        return Recorded(self.run)

    @cached_property
    def _again(self) -> Conversation:
        """Decided again up to the moment: decisions are pure, so what stands there is what was."""
        conversation = Conversation(self.run.settings, policies=usual_policies())
        for event in self.run.events[: self.step]:
            conversation.handle(event)
        self._before = conversation.snapshot()
        conversation.handle(self.run.events[self.step])
        return conversation

    def _at(self, step: int | None, at_ms: float | None) -> Branch:
        """The same node at another moment."""
        step, at_ms = _moment(self.run, step, at_ms)
        return Branch(run=self.run, step=step, at_ms=at_ms, parent=self.parent, recording=self.recording)

    def _inputs(self, told: Told, about: dict[str, Any], llm: str) -> dict[str, Any]:
        """The recorded run's inputs, but for what is not as it was, and where this comes from."""
        inputs = {**self.run.inputs, **told.inputs, OF: about, "policies": usual_policies().to_dict()}
        inputs.pop("script", None)  # it is not what the customer said here
        modes = dict(inputs.get("modes") or {})
        now = [("llm", llm), ("tts", "sim"), ("avatar", "sim")]
        if about["settings"].get("enable_auto_fallback", "backup" in modes):
            now.append(("backup", "sim"))
        for name, mode in now:
            before = str(modes.get(name, mode))
            modes[name] = before if before.split()[-1] == mode else f"{before} then {mode}"
        return {**inputs, "modes": modes}


def branch(run: Run | str | Path, step: int | None = None, *, at_ms: float | None = None) -> Branch:
    """Enter a recorded run again right after event number `step` (from 0), or at a time.

    By default at its end, before it was hung up. run: a `Run`, live, twin or simulated, or a path to one.
    Raises `RunLogError` if it cannot be read, `ClaraError` where it has no such moment.
    """
    run = run if isinstance(run, Run) else Run.load(run)
    step, at_ms = _moment(run, step, at_ms)
    return Branch(run=run, step=step, at_ms=at_ms, recording=recording_of(run))


def _moment(run: Run, step: int | None, at_ms: float | None) -> tuple[int, float]:
    """A step and a time that one can go on from: not past the end, where somebody hung up."""
    events = run.events
    last = next((n for n, event in enumerate(events) if type(event) is ev.ConversationStopped), len(events)) - 1
    if step is None:
        step = last if at_ms is None else max((n for n, event in enumerate(events) if event.at_ms <= at_ms), default=0)
    if last < 0 or not 0 <= step < len(events):
        raise ClaraError(f"This run has no moment {step}.", hint=f"it has {len(events)} events, from 0.")
    step = min(step, last)
    begin_ms = max(e.at_ms for e in events[: step + 1])
    end_ms = max(begin_ms, events[step + 1].at_ms) if step + 1 < len(events) else begin_ms
    return step, begin_ms if at_ms is None else min(max(begin_ms, float(at_ms)), end_ms)


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


def _brain(llm: LLM | Brain, settings: Settings) -> Brain | None:
    if not isinstance(llm, str):
        return llm
    if llm == "scripted":
        return None
    from clara_kit.lab.calls.brains import brain_for  # brings the vendor's library

    return brain_for(llm, settings)


def _name(customer: Customer | None, told: Told) -> str | None:
    """An invented customer's name; of anybody else what stands for them."""
    if customer is None or isinstance(customer, str):
        return customer
    return customer.name if isinstance(customer, Persona) else str(told.inputs["customer"])
