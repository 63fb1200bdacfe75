"""What the kit knows of turn-taking: the words of `data/turns/`, and the judgement that uses them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from clara_kit import data_files
from clara_kit.conversation.lexicon import Lexicon, plain
from clara_kit.conversation.policies import Policies, knowing
from clara_kit.core.errors import ScriptError
from clara_kit.core.paths import DATA

HINT = "each list of data/turns/ is one of words or short phrases."
QUOTES = "put quotes around it: YAML takes no, yes, on, off and numbers for something else than words."


def usual_policies() -> Policies:
    """The kit's own judgement, with the words of `data/turns/es-419.yml`. Raises `ScriptError`."""
    return data_files.made(DATA / "turns" / "es-419.yml", _policies)


def _policies(path: Path) -> Policies:
    lexicon = _read(path)
    lists = {name: sorted(getattr(lexicon, name)) for name in Lexicon.__struct_fields__ if name != "openers"}
    lists["openers"] = [*lexicon.openers]
    return knowing(lexicon, data_files.fingerprint(lists)[:12])


def _lexicon(data: Any) -> Lexicon:
    if not isinstance(data, dict) or set(data) != set(Lexicon.__struct_fields__):
        raise ScriptError(f"the lists are {', '.join(Lexicon.__struct_fields__)}.", hint=HINT)
    for name, words in data.items():
        if not isinstance(words, list) or (name == "openers" and len(words) < 2):
            raise ScriptError(f"{name} is no list of words.", hint=HINT, where=f"$.{name}")
        if (
            odd := next((n for n, word in enumerate(words) if not isinstance(word, str) or not plain(word)), None)
        ) is not None:
            raise ScriptError(f"entry {odd + 1} of {name} is no word.", hint=QUOTES, where=f"$.{name}[{odd}]")
    as_written = tuple(data.pop("openers"))
    lists = {name: frozenset(" ".join(plain(word)) for word in words) for name, words in data.items()}
    return Lexicon(**lists, openers=as_written)


def usual_lexicon() -> Lexicon:
    """The words of `data/turns/es-419.yml` themselves. Raises `ScriptError`."""
    return data_files.made(DATA / "turns" / "es-419.yml", _read)


def _read(path: Path) -> Lexicon:
    return data_files.built(path, _lexicon, HINT)
