"""The stored page: ten moments, each with the lanes of all three, drawn from `data/turns/peers.json` alone."""

from __future__ import annotations

from html import escape
from statistics import median
from typing import Any

from tests.bench.peers.judged import Seen, s, seen, worse

FROM_MS, TO_MS = -2000, 10_000  # what a lane shows, from the beginning of the customer's sound
LANES = {  # lane of the page: rows of it, the first is the one that counts
    "Clara": {"clara_tuned": "preset «tuned»", "clara_plan": "preset «plan»"},
    "LiveKit Agents": {
        "livekit_pause": "a sink that can pause",
        "livekit_avatar": "an avatar, which cannot pause",
        "livekit_silence": "turns end by silence; not its default",
    },
    "Pipecat": {"pipecat": "default strategies", "pipecat_silence": "turns end by silence; not its default"},
}
NAMES = {
    "clara_tuned": "Clara (tuned)", "clara_plan": "Clara (plan)", "livekit_pause": "LiveKit Agents",
    "livekit_avatar": "LiveKit Agents on an avatar", "livekit_silence": "LiveKit Agents by silence", "pipecat_silence": "Pipecat by silence", "pipecat": "Pipecat",
}  # fmt: skip
MINE, OTHERS = "clara_tuned", ("livekit_pause", "livekit_avatar", "pipecat")  # what is compared in words: the defaults
STYLE = """
:root { color-scheme: light dark; --bg: #fff; --soft: #f3f5f7; --fg: #1d2125; --dim: #565e66; --line: #cfd5db; --link: #005ea2; --good: #00664c;
  --bad: #a33b00; --said: #2b6cb0; --other: #8a5a00; --you: #4a5560; --on: #fff; --duck: #9cc3e6; }
@media (prefers-color-scheme: dark) { :root { --bg: #15181b; --soft: #1f2428; --fg: #e6e8ea; --dim: #a6aeb6; --line: #3c444c; --link: #6cb8f0;
  --good: #3fcf9f; --bad: #ffa25c; --said: #6cb0f2; --other: #e0ae4a; --you: #b3bcc5; --on: #101418; --duck: #33567a; } }
* { box-sizing: border-box; } body { margin: 0 auto; max-width: 1180px; padding: 14px 24px 60px; background: var(--bg); color: var(--fg); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 28px; line-height: 1.22; text-wrap: balance; margin: 14px 0 8px; } h2 { font-size: 21px; margin: 34px 0 6px; } h3 { font-size: 17px; margin: 0; }
p, ul { max-width: 86ch; margin: 6px 0; } .dim, small { color: var(--dim); font-size: 14px; } .good { color: var(--good); } .bad { color: var(--bad); }
a { color: var(--link); } :focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
table { border-collapse: collapse; font-size: 14.5px; margin: 8px 0; } th, td { text-align: left; padding: 4px 12px 4px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
.wide { overflow-x: auto; } article { border: 1px solid var(--line); border-radius: 9px; padding: 12px 16px; margin: 16px 0; }
.row { display: grid; grid-template-columns: 178px minmax(0, 1fr); gap: 2px 12px; align-items: center; margin: 5px 0; border-radius: 5px; }
.row b { font-size: 14px; line-height: 1.25; } .row b small { display: block; font-weight: 400; font-size: 12.5px; }
.track { position: relative; height: 30px; background: var(--soft); border-radius: 4px; overflow: hidden; }
.track i { position: absolute; top: 4px; bottom: 4px; border-radius: 3px; font: 600 12px/22px system-ui, sans-serif; color: var(--on); padding: 0 5px; overflow: hidden; white-space: nowrap; }
.said { background: var(--said); } .other { background: var(--other); } .you { background: var(--you); } .key i.duck { background: var(--duck); } .track i.duck { background: var(--duck); padding: 0; }
.track u { position: absolute; top: 0; bottom: 0; width: 0; border-left: 2px dashed var(--bad); } .track s { position: absolute; top: 0; bottom: 0; background: var(--line); opacity: .55; }
em { position: absolute; font: 600 12px/30px system-ui, sans-serif; padding-left: 5px; white-space: nowrap; } .says { grid-column: 2; font-size: 14px; margin: 0 0 5px; line-height: 1.4; } .scale { height: 17px; background: none; } .scale span { position: absolute; font-size: 12px; color: var(--dim); }
.lane { border-top: 1px solid var(--line); padding-top: 5px; margin-top: 7px; } details { font-size: 14px; margin: 3px 0; } summary { cursor: pointer; color: var(--dim); }
.worse { border-left: 4px solid var(--bad); padding-left: 10px; } .key i { display: inline-block; width: 13px; height: 13px; border-radius: 3px; vertical-align: -2px; margin: 0 4px 0 12px; }
nav a { white-space: nowrap; margin-right: 12px; } dt { font-weight: 600; } dd { margin: 0 0 6px 0; } code { font-size: 13px; overflow-wrap: anywhere; }
@media (max-width: 900px) { body { padding: 10px 14px 40px; } .row { grid-template-columns: 128px minmax(0, 1fr); } }
"""


