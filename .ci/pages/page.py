"""One notebook as one page: its text, its code folded, its outputs as they looked."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable, Sequence
from datetime import datetime
from html import escape
from typing import Any, cast

from nbconvert import filters
from pygments import highlight
from pygments.formatters.html import HtmlFormatter
from pygments.lexers.python import PythonLexer

from pages.assets import Assets
from pages.running import Ran
from pages.widgets import Widgets, audio, plot

Link = tuple[str, str]  # address, title
_AUDIO = re.compile(r'src="data:audio/(?:x-)?wav;base64,([^"]+)"')
_ADDRESS = re.compile(r"""<a\b([^>]*?)\bhref=(["'])(?!https?:|mailto:|#|data:)([^"']*)\2([^>]*)>(.*?)</a>""", re.DOTALL)


_html: Callable[[str], str] = filters.markdown2html_mistune
_ansi: Callable[[str], str] = cast(Any, filters).ansi2html


def page(ran: Ran, assets: Assets, *, when: datetime, before: Link, after: Link | None, pages: Sequence[str]) -> str:
    """The whole page of a notebook. `pages`: the names of all, for links from one to another."""
    widgets = Widgets(ran, assets)
    scripts: dict[str, None] = {}
    parts = []
    for number, cell in enumerate(ran.cells):
        if cell.cell_type == "markdown":
            parts.append(f"<section>{_html(cell.source)}</section>")
        elif cell.cell_type == "code":
            parts.append(_code(cell.source) + "".join(_output(one, widgets, scripts, assets) for one in cell.outputs))
        if number == ran.broke_at:
            parts.append(_stopped(ran, number))
            break
    body = _links("".join(parts), pages)
    if "<h1" not in body:  # a file that is no notebook, or one without a heading
        body = f"<h1>{escape(ran.title)}</h1>{body}"
    links = (*widgets.styles,), (*scripts, *widgets.scripts)
    return shell(ran.title, body, assets, when=when, mix=whose(ran), before=before, after=after, more=links)


def shell(
    title: str, body: str, assets: Assets, *, when: datetime, mix: str, before: Link | None, after: Link | None,
    more: tuple[Sequence[str], Sequence[str]] = ((), ()),
) -> str:  # fmt: skip
    """What is around every page. more: style sheets and scripts of its own."""
    styles = "".join(f"<link rel='stylesheet' href='{one}'>" for one in (assets.own("page.css"), *more[0]))
    scripts = "".join(f"<script src='{one}'></script>" for one in (assets.own("host.js"), *more[1]))
    index = "<span></span>" if before is None or before[0] == "index.html" else "<a href='index.html'>Overview</a>"
    ways = "".join((_way(before, "←", "prev"), index, _way(after, "→", "next")))
    return (
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{escape(title)} · Clara kit</title>"
        f"<meta name='viewport' content='width=device-width'><link rel='icon' href='data:,'>{styles}</head><body>"
        f"<header><nav aria-label='Pages'>{ways}</nav><p class='meta'><time datetime='{when:%Y-%m-%dT%H:%M%z}'>{_day(when)}</time>"
        f" · <span class='mix'>{escape(mix)}</span></p></header><main>{body}</main>"
        f"<footer><nav aria-label='Pages, again'>{ways}</nav></footer>{scripts}<script>clara.start()</script></body></html>\n"
    )


def whose(ran: Ran) -> str:
    """What was behind the conversations of a page, and whose its numbers are."""
    mixes = sorted({*ran.mixes, *(str(w["state"]["mix"]) for w in ran.widgets.values() if w["state"].get("mix"))})
    if not mixes:
        return "computed on this machine: no number here is a vendor’s"
    live = any("live" in mix.split() for mix in mixes)
    return f"{', '.join(mixes)}: " + ("with live vendors" if live else "no number here is a vendor’s")


def _way(link: Link | None, arrow: str, rel: str) -> str:
    if link is None:
        return "<span></span>"
    words = f"{arrow}&nbsp;{escape(link[1])}" if rel == "prev" else f"{escape(link[1])}&nbsp;{arrow}"
    return f"<a rel='{rel}' href='{link[0]}'>{words}</a>"


def _day(when: datetime) -> str:
    return f"{when.day} {when:%B %Y, %H:%M}"


def _code(source: str) -> str:
    """A cell's code, folded; its first comment says what it does."""
    first, _, rest = source.strip().partition("\n")
    says = first.removeprefix("#").strip() if first.startswith("#") else ""
    code = highlight(rest if says else source, PythonLexer(), HtmlFormatter(nowrap=True))
    if not (rest if says else source).strip():
        return ""
    return (
        f"<details class='code'><summary>{escape(says) or 'The code of this step'}</summary><pre>{code}</pre></details>"
    )


def _output(output: Any, widgets: Widgets, scripts: dict[str, None], assets: Assets) -> str:
    if output.output_type == "stream":
        text = f"<pre class='text'>{_ansi(output.text)}</pre>"
        return text if output.name == "stdout" else f"<details class='code'><summary>Messages</summary>{text}</details>"
    if output.output_type == "error":
        return ""  # told below, in words
    shown = _shown(output.data, widgets, scripts, assets)
    return f"<div class='output'>{shown}</div>" if shown else ""


def _shown(data: Any, widgets: Widgets, scripts: dict[str, None], assets: Assets) -> str:
    """The richest form of an output that a page can show."""
    if "application/vnd.jupyter.widget-view+json" in data:
        return widgets.shown(data["application/vnd.jupyter.widget-view+json"]["model_id"])
    if "application/vnd.plotly.v1+json" in data:
        return plot(data["application/vnd.plotly.v1+json"], assets, scripts)
    if "text/html" in data:
        sounds = [audio(b64decode(sound), assets) for sound in _AUDIO.findall(data["text/html"])]
        html = data["text/html"].strip()  # empty where a line of progress has had its time
        return "".join(sounds) or (f"<div class='html'>{html}</div>" if html else "")
    if "image/svg+xml" in data:
        return f"<div class='drawing'>{data['image/svg+xml']}</div>"
    for kind in ("image/png", "image/jpeg"):
        if kind in data:
            return f"<img alt='' src='data:{kind};base64,{data[kind]}'>"
    if "text/markdown" in data:
        return _html(data["text/markdown"])
    return f"<pre class='text'>{escape(data.get('text/plain', ''))}</pre>"


def _stopped(ran: Ran, number: int) -> str:
    """Where a notebook broke: the error in plain words, the whole of it folded."""
    left = sum(cell.cell_type == "code" for cell in ran.cells[number + 1 :])
    errors = [one for one in ran.cells[number].outputs if one.output_type == "error"]
    whole = "".join(f"<pre class='text'>{_ansi(chr(10).join(one.traceback))}</pre>" for one in errors)
    rest = (
        f" The {left} steps after it were not run." if left > 1 else " The step after it was not run." if left else ""
    )
    fold = (
        f"<details class='code'><summary>The whole message, for a programmer</summary>{whole}</details>"
        if whole
        else ""
    )
    return f"<div class='stopped' role='alert'><p><b>✗ Here this notebook stopped.</b> {escape(ran.why)}{rest}</p>{fold}</div>"


def _links(body: str, pages: Sequence[str]) -> str:
    """A link to another notebook, or to a page of the project, leads to the page here; to any other file it is only a name."""

    def mended(match: re.Match[str]) -> str:
        before, _, address, behind, text = match.groups()
        path, _, anchor = address.partition("#")
        name, _, kind = path.rsplit("/", 1)[-1].rpartition(".")
        if name in pages and kind in ("ipynb", "html"):
            return f"<a{before}href='{name}.html{'#' if anchor else ''}{anchor}'{behind}>{text}</a>"
        return text

    return _ADDRESS.sub(mended, body)
