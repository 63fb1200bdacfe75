"""The silence at the head of a sound: what is cut of it, and what never is."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clara_kit.audio.lead import HEAD_MS, Lead, Trimmer, trimmed

RATE_HZ = 24_000


def sound(quiet_ms: float, *, soft_ms: float = 0, loud_ms: float = 300, floor: int = 0) -> bytes:
    """Silence (or a noise as loud as `floor`), a soft beginning below what is audible, and speech."""
    parts = ((quiet_ms, floor), (soft_ms, 150), (loud_ms, 4000))
    return b"".join(np.full(round(ms * RATE_HZ / 1000), level, dtype="<i2").tobytes() for ms, level in parts)


def passed(pcm: bytes, cuts: list[int], leave_ms: float = HEAD_MS) -> tuple[bytes, float]:
    """What goes on of a stretch that comes in chunks that end at `cuts`."""
    trimmer = Trimmer(RATE_HZ)
    trimmer.begin(leave_ms)
    ends = [0, *sorted(cut for cut in cuts if cut < len(pcm)), len(pcm)]
    return b"".join([*(trimmer.take(pcm[a:b]) for a, b in pairwise(ends)), trimmer.end()]), trimmer.cut_ms


@given(
    quiet_ms=st.integers(0, 900), soft_ms=st.integers(0, 140), loud_ms=st.integers(0, 50), floor=st.integers(0, 30),
    leave_ms=st.integers(0, 100), cuts=st.lists(st.integers(1, 60_000), max_size=30),
)  # fmt: skip
def test_only_silence_is_cut_however_the_sound_comes(
    quiet_ms: int, soft_ms: int, loud_ms: int, floor: int, leave_ms: int, cuts: list[int]
) -> None:
    pcm = sound(quiet_ms, soft_ms=soft_ms, loud_ms=loud_ms, floor=floor)
    kept, cut_ms = passed(pcm, cuts, leave_ms)
    assert (kept, cut_ms) == passed(pcm, [], leave_ms), "how it was cut into chunks changes nothing"
    assert pcm.endswith(kept) and len(kept) == len(pcm) - round(cut_ms * RATE_HZ / 1000) * 2
    assert cut_ms <= max(0, quiet_ms - leave_ms)
    if quiet_ms + soft_ms < 600 and loud_ms:
        assert cut_ms >= max(0, quiet_ms - leave_ms - 5), "and nearly all of it"
    elif not loud_ms or quiet_ms >= 600:
        assert kept == pcm, "what is never heard, or meant to be silent so long, passes whole"


@pytest.mark.parametrize("soft_ms", [0, 80, 140])
def test_a_soft_beginning_belongs_to_the_word(soft_ms: int) -> None:
    kept, _ = passed(sound(200, soft_ms=soft_ms), [])
    assert len(kept) / 48 == pytest.approx(HEAD_MS + soft_ms + 300, abs=5)
    lead = Lead(RATE_HZ)
    lead.hear(kept)
    assert lead.end() == pytest.approx(HEAD_MS + soft_ms, abs=5)


def test_silence_alone_is_no_sound_to_keep() -> None:
    assert trimmed(bytes(9600), RATE_HZ) == b"" == trimmed(b"", RATE_HZ)
    assert len(trimmed(sound(200) + bytes(48 * 400), RATE_HZ)) / 48 == pytest.approx(20 + 300 + 100, abs=1)
