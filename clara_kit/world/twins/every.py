"""Every vendor's twin, as one server has them."""

from __future__ import annotations

from clara_kit.world.answers import AnswerBook
from clara_kit.world.line_book import LineBook
from clara_kit.world.twins.anthropic.twin import AnthropicTwin
from clara_kit.world.twins.base import Twin, TwinContext
from clara_kit.world.twins.deepgram.twin import DeepgramTwin
from clara_kit.world.twins.elevenlabs.twin import ElevenLabsTwin
from clara_kit.world.twins.heygen.twin import HeyGenTwin
from clara_kit.world.twins.liveavatar.twin import LiveAvatarTwin
from clara_kit.world.twins.shopify.twin import ShopifyTwin
from clara_kit.world.voices import clara_voice


def every_twin(context: TwinContext, lines: LineBook, *, sandbox_limit_s: float = 60.0) -> list[Twin]:
    """lines: what the recogniser knows. sandbox_limit_s: after how long the avatar's sandbox ends, the vendor's minute."""
    book = AnswerBook.load()
    return [
        DeepgramTwin(context, lines, clara_voice()),
        AnthropicTwin(context, book),
        LiveAvatarTwin(context, sandbox_limit_s=sandbox_limit_s, lines=lines),
        HeyGenTwin(context, clara_voice(), book),
        ElevenLabsTwin(context, clara_voice()),
        ShopifyTwin.of_personas(context),
    ]
