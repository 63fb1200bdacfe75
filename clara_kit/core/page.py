"""Text for a notebook's page: nothing in it is markup, and a dollar sign is money.

JupyterLab sets whatever stands between two dollar signs of an HTML output as mathematics: «cuesta $3.990, gratis desde
$30.000». A sign in an element of its own is never paired.
"""

from __future__ import annotations

from html import escape as _escape


def escape(text: str) -> str:
    """The text as HTML that shows it word by word."""
    return _escape(text).replace("$", "<span>$</span>")
