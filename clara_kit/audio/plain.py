"""What in a text is only to be seen: markdown, list marks, emoji. Rules for `spoken.py` that take it away. Pure."""

from __future__ import annotations

import html
import re

from clara_kit.audio.marked import rules

_LIST_MARK = r"(?:(?:[-*+•·▪◦‣►➤✓✔–—>]|\d{1,2}[.)]|[a-zA-Z]\))[ \t]+(?:\[[ xX]?\][ \t]+)?)+"
_EMOJI = (
    "[\u200d\u20e3\u2190-\u21ff\u2300-\u23ff\u2460-\u27bf\u2900-\u297f\u2b00-\u2bff\u3030\u303d\u3297\u3299"
    "\ufe00-\ufe0f\u00a9\u00ae\u2122\U0001f000-\U0001faff\U000e0000-\U000e007f]"
)
_FRACTIONS = {"½": "1/2", "¼": "1/4", "¾": "3/4", "⅓": "1/3", "⅔": "2/3"}


VISIBLE_ONLY = rules(
    (r"[^\S\n]{2,}", " "),  # first: many patterns below would try each blank of a long run as their beginning
    (r"!(?=\[)", ""),
    (r"&(?:#\d{1,6}|#[xX][0-9a-fA-F]{1,5}|[a-zA-Z]{2,8});", lambda m: html.unescape(m[0])),
    ("[½¼¾⅓⅔]", lambda m: (" " if m.start() and m.string[m.start() - 1].isdigit() else "") + _FRACTIONS[m[0]]),
    (r"\d\ufe0f?\u20e3", ""),  # 1️⃣
    (r"(?<=\w)\s?(?:->|=>|→|⇒|➜|➡)\s?(?=\w)", ", "),
    (_EMOJI, " "),
    (r"(?<!\S)(?:[:;=]['-]?[)(DPpOo3]+|<3+|\^_?\^|[xX]D+)(?![^\s.,;:!?…])", " "),
    (r"<!--.*?-->", " ", re.S),
    (r"</?[a-zA-Z][\w-]*(?:\s[^<>]*)?/?>", " "),
    (r"^[ \t]*(?:```|~~~)[^\n]*$", "", re.M),
    (r"^[ \t]*\[[^\]\n]+\]:[ \t]*\S+[ \t]*$", "", re.M),
    (r"\[\^[^\]\n]+\]", ""),
    (r"\](?:\([^()\s]*(?:\([^()\s]*\)[^()\s]*)*(?:\s+\"[^\"\n]*\")?\)|\[[^\]\n]*\])", ""),
    (r"^[ \t]*\|?[ \t]*:?-{3,}:?[ \t]*(?:\|[ \t]*:?-*:?[ \t]*)*$|^[ \t]*(?:[-*_][ \t]*){3,}$", "", re.M),
    (r"[ \t]+#+[ \t]*$", "", re.M),
    (rf"(?<=[^\s.,;:!?…])[ \t]*\n(?=\s*\S)(?=[ \t]*(?:\n|\||{_LIST_MARK}|[^\w\n]*[A-ZÁÉÍÓÚÑ¿¡\d]))", ".\n"),
    (rf"^[ \t]*(?:#{{1,6}}[ \t]+)?(?:{_LIST_MARK})?", "", re.M),
    (r"(?<=\d)\s?\*\s?(?=\d)", " x "),
    (r"[*`]+|~~+|\\(?=\W)", ""),
    (r"(?<![^\W_])_+|_+(?![^\W_])", ""),
    (rf"^[ \t]*(?:#{{1,6}}[ \t]+)?(?:{_LIST_MARK})?", "", re.M),  # «**1. Limpia**»
    (r"(?:^|(?<=\s))[•·▪◦‣►➤]\s*(?:\d{1,2}[.)]\s+)?", ", "),
    (r"\s?\|\s?", ", "),
    (r"\.{2,}", "…"),
)
"""Applied first, in this order."""

SMOOTHING = rules(
    (r"[^\w\s.,;:!?¡¿…()«»“”\"'‘’–—-]|_", " "),
    (r"\(\s*\)", " "),
    (r"\s\s+|[^\S ]", " "),
    (r"\s+(?=[.,;:!?…)»”])|(?<=[(¡¿«“])\s+", ""),
    (r"(?<=[.,;:!?…(¿¡])\s*,+(?=\s|[.,;:!?…]|$)|,+(?=\s*[.;:!?…])|(?<=[.!?…:;])\s*\.(?=\s|$)", ""),
    (r"^[\s.,;:)…»”–—-]+|[\s,–—-]+$", ""),
    (r"^[^\w]+$", ""),
)
"""Applied last: only what a voice can say is left, with single blanks."""
