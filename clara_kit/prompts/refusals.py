"""Every refusal of a template: what is wrong, and what to do. `$name` stands for what the check has found.

Below the checks of file, language and parts, so that each of them is one line and the texts can be read together.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from string import Template

from clara_kit.core.errors import TemplateError

_SAYS = {
    # the file
    "not utf-8": ("This is not UTF-8 text.", "save it as UTF-8 in the editor."),
    "no template": ("There is no such template ($why).", "choose one of $known, one of your own as mine/<id>.v<number>, or give the path of a .md file."),
    "too long": ("$chars characters are too many for a prompt.", "keep it under $most."),
    # the front matter
    "no front": ("The front matter is missing or not closed.", "begin the file with a line ---, then id, version, description and variables, then a line ---."),
    "not yaml": ("The front matter is not YAML: $why.", "write one «field: value» a line; a value with a colon needs quotes."),
    "no fields": ("The front matter has no fields.", "it needs $fields."),
    "field missing": ("$field: is missing from the front matter.", "add a line «$field: …»."),
    "field unknown": ("$field: is no field of the front matter.", "the fields are $fields."),
    "id": ("id: $value is no id.", "use small letters, digits and _, as in warm_2."),
    "version": ("version: $value is no version.", "write a whole number from 1 on."),
    "description": ("description: is no text.", "say in a sentence what is special about this template."),
    "note": ("note: is no text.", "write in a few words what is different in this version, in quotes."),
    "variables": ("variables: is no list of names.", "write them as [first_name, skin_type]."),
    "variable": ("variables: nothing gives $value.", "there are $known."),
    # blocks, parts, the language
    "block missing": ("The block $name is missing.", "add {% block $name %} … {% endblock %}; it may be empty."),
    "block unknown": ("There is no block $name.", "a template has the blocks $known."),
    "outside": ("Text outside the blocks would never be said or read.", "move it into one of the blocks $known."),
    "refused": ("Templates have no $what.", "a prompt needs only text, {{ variables }}, filters, {% if %}, {% for %} and {% include %}."),
    "syntax": ("The template's language is not right: $why", "every {% if %}, {% for %} and {% block %} needs its end; {{ and }} come in pairs."),
    "nested": ("Something is nested too deep.", "take brackets or conditions apart."),
    "include here": ("A part cannot be included here.", "include it in a block, outside of loops."),
    "include what": ("Only a part can be included, by its name.", "write {% include 'parts/guard_rails.md' %}; the file lies in data/prompts/parts."),
    "part unknown": ("There is no part $name.", "there are: $known."),
    "part too long": ("The part $name is too long.", "keep it under $most characters."),
    "loops": ("There are too many loops.", "at most $most in a template, $deepest inside each other, none recursive."),
    "loop name": ("A loop needs one new name for what it goes through.", "write {% for product in catalog %}."),
    "no list": ("This is no list to go through.", "loop over catalog, recommended, concerns or purchases."),
    "list": ("This is a list, not text.", "put it together: {{ concerns|join_es }}."),
    "places": ("Only a list has places, and they are numbers.", "write recommended[0] or concerns[:2]."),
    "name": ("Nothing gives the variable $name.", "$near"),
    "field": ("There is no .$name here.", "$near"),
    "filter": ("There is no filter $name.", "$near"),
    # whose words stand where
    "undeclared": ("The variable $name is not declared.", "add it to variables in the front matter."),
    "not cached": ("$where uses $name: it would differ between customers, and nothing would be cached.", "move this into the personal block; only catalog may be used here."),
    "read out": ("The greeting would read out all that is known.", "use first_name or skin_type."),
    "unfenced": ("$name would stand in the prompt outside the fence, where it could pass for an instruction.", "use {{ customer_data }}, which fences it; in the personal block it may stand in an {% if %}."),
    "two fences": ("customer_data stands here a second time.", "one fence is enough; put it outside the {% if %}."),
    "fence by hand": ("The fence is built here by hand.", "write {{ customer_data }}, which brings its fence along."),
    "invisible": ("There is a character that nobody can see.", "type the line anew."),
    # a sentence of the studio
    "hole": ("Nothing is called {$name}.", "$near"),
    "brace": ("Braces are not in pairs, or there is nothing between them.", "write {first name}; what can stand there is said beside the field."),
    "bracket": ("Square brackets are not in pairs, or hold nothing that may be unknown.", "write [, {first name}] in one line: it is said only where the name is known."),
    # while it is filled
    "endless": ("The block $name grows beyond $most characters.", "show less of the catalogue, or loop once."),
    "unfilled": ("This cannot be filled in for $whom: $why.", "ask with {% if … %} first whether there is anything; a filter needs what it is made for."),
}  # fmt: skip


def refusal(why: str, /, *, file: str = "", line: int = 0, **found: object) -> TemplateError:
    """The error for one of the reasons above, at its place; a list that was found is written with commas."""
    facts = {n: ", ".join(map(str, v)) if isinstance(v, tuple) else v for n, v in found.items()}
    message, hint = (Template(text).substitute(facts) for text in _SAYS[why])
    return TemplateError(message, hint=hint, file=file, line=line)


def near(name: str, known: Iterable[str], otherwise: str = "") -> str:
    """«did you mean …», or all the names there are."""
    known = list(known)
    close = get_close_matches(name, known, n=1)
    return f"did you mean {close[0]}?" if close else otherwise or f"there are {', '.join(known)}."
