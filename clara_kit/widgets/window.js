// The view of window.py: a timeline that can be zoomed, a cursor that walks from event to event, and the sound.
const SVG = "http://www.w3.org/2000/svg";
const GUTTER = 86, CHAR_PX = 6.1;
const LANES = { customer: [24, 54], state: [84, 24], model: [114, 34], Clara: [168, 48], trouble: [222, 22] };
const SERVICES = ["stt", "llm", "tts", "avatar", "shop", "backup"], SERVICE_PX = 19; // a lane each where there is anything to tell
const HEIGHT = 248, WAIT_Y = 160; // how long the customer waited is drawn right above Clara's lane
const SIGN = { interim: "·", typed: "⌨", button: "◆", piece: "▸", "first audio": "♪", interrupt: "■", cancelled: "⊗",
  fault: "▲", failed: "✕", recovered: "✓", alert: "!", close: "≈", shown: "¶", retry: "↻", probe: "?", switch: "⇄", told: "⚑" };
const LETTER = { IDLE: "–", USER_SPEAKING: "C", PROCESSING: "…", AVATAR_SPEAKING: "A", INTERRUPTED: "!" };
const VERDICT = { faster: "✓✓", within: "✓", slower: "✕", none: "–" };
const MARK_Y = { customer: 12, model: 33, Clara: 50, trouble: 16 };
const KINDS = { customer: ["words", "sound", "interim", "typed", "button", "close"], state: Object.keys(LETTER),
  model: ["waiting", "writing", "piece", "cancelled"], Clara: ["on the way", "first audio", "speaking", "held", "ducked", "unheard", "interrupt", "shown"],
  trouble: ["fault", "failed", "alert", "recovered"],
  services: ["failing", "passed by", "half open", "given up", "opening", "there", "speaks for Clara", "retry", "probe", "switch", "told"] };

function shape(name, attributes = {}, text = "") {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text) node.textContent = text;
  return node;
}
function clip(text, width) {
  const count = Math.floor(width / CHAR_PX);
  return text.length <= count ? text : count < 3 ? "" : text.slice(0, count - 1) + "…";
}
const seconds = (ms) => (ms / 1000).toFixed(2) + " s";
const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
const kindClass = (kind) => kind.replaceAll(" ", "-");

