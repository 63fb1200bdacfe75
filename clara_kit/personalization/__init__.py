"""The former name of `prompts` and `shop`: old imports keep working for one release."""

from importlib import import_module
from sys import modules

_MOVED = {
    "briefing": "prompts.briefing",
    "catalog": "prompts.catalog",
    "clean": "shop.clean",
    "placeholders": "core.placeholders",
    "profile_cache": "shop.cache",
    "prompt_template": "prompts.template",
    "recommend": "prompts.recommend",
    "shopify": "shop.fetcher",
    "shopify_errors": "shop.errors",
    "spanish": "prompts.spanish",
}
for _old, _new in _MOVED.items():
    modules[f"{__name__}.{_old}"] = import_module(f"clara_kit.{_new}")
