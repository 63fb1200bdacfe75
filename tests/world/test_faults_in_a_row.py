"""A fault that is followed by others on the occasions after it, and what is called off."""

from __future__ import annotations

from clara_kit.world.faults import Fault, FaultBox

CUT = Fault(service="avatar", kind="cut")
REFUSED = Fault(service="avatar", kind="refuse", status=503)
BUSY = Fault(service="llm", kind="refuse", status=529)


def test_each_strikes_the_next_occasion_of_its_own_door() -> None:
    box, told = FaultBox(), []
    box.watch(told.append)
    box.next_occasion("llm")
    assert box.inject(BUSY, BUSY, BUSY) == "next"
    assert [len(box.next_occasion("llm")) for _ in range(4)] == [1, 1, 1, 0]
    with box.running("avatar", lambda fault: fault.kind == "cut"):
        assert box.inject(CUT, REFUSED, REFUSED) == "now"
    assert told[-1] == CUT and not box.next_occasion("avatar")  # the utterances go on
    assert [len(box.next_occasion("avatar", "token")) for _ in range(3)] == [1, 1, 0]
    assert (
        box.inject(CUT, REFUSED) == "next"
    )  # nothing runs: the next utterance breaks, and the next session is refused
    assert box.next_occasion("avatar") and box.next_occasion("avatar", "token")


def test_what_is_mended_befalls_it_no_more_and_others_as_before() -> None:
    box = FaultBox()
    box.inject(BUSY, *(BUSY,) * 999)
    box.inject(REFUSED)
    assert box.mend("llm") == 1000 and box.mend("llm") == 0
    assert not box.next_occasion("llm") and box.next_occasion("avatar", "token")


def test_what_comes_back_at_once_meets_what_was_to_follow() -> None:
    box, met = FaultBox(), []

    def breaks_and_comes_back(fault: Fault) -> bool:
        met.extend(box.next_occasion("avatar", "token"))  # in its own thread, before the one who broke it goes on
        return fault.kind == "cut"

    with box.running("avatar", breaks_and_comes_back):
        assert box.inject(CUT, REFUSED) == "now" and [fault.kind for fault in met] == ["refuse"]
        assert box.inject(BUSY, BUSY) == "next" and len(box.waiting) == 2
