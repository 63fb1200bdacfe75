"""What it costs and who hears what, at the places where it matters: a line for each vendor, and the whole page in a fold.

The figures are those of `providers/prices.py`; the page is `data/money_and_privacy.md`, or its Spanish sister.
"""

from __future__ import annotations

import ipywidgets as w

from clara_kit import data_files
from clara_kit.core.paths import DATA
from clara_kit.providers.prices import figures
from clara_kit.widgets.words import Language, spoken_in, usual_language

PAGES = {"en": DATA / "money_and_privacy.md", "es": DATA / "dinero_y_privacidad.md"}


def price(of: str, language: Language | None = None) -> str:
    """What a vendor charges, in one line; `five`: what five minutes cost with everything live."""
    return spoken_in(language or usual_language())[f"price_{of}"].format(**figures())


class MoneyAndPrivacy(w.Accordion):  # type: ignore[misc]
    """The page, folded. `speak` changes its language."""

    def __init__(self, language: Language | None = None) -> None:
        self._page = w.Output()
        super().__init__([self._page], selected_index=None)
        self.speak(language or usual_language())

    def speak(self, language: Language) -> None:
        """Show it in this language."""
        _title, _sister, page = data_files.text(PAGES[language]).split("\n\n", 2)
        data = {"text/markdown": page, "text/plain": page}
        self._page.outputs = ({"output_type": "display_data", "data": data, "metadata": {}},)
        self.titles = (spoken_in(language)["money"],)
