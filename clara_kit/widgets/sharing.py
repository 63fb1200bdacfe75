"""`share`: a conversation as one page that opens anywhere, without Jupyter, a kernel or the internet.

Sound, timeline, transcript and ledger, by mouse and keyboard, in both languages, light and dark. The view is in `sharing.js`.
"""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path
from typing import Any, get_args

from clara_kit.core.errors import RunLogError
from clara_kit.core.page import escape
from clara_kit.core.placeholders import masked
from clara_kit.lab.remarks import Remarks
from clara_kit.lab.shelf import customer_of, of_a_person, prompt_of
from clara_kit.lab.sound_copy import copied
from clara_kit.lab.timeline import timeline
from clara_kit.measure.ledger import STAGE_LABELS, STAGES
from clara_kit.measure.run import Run
from clara_kit.measure.story import Story, Words
from clara_kit.runtime.run_log import write_whole
from clara_kit.store import disk
from clara_kit.widgets.picture import GUTTER, RIGHT, WIDTH, svg
from clara_kit.widgets.view import HERE, style
from clara_kit.widgets.words import WORDS, Language, usual_language, whose

MOST_BYTES = 8_000_000
SAID = (
    "who_", "what_", "share_", "w_play", "w_pause", "w_legend", "not_vendors", "struck", "language", "turn", "part_ledger", "tags",
)  # fmt: skip
LONGEST_CHARS = 1_500_000  # of the pictures: of a longer conversation there is a transcript alone


def share(run: Run | str | Path, path: Path | str, *, names: bool = False, language: Language | None = None) -> Path:
    """Write a conversation as one HTML page of 8 MB at the most: sound, timeline, transcript, ledger. Returns where.

    names: an invented customer's words, instead of placeholders and silence. Of a real customer neither words nor sound are
    ever in it. What was left out stands in the page. Raises `RunLogError` where it cannot be written, or has no room.
    """
    run = run if isinstance(run, Run) else Run.load(run)
    target = Path(path)
    target = target / f"{run.run_id}.html" if target.is_dir() else target
    page = page_of(run, names=names, language=language or usual_language())
    if len(page.encode()) > MOST_BYTES:
        raise RunLogError("This conversation is too long for one page.", hint="make a bundle of it instead.")
    with disk(f"The page cannot be written to {target}", "choose another place."):
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, page)
    return target


def page_of(run: Run, *, names: bool, language: Language) -> str:
    """The page's text. Equal runs give equal pages."""
    shown = run.revealed() if names and not of_a_person(run) else run
    title = run.title or run.run_id
    title = title if shown is not run or not run.words else masked(title, run.words)
    remarks = Remarks.of(run.folder) if run.folder is not None else Remarks()
    line, tongues = timeline(shown.trace), get_args(Language)
    pictures = {of: svg(timeline(shown.trace, of), title=title, mix=run.mix, language=of) for of in tongues}
    too_long = sum(map(len, pictures.values())) > LONGEST_CHARS
    data: dict[str, Any] = {
        "title": title,
        "began": str(run.facts.get("started") or "")[:16].replace("T", " "),
        "customer": "" if of_a_person(run) or not names else customer_of(run.inputs),
        "prompt": prompt_of(run.inputs),
        "whose": {of: whose(run.mix, of) for of in tongues},
        "language": language,
        "words": {of: _words(n) for n, of in enumerate(tongues)},
        "pictures": {} if too_long else pictures,
        "scale": [line.begin_ms, line.end_ms, GUTTER, WIDTH - RIGHT, WIDTH],
        "said": _said(shown),
        "stages": list(STAGE_LABELS),
        "ledger": [
            [turn.turn_id, turn.kind, *(_rounded(turn.stages.get(stage)) for stage in STAGES), _rounded(turn.total_ms)]
            for turn in shown.ledger
        ],
        "tags": list(remarks.tags or ()),
        "comments": [[one.turn, masked(one.text, run.words) if shown is run else one.text] for one in remarks.comments],
        "problems": list(run.problems),
        "soundFromMs": run.sound_from_ms,
        "leftOut": [],
    }
    room = MOST_BYTES - len(_json(data).encode()) - 60_000
    sound = copied(run, room * 3 // 4, masked=shown is run)
    left = [
        *sound.left_out,
        *([("share_no_picture", "")] if too_long else []),
        *([("share_masked", "")] if shown is run else []),
    ]
    data |= {"leftOut": left, "sound": b64encode(sound.data).decode(), "soundKind": sound.kind}
    script = (HERE / "sharing.js").read_text(encoding="utf-8")
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; media-src blob:; style-src 'unsafe-inline'; "
        f"script-src 'unsafe-inline'; img-src data:\"><title>{escape(title)}</title><style>{style('sharing')}</style></head>"
        f'<body><main></main><script type="application/json" id="data">{_json(data)}</script><script>{script}</script></body></html>'
    )


def _json(data: Any) -> str:
    """As a script element may hold it."""
    return json.dumps(data, ensure_ascii=False, sort_keys=True).replace("<", "\\u003c").replace("\u2028", "\\u2028")


def _words(which: int) -> dict[str, str]:
    return {key: texts[which] for key, texts in WORDS.items() if key.startswith(SAID)}


def _said(run: Run) -> list[dict[str, Any]]:
    """In order: who said what, from when to when; and of Clara's words those that were never heard."""
    rows: list[dict[str, Any]] = []
    for said in Story(run.trace).said:
        if isinstance(said, Words):
            if said.text.strip():
                who = "customer" if said.kind == "spoken" else "typed"
                rows.append({"who": who, "text": said.text, "from": said.began_ms, "to": said.ended_ms})
            continue
        nothing = said.started_ms is None and said.shown_ms is None
        rows.append({
            "who": "Clara", "turn": said.turn_id, "text": said.reached,
            "unheard": said.text if nothing else said.heard.unheard if said.heard is not None else "",
            "from": said.shown_ms if said.started_ms is None else said.started_ms, "to": said.stopped_ms,
        })  # fmt: skip
    return rows


def _rounded(ms: float | None) -> float | None:
    return None if ms is None else round(ms)
