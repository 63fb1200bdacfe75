"""Shopify's search syntax, as far as the twin has it: terms, fields, phrases, AND, OR, NOT, brackets, prefixes.

Fields are tokenised as they are there: `email:ana@example.com` asks for three words in any order, and only the quoted
`email:"ana@example.com"` for these words next to each other (shopify.dev, API search syntax). A field that cannot be
searched filters nothing and is warned about in `extensions.search`. Times and numbers are not compared here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

Json = dict[str, Any]
Texts = Mapping[str, str]
"""What may be searched of one object: field -> text. Words without a field look into all of it."""
Test = Callable[[Texts], bool]

_LEX = re.compile(
    r"""\s*(?P<open>\()|\s*(?P<close>\))|\s*(?P<not>-)?(?:(?P<field>\w+):)?"""
    r"""(?:"(?P<double>(?:[^"\\]|\\.)*)"|'(?P<single>(?:[^'\\]|\\.)*)'|(?P<word>[^\s()]+))"""
)


class Search:
    """A parsed query: `matches(texts)`, and `warnings` about fields that there are not."""

    def __init__(self, query: str, fields: frozenset[str]) -> None:
        self._parts = [m for m in _LEX.finditer(query) if m[0].strip()]
        self._at, self._fields = 0, fields
        self.warnings: list[Json] = []
        tests = []
        while self._at < len(self._parts):  # a bracket too many ends one part and begins another
            tests.append(self._either())
            self._at += 1
        self._tests = tests

    def matches(self, texts: Texts) -> bool:
        """Whether an object with these texts is found."""
        return all(test(texts) for test in self._tests)

    def _word(self) -> str:
        part = self._parts[self._at] if self._at < len(self._parts) else None
        return str(part["word"]) if part is not None and part["word"] and not part["field"] else ""

    def _either(self) -> Test:
        tests = [self._all()]
        while self._word() == "OR":
            self._at += 1
            tests.append(self._all())
        return lambda texts: any(test(texts) for test in tests)

    def _all(self) -> Test:
        tests: list[Test] = []
        while self._at < len(self._parts) and not self._parts[self._at]["close"] and self._word() != "OR":
            if self._word() == "AND":
                self._at += 1
            else:
                tests.append(self._one())
        return lambda texts: all(test(texts) for test in tests)

    def _one(self) -> Test:
        part = self._parts[self._at]
        self._at += 1
        if part["open"]:
            inner = self._either()
            self._at += 1  # the closing bracket, or the end
            return inner
        if part["word"] == "NOT" and not part["field"]:
            inner = self._one() if self._at < len(self._parts) else _everything
        else:
            inner = self._term(part)
            if not part["not"]:
                return inner
        return lambda texts: not inner(texts)

    def _term(self, part: re.Match[str]) -> Test:
        field = part["field"]
        if field and field not in self._fields:
            message = "Invalid search field for this query."
            self.warnings.append({"field": field, "message": message, "code": "invalid_field"})
            return _everything
        quoted = part["double"] if part["double"] is not None else part["single"]
        if quoted is not None:
            phrase = _line(re.sub(r"\\(.)", r"\1", quoted))
            return lambda texts: any(phrase in _line(text) for text in _of(texts, field))
        if part["word"] == "*":
            return lambda texts: any(_of(texts, field))
        return _words(part["word"], field)


def _words(word: str, field: str | None) -> Test:
    """Every token somewhere in the field; the last one as a prefix where a star follows."""
    wanted = _tokens(word)
    prefix = wanted.pop() if word.endswith("*") and wanted else ""

    def test(texts: Texts) -> bool:
        found = {token for text in _of(texts, field) for token in _tokens(text)}
        return found.issuperset(wanted) and (not prefix or any(t.startswith(prefix) for t in found))

    return test


def _everything(_texts: Texts) -> bool:
    return True


def _of(texts: Texts, field: str | None) -> list[str]:
    return [texts.get(field, "")] if field else list(texts.values())


def _tokens(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def _line(text: str) -> str:
    """The tokens in a row, with a space on both sides, so that one row of tokens is within another or not."""
    return f" {' '.join(_tokens(text))} "