def judged(found: dict[str, Any], *, again: bool = False) -> dict[str, dict[str, Seen]]:
    """Every lane of every moment: by moment, then by lane. again: of the run that is not drawn, where there was one."""

    def which(lane: dict[str, Any], name: str) -> dict[str, Any]:
        drawn: dict[str, Any] = lane["moments"][name]
        return drawn.get("again", [drawn])[0] if again else drawn

    length = {0: found["greeting_ms"], 1: found["answer_ms"]}
    says = {0: found["greeting"], 1: found["answer"]}
    return {
        moment["name"]: {
            name: seen(moment, which(lane, moment["name"]), length, says) for name, lane in found["lanes"].items()
        }
        for moment in found["moments"]
    }


def page(found: dict[str, Any]) -> str:
    """The whole page: one file, nothing loaded."""
    verdicts, again = judged(found), judged(found, again=True)
    ways = "".join(f"<a href='#{one['name']}'>{escape(one['title'])}</a> " for one in found["moments"])
    body = (
        f"<h1>Whose turn is it? The same ten moments through Clara, LiveKit Agents and Pipecat</h1>{_what(found, verdicts, again)}"
        f"<nav aria-label='Moments'>{ways}</nav>{_score(verdicts)}{_worse(found, verdicts)}<h2 id='moments'>The ten moments</h2>{_key()}"
        f"{''.join(_moment(one, found, verdicts[one['name']], again[one['name']]) for one in found['moments'])}{_configured(found)}"
    )
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'><title>Whose turn is it? · Clara kit</title>"
        f"<meta name='viewport' content='width=device-width'><link rel='icon' href='data:,'><style>{STYLE}</style></head><body><main>{body}</main></body></html>\n"
    )


def _what(found: dict[str, Any], drawn: dict[str, dict[str, Seen]], again: dict[str, dict[str, Seen]]) -> str:
    lanes = found["lanes"]
    stops, answers, otherwise = [0], [0], 0
    for moment, by in drawn.items():
        for name, one in by.items():
            other = again[moment][name]
            if one.stopped_ms is not None and other.stopped_ms is not None:
                stops.append(abs(one.stopped_ms - other.stopped_ms))
            if one.answered and other.answered:
                answers.append(abs(one.answered[-1][0] - other.answered[-1][0]))
            otherwise += bool(one.problems) != bool(other.problems)
    twice = (
        f"between the two runs silence came up to {s(max(stops))} apart and an answer up to {s(max(answers))}, at worst where the machine "
        f"was busiest; right and wrong differed in {otherwise or 'none'} of the moments"
    )
    return (
        f"<p>Measured on <time datetime='{found['measured_on']}'><b>{found['measured_on']}</b></time>: <b>LiveKit Agents {lanes['livekit_pause']['version']}</b> and <b>Pipecat {lanes['pipecat']['version']}</b>, each "
        "configured as the package is by default, beside <b>Clara</b> with her two presets. Everything is Spanish; nothing here is a vendor’s or a customer’s: "
        "recogniser, model, voice and avatar are stand-ins that take equally long for all three, and the customer is a synthetic voice.</p>"
        "<p class='dim'><span class='mix'>How times compare</span>: Clara is <b>simulated</b>, in virtual time, and exact. The other two are the packages’ own sessions, run in <b>real time</b> on a machine "
        f"with other work, each moment twice: {twice}. The calmer run is drawn. All times are counted from the beginning of the customer’s sound. "
        "The preset «tuned» was tuned on generated Spanish overlaps, never yet on customers.</p>"
    )


