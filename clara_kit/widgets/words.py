"""What the widgets say, in English and Spanish: one table, so that no label is forgotten in either."""

from __future__ import annotations

import os

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


def whose(mix: str, language: Language) -> str:
    """A run's mix in words: whose its numbers are."""
    words = spoken_in(language)
    name = words.get(f"mix_{mix}", mix)
    return name if "live" in mix else words["not_vendors"].format(mix=name)
