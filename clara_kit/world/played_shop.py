"""The shop, simulated on a clock, beside `played.py`."""

from __future__ import annotations

from clara_kit.core.profile import ANONYMOUS
from clara_kit.shop.answer import ShopAnswer
from clara_kit.world.personas import Persona
from clara_kit.world.played import Entered, Stage, error_of
from clara_kit.world.shop_answers import shop_answer


class PlayedShop(Entered):
    """A shop that knows the invented customers of `data/customers/`."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    async def fetch(self, customer: str) -> ShopAnswer:
        """The profile of a persona by gid or e-mail; nothing is known of others. Raises `ProviderError`."""
        stage, began_ms = self._stage, self._stage.clock.now_ms()
        known = next((p.profile for p in Persona.all() if customer in (p.gid, p.email)), ANONYMOUS)
        shown = shop_answer(known, stage.faults.next_occasion("shop"))
        await stage.until(began_ms + stage.draw("shop_answer") + shown.late_ms)
        if shown.failed is not None:
            raise error_of(shown.failed)
        took_ms = stage.clock.now_ms() - began_ms
        return ShopAnswer(source="shop", profile=shown.profile, took_ms=took_ms, warnings=shown.warnings)