def _score(verdicts: dict[str, dict[str, Seen]]) -> str:
    rows = []
    for lanes in LANES.values():
        for name in lanes:
            each = [by[name] for by in verdicts.values()]
            stops = [
                one.stopped_ms for key in ("wait", "question") if (one := verdicts[key][name]).stopped_ms is not None
            ]
            wrong = [
                key
                for key in ("backchannel", "long_backchannel", "cough", "echo")
                if verdicts[key][name].stopped_ms is not None
            ]
            right = sum(not one.problems for one in each)
            rows.append(
                f"<tr><th scope='row'>{escape(NAMES[name])}</th><td><b>{right} of {len(each)}</b></td><td>{len(wrong)} of 4</td>"
                f"<td>{s(median(stops)) if stops else 'never'}</td><td>{sum(one.requests for one in each)}</td></tr>"
            )
    return (
        "<h2 id='score'>At a glance</h2><div class='wide'><table><thead><tr><th></th><th>moments right</th><th>stopped by what was no interruption</th>"
        "<th>stops for «espera» and the question, median</th><th>requests to the model, from the sounds on</th></tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _worse(found: dict[str, Any], verdicts: dict[str, dict[str, Seen]]) -> str:
    items = []
    for moment in found["moments"]:
        by = verdicts[moment["name"]]
        others = {NAMES[name]: by[name] for name in OTHERS}
        told = worse(moment, by[MINE], others)
        if told:
            items.append(
                f"<li><a href='#{moment['name']}'>{escape(moment['title'])}</a>: {escape('; '.join(told))}.</li>"
            )
        if by[MINE].problems and not any(not one.problems for one in others.values()):
            items.append(
                f"<li><a href='#{moment['name']}'>{escape(moment['title'])}</a>: she is wrong here, as the others are: {escape('; '.join(by[MINE].problems))}.</li>"
            )
    shown = (
        f"<ul>{''.join(items)}</ul>" if items else "<p>In none of the ten moments, in nothing that is counted here.</p>"
    )
    return (
        "<h2 id='worse'>Where Clara is worse</h2><p class='dim'>Preset «tuned» against each of the others as configured by default; differences under 0.1 s are left out, and one of a few tenths in answering is within what two runs of the same package differ by.</p>"
        f"<div class='worse'>{shown}</div>"
    )


def _key() -> str:
    return (
        "<p class='key dim'><i class='you'></i>the customer <i class='said'></i>what she was saying <i class='duck'></i>the same, lowered <i class='other'></i>an answer to something else "
        "<b class='bad'>┊</b> a request to the model. Silence is empty.</p>"
    )


def _left(ms: float) -> float:
    return round((min(max(ms, FROM_MS), TO_MS) - FROM_MS) / (TO_MS - FROM_MS) * 100, 2)


def _block(kind: str, a: float, b: float, text: str = "") -> str:
    if b <= FROM_MS or a >= TO_MS:
        return ""
    left, wide = _left(a), round(_left(b) - _left(a), 2)
    inside, beside = escape(text), ""
    if kind == "you" and wide < len(text) + 2:  # the customer's words are short, and so are their blocks
        inside, beside = "", f"<em style='left:{round(left + wide, 2)}%'>{escape(text)}</em>"
    return (
        f"<i class='{kind}' style='left:{left}%;width:{wide}%' title='{escape(text, quote=True)}'>{inside}</i>{beside}"
    )


def _moment(moment: dict[str, Any], found: dict[str, Any], by: dict[str, Seen], again: dict[str, Seen]) -> str:
    words = " … ".join(text for _, text, final in moment["words"] if final) or moment["name"]
    *before, last = moment["sounds"]
    parts = [*(_block("you", a, b) for a, b in before), _block("you", *last, words)]
    scale = "".join(
        f"<span style='left:{_left(ms)}%'>{str(ms // 1000).replace('-', '−')} s</span>"
        for ms in range(FROM_MS, TO_MS, 1000)
    )
    rows = "".join(
        f"<div class='lane'>{''.join(_row(lane, name, says, moment, found, by[name], again[name]) for name, says in rows.items())}</div>"
        for lane, rows in LANES.items()
    )
    return (
        f"<article id='{moment['name']}' tabindex='-1'><h3>{escape(moment['title'])}</h3><p>{escape(moment['says'])} <b>Should:</b> {escape(moment['wanted'])}</p>"
        f"<div class='row'><b>customer</b><div class='track' role='img' aria-label='{escape(moment['says'], quote=True)}'>{''.join(parts)}</div></div>{rows}"
        f"<div class='row'><span></span><div class='track scale' aria-hidden='true'>{scale}</div></div></article>"
    )


def _row(lane: str, name: str, says: str, moment: dict[str, Any], found: dict[str, Any], one: Seen, other: Seen) -> str:
    stored = found["lanes"][name]["moments"][moment["name"]]
    first = next((n for a, b, n in stored["played"] if a <= 0 < b), None)
    blocks = [f"<s style='left:{_left(a)}%;width:{round(_left(b) - _left(a), 2)}%'></s>" for a, b in moment["sounds"]]
    for a, b, number in stored["played"]:
        same = number == first or (number == 0 and first is None) or b <= 0
        text = (
            "" if b <= 0 else "…" if number == first else f"→ «{stored['requests'][number - 1][1]}»" if number else ""
        )
        blocks.append(_block("said" if same else "other", a, b, text))
    blocks += [_block("duck", a, b) for a, b in stored["ducked"]]
    blocks += [
        f"<u style='left:{_left(at)}%' title='asked: {escape(text, quote=True)}'></u>"
        for at, text in stored["requests"]
        if FROM_MS < at < TO_MS
    ]
    told = _told(moment, one, stored, other if "again" in stored else None)
    verdict = (
        "<b class='good'>✓ right.</b>"
        if not one.problems
        else f"<b class='bad'>✗ {escape('; '.join(one.problems))}.</b>"
    )
    history = "".join(
        f"<dt>{'customer' if role == 'user' else 'assistant'}</dt><dd>{escape(text)}</dd>"
        for role, text in stored["history"]
    )
    asked = "; ".join(f"«{escape(text)}» at {s(at)}" for at, text in stored["requests"] if at > 0) or "nothing"
    return (
        f"<div class='row'><b>{escape(lane)}<small>{escape(says)}</small></b><div class='track' role='img' aria-label='{escape(_aloud(stored), quote=True)}'>{''.join(blocks)}</div>"
        f"<div class='says'>{verdict} {escape(told)}<details><summary>What the model was asked, and what stands in the history</summary>"
        f"<p>Asked from the sound on: {asked}.</p><dl>{history}</dl></details></div></div>"
    )


def _aloud(stored: dict[str, Any]) -> str:
    parts = []
    for a, b, number in stored["played"]:
        if b > FROM_MS:
            whose = f"answering {stored['requests'][number - 1][1]}" if number else "the greeting"
            parts.append(f"{s(a)} to {s(b)}, {whose}")
    return f"heard: {'; '.join(parts)}" if parts else "nothing is heard"


def _told(moment: dict[str, Any], one: Seen, stored: dict[str, Any], other: Seen | None) -> str:
    parts = [f"lowered from {s(a)} to {s(b)}" for a, b in stored["ducked"]]
    if moment["stops"] is not False and one.stopped_ms is not None:
        parts.append(f"silent after {s(one.stopped_ms)}")
        if one.resumed_ms is not None and moment["whole"]:
            parts.append(f"{'begins anew' if one.again else 'goes on'} {s(one.silent_ms)} later")
    if one.repeated_ms:
        parts.append(f"says {s(one.repeated_ms)} of her words a second time")
    if one.answered:
        parts.append(f"answers {s(one.answered[-1][0] - moment['ends_ms'])} after the last word")
    if one.requests > len(one.answered) + one.again:
        parts.append(f"{one.requests} requests to the model")
    if other is not None:
        parts.append(f"in the other run: {_again(other, moment['ends_ms'])}")
    told = "; ".join(parts)
    return f"{told[0].upper()}{told[1:]}." if told else ""


def _again(other: Seen, ends_ms: float) -> str:
    parts = [f"silent after {s(other.stopped_ms)}"] if other.stopped_ms is not None else []
    parts += [f"answers {s(other.answered[-1][0] - ends_ms)} after the last word"] if other.answered else []
    return ", ".join([*parts, f"{other.requests} request{'' if other.requests == 1 else 's'}"])


def _configured(found: dict[str, Any]) -> str:
    figures = ", ".join(f"{name} {value}" for name, value in found["figures"].items() if name != "shop_answer")
    rows = ""
    for name, lane in found["lanes"].items():
        version = f" ({lane['package']} {lane['version']})" if "version" in lane else ""
        rows += f"<dt>{escape(NAMES[name])}{version}</dt><dd><code>{escape(_plain(lane['config']))}</code></dd>"
    return (
        "<h2 id='configuration'>Configuration, and what was not run</h2>"
        f"<p>The stand-ins’ times, for all three, in ms (rates: a second): <code>{escape(figures)}</code>. A final transcript comes 0.3 s of silence and 0.2 s after the last word.</p>"
        f"<dl>{rows}</dl><ul>"
        "<li>Detectors of sounds have each package’s default times, but the net in them is told who sounds, so that a cough is a sound for everybody and nobody is too low.</li>"
        "<li>LiveKit Agents’ default detector of the end of turns is its local <code>turn-detector-v1-mini</code>, Pipecat’s is smart-turn v3.2; both come with the packages and were run, on a "
        "<b>synthetic</b> Spanish voice: with people they may judge otherwise.</li>"
        "<li>Not run: LiveKit’s adaptive interruption detector and <code>turn-detector-v1</code> (they need its cloud), Krisp’s detectors (a licence), any real avatar. The avatar lane is a sink that cannot pause.</li>"
        "<li>LiveKit ignores interruptions for its first 3 s of speech (its default); the greeting lasts longer than that.</li>"
        "<li>Pipecat’s recogniser is asked for its words when a sound ends, as its Deepgram service does; its voice tells no times of words, as its Deepgram voice does not.</li>"
        "<li>Of two runs the one on the calmer machine is drawn; what the other saw stands beside it.</li></ul>"
        "<p class='dim'>Made by <code>python -m tests.bench.peers.moments</code>; Clara’s lanes are computed anew by a test and must equal these.</p>"
    )


def _plain(config: dict[str, Any]) -> str:
    return ", ".join(f"{name}: {value}" for name, value in config.items()) or "as Settings() has it"
