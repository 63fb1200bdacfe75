"""The public names, for readers of types and for `clara_kit/__init__.py`, which loads each from here on its first use."""

from .conversation.barge_in import BargeInHandler as BargeInHandler
from .conversation.conversation import Conversation as Conversation
from .conversation.sentences import SentenceChunker as SentenceChunker
from .core.retry import RetryPolicy as RetryPolicy
from .core.settings import FeatureFlags as FeatureFlags
from .core.settings import Keys as Keys
from .core.settings import Settings as Settings
from .core.states import (
    ConversationState as ConversationState,
)
from .core.states import (
    ConversationStateMachine as ConversationStateMachine,
)
from .lab.replay import replay as replay
from .measure.ledger import LatencyMetrics as LatencyMetrics
from .measure.run import Run as Run
from .prompts.template import PromptTemplate as PromptTemplate
from .providers.avatar.base import AvatarProvider as AvatarProvider
from .providers.avatar.heygen_streaming import HeyGenStreamingAvatar as HeyGenStreamingAvatar
from .providers.avatar.liveavatar import LiveAvatarLite as LiveAvatarLite
from .providers.llm.base import LLMProvider as LLMProvider
from .providers.llm.claude import ClaudeStreamingLLM as ClaudeStreamingLLM
from .providers.stt.base import STTProvider as STTProvider
from .providers.stt.deepgram import DeepgramStreamingSTT as DeepgramStreamingSTT
from .providers.tts.base import TTSProvider as TTSProvider
from .providers.tts.deepgram_aura import DeepgramAuraTTS as DeepgramAuraTTS
from .runtime.compose import compose as compose
from .runtime.config import load_keys as load_keys
from .runtime.config import load_settings as load_settings
from .runtime.manager import ConversationManager as ConversationManager
from .shop.cache import ProfileCache as ProfileCache
from .shop.fetcher import ShopifyCustomerFetcher as ShopifyCustomerFetcher
from .widgets.console import Console as Console
from .widgets.window import ConversationWindow as ConversationWindow
from .world.faults import Fault as Fault
from .world.sim import simulate as simulate
