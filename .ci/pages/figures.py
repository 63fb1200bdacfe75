"""The figure that answers each criterion of the plan (`data/plan.yaml`), and how it was come by.

A function gets what was measured and the limit, and gives an answer; nothing in it is typed in by hand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from statistics import median
from typing import Any

import clara_kit
from clara_kit import ConversationState, ConversationStateMachine, FeatureFlags, Settings
from clara_kit.core import commands as do
from clara_kit.core import events as ev
from clara_kit.core.errors import ClaraError, InvalidTransition
from clara_kit.core.settings import PRESETS
from clara_kit.lab.shelf import kept
from clara_kit.lab.stepping import Stepper
from clara_kit.lab.survival.matrix import cells, matrix
from clara_kit.measure.run import Run
from clara_kit.measure.story import Story, Words
from clara_kit.world.script import Script
from pages.answers import COMPUTED, LIVE, NOT_BUILT, NOT_LIVE, SIM, TWIN, Answer, in_ms, of
from pages.measured import SCRIPT, Measured, asked_with, complete, middle, stages
from pages.shop_figures import greets_by_name, metafields_read, modules_load, profile_cache, prompts_filled

EVERY = 4  # of the conversations in which a service fails
LONG_MS = 1500  # a turn that lasts so long ought to bring words before its end


def answer(criterion: dict[str, Any], measured: Measured) -> Answer:
    """The answer to one criterion; one whose part is missing is not built, one that cannot be had says why."""
    needs, figure = criterion.get("needs"), criterion.get("figure")
    if needs and not hasattr(clara_kit, needs):
        return Answer(value=NOT_BUILT, mode="–", met=None)
    if figure is None:
        return Answer(value="built, and nothing measures it yet", mode="–", met=None)
    try:
        found = FIGURES[figure](measured, float(criterion.get("at_most_ms", 0)))
    except Exception as exc:  # one figure that cannot be had must not cost the others
        return Answer(value="could not be measured", mode="–", met=None, note=f"{type(exc).__name__}: {exc}")
    return replace(found, mode=f"{found.mode}; {NOT_LIVE}") if SIM in found.mode or TWIN in found.mode else found


# --- phase 1 --------------------------------------------------------------------------------------------------


def pipeline_answers(m: Measured, _most: float) -> Answer:
    said = Counter(word for line in Script.load(SCRIPT).lines for word in line.text.split())
    heard = Counter(word for one in Story(m.shown.trace).said if isinstance(one, Words) for word in one.text.split())
    turns = [turn for turn in m.shown.ledger if turn.kind != "greeting"]
    answered = [turn for turn in turns if turn.clara and turn.total_ms is not None]
    note = f"{(said & heard).total()} of the customer’s {said.total()} words were understood as they were said."
    return Answer(
        value=of(len(answered), len(turns), "turns answered"), mode=TWIN, met=len(answered) == len(turns) > 0, note=note
    )


def latency_twin(m: Measured, most_ms: float) -> Answer:
    turns = complete(m.shown)
    ms, sim_ms = middle(turns).total_ms or 0.0, middle(m.usual).total_ms or 0.0
    least, most = (f(turn.total_ms or 0.0 for turn in turns) for f in (min, max))
    note = f"Median of {len(turns)} spoken turns at the published speeds of the vendors (from {least:,.0f} to {most:,.0f} ms, another each time); {sim_ms:,.0f} ms over {len(m.usual)} simulated ones."
    return Answer(value=in_ms(ms), mode=TWIN, met=ms <= most_ms, note=note)


def latency_live(m: Measured, most_ms: float) -> Answer:
    live = [one.first_sound_ms for one in kept(m.recorded) if one.mix == "live" and one.first_sound_ms is not None]
    if not live:
        return Answer(value=NOT_LIVE, mode="–", met=None, note="It needs the vendors’ keys: make demo ARGS=--live")
    return Answer(
        value=in_ms(median(live)),
        mode=LIVE,
        met=median(live) <= most_ms,
        note=f"Median of {len(live)} recorded conversations.",
    )


def barge_in_stops(m: Measured, most_ms: float) -> Answer:
    stops, simulated = _stops(m.twin), [ms for run in m.usual_runs for ms in _stops(run)]
    ms, usual_ms = median(stops), median(simulated)
    tuned = m.simulated(**PRESETS["tuned"])
    lowered, silent = (median(ms for run in tuned for ms in times(run)) for times in (_lowered, _stops))
    note = (
        f"The plan’s settings, from the customer’s first sound to her silence; {usual_ms:,.0f} ms (median) in {len(simulated)} "
        f"simulated interruptions. The preset «tuned», which waits for words: lowered after {lowered:,.0f} ms, silent after "
        f"{silent:,.0f} ms (simulated)."
    )
    return Answer(value=in_ms(ms), mode=TWIN, met=ms <= most_ms and usual_ms <= most_ms, note=note)


def _stops(run: Run) -> list[float]:
    began_ms, ordered, stops = 0.0, False, []
    for record in run.trace:
        match record:
            case ev.SpeechStarted() if not ordered:
                began_ms = record.sound_at_ms
            case do.InterruptAvatar():
                ordered = True
            case ev.SpeakingInterrupted() if ordered:
                stops.append(record.at_ms - began_ms)
                ordered = False
    return stops


def _lowered(run: Run) -> list[float]:
    """From a sound that stopped her to her lowered sound."""
    rows = run.interruptions.select("suspected_ms", "ducked_ms", "sound_ms", "yielded_ms").drop_nulls()
    return [ducked - sound for _, ducked, sound, _ in rows.iter_rows()]


def interruptions_kept(m: Measured, _most: float) -> Answer:
    cut_ones = right = 0
    for run in (
        m.twin,
        *m.simulated(),
    ):  # with placeholders, as it was decided: a name of another length is cut elsewhere
        steps = Stepper(run.trace, run.settings)
        said = steps.moment(len(steps) - 1).said
        cut = [turn for turn in run.ledger if turn.interrupted and turn.unheard]
        right += sum(any(one.unheard == turn.unheard and turn.unheard not in one.text for one in said) for turn in cut)
        cut_ones += len(cut)
    return Answer(value=of(right, cut_ones, "interruptions"), mode=f"{TWIN} and {SIM}", met=right == cut_ones > 0)


def states_refuse(_m: Measured, _most: float) -> Answer:
    pairs = list(product(ConversationState, repeat=2))
    refused = wrong = 0
    for source, target in pairs:
        machine = ConversationStateMachine(state=source)
        allowed = machine.allows(target)
        try:
            machine.transition(target)
            wrong += not allowed
        except InvalidTransition:
            refused += 1
            wrong += allowed or machine.state is not source
    value = f"{wrong} of {len(pairs)} changes wrong"
    return Answer(
        value=value, mode=COMPUTED, met=wrong == 0, note=f"{refused} are refused, {len(pairs) - refused} allowed."
    )


def interims_shown(m: Measured, _most: float) -> Answer:
    came, long_ones, told, interims = 0, 0, 0, 0
    began_ms = 0.0
    for record in m.shown.trace:
        match record:
            case ev.SpeechStarted() if not interims:
                began_ms = record.sound_at_ms
            case ev.TranscriptInterim() if record.text.strip():
                interims, told = interims + 1, told + 1
            case ev.TranscriptFinal() if record.text.strip():
                if record.speech_ended_ms - began_ms >= LONG_MS:
                    long_ones, came = long_ones + 1, came + bool(interims)
                interims = 0
    return Answer(
        value=of(came, long_ones, "turns"),
        mode=TWIN,
        met=came == long_ones > 0,
        note=f"{told} versions of words before they were final.",
    )


def context_kept(m: Measured, _most: float) -> Answer:
    story = Story(m.shown.trace)
    asked = [reply.question for reply in story.replies.values()]
    last = [r for r in m.shown.trace if isinstance(r, do.RequestReply)][-1]
    known = [message.text for message in last.messages if message.role == "user"]
    kept_ones = sum(any(question in text for text in known) for question in dict.fromkeys(asked))
    count = len(dict.fromkeys(asked))
    return Answer(
        value=of(kept_ones, count, "questions"),
        mode=TWIN,
        met=kept_ones == count > 1,
        note="What the model is told with the last question.",
    )


def ledger_adds_up(m: Measured, _most: float) -> Answer:
    turns = [*(t for t in m.shown.ledger if t.kind == "spoken"), *m.usual]
    right = sum(not turn.problem for turn in turns)
    return Answer(value=of(right, len(turns), "turns"), mode=f"{TWIN} and {SIM}", met=right == len(turns) > 0)


def faults_survived(m: Measured, _most: float) -> Answer:
    alive = [
        fault for fault, run in m.struck.items() if run.ledger and run.ledger[-1].clara and run.ledger[-1].total_ms
    ]
    lost = [str(fault) for fault in m.struck if fault not in alive]
    note = "The customer’s last question after the fault is answered." + (
        f" Not after: {', '.join(lost)}." if lost else ""
    )
    return Answer(value=of(len(alive), len(m.struck), "faults"), mode=SIM, met=not lost, note=note)


def flags_work(_m: Measured, _most: float) -> Answer:
    names = FeatureFlags.__struct_fields__
    refuse = []
    for name in names:
        try:
            Settings.of(**{name: True}), Settings.of(**{name: False})
        except ClaraError:
            refuse.append(name.upper())
    note = f"What is not built refuses to be switched on: {', '.join(refuse)}." if refuse else ""
    return Answer(value=of(len(names) - len(refuse), len(names), "flags"), mode=COMPUTED, met=not refuse, note=note)


# --- phases 2 and 3 -------------------------------------------------------------------------------------------


def latency_best(m: Measured, most_ms: float) -> Answer:
    best = middle(m.best)
    longest, ms = max(stages(best).items(), key=lambda stage: stage[1])
    note = f"With every vendor at its published median or better, always; «{longest}» alone takes {ms:,.0f} ms of it."
    return Answer(
        value=f"{in_ms(best.total_ms or 0.0)} at best", mode=SIM, met=(best.total_ms or 0.0) <= most_ms, note=note
    )


def chunked_gains(m: Measured, _most: float) -> Answer:
    whole = m.spoken(enable_chunked_heygen=False)
    gains_ms = (middle(whole).total_ms or 0.0) - (middle(m.usual).total_ms or 0.0)
    early, count = map(sum, zip(*(_early(run) for run in m.usual_runs)))
    note = f"{100 * early / max(1, count):.0f} % of {count} sentences go out while the model still writes the rest."
    return Answer(value=f"{gains_ms:,.0f} ms earlier", mode=SIM, met=gains_ms > 0, note=note)


def _early(run: Run) -> tuple[int, int]:
    """The sentences that went out before the reply was complete, and all."""
    early = count = 0
    writes = False
    for record in run.trace:
        match record:
            case do.RequestReply():
                writes = True
            case ev.ReplyCompleted() | do.CancelReply() | ev.ProviderFailed():
                writes = False
            case do.Speak() if record.utterance_id > 1:  # the greeting is nobody's answer
                early, count = early + writes, count + 1
    return early, count


def retries_mend(m: Measured, _most: float) -> Answer:
    mended = sum(_all_answered(run) for run in m.passing.values())
    tries = sum(turn.requests - 1 for run in m.passing.values() for turn in run.ledger if turn.requests > 1)
    lost = [str(fault) for fault, run in m.passing.items() if not _all_answered(run)]
    note = f"Refusals, broken connections, broken answers; the model was asked again {tries} times."
    note += f" A question stayed unanswered after: {', '.join(lost)}." if lost else ""
    return Answer(value=of(mended, len(m.passing), "faults"), mode=SIM, met=mended == len(m.passing), note=note)


def faults_unnoticed(m: Measured, most_ms: float) -> Answer:
    usual = {turn.turn_id: turn.total_ms or 0.0 for turn in asked_with().ledger}
    longer = {
        fault: max((turn.total_ms or 0.0) - usual.get(turn.turn_id, 0.0) for turn in run.ledger)
        for fault, run in m.passing.items()
    }
    worst = max(longer, key=lambda fault: longer[fault])
    note = f"The worst of {len(longer)} passing faults ({worst}). A fault that lasts shows: she says that she changes over, and goes on by other means."
    return Answer(value=f"{longer[worst]:,.0f} ms longer at most", mode=SIM, met=longer[worst] <= most_ms, note=note)


def fallback_switches(_m: Measured, most_ms: float) -> Answer:
    found = matrix(cells()[::EVERY], fallback=True)
    ms, heard_ms, lost = found.p95_order_ms, found.p95_heard_ms, len(found.wrong)
    assert ms is not None and heard_ms is not None
    note = (
        f"95 of 100 changes, in {len(found.results)} conversations in which a service fails: from the failure that decides it"
        f" to the order to speak, show or ask; {heard_ms:,.0f} ms until it is heard, an avatar that starts included."
        + (f" In {lost} something was lost." if lost else " Nothing that was said came to nothing.")
    )
    return Answer(value=in_ms(ms), mode=SIM, met=ms <= most_ms and not lost, note=note)


def _all_answered(run: Run) -> bool:
    apology = run.settings.apology
    turns = [turn for turn in run.ledger if turn.kind != "greeting"]
    return bool(turns) and all(turn.clara and apology not in turn.clara and turn.total_ms is not None for turn in turns)


FIGURES: dict[str, Callable[[Measured, float], Answer]] = {
    f.__name__: f
    for f in (
        modules_load, metafields_read, prompts_filled, profile_cache, greets_by_name, pipeline_answers, latency_twin,
        latency_live, barge_in_stops, interruptions_kept, states_refuse, interims_shown, context_kept, ledger_adds_up,
        faults_survived, flags_work, latency_best, chunked_gains, fallback_switches, retries_mend,
        faults_unnoticed,
    )
}  # fmt: skip
