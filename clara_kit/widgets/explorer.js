// The view of explorer.py: the curves, the settings in force on them, and sliders that are answered at once.
const CURVE = { debounce: ["#e69f00", "2 4"], sustained: ["#56b4e9", "8 4"], min_words: ["#cc79a7", "1 5"], words: ["#009e73", "8 3 2 3"], tuned: ["#0072b2", ""], yours: ["#d55e00", "6 3"] };
const WIDE = 640, HIGH = 330, LEFT = 52, BOTTOM = 44, TOP = 14, RIGHT = 16;
function render({ model, el }) {
  const w = (name) => model.get("words")[name] ?? name;
  const root = make("div", "cd cd-explorer"), head = make("div", "cd-head"), body = make("div", "ex-body"), side = make("div", "ex-side");
  root.dataset.testid = "clara-explorer";
  head.append(make("span", "cd-title", w("ex_title")), make("span", "cd-badge", w("ex_generated")));
  const picture = make("div", "ex-picture"), legend = make("ul", "ex-legend"), sheet = make("div", "ex-sheet"), problem = make("p", "cd-problem");
  problem.setAttribute("role", "alert");
  const left = make("div");
  left.append(picture, legend);
  body.append(left, side);
  root.append(head, body, sheet, make("p", "cd-status", w("ex_validity")), problem);
  el.append(root);

  // --- what is asked of the kernel: one question at a time, the newest; a slider that rests asks for the whole ---
  let waiting = false, next = null, rest = 0;
  const drawn = new Set();
  const ask = (what) => (waiting ? (next = what) : ((waiting = true), model.send(what)));
  const settle = () => (clearTimeout(rest), (rest = setTimeout(() => ((rest = 0), ask({ kind: "choose", changes: {} })), 250)));
  const change = (name, value) => (drawn.delete("yours"), ask({ kind: "choose", quick: true, changes: { ...(next && next.changes), [name]: value } }), settle());
  function answered() {
    waiting = false;
    const now = next;
    next = null;
    if (now) return ask(now);
    if (rest) return; // a slider is still on its way
    const rule = model.get("rules").find((one) => !(one in model.get("curves")) && !drawn.has(one));
    if (rule) drawn.add(rule), ask({ kind: "draw", rule });
  }

  // --- the sliders ---
  const nodes = {};
  const world = make("select"), where = make("label"), presets = make("div", "cd-row");
  world.dataset.testid = "ex_world";
  world.append(...model.get("worlds").map((one) => new Option(w(`ex_world_${one.startsWith("pub") ? "published" : "soon"}`), one)));
  world.addEventListener("change", () => (drawn.clear(), ask({ kind: "world", world: world.value })));
  where.append(make("span", "", w("ex_world")), world);
  for (const preset of ["plan", "tuned"]) {
    const button = make("button", "", w(`ex_${preset}`));
    button.dataset.testid = `ex_take_${preset}`;
    button.addEventListener("click", () => (drawn.delete("yours"), ask({ kind: "take", preset })));
    presets.append(button);
  }
  side.append(where, make("div", "ex-own", w("ex_own")));
  for (const [name, [low, high, step]] of Object.entries(model.get("controls").sliders)) {
    const label = make("label"), line = make("span", "ex-line"), value = make("output"), input = make("input");
    Object.assign(input, { type: "range", min: low, max: high, step });
    input.dataset.testid = `ex_${name}`;
    line.append(make("span", "", w(`ex_${name}`)), value);
    label.append(line, input);
    label.title = name;
    const told = () => (value.textContent = name === "min_words" ? input.value : `${input.value} ms`);
    input.addEventListener("input", () => (told(), change(name, Number(input.value))));
    nodes[name] = (now) => input !== root.getRootNode().activeElement || !waiting ? ((input.value = now), told()) : told();
    side.append(label);
  }
  for (const name of model.get("controls").ticks) {
    const label = make("label", "ex-tick"), input = make("input");
    input.type = "checkbox";
    input.dataset.testid = `ex_${name}`;
    label.title = name;
    label.append(input, make("span", "", w(`ex_${name}`)));
    input.addEventListener("change", () => change(name, input.checked));
    nodes[name] = (now) => (input.checked = now);
    side.append(label);
  }
  side.append(presets);

  // --- the picture ---
  const scale = () => {
    const points = [...Object.values(model.get("curves")).flat(), ...Object.values(model.get("marks"))];
    const most = (n, least) => Math.max(least, ...points.map((p) => p[n]));
    const x = most(0, 1000) * 1.05, y = most(1, 2) * 1.1;
    return { x: (ms) => LEFT + (ms / x) * (WIDE - LEFT - RIGHT), y: (n) => HIGH - BOTTOM - (n / y) * (HIGH - BOTTOM - TOP), tops: [x, y] };
  };
  const MARK = {
    plan: (x, y) => svg("rect", { x: x - 6, y: y - 6, width: 12, height: 12 }),
    tuned: (x, y) => svg("path", { d: `M${x} ${y - 8}L${x + 8} ${y}L${x} ${y + 8}L${x - 8} ${y}Z` }),
    yours: (x, y) => svg("circle", { cx: x, cy: y, r: 8 }),
  };
  function draw() {
    const to = scale(), figure = svg("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, role: "img", "aria-label": aloud() });
    for (let ms = 0; ms <= to.tops[0]; ms += 200) {
      figure.append(svg("line", { class: "ex-grid", x1: to.x(ms), x2: to.x(ms), y1: TOP, y2: HIGH - BOTTOM }));
      figure.append(svg("text", { x: to.x(ms), y: HIGH - BOTTOM + 16, "text-anchor": "middle" }, `${ms}`));
    }
    for (let n = 0; n <= to.tops[1]; n++) {
      figure.append(svg("line", { class: "ex-grid", x1: LEFT, x2: WIDE - RIGHT, y1: to.y(n), y2: to.y(n) }));
      figure.append(svg("text", { x: LEFT - 8, y: to.y(n) + 4, "text-anchor": "end" }, `${n}`));
    }
    figure.append(svg("text", { x: (LEFT + WIDE) / 2, y: HIGH - 8, "text-anchor": "middle" }, w("ex_x")));
    figure.append(svg("text", { transform: `translate(14 ${(HIGH - BOTTOM) / 2}) rotate(-90)`, "text-anchor": "middle" }, w("ex_y")));
    const curves = model.get("curves"), marks = model.get("marks");
    for (const [rule, points] of Object.entries(curves)) {
      const [stroke, dash] = CURVE[rule] ?? ["currentColor", ""];
      figure.append(svg("polyline", { class: "ex-curve", points: points.map(([x, y]) => `${to.x(x)},${to.y(y)}`).join(" "), stroke, "stroke-dasharray": dash }));
      for (const [x, y, value] of points) {
        const dot = svg("circle", { cx: to.x(x), cy: to.y(y), r: 4, fill: stroke, class: "ex-point" });
        dot.append(svg("title", {}, `${w(`ex_rule_${rule}`)}, ${value} ms: ${y.toFixed(2)} ${w("ex_y")}, ${x} ms`));
        figure.append(dot);
      }
    }
    const along = (ms) => {
      const line = curves.tuned ?? [], after = line.find(([x]) => x >= ms);
      return after ? after[1] : line.length ? line[line.length - 1][1] : marks.yours[1];
    };
    for (const [ms, right, told] of model.get("dots")) {
      const dot = svg("circle", { cx: Math.min(to.x(ms), WIDE - RIGHT), cy: to.y(along(ms)), r: 5, class: right ? "ex-dot" : "ex-dot ex-wrong" });
      dot.append(svg("title", {}, `${told}: ${w(right ? "ex_right" : "ex_wrong")}`));
      figure.append(dot);
    }
    for (const [name, [x, y]] of Object.entries(marks)) {
      const node = (MARK[name] ?? MARK.yours)(to.x(x), to.y(y));
      node.classList.add("ex-mark", `ex-${name}`);
      node.dataset.testid = `mark-${name}`;
      node.append(svg("title", {}, `${w(`ex_${name}`)}: ${y.toFixed(2)} ${w("ex_y")}, ${x} ms`));
      const text = svg("text", { class: "ex-name", x: to.x(x) + (x > to.tops[0] * 0.8 ? -12 : 12), y: to.y(y) + (name === "yours" ? 18 : -10), "text-anchor": x > to.tops[0] * 0.8 ? "end" : "start" }, w(`ex_${name}`));
      figure.append(node, text);
    }
    picture.replaceChildren(figure);
    legend.replaceChildren(...model.get("rules").map((rule) => {
      const [stroke, dash] = CURVE[rule] ?? ["currentColor", ""], item = make("li"), line = svg("svg", { width: 34, height: 10, "aria-hidden": "true" });
      line.append(svg("line", { x1: 0, x2: 34, y1: 5, y2: 5, stroke, "stroke-width": 3, "stroke-dasharray": dash }));
      item.append(line, make("span", "", w(`ex_rule_${rule}`)));
      if (!(rule in curves)) item.append(make("em", "", ` ${w("ex_busy")}`));
      return item;
    }));
  }
  const aloud = () => Object.entries(model.get("marks")).map(([name, [x, y]]) => `${w(`ex_${name}`)}: ${y} ${w("ex_y")}, ${x} ms`).join("; ");

  // --- the figures ---
  function figures() {
    const table = make("table"), top = make("tr"), names = Object.keys(model.get("marks"));
    top.append(make("th", "", w("ex_generated")), ...names.map((name) => make("th", "", w(`ex_${name}`))));
    table.append(top);
    for (const [key, values] of model.get("rows")) {
      const row = make("tr");
      row.append(make("th", "", w(`ex_fig_${key}`)), ...values.map((value) => make("td", "", value)));
      row.dataset.testid = `ex_fig_${key}`;
      table.append(row);
    }
    sheet.replaceChildren(table);
  }
  const says = () => {
    for (const [name, value] of Object.entries(model.get("chosen"))) nodes[name]?.(value);
    world.value = model.get("world");
    problem.textContent = model.get("problem");
  };
  root.addEventListener("keydown", (event) => event.stopPropagation());
  model.on("change:marks change:curves change:rules change:dots", draw);
  model.on("change:rows", figures);
  model.on("change:chosen change:world change:problem", says);
  model.on("change:answered", answered);
  draw(), figures(), says(), answered();
  return () => clearTimeout(rest);
}
export default { render };