function render({ model, el }) {
  const say = (name) => model.get("words")[name] || name;
  const root = make("div", "ck");
  root.tabIndex = 0;
  root.dataset.testid = "clara-window";
  root.setAttribute("role", "group");
  root.dataset.lmSuppressShortcuts = "true"; // keys are for the window here, not for JupyterLab's cells
  el.append(root);

  const labels = []; // what must be said anew in another language
  const labelled = (node, text, hint) => {
    labels.push(() => {
      if (text) node.textContent = text();
      if (hint) node.title = say(hint);
      if (hint) node.setAttribute("aria-label", say(hint));
    });
    return node;
  };
  const button = (text, hint, testid, act) => {
    const node = labelled(make("button"), text, hint);
    node.dataset.testid = testid;
    node.addEventListener("click", act);
    return node;
  };
  const head = make("div", "ck-head"), title = make("span", "ck-title"), mix = make("span", "ck-mix");
  const play = button(null, null, "play", () => (playing() ? audio.pause() : startHere()));
  const legendButton = button(() => say("w_legend"), "w_legend_hint", "legend-button", () => showLegend(legend.hidden));
  play.className = "ck-play";
  const tools = make("span", "ck-tools"); // one row, or all of them in the next
  tools.append(play, legendButton,
    button(() => "−", "w_zoom_out", "zoom-out", () => zoom(1.6)), button(() => "+", "w_zoom_in", "zoom-in", () => zoom(1 / 1.6)),
    button(() => say("w_all"), "w_all_hint", "zoom-all", () => { view = null; draw(); }));
  head.append(title, mix, make("span", "ck-gap"), tools);
  const svg = shape("svg", { role: "group", height: HEIGHT });
  const steps = make("div", "ck-steps"), slider = labelled(make("input"), null, "w_slider"), count = make("span", "ck-count");
  slider.type = "range";
  slider.min = 0;
  slider.dataset.testid = "slider";
  count.dataset.testid = "count";
  const back = [
    button(() => "|◀", "w_first", "first", () => hand(0)),
    button(() => "◀◀ " + say("w_decision"), "w_decision_back", "back-decision", () => hand(decision(-1))),
    button(() => "◀", "w_back", "back", () => hand(model.get("step") - 1)),
  ], on = [
    button(() => "▶", "w_next", "next", () => hand(model.get("step") + 1)),
    button(() => say("w_decision") + " ▶▶", "w_decision_next", "next-decision", () => hand(decision(1))),
    button(() => "▶|", "w_last", "last", () => hand(Infinity)),
  ];
  steps.append(...back, ...on, slider, count);
  const waits = make("div", "ck-waits"), waitsTitle = make("div", "ck-waits-title");
  waits.dataset.testid = "waits";
  const panes = make("div", "ck-panes"), why = make("div", "ck-pane ck-why"), said = make("div", "ck-pane");
  why.dataset.testid = "why";
  said.dataset.testid = "said";
  why.tabIndex = said.tabIndex = 0; // so that they can be scrolled by keyboard
  const whyTitle = make("h4"), plain = make("div", "ck-plain"), fold = make("details"), inside = make("div");
  plain.setAttribute("aria-live", "polite");
  fold.dataset.testid = "engineers";
  fold.append(labelled(make("summary"), () => say("engineers")), inside);
  fold.addEventListener("toggle", () => {
    if (fold.open === model.get("unfolded")) return;
    model.set("unfolded", fold.open);
    model.save_changes();
  });
  why.append(whyTitle, plain, fold);
  const talk = make("div", "ck-said");
  said.append(labelled(make("h4"), () => say("w_remembers")), talk);
  const legend = make("div", "ck-legend");
  legend.hidden = true;
  legend.tabIndex = 0;
  legend.dataset.testid = "legend";
  panes.append(why, said);
  const tip = make("div", "ck-tip");
  tip.hidden = true;
  tip.setAttribute("role", "tooltip");
  tip.dataset.testid = "tip";
  const lower = make("div", "ck-lower");
  const branches = branchPanel(model, root);
  lower.append(waitsTitle, waits, steps, labelRow(model, root), branches.node, panes, labelled(make("div", "ck-help"), () => say("w_help")), legend);
  root.append(head, svg, lower, tip);

  // --- what part of the conversation is shown -----------------------------------------------------------
  let view = null; // [from_ms, to_ms], or null for all of it
  let plotWidth = 800;
  const begin = () => model.get("timeline").begin_ms || 0;
  const end = () => Math.max(begin() + 1, model.get("timeline").end_ms || 1);
  const range = () => view || [begin(), end()];
  const x = (ms) => GUTTER + ((ms - range()[0]) / (range()[1] - range()[0])) * plotWidth;
  const ms = (px) => range()[0] + ((px - GUTTER) / plotWidth) * (range()[1] - range()[0]);
  const atCursor = () => (model.get("can_branch") ? model.get("branch_at") : model.get("moment").at_ms) || 0; // a moment may lie between two events

  function show(from, to) {
    const width = Math.min(Math.max(to - from, 50), end() - begin());
    const left = Math.min(Math.max(begin(), from), end() - width);
    view = width >= end() - begin() ? null : [left, left + width];
    draw();
  }
  function zoom(factor, around = atCursor()) {
    const [from, to] = range();
    const middle = around < from || around > to ? (from + to) / 2 : around;
    show(middle - (middle - from) * factor, middle + (to - middle) * factor);
  }

  // --- hints --------------------------------------------------------------------------------------------
  const isState = (entry) => entry.lane === "state", isService = (entry) => SERVICES.includes(entry.lane);
  function hint(entry) {
    if (entry.kind === "wait") return waitHint(entry);
    const kind = isState(entry) ? entry.label : entry.kind, lasts = entry.from_ms !== undefined;
    const own = isState(entry) || ["waiting", "on the way", "first audio", "button"].includes(kind) ? "" : entry.label;
    const timed = ["interrupt", "held", "ducked"].includes(kind); // a sentence, nobody's words
    const told = timed || isService(entry) || entry.lane === "trouble" || ["cancelled", "close"].includes(kind);
    const when = lasts ? `${seconds(entry.from_ms)} – ${seconds(entry.to_ms)}: ${Math.round(entry.to_ms - entry.from_ms)} ms` : seconds(entry.at_ms);
    return [isState(entry) ? say(kind) : say(`kind_${kind}`), own && !told ? `«${own}»` : own, timed ? `${when} · ${model.get("whose")}` : when, say(`means_${kind}`)];
  }
  const waitHint = (wait) => [fill(say("w_turn"), wait), wait.total_ms === null ? "" : fill(say("w_wait"), { ms: Math.round(wait.total_ms) }),
    model.get("whose"), say(`verdict_${wait.verdict}`) +
    (wait.longest ? "; " + fill(say("w_longest"), { what: say(`part_${wait.longest}`), ms: Math.round(wait.longest_ms) }) : "")];
  function hinted(node, lines) {
    node.setAttribute("aria-label", lines().filter(Boolean).join(". "));
    const on = () => tell(node, lines());
    for (const event of ["mouseenter", "focus"]) node.addEventListener(event, on);
    for (const event of ["mouseleave", "blur"]) node.addEventListener(event, () => (tip.hidden = true));
  }
  function tell(node, [name, label, when, means]) {
    tip.replaceChildren(make("b", "", name));
    for (const [text, kind] of [[label, "label"], [when, "when"], [means, "means"]]) if (text) tip.append(make("div", kind, text));
    tip.hidden = false;
    const frame = root.getBoundingClientRect(), at = (node.querySelector("rect") || node).getBoundingClientRect();
    const middle = Math.min(Math.max(at.left, frame.left + GUTTER), frame.right) + Math.min(at.width, 60) / 2 - frame.left;
    tip.style.left = `${Math.max(6, Math.min(middle - tip.offsetWidth / 2, root.clientWidth - tip.offsetWidth - 6))}px`;
    tip.style.top = `${at.bottom - frame.top + 8}px`;
  }

  // --- the timeline -------------------------------------------------------------------------------------
  let lanes = LANES, bottom = HEIGHT;
  function lay(line) {
    const told = new Set([...(line.spans || []), ...(line.marks || [])].map((entry) => entry.lane)), there = SERVICES.filter((name) => told.has(name));
    lanes = { ...LANES, ...Object.fromEntries(there.map((name, place) => [name, [HEIGHT + place * SERVICE_PX, SERVICE_PX - 3]])) };
    bottom = HEIGHT + there.length * SERVICE_PX;
    svg.setAttribute("height", bottom);
    for (const node of [cursor, playhead]) node.setAttribute("y2", bottom - 2);
  }
  let drawn = [], near = 0; // every bar and mark that is shown, in the order of time, and the one that Tab reaches
  function draw() {
    const line = model.get("timeline"), focused = svg.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    lay(line);
    plotWidth = Math.max(200, (root.clientWidth || 900) - 24 - GUTTER - 8);
    svg.setAttribute("viewBox", `0 0 ${GUTTER + plotWidth + 8} ${bottom}`);
    svg.setAttribute("aria-label", `${say("w_timeline")}. ${seconds(end() - begin())}, ${model.get("whose")}`);
    svg.replaceChildren(patterns());
    tip.hidden = true;
    const [from, to] = range();
    const tick = [50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 60000, 300000, 1e9].find((t) => (to - from) / t <= plotWidth / 70);
    for (let t = Math.ceil(from / tick) * tick; t <= to; t += tick) {
      svg.append(shape("line", { class: "grid", x1: x(t), x2: x(t), y1: 18, y2: bottom - 4 }));
      svg.append(shape("text", { class: "dim", x: x(t), y: 12, "text-anchor": "middle" }, `${+(t / 1000).toFixed(2)} s`));
    }
    const clipId = `ck-clip-${Math.random().toString(36).slice(2)}`;
    const plot = shape("g", { "clip-path": `url(#${clipId})` });
    const window_ = shape("clipPath", { id: clipId });
    window_.append(shape("rect", { x: GUTTER, y: 0, width: plotWidth + 8, height: bottom }));
    svg.append(window_, plot);
    const shown = [
      ...(line.waits || []).filter((wait) => wait.total_ms !== null && wait.from_ms + wait.total_ms >= from && wait.from_ms <= to)
        .map((wait) => [wait.from_ms, { ...wait, lane: "Clara", kind: "wait" }, drawWait(wait, line.target_ms)]),
      ...(line.spans || []).filter((span) => span.to_ms >= from && span.from_ms <= to).map((span) => [span.from_ms, span, drawSpan(span)]),
      ...(line.marks || []).filter((mark) => mark.at_ms >= from && mark.at_ms <= to).map((mark) => [mark.at_ms, mark, drawMark(mark)]),
    ];
    plot.append(...shown.map(([, , node]) => node));
    drawn = shown.sort((a, b) => a[0] - b[0]).map(([at, entry, node]) => ({ at, entry, node }));
    drawn.forEach(({ entry, node }, place) => {
      node.dataset.key = `${entry.lane} ${entry.kind} ${entry.step} ${entry.from_ms ?? entry.at_ms}`;
      node.setAttribute("tabindex", -1);
      node.setAttribute("role", "button");
      hinted(node, () => hint(entry));
      node.addEventListener("focus", () => reach(place));
      node.addEventListener("click", (event) => chosen(event, entry.step));
    });
    for (const [name, [top, height]] of Object.entries(lanes))
      svg.append(shape("text", { class: "dim", x: 0, y: top + height / 2 + 4 }, say(`lane_${name}`)));
    plot.append(cursor, playhead);
    moveCursor();
    const again = focused && drawn.find(({ node }) => node.dataset.key === focused);
    if (again) again.node.focus({ preventScroll: true });
  }
  function reach(place) {
    if (drawn[near]) drawn[near].node.setAttribute("tabindex", -1);
    near = Math.max(0, Math.min(place, drawn.length - 1));
    if (drawn[near]) drawn[near].node.setAttribute("tabindex", 0);
  }
  function walk(key) {
    const names = Object.keys(lanes), { at, entry } = drawn[near];
    let next = near + (key === "ArrowRight" ? 1 : -1);
    if (key === "ArrowUp" || key === "ArrowDown") {
      const i = names.indexOf(entry.lane), order = key === "ArrowDown" ? names.slice(i + 1) : names.slice(0, i).reverse();
      const lane = order.find((name) => drawn.some((one) => one.entry.lane === name));
      const there = drawn.filter((one) => one.entry.lane === lane);
      if (!there.length) return;
      next = drawn.indexOf(there.reduce((a, b) => (Math.abs(b.at - at) < Math.abs(a.at - at) ? b : a)));
    }
    if (drawn[next]) drawn[next].node.focus({ preventScroll: true });
  }
  function drawSpan(span) {
    let [top, height] = lanes[span.lane];
    if (span.kind === "sound") [top, height] = [top + height - 10, 7];
    else if (span.kind === "words") height -= 13;
    else if (span.kind === "held") height = 6;
    else if (span.kind === "ducked") [top, height] = [top + 6, 14]; // above her words, so that her bar looks lower
    const left = Math.max(x(span.from_ms), GUTTER - 4), width = Math.max(1.5, x(span.to_ms) - left);
    const group = shape("g", { class: `hit ${isState(span) ? span.label : kindClass(span.kind)}`, "data-kind": span.kind });
    group.append(shape("rect", { x: left, y: top, width, height, rx: 2 }));
    const own = isState(span) ? say(span.label) : !isService(span) ? span.label
      : [span.kind === "passed by" ? "" : say(`kind_${span.kind}`), span.label].filter(Boolean).join(": "); // what stands in its place says more
    let text = ["sound", "waiting", "on the way", "held", "ducked"].includes(span.kind) ? "" : clip(own, width - 8);
    if (isState(span) && text !== say(span.label)) text = width > 9 ? LETTER[span.label] : "";
    if (text) group.append(shape("text", { x: left + (text.length > 1 ? 4 : width / 2 - 3), y: top + height / 2 + 4 }, text));
    return group;
  }
  function drawMark(mark) {
    const group = shape("g", { class: `hit mark ${kindClass(mark.kind)}`, "data-kind": mark.kind });
    const y = lanes[mark.lane][0] + (MARK_Y[mark.lane] || 12);
    group.append(shape("rect", { class: "grip", x: x(mark.at_ms) - 6, y: y - 11, width: 12, height: 14 }));
    group.append(shape("text", { x: x(mark.at_ms), y, "text-anchor": "middle" }, SIGN[mark.kind] || "•"));
    return group;
  }
  function drawWait(wait, target) {
    const group = shape("g", { class: "hit wait", "data-kind": "wait" }), at = (after) => x(wait.from_ms + after);
    group.append(shape("rect", { class: "grip", x: at(0), y: WAIT_Y - 8, width: at(wait.total_ms) - at(0), height: 15 }));
    group.append(shape("rect", { class: "aim", x: at(target[0]), y: WAIT_Y - 6, width: at(target[1]) - at(target[0]), height: 12 }));
    group.append(shape("line", { x1: at(0), x2: at(wait.total_ms), y1: WAIT_Y, y2: WAIT_Y }));
    for (const end of [0, wait.total_ms]) group.append(shape("line", { x1: at(end), x2: at(end), y1: WAIT_Y - 5, y2: WAIT_Y + 5 }));
    if (at(1000) - at(0) > 24) group.append(shape("text", { x: Math.max(at(wait.total_ms), at(target[1])) + 4, y: WAIT_Y + 4 }, `${Math.round(wait.total_ms)} ms ${VERDICT[wait.verdict]}`));
    return group;
  }
  function patterns() {
    const node = shape("defs");
    node.innerHTML =
      '<pattern id="ck-wait" width="6" height="6" patternUnits="userSpaceOnUse"><circle cx="3" cy="3" r="1" fill="#888"/></pattern>' +
      '<pattern id="ck-aim" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(-45)"><line x1="0" y1="0" x2="0" y2="5" stroke="#009e73" stroke-width="2"/></pattern>' +
      '<pattern id="ck-unheard" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><line x1="0" y1="0" x2="0" y2="7" stroke="#d55e00" stroke-width="2"/></pattern>';
    return node;
  }
  const cursor = shape("line", { class: "cursor", y1: 16, y2: HEIGHT - 2 });
  const playhead = shape("line", { class: "playing", y1: 16, y2: HEIGHT - 2, visibility: "hidden" });
  function moveCursor() {
    cursor.setAttribute("x1", x(atCursor()));
    cursor.setAttribute("x2", x(atCursor()));
    if (!svg.contains(document.activeElement)) reach(drawn.findLastIndex(({ at }) => at <= atCursor()));
  }

  // --- how long the customer waited, beside the plan's aim -------------------------------------------------
  function drawWaits() {
    const { waits: all = [], target_ms: target = [600, 800] } = model.get("timeline");
    const scale = Math.min(2400, Math.max(1000, ...all.map((wait) => wait.total_ms || 0))), part = (ms) => `${(Math.min(ms, scale) / scale) * 100}%`;
    waitsTitle.replaceChildren(make("span", "", `${say("w_waits")} (${model.get("whose")})`),
      aimKey());
    waits.replaceChildren(...all.map((wait) => {
      const node = make("button", "ck-wait"), bar = make("span", "ck-bar"), aim = make("i", "aim"), took = make("i", "took");
      node.dataset.verdict = wait.verdict;
      aim.style.left = part(target[0]);
      aim.style.width = part(target[1] - target[0]);
      took.style.width = part(wait.total_ms || 0);
      bar.append(aim, took);
      if (wait.total_ms > scale) bar.append(make("em", "", "»"));
      node.append(make("span", "", fill(say("w_turn"), wait)), make("b", "", wait.total_ms === null ? "–" : `${Math.round(wait.total_ms)} ms ${VERDICT[wait.verdict]}`), bar);
      hinted(node, () => waitHint(wait));
      node.addEventListener("click", () => hand(wait.step));
      return node;
    }));
    if (!all.length) waits.append(make("span", "ck-none", say("w_no_waits")));
  }

  function aimKey() {
    const node = make("span", "ck-aim");
    node.append(make("i"), say("w_aim"));
    return node;
  }

  // --- the legend ---------------------------------------------------------------------------------------
  function showLegend(open) {
    legend.hidden = !open;
    legendButton.setAttribute("aria-expanded", open);
    if (open) drawLegend();
    (open ? legend : legendButton).focus({ preventScroll: true });
  }
  function sample(kind, state) {
    const svg = shape("svg", { viewBox: "0 0 26 16", "aria-hidden": true }), thin = ["sound", "held"].includes(kind);
    const group = shape("g", { class: SIGN[kind] ? `mark ${kindClass(kind)}` : state ? kind : kindClass(kind) });
    if (!SIGN[kind]) group.append(shape("rect", { x: 1, y: thin ? 7 : 1, width: 24, height: thin ? 7 : 14, rx: 2 }));
    group.append(shape("text", { x: 13, y: 12, "text-anchor": "middle" }, SIGN[kind] || (state ? LETTER[kind] : "")));
    svg.append(group);
    return svg;
  }
  function drawLegend() {
    legend.replaceChildren(...Object.entries(KINDS).map(([lane, kinds]) => {
      const part = make("section"), list = make("dl");
      part.append(make("h4", "", say(`lane_${lane}`)), make("p", "", say(`means_lane_${lane}`)), list);
      for (const kind of kinds) {
        const state = lane === "state", name = make("dt");
        name.append(sample(kind, state), make("span", "", state ? say(kind) : say(`kind_${kind}`)));
        list.append(name, make("dd", "", say(`means_${kind}`)));
      }
      return part;
    }));
    const part = make("section"), list = make("dl"), name = (verdict) => make("dt", "", `${VERDICT[verdict]} ${say(`verdict_${verdict}`)}`);
    list.append(...Object.keys(VERDICT).map(name));
    part.append(make("h4", "", `├─┤ ${say("w_waits")}`), aimKey(), list);
    legend.append(part);
  }

  // --- the stepper --------------------------------------------------------------------------------------
  function go(step) {
    model.set("step", Math.max(0, Math.min(model.get("steps") - 1, step)));
    model.save_changes();
  }
  let seekUntil = 0; // the sound goes to what was chosen by hand while it plays
  function hand(step) {
    if (playing()) seekUntil = performance.now() + 1000;
    go(step);
  }
  function decision(way) {
    const steps = model.get("telling").map(([step]) => step), now = model.get("step");
    return way > 0 ? steps.find((step) => step > now) ?? Infinity : steps.findLast((step) => step < now) ?? 0;
  }
  let dragged = false;
  function chosen(event, step) {
    event.stopPropagation();
    if (!dragged) hand(step);
  }
  function detail() {
    const moment = model.get("moment"), n = model.get("step");
    slider.max = Math.max(0, model.get("steps") - 1);
    slider.value = n;
    count.textContent = fill(say("w_count"), { n: Math.min(n + 1, model.get("steps")), all: model.get("steps") });
    for (const node of back) node.disabled = n <= 0;
    for (const node of on) node.disabled = n >= model.get("steps") - 1;
    if (!moment || moment.at_ms === undefined) return;
    whyTitle.replaceChildren(make("span", "", fill(say("w_why"), { at: seconds(moment.at_ms) })), make("span", "ck-state", say(moment.state)));
    plain.replaceChildren(...moment.plain.map((sentence, place) => make("p", place ? "" : "first", sentence)),
      ...moment.services.map((sentence) => make("p", "ck-fares", sentence)));
    const list = make("ul");
    for (const [what, reason] of moment.decided) {
      const item = make("li");
      item.append(make("b", "", what), make("span", "reason", `: ${reason}`));
      list.append(item);
    }
    const fields = Object.entries(moment.fields).map(([key, value]) => `${key} ${value}`).join(" · ");
    inside.replaceChildren(make("b", "", `${moment.event} → ${moment.state}`), list);
    if (moment.timers.length) inside.append(make("p", "ck-fields", `${say("w_timers")}: ${moment.timers.join(", ")}`));
    if (fields) inside.append(make("p", "ck-fields", fields));
    talk.replaceChildren();
    for (const turn of moment.said) {
      const line = make("p");
      line.append(make("span", "who", turn.role === "user" ? `${say("who_customer")}: ` : "Clara: "), turn.text);
      if (turn.unheard) line.append(" ", make("s", "", turn.unheard));
      talk.append(line);
    }
    if (!moment.said.length) talk.append(make("p", "who", say("w_nothing")));
    said.scrollTop = said.scrollHeight;
    const [from, to] = range();
    if (moment.at_ms < from || moment.at_ms > to) show(moment.at_ms - (to - from) / 2, moment.at_ms + (to - from) / 2);
    moveCursor();
    if (startsLater && moment.step === n) {
      startsLater = false;
      start(atCursor());
    }
    if (playing() && performance.now() < seekUntil) {
      seekUntil = 0;
      audio.currentTime = Math.max(0, (moment.at_ms - model.get("sound_from_ms")) / 1000);
    }
  }

  // --- the sound ----------------------------------------------------------------------------------------
  let audio = null, wanted = null, frame = 0;
  const alone = soundsAlone(() => audio?.pause());
  const playing = () => audio !== null && !audio.paused;
  let startsLater = false; // what was chosen just now has not come back from the kernel yet, and the cursor stands elsewhere
  function startHere() {
    startsLater = model.get("moment").step !== model.get("step");
    startsLater ? (play.textContent = "…") : start(atCursor());
  }
  function start(at) {
    wanted = at;
    if (audio) return playNow();
    play.textContent = "…";
    model.send({ kind: "sound" });
  }
  function playNow() {
    audio.currentTime = Math.max(0, (wanted - model.get("sound_from_ms")) / 1000);
    alone.begin();
    audio.play().then(follow, () => (play.textContent = say("w_play")));
  }
  function follow() {
    play.textContent = say("w_pause");
    playhead.setAttribute("visibility", "visible");
    plain.setAttribute("aria-live", "off");
    cancelAnimationFrame(frame);
    let told = -1, changed = 0;
    const move = () => {
      const at = audio.currentTime * 1000 + model.get("sound_from_ms");
      const [from, to] = range();
      if (at > to || at < from) show(at, at + to - from);
      playhead.setAttribute("x1", x(at));
      playhead.setAttribute("x2", x(at));
      const [step] = model.get("telling").findLast(([, at_ms]) => at_ms <= at) || [0];
      if (step !== told && performance.now() > Math.max(seekUntil, changed + 150)) {
        changed = performance.now();
        go((told = step));
      }
      if (!audio.paused && !audio.ended) return void (frame = requestAnimationFrame(move));
      play.textContent = say("w_play");
      playhead.setAttribute("visibility", "hidden");
      plain.setAttribute("aria-live", "polite");
    };
    move();
  }
  const onMessage = (content, buffers) => {
    if (content.kind !== "sound" || !buffers.length) return;
    audio = new Audio(URL.createObjectURL(new Blob([buffers[0]], { type: "audio/wav" })));
    audio.addEventListener("canplay", () => wanted !== null && playNow(), { once: true });
  };
  model.on("msg:custom", onMessage);

  // --- hands --------------------------------------------------------------------------------------------
  slider.addEventListener("input", () => hand(+slider.value));
  svg.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey && Math.abs(event.deltaX) <= Math.abs(event.deltaY)) return; // let the page scroll
    event.preventDefault();
    const [from, to] = range();
    if (event.ctrlKey || event.metaKey) zoom(Math.exp(event.deltaY * 0.003), ms(place(event)));
    else show(from + (event.deltaX / plotWidth) * (to - from), to + (event.deltaX / plotWidth) * (to - from));
  }, { passive: false });
  const place = (event) => {
    const box = svg.getBoundingClientRect();
    return ((event.clientX - box.left) / box.width) * (GUTTER + plotWidth + 8);
  };
  svg.addEventListener("pointerdown", (event) => {
    const began = place(event), [from, to] = range();
    dragged = false;
    const move = (moved) => {
      const by = ((began - place(moved)) / plotWidth) * (to - from);
      if (Math.abs(began - place(moved)) > 4) dragged = true;
      if (dragged && view) show(from + by, to + by);
    };
    const up = () => {
      window.removeEventListener("pointermove", move);
      window.removeEventListener("pointerup", up);
    };
    window.addEventListener("pointermove", move);
    window.addEventListener("pointerup", up);
  });
  svg.addEventListener("click", (event) => {
    if (dragged || place(event) < GUTTER) return;
    if (playing()) seekUntil = performance.now() + 1000;
    model.send({ kind: "at", at_ms: ms(place(event)) });
  });
  root.addEventListener("keydown", (event) => {
    if (event.target === slider || event.ctrlKey || event.metaKey || event.altKey) return;
    const n = model.get("step"), inTimeline = svg.contains(event.target), scrolls = [why, said, legend].includes(event.target);
    const walks = { ArrowRight: 1, ArrowLeft: 1, ArrowUp: 1, ArrowDown: 1 }[event.key] && inTimeline && !event.shiftKey;
    const act = walks ? () => walk(event.key) : {
      ArrowRight: () => hand(event.shiftKey ? decision(1) : n + 1), ArrowLeft: () => hand(event.shiftKey ? decision(-1) : n - 1),
      Home: scrolls ? null : () => hand(0), End: scrolls ? null : () => hand(Infinity),
      "+": () => zoom(1 / 1.6), "=": () => zoom(1 / 1.6), "-": () => zoom(1.6), "0": () => { view = null; draw(); },
      l: () => showLegend(legend.hidden), L: () => showLegend(legend.hidden),
      Escape: () => { tip.hidden = true; if (!legend.hidden) showLegend(false); },
      Enter: inTimeline ? () => hand(drawn[near].entry.step) : null,
      " ": inTimeline ? () => hand(drawn[near].entry.step) : event.target === root ? () => !play.disabled && play.click() : null,
    }[event.key];
    if (!act) return;
    event.preventDefault();
    event.stopPropagation(); // JupyterLab would move to another cell
    act();
  });

  function headline() {
    root.setAttribute("aria-label", say("w_label"));
    title.textContent = model.get("title");
    mix.textContent = model.get("whose");
    play.disabled = !model.get("has_sound");
    play.title = say(model.get("has_sound") ? "w_play_hint" : model.get("growing") ? "w_sound_later" : "w_no_sound");
    if (!playing()) play.textContent = say("w_play");
    fold.open = model.get("unfolded");
    plain.setAttribute("aria-live", model.get("growing") || playing() ? "off" : "polite"); // not ten times a second
  }
  const all = () => {
    for (const label of labels) label();
    if (!legend.hidden) drawLegend();
    headline(); draw(); drawWaits(); detail();
  };
  const drawAll = () => { draw(); drawWaits(); };
  model.on("change:timeline", drawAll);
  model.on("change:moment change:steps", detail);
  model.on("change:title change:whose change:has_sound change:growing change:unfolded", headline);
  model.on("change:words", all);
  model.on("change:branch_at", moveCursor);
  model.on("change:branch_shown", () => { // another conversation, with a sound of its own
    audio?.pause();
    audio = view = null;
    draw();
  });
  model.on("change:whose", drawWaits);
  model.on("change:play_from_ms", () => model.get("play_from_ms") >= 0 && start(model.get("play_from_ms")));
  const resized = new ResizeObserver(() => draw());
  resized.observe(root);
  all();
  if (model.get("asked_for")) { // by hand, further up in the page
    model.send({ kind: "seen" });
    requestAnimationFrame(() => root.scrollIntoView({ block: "nearest", behavior: "smooth" }));
  }
  return () => {
    resized.disconnect();
    if (audio) audio.pause();
    alone.end();
    branches.end();
    cancelAnimationFrame(frame);
    model.off("msg:custom", onMessage);
  };
}

export default { render };
