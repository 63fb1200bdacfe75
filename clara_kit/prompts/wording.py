"""The conditions and holes of a template in plain words: «when the skin type is known:», `{first name}`.

Beside `fields.py`. The words come from outside, in the reader's language: see `KEYS`. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from jinja2 import Environment, nodes
from jinja2.exceptions import TemplateSyntaxError

from clara_kit.prompts.fields import Field
from clara_kit.prompts.tags import Condition

HOLES = {
    "first_name": "hole_first_name",
    "skin_type|skin": "hole_skin",
    "(concerns|sayable)[:2]|join_es": "hole_concerns",
    "customer_data": "hole_customer_data",
    "recommended|titles|join_es": "hole_recommended",
    "recommended[0].title": "hole_best",
    "recommended[1:]|titles|join_es": "hole_others",
    "product.title": "hole_product",
    "product.price_clp|clp": "hole_price",
    "product.ingredients|join_es": "hole_ingredients",
    "product.skin_types|skins": "hole_skins",
    "product.concerns|join_es": "hole_product_concerns",
}
"""What a template says for a customer, and the key of its name."""
_OFFERED = {"greeting": tuple(HOLES)[:3], "when": ("recommended|titles|join_es",)}
_FACTS = ("first_name", "skin_type", "concerns", "purchases", "recommended", "catalog", "customer_data")
KEYS = (
    *HOLES.values(), *(f"{sign}_{fact}" for fact in _FACTS for sign in ("is", "no")),
    "cond_when", "cond_otherwise", "cond_each", "cond_each_recommended", "cond_each_catalog", "cond_and", "cond_or", "cond_not", "is_equals", "no_equals",
)  # fmt: skip
"""The keys that `in_words` and `names` look up."""
_JINJA = Environment()


def names(words: Mapping[str, str]) -> dict[str, str]:
    """How the usual expressions are called, for `fields.fields`."""
    return {said: words[key] for said, key in HOLES.items()}


def offered(field: Field, words: Mapping[str, str]) -> list[tuple[str, str]]:
    """(name, what to insert) of each hole that may be put into a field: in brackets, unless it is known there anyway."""
    known = " ".join(c.tests[0] for c in field.when if c.kind in ("if", "elif") and "not " not in c.tests[0])
    holes = [(HOLES[said], re.findall(r"[a-z_]+", said)[0]) for said in _OFFERED.get(field.section, ())]
    return [(words[key], f"{{{words[key]}}}" if name in known else f"[ {{{words[key]}}}]") for key, name in holes]


def in_words(when: Sequence[Condition], words: Mapping[str, str]) -> str:
    """«when the skin type is known», or «for each product of the catalogue»; empty where it always holds.

    What is known anyway of what stands deeper goes without saying.
    """
    loops = {_loop(c)[0] for c in when if c.kind == "each"}
    told = [c for c in when if c.kind == "each" or not set(c.tests) <= loops]
    deepest = [c for c in told if c.tests != ("customer_data",)] or told
    return "; ".join(_one(condition, words) for condition in deepest)


def _loop(condition: Condition) -> tuple[str, str]:
    through, _, test = condition.tests[0].partition(" if ")
    return through.strip(), test


def _one(condition: Condition, words: Mapping[str, str]) -> str:
    if condition.kind == "each":
        through, test = _loop(condition)
        every = words.get(f"cond_each_{through}", f"{words['cond_each']} «{through}»")
        return f"{every} «if {test}»" if test else every
    if condition.kind == "else" and len(condition.tests) > 1:
        return words["cond_otherwise"]
    said = f"{words['cond_when']} {_test(condition.tests[0], words, negative=condition.kind == 'else')}"
    return f"{words['cond_otherwise']}, {said}" if condition.kind == "elif" else said


def _test(test: str, words: Mapping[str, str], *, negative: bool) -> str:
    """A condition in words, or as it stands where there are none for it."""
    try:
        (said,) = _JINJA.parse(f"{{{{ {test} }}}}").body[0].iter_child_nodes()
    except (TemplateSyntaxError, RecursionError, IndexError, ValueError):
        said = nodes.Const(None)
    return _node(said, words, negative) or f"{words['cond_not'] if negative else ''} «{test}»".strip()


def _node(node: nodes.Node, words: Mapping[str, str], negative: bool) -> str:
    match node:
        case nodes.Name() if node.name in _FACTS:
            return words[f"{'no' if negative else 'is'}_{node.name}"]
        case nodes.Not():
            return _node(node.node, words, not negative)
        case nodes.And() | nodes.Or():
            parts = [_node(side, words, negative) for side in (node.left, node.right)]
            both = isinstance(node, nodes.And) != negative
            return f" {words['cond_and' if both else 'cond_or']} ".join(parts) if all(parts) else ""
        case nodes.Filter(name="sayable") if node.node:
            return _node(node.node, words, negative)
        case nodes.Compare(expr=nodes.Name(name="skin_type"), ops=[nodes.Operand(op="eq", expr=nodes.Const() as to)]):
            return f"{words['no_equals' if negative else 'is_equals']} «{to.value}»"
    return ""
