// The view of window.py: a timeline that can be zoomed, a cursor that walks from event to event, and the sound.
const SVG = "http://www.w3.org/2000/svg";
const GUTTER = 76, CHAR_PX = 6.1;
const LANES = { customer: [24, 54], state: [84, 24], model: [114, 34], Clara: [156, 48], trouble: [212, 22] };
const HEIGHT = 238;
const SIGN = { interim: "·", typed: "⌨", button: "■", piece: "▸", "first audio": "♪", interrupt: "■", cancelled: "✕",
  fault: "▲", failed: "✕", recovered: "✓", alert: "!" };
const MARK_Y = { customer: 12, model: 33, Clara: 50, trouble: 16 };

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

function render({ model, el }) {
  const root = make("div", "ck");
  root.tabIndex = 0;
  root.dataset.testid = "clara-window";
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", "Conversation: timeline and stepper");
  el.append(root);

  const button = (label, name, testid, act) => {
    const node = make("button", "", label);
    node.title = name;
    node.setAttribute("aria-label", name);
    node.dataset.testid = testid;
    node.addEventListener("click", act);
    return node;
  };
  const head = make("div", "ck-head"), title = make("span", "ck-title"), mix = make("span", "ck-mix");
  const play = button("▶ Play", "Play the sound from the cursor", "play", () => (audio && !audio.paused ? pause() : start(atCursor())));
  head.append(title, mix, make("span", "ck-gap"), play,
    button("−", "Zoom out", "zoom-out", () => zoom(1.6)), button("+", "Zoom in", "zoom-in", () => zoom(1 / 1.6)),
    button("All", "Show the whole conversation", "zoom-all", () => { view = null; draw(); }));
  const svg = shape("svg", { role: "img", height: HEIGHT });
  const steps = make("div", "ck-steps"), slider = make("input"), count = make("span", "ck-count");
  slider.type = "range";
  slider.min = 0;
  slider.setAttribute("aria-label", "Event");
  slider.dataset.testid = "slider";
  count.dataset.testid = "count";
  const stepButtons = [
    button("|◀", "First event", "first", () => go(0)), button("◀", "Previous event", "back", () => go(model.get("step") - 1)),
    button("▶", "Next event", "next", () => go(model.get("step") + 1)), button("▶|", "Last event", "last", () => go(Infinity)),
  ];
  steps.append(...stepButtons, slider, count);
  const panes = make("div", "ck-panes"), why = make("div", "ck-why"), said = make("div");
  why.dataset.testid = "why";
  why.setAttribute("aria-live", "polite");
  said.dataset.testid = "said";
  panes.append(why, said);
  root.append(head, svg, steps, panes,
    make("div", "ck-help", "Click anything to go there. Drag to move, Ctrl + wheel or + and − to zoom, ← → to step, space to play."));

  // --- what part of the conversation is shown -----------------------------------------------------------
  let view = null; // [from_ms, to_ms], or null for all of it
  let plotWidth = 800;
  const begin = () => model.get("timeline").begin_ms || 0;
  const end = () => Math.max(begin() + 1, model.get("timeline").end_ms || 1);
  const range = () => view || [begin(), end()];
  const x = (ms) => GUTTER + ((ms - range()[0]) / (range()[1] - range()[0])) * plotWidth;
  const ms = (px) => range()[0] + ((px - GUTTER) / plotWidth) * (range()[1] - range()[0]);
  const atCursor = () => model.get("moment").at_ms || 0;

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

  // --- the timeline -------------------------------------------------------------------------------------
  function draw() {
    const line = model.get("timeline");
    plotWidth = Math.max(200, (root.clientWidth || 900) - 24 - GUTTER - 8);
    svg.setAttribute("viewBox", `0 0 ${GUTTER + plotWidth + 8} ${HEIGHT}`);
    svg.setAttribute("aria-label", `Timeline of ${seconds(end() - begin())}, ${model.get("mix")}`);
    svg.replaceChildren(defs());
    const [from, to] = range();
    const tick = [50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 60000, 300000, 1e9].find((t) => (to - from) / t <= plotWidth / 70);
    for (let t = Math.ceil(from / tick) * tick; t <= to; t += tick) {
      svg.append(shape("line", { class: "grid", x1: x(t), x2: x(t), y1: 18, y2: HEIGHT - 4 }));
      svg.append(shape("text", { class: "dim", x: x(t), y: 12, "text-anchor": "middle" }, `${+(t / 1000).toFixed(2)} s`));
    }
    const clipId = `ck-clip-${Math.random().toString(36).slice(2)}`;
    const plot = shape("g", { "clip-path": `url(#${clipId})` });
    const window_ = shape("clipPath", { id: clipId });
    window_.append(shape("rect", { x: GUTTER, y: 0, width: plotWidth + 8, height: HEIGHT }));
    svg.append(window_, plot);
    for (const span of line.spans || []) if (span.to_ms >= from && span.from_ms <= to) plot.append(drawSpan(span));
    for (const mark of line.marks || []) if (mark.at_ms >= from && mark.at_ms <= to) plot.append(drawMark(mark));
    for (const [name, [top, height]] of Object.entries(LANES))
      svg.append(shape("text", { class: "dim", x: 0, y: top + height / 2 + 4 }, name));
    plot.append(cursor, playhead);
    moveCursor();
  }
  function drawSpan(span) {
    let [top, height] = LANES[span.lane];
    if (span.kind === "sound") [top, height] = [top + height - 10, 7];
    else if (span.kind === "words") height -= 13;
    const left = Math.max(x(span.from_ms), GUTTER - 4), width = Math.max(1.5, x(span.to_ms) - left);
    const kind = span.lane === "state" ? span.label : span.kind.replaceAll(" ", "-");
    const group = shape("g", { class: `hit ${kind}`, "data-kind": span.kind });
    group.append(shape("title", {}, `${span.kind}: ${span.label}\n${seconds(span.from_ms)} to ${seconds(span.to_ms)}, ${Math.round(span.to_ms - span.from_ms)} ms`));
    group.append(shape("rect", { x: left, y: top, width, height, rx: 2 }));
    const text = ["sound", "waiting", "on the way"].includes(span.kind) ? "" : clip(span.label, width - 8);
    if (text) group.append(shape("text", { x: left + 4, y: top + height / 2 + 4 }, text));
    group.addEventListener("click", (event) => chosen(event, span.step));
    return group;
  }
  function drawMark(mark) {
    const group = shape("g", { class: `hit mark ${mark.kind.replaceAll(" ", "-")}`, "data-kind": mark.kind });
    group.append(shape("title", {}, `${mark.kind}: ${mark.label}\nat ${seconds(mark.at_ms)}`));
    const y = LANES[mark.lane][0] + (MARK_Y[mark.lane] || 12);
    group.append(shape("rect", { x: x(mark.at_ms) - 6, y: y - 11, width: 12, height: 14, fill: "transparent", "fill-opacity": 0, stroke: "none" }));
    group.append(shape("text", { x: x(mark.at_ms), y, "text-anchor": "middle" }, SIGN[mark.kind] || "•"));
    group.addEventListener("click", (event) => chosen(event, mark.step));
    return group;
  }
  function defs() {
    const node = shape("defs");
    node.innerHTML =
      '<pattern id="ck-wait" width="6" height="6" patternUnits="userSpaceOnUse"><circle cx="3" cy="3" r="1" fill="#888"/></pattern>' +
      '<pattern id="ck-unheard" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><line x1="0" y1="0" x2="0" y2="7" stroke="#d55e00" stroke-width="2"/></pattern>';
    return node;
  }
  const cursor = shape("line", { class: "cursor", y1: 16, y2: HEIGHT - 2 });
  const playhead = shape("line", { class: "playing", y1: 16, y2: HEIGHT - 2, visibility: "hidden" });
  function moveCursor() {
    cursor.setAttribute("x1", x(atCursor()));
    cursor.setAttribute("x2", x(atCursor()));
  }

  // --- the stepper --------------------------------------------------------------------------------------
  function go(step) {
    const last = model.get("steps") - 1;
    model.set("step", Math.max(0, Math.min(last, step)));
    model.save_changes();
  }
  let dragged = false;
  function chosen(event, step) {
    event.stopPropagation();
    if (!dragged) go(step);
  }
  function detail() {
    const moment = model.get("moment"), n = model.get("step");
    slider.max = Math.max(0, model.get("steps") - 1);
    slider.value = n;
    count.textContent = `event ${n + 1} of ${model.get("steps")}`;
    stepButtons[0].disabled = stepButtons[1].disabled = n <= 0;
    stepButtons[2].disabled = stepButtons[3].disabled = n >= model.get("steps") - 1;
    if (!moment || moment.at_ms === undefined) return;
    const list = make("ul");
    for (const [what, reason] of moment.decided) {
      const item = make("li");
      item.append(make("b", "", what), make("span", "reason", `: ${reason}`));
      list.append(item);
    }
    if (!moment.decided.length) list.append(make("li", "reason", "Nothing followed: it is only recorded."));
    const state = make("p");
    state.append("state now: ", make("span", "ck-state", moment.state));
    const fields = Object.entries(moment.fields).map(([key, value]) => `${key} ${value}`).join(" · ");
    why.replaceChildren(make("h4", "", `Why? At ${(moment.at_ms / 1000).toFixed(3)} s`), make("b", "", moment.title), list, state);
    if (moment.timers.length) why.append(make("p", "ck-fields", `waiting: ${moment.timers.join(", ")}`));
    if (fields) why.append(make("p", "ck-fields", fields));
    const talk = make("div", "ck-said");
    for (const turn of moment.said) {
      const line = make("p");
      line.append(make("span", "who", turn.role === "user" ? "customer: " : "Clara: "), turn.text);
      if (turn.unheard) line.append(" ", make("s", "", turn.unheard));
      talk.append(line);
    }
    if (!moment.said.length) talk.append(make("p", "who", "nothing yet"));
    said.replaceChildren(make("h4", "", "What Clara remembers (struck through: never heard, so not remembered)"), talk);
    talk.scrollTop = talk.scrollHeight;
    const [from, to] = range();
    if (moment.at_ms < from || moment.at_ms > to) show(moment.at_ms - (to - from) / 2, moment.at_ms + (to - from) / 2);
    moveCursor();
  }

  // --- the sound ----------------------------------------------------------------------------------------
  let audio = null, wanted = null, frame = 0;
  function start(at) {
    wanted = at;
    if (audio) return playNow();
    play.textContent = "…";
    model.send({ kind: "sound" });
  }
  function playNow() {
    audio.currentTime = Math.max(0, (wanted - model.get("sound_from_ms")) / 1000);
    audio.play().then(follow, () => (play.textContent = "▶ Play"));
  }
  function pause() {
    audio.pause();
  }
  function follow() {
    play.textContent = "‖ Pause";
    playhead.setAttribute("visibility", "visible");
    const move = () => {
      const at = audio.currentTime * 1000 + model.get("sound_from_ms");
      const [from, to] = range();
      if (at > to && view) show(at, at + (to - from));
      playhead.setAttribute("x1", x(at));
      playhead.setAttribute("x2", x(at));
      if (!audio.paused && !audio.ended) frame = requestAnimationFrame(move);
      else {
        play.textContent = "▶ Play";
        playhead.setAttribute("visibility", "hidden");
      }
    };
    cancelAnimationFrame(frame);
    move();
  }
  const onMessage = (content, buffers) => {
    if (content.kind !== "sound" || !buffers.length) return;
    audio = new Audio(URL.createObjectURL(new Blob([buffers[0]], { type: "audio/wav" })));
    audio.addEventListener("canplay", () => wanted !== null && (playNow(), (wanted = wanted)), { once: true });
  };
  model.on("msg:custom", onMessage);

  // --- hands --------------------------------------------------------------------------------------------
  slider.addEventListener("input", () => go(+slider.value));
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
    model.send({ kind: "at", at_ms: ms(place(event)) });
  });
  root.addEventListener("keydown", (event) => {
    if (event.target === slider) return;
    const n = model.get("step");
    const act = { ArrowRight: () => go(n + 1), ArrowLeft: () => go(n - 1), Home: () => go(0), End: () => go(Infinity),
      "+": () => zoom(1 / 1.6), "=": () => zoom(1 / 1.6), "-": () => zoom(1.6), "0": () => { view = null; draw(); },
      " ": () => event.target === root && !play.disabled && play.click() }[event.key];
    if (!act) return;
    if (event.key !== " " || event.target === root) event.preventDefault();
    event.stopPropagation(); // JupyterLab would move to another cell
    act();
  });

  function headline() {
    title.textContent = model.get("title");
    const name = model.get("mix");
    mix.textContent = name === "live" ? "live" : `${name}: no number here is a vendor’s`;
    play.disabled = !model.get("has_sound");
    play.title = model.get("has_sound") ? "Play the sound from the cursor" : model.get("growing") ? "The sound can be played when the conversation is over" : "This conversation has no sound";
  }
  const all = () => { headline(); draw(); detail(); };
  model.on("change:timeline", draw);
  model.on("change:moment change:steps", detail);
  model.on("change:title change:mix change:has_sound change:growing", headline);
  model.on("change:play_from_ms", () => model.get("play_from_ms") >= 0 && start(model.get("play_from_ms")));
  const resized = new ResizeObserver(() => draw());
  resized.observe(root);
  all();
  return () => {
    resized.disconnect();
    if (audio) audio.pause();
    cancelAnimationFrame(frame);
    model.off("msg:custom", onMessage);
  };
}

export default { render };
