"""Clara kit: where the conversation of a video avatar is designed, measured and heard.

The public names. Nothing is computed here, and each module loads when its first name is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clara_kit.conversation.barge_in import BargeInHandler
    from clara_kit.conversation.conversation import Conversation
    from clara_kit.conversation.sentences import SentenceChunker
    from clara_kit.core.retry import RetryPolicy
    from clara_kit.core.settings import FeatureFlags, Keys, Settings
    from clara_kit.core.states import ConversationState, ConversationStateMachine
    from clara_kit.lab.replay import replay
    from clara_kit.measure.ledger import LatencyMetrics
    from clara_kit.measure.run import Run
    from clara_kit.prompts.template import PromptTemplate
    from clara_kit.providers.avatar.base import AvatarProvider
    from clara_kit.providers.avatar.heygen_streaming import HeyGenStreamingAvatar
    from clara_kit.providers.avatar.liveavatar import LiveAvatarLite
    from clara_kit.providers.llm.base import LLMProvider
    from clara_kit.providers.llm.claude import ClaudeStreamingLLM
    from clara_kit.providers.stt.base import STTProvider
    from clara_kit.providers.stt.deepgram import DeepgramStreamingSTT
    from clara_kit.providers.tts.base import TTSProvider
    from clara_kit.providers.tts.deepgram_aura import DeepgramAuraTTS
    from clara_kit.runtime.compose import compose
    from clara_kit.runtime.config import load_keys, load_settings
    from clara_kit.runtime.manager import ConversationManager
    from clara_kit.shop.cache import ProfileCache
    from clara_kit.shop.fetcher import ShopifyCustomerFetcher
    from clara_kit.widgets.console import Console
    from clara_kit.widgets.window import ConversationWindow
    from clara_kit.world.faults import Fault
    from clara_kit.world.sim import simulate

_WHERE = {
    "AvatarProvider": "providers.avatar.base",
    "BargeInHandler": "conversation.barge_in",
    "ClaudeStreamingLLM": "providers.llm.claude",
    "Console": "widgets.console",
    "Conversation": "conversation.conversation",
    "ConversationManager": "runtime.manager",
    "ConversationState": "core.states",
    "ConversationStateMachine": "core.states",
    "ConversationWindow": "widgets.window",
    "DeepgramAuraTTS": "providers.tts.deepgram_aura",
    "DeepgramStreamingSTT": "providers.stt.deepgram",
    "Fault": "world.faults",
    "FeatureFlags": "core.settings",
    "HeyGenStreamingAvatar": "providers.avatar.heygen_streaming",
    "Keys": "core.settings",
    "LLMProvider": "providers.llm.base",
    "LatencyMetrics": "measure.ledger",
    "LiveAvatarLite": "providers.avatar.liveavatar",
    "ProfileCache": "shop.cache",
    "PromptTemplate": "prompts.template",
    "RetryPolicy": "core.retry",
    "Run": "measure.run",
    "STTProvider": "providers.stt.base",
    "SentenceChunker": "conversation.sentences",
    "Settings": "core.settings",
    "ShopifyCustomerFetcher": "shop.fetcher",
    "TTSProvider": "providers.tts.base",
    "compose": "runtime.compose",
    "load_keys": "runtime.config",
    "load_settings": "runtime.config",
    "replay": "lab.replay",
    "simulate": "world.sim",
}

__all__ = [
    "AvatarProvider", "BargeInHandler", "ClaudeStreamingLLM", "Console", "Conversation", "ConversationManager",
    "ConversationState", "ConversationStateMachine", "ConversationWindow", "DeepgramAuraTTS", "DeepgramStreamingSTT",
    "Fault", "FeatureFlags", "HeyGenStreamingAvatar", "Keys", "LLMProvider", "LatencyMetrics", "LiveAvatarLite",
    "ProfileCache", "PromptTemplate", "RetryPolicy", "Run", "STTProvider", "SentenceChunker", "Settings",
    "ShopifyCustomerFetcher", "TTSProvider", "compose", "load_keys", "load_settings", "replay", "simulate",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"clara_kit has no {name!r}")
    value = getattr(importlib.import_module(f"clara_kit.{_WHERE[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
