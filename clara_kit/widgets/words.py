"""What the widgets say, in English and Spanish: one table, so that no label is forgotten in either."""

from __future__ import annotations

import os
from collections import Counter

from clara_kit.data_files import data
from clara_kit.lab.sentences import Language as Language
from clara_kit.widgets.view import HERE

VARIABLE = "CLARA_LANGUAGE"
WORDS: dict[str, tuple[str, str]] = {
    name: (english, spanish) for name, (english, spanish) in data(HERE / "words.yml").items()
}


def usual_language() -> Language:
    """What `CLARA_LANGUAGE` says (en or es); English where it says nothing, or something else."""
    return "es" if os.environ.get(VARIABLE, "").strip().lower().startswith("es") else "en"


def spoken_in(language: Language) -> dict[str, str]:
    """Every label in one language."""
    return {name: texts[language == "es"] for name, texts in WORDS.items()}


def mixed(mix: str, language: Language) -> str:
    """A run's mix in words: who was real, then what all others were."""
    words = spoken_in(language)
    if f"mix_{mix}" in words or " " not in mix:
        return words.get(f"mix_{mix}", mix)
    parts = [part.partition(" ")[::2] for part in mix.split(", ")]
    modes = Counter(mode for _, mode in parts)
    usual = max(modes, key=lambda mode: (" then " not in mode, modes[mode]))
    others = {
        mode: [words.get(f"who_{who}", who) for who, its in parts if its == mode] for _, mode in parts if mode != usual
    }
    told = [f"{', '.join(who)}: {_mode(mode, words)}" for mode, who in others.items()]
    return "; ".join((*told, f"{words['mix_rest']}: {_mode(usual, words)}"))


def _mode(mode: str, words: dict[str, str]) -> str:
    return " → ".join(words.get(f"mode_{one}", one) for one in mode.split(" then "))


def whose(mix: str, language: Language) -> str:
    """A run's mix in words: whose its numbers are."""
    name = mixed(mix, language)
    vendors = {*mix.replace(",", "").split()} & {"live", "recorded", "recording"}
    return name if vendors else spoken_in(language)["not_vendors"].format(mix=name)
