"""What was measured, as a latency profile on disk: what could not be is as published, and says so."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import msgspec
import yaml

from clara_kit.lab.calibrate.laws import Fitted, fitted
from clara_kit.lab.calibrate.tape import DIFFERENCES, Tape
from clara_kit.world.latency import STAGES, Calibrated, LatencyProfile, Law

_HEAD = """\
# Written by `clara calibrate`; yours alone, and not to be committed. Milliseconds, but for tokens_per_s and
# realtime_factor. stages: a law for each, as in data/latency. calibrated: what was found, with 95 % intervals.
"""
_HOW = {
    "tts_first_chunk": "order on an open socket -> first sound",
    "tts_lead_silence": "below -40 dBFS at the head of a sentence",
    "tts_realtime_factor": "all sound after the first chunk, by when it came",
    "handshake": "opening a socket to the recogniser or the voice",
    "stt_onset": "first audible sample -> the message",
    "stt_interim_every": "between two interim results of a line",
    "stt_results": "last audible sample and the endpointing's silence -> the final words",
    "llm_first_token": "the kit's own prompt, in the vendor's cache where it is long enough",
    "llm_tokens_per_s": "by the vendor's count of tokens, after the first text",
    "avatar_start": "first sound sent (three seconds at once) -> its word that it speaks",
    "avatar_interrupt": "the order -> its word that it is silent",
    "avatar_open": "the order to open a session -> its word that it hears",
    "tts_first_chunk_of_a_socket": "the same for the first sentence on a new socket",
    "stt_finalize": "asked for the words -> the final words",
    "llm_first_token_uncached": "the kit's own prompt, which the vendor's cache did not have yet",
    "llm_first_token_short": "a prompt of two sentences",
    "llm_first_token_long": "a prompt of about 8,000 tokens that nobody has seen before",
    "handshake_model": "the first request to the model less the second",
    "avatar_start_second_by_second": "as avatar_start, its sound sent a second each second",
    "avatar_start_from_silence": "400 ms of silence sent -> its word that it speaks, the sound 1,500 ms later",
    "avatar_gain_at_once": "how much sooner it speaks if three seconds are sent at once, not one each second",
    "avatar_gain_opened_early": "how much sooner it sounds if it is opened 1,500 ms before with silence",
    "avatar_heard": "first sound sent -> it sounds, by the end and the length of it",
    "avatar_heard_opened_early": "the same, opened with silence 1,500 ms before",
}


def write(path: Path, tape: Tape, *, now: datetime, behind: Literal["live", "twins"]) -> Path | None:
    """The profile of what is on the tape so far; None where no stage could be told."""
    made = {what: fitted(v, _HOW.get(what, ""), difference=what in DIFFERENCES) for what, v in tape.samples.items()}
    laws = {what: law for what, law in made.items() if law is not None}
    if not set(laws) & set(STAGES):
        return None
    whose = "at the vendors" if behind == "live" else "at the kit's twins, which stand for no vendor"
    published = LatencyProfile.load("published").laws
    told = Calibrated(
        at=now.isoformat(timespec="seconds"), behind=behind, measured=len(set(laws) & set(STAGES)), notes=[*tape.notes],
        stages={stage: laws[stage].found for stage in STAGES if stage in laws},
        beside={what: law.found for what, law in laws.items() if what not in STAGES},
    )  # fmt: skip
    data = {
        "description": f"Measured {whose} on {now:%Y-%m-%d}; what could not be measured is as published.",
        "calibrated": msgspec.to_builtins(told),
        "stages": {
            stage: _measured(laws[stage], f"{now:%Y-%m-%d}", whose)
            if stage in laws
            else _as_published(published[stage])
            for stage in STAGES
        },
    }
    fresh = path.with_suffix(".fresh")
    fresh.write_text(_HEAD + yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=120), encoding="utf-8")
    os.replace(fresh, path)
    return path


def _measured(law: Fitted, day: str, whose: str) -> dict[str, Any]:
    return {**law.law, "source": f"measured {whose} on {day}, n = {law.found.n}: {law.found.how}"}


def _as_published(law: Law) -> dict[str, Any]:
    value = law.low if law.kind == "fixed" else [law.low, law.high]
    spikes = {"share": law.spike_share, "between": [law.spike_low, law.spike_high]}
    return {law.kind: value, **({"spikes": spikes} if law.spike_share else {}), "source": f"as published: {law.source}"}
