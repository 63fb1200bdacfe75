// The view of budget.py: a turn's stages, the distribution of many turns, levers as switches, a target asked backwards.
const STAGE = { hear: "#0072b2", think: "#d55e00", write: "#8a6d00", voice: "#a0527f", avatar: "#00785a", playout: "#56606b" };
const LINE = { plan: ["#888888", "6 4"], yours: ["#0072b2", ""] };
const WIDE = 640, LEFT = 64, RIGHT = 18, TARGETS = [600, 800, 3000];
function render({ model, el }) {
  const w = (name) => model.get("words")[name] ?? name;
  const root = make("div", "cd cd-budget"), head = make("div", "cd-head"), body = make("div", "lb-body"), side = make("div", "lb-side"), left = make("div");
  root.dataset.testid = "clara-budget";
  const mark = make("span", "cd-badge");
  mark.dataset.testid = "lb_calibrated";
  head.append(make("span", "cd-title", w("lb_title")), make("span", "cd-badge", w("lb_calculated")), mark);
  const say = make("p", "lb-say"), falls = make("div"), legend = make("ul", "lb-legend"), spread = make("div"), sheet = make("div", "lb-sheet");
  const form = make("form", "lb-ask"), told = make("p", "lb-told"), problem = make("p", "cd-problem");
  say.dataset.testid = "lb_sentence";
  told.dataset.testid = "lb_told";
  told.setAttribute("aria-live", "polite");
  problem.setAttribute("role", "alert");
  const hearing = make("form", "lb-ask"), waits = make("p", "lb-told"), audio = make("audio");
  waits.dataset.testid = "lb_waits";
  waits.setAttribute("aria-live", "polite");
  audio.controls = true;
  audio.hidden = true;
  const hush = playing(model, audio);
  left.append(falls, legend, spread, sheet, form, told, hearing, waits, audio, make("p", "cd-status", w("lb_validity")));
  body.append(left, side);
  root.append(head, say, body, problem);
  el.append(root);

  // --- one question at a time, the newest; what moved meanwhile is asked together ---
  let waiting = false, next = null;
  const ask = (what) => {
    if (!waiting) return (waiting = true), model.send(what);
    next = next && next.kind === what.kind && what.changes ? { ...what, changes: { ...next.changes, ...what.changes } } : what;
  };
  const answered = () => {
    waiting = false;
    const now = next;
    next = null;
    if (now) ask(now);
  };

  // --- levers and sliders ---
  const nodes = {}, buys = {};
  const { levers, sliders, profiles, presets } = model.get("controls");
  const pick = (name, options, chosen, change) => {
    const label = make("label"), select = make("select");
    select.dataset.testid = `lb_${name}`;
    select.append(...options.map((one) => new Option(w(`lb_${name}_${one}`), one)));
    select.value = chosen;
    select.addEventListener("change", () => change(select.value));
    label.append(make("span", "", w(`lb_${name}`)), select);
    side.append(label);
    return select;
  };
  const profile = pick("profile", profiles, model.get("given").profile, (one) => ask({ kind: "give", changes: { profile: one } }));
  const heard = pick("to", ["ear", "avatar"], model.get("heard") ? "ear" : "avatar", (one) => ask({ kind: "listen", heard: one === "ear" }));
  const row = make("div", "cd-row");
  for (const preset of presets) {
    const button = make("button", "", w(`lb_take_${preset}`));
    button.dataset.testid = `lb_take_${preset}`;
    button.addEventListener("click", () => ask({ kind: "take", preset }));
    row.append(button);
  }
  side.append(make("div", "lb-own", w("lb_levers")), row);
  for (const [name, [mark, source, built, needs, unproven]] of Object.entries(levers)) {
    const label = make("label", "lb-tick"), input = make("input"), gain = make("small");
    input.type = "checkbox";
    input.dataset.testid = `lb_${name}`;
    label.title = `${w(`lb_mark_${mark}`)}: ${source}`;
    const badge = make("span", unproven ? "lb-mark lb-assumed" : "lb-mark", w(`lb_mark_${mark}`));
    const also = [built ? "" : w("lb_later"), needs ? `${w("lb_needs")} ${w(`lb_lever_${needs}`)}` : ""].filter(Boolean).join("; ");
    label.append(input, make("span", "", w(`lb_lever_${name}`) + (also ? ` (${also})` : "")), badge, gain);
    input.addEventListener("change", () => ask({ kind: "choose", changes: { [name]: input.checked } }));
    nodes[name] = () => (input.checked = (next && next.changes && next.changes[name]) ?? model.get("chosen")[name]);
    buys[name] = gain;
    side.append(label);
  }
  side.append(make("div", "lb-own", w("lb_given")));
  const slow = make("input"), slowly = make("label", "lb-tick");
  slow.type = "checkbox";
  slow.dataset.testid = "lb_slow_starts";
  slow.addEventListener("change", () => ask({ kind: "give", changes: { slow_share: slow.checked ? null : 0 } }));
  slowly.append(slow, make("span", "", w("lb_slow_starts")));
  nodes.slow = () => (slow.checked = model.get("given").slow_share !== 0);
  side.append(slowly);
  for (const [name, [low, high, step, share]] of Object.entries(sliders)) {
    const label = make("label"), line = make("span", "lb-line"), value = make("output"), input = make("input");
    Object.assign(input, { type: "range", min: low, max: high, step });
    input.dataset.testid = `lb_${name}`;
    line.append(make("span", "", w(`lb_${name}`)), value);
    label.append(line, input);
    const says = () => (value.textContent = share ? `${input.value} %` : input.value);
    input.addEventListener("input", () => (says(), ask({ kind: "give", changes: { [name]: share ? input.value / 100 : Number(input.value) } })));
    nodes[name] = () => {
      if (!waiting || input !== root.getRootNode().activeElement) input.value = Math.round(model.get("given")[name] * (share ? 100 : 1));
      says();
    };
    side.append(label);
  }

  // --- the pictures ---
  const scale = (most) => (ms) => LEFT + (ms / most) * (WIDE - LEFT - RIGHT);
  function grid(figure, x, most, top, bottom, step) {
    for (let ms = 0; ms <= most; ms += step) {
      figure.append(svg("line", { class: "lb-grid", x1: x(ms), x2: x(ms), y1: top, y2: bottom }));
      figure.append(svg("text", { x: x(ms), y: bottom + 15, "text-anchor": "middle" }, `${ms / 1000} s`));
    }
  }
  function waterfall() {
    const bars = model.get("bars"), ends = Object.values(bars).map((one) => Math.max(one.answer, one.stages.reduce((sum, [, ms]) => sum + ms, 0)));
    const most = Math.max(1000, ...ends) * 1.04, x = scale(most), high = 122;
    const aloud = Object.entries(bars).map(([name, one]) => `${w(`lb_${name}`)}: ${one.stages.map(([stage, ms]) => `${w(`lb_stage_${stage}`)} ${ms} ms`).join(", ")}; ${w("lb_answer")} ${one.answer} ms`).join(". ");
    const figure = svg("svg", { viewBox: `0 0 ${WIDE} ${high + 20}`, role: "img", "aria-label": aloud });
    grid(figure, x, most, 4, high, 500);
    Object.entries(bars).forEach(([name, one], n) => {
      let at = 0;
      const y = 14 + n * 54;
      figure.append(svg("text", { class: "lb-name", x: LEFT - 8, y: y + 21, "text-anchor": "end" }, w(`lb_${name}`)));
      for (const [stage, ms] of one.stages) {
        const part = svg("rect", { x: x(at), y, width: Math.max(0, x(at + ms) - x(at)), height: 32, fill: STAGE[stage] });
        part.dataset.testid = `lb_bar_${name}_${stage}`;
        part.append(svg("title", {}, `${w(`lb_stage_${stage}`)}: ${ms} ms`));
        figure.append(part);
        if (x(at + ms) - x(at) > 30) figure.append(svg("text", { class: "lb-in", x: (x(at) + x(at + ms)) / 2, y: y + 20, "text-anchor": "middle" }, `${ms}`));
        at += ms;
      }
      if (one.answer > at + 30) {
        const line = svg("line", { class: "lb-answer", x1: x(one.answer), x2: x(one.answer), y1: y - 4, y2: y + 36 });
        line.append(svg("title", {}, `${w("lb_answer")}: ${one.answer} ms`));
        const room = x(one.answer) < WIDE - 90;
        figure.append(line, svg("text", { x: x(one.answer) + (room ? 6 : -6), y: y + 20, "text-anchor": room ? "start" : "end" }, w("lb_answer_short")));
      }
    });
    falls.replaceChildren(figure);
    legend.replaceChildren(...Object.entries(STAGE).map(([stage, colour]) => {
      const item = make("li"), box = make("i");
      box.style.background = colour;
      item.append(box, document.createTextNode(w(`lb_stage_${stage}`)));
      return item;
    }));
  }
  function distribution() {
    const curves = model.get("curves"), high = 200, bottom = high - 24, peak = Math.max(0.02, ...Object.values(curves).flat()) * 1.08;
    const many = curves.plan.length, most = many * 100, x = scale(most), y = (share) => bottom - (share / peak) * (bottom - 22);
    const figure = svg("svg", { viewBox: `0 0 ${WIDE} ${high}`, role: "img", "aria-label": w("lb_spread") });
    grid(figure, x, most, 20, bottom, 1000);
    for (const ms of TARGETS) {
      figure.append(svg("line", { class: "lb-target", x1: x(ms), x2: x(ms), y1: 20, y2: bottom }));
      figure.append(svg("text", { x: x(ms) + (ms === 600 ? -3 : 3), y: 14, "text-anchor": ms === 600 ? "end" : "start" }, `${ms}`));
    }
    for (const [name, shares] of Object.entries(curves)) {
      const [stroke, dash] = LINE[name];
      const line = svg("polyline", { class: "lb-curve", stroke, "stroke-dasharray": dash, points: shares.map((share, n) => `${x(n * 100 + 50)},${y(share)}`).join(" ") });
      line.dataset.testid = `lb_curve_${name}`;
      line.append(svg("title", {}, w(`lb_${name}`)));
      figure.append(line);
      const top = shares.indexOf(Math.max(...shares));
      figure.append(svg("text", { class: "lb-name", x: x(top * 100 + 50) + 6, y: Math.max(30, y(shares[top]) - 3), fill: stroke }, w(`lb_${name}`)));
    }
    spread.replaceChildren(figure);
  }

  // --- figures, and what each lever buys ---
  function figures() {
    const table = make("table"), top = make("tr");
    top.append(make("th", "", w(model.get("heard") ? "lb_to_ear" : "lb_to_avatar")), make("th", "", w("lb_plan")), make("th", "", w("lb_yours")));
    table.append(top);
    for (const [key, values] of model.get("rows")) {
      const line = make("tr");
      line.dataset.testid = `lb_row_${key}`;
      line.append(make("th", "", w(`lb_row_${key}`)));
      for (const value of values) {
        const [text, interval] = Array.isArray(value) ? value : [value, ""], cell = make("td", "", text);
        if (interval) cell.append(" ", make("small", "", `(${interval})`));
        line.append(cell);
      }
      table.append(line);
    }
    sheet.replaceChildren(table);
    const told = (ms) => (ms > 0 ? `−${ms}` : ms < 0 ? `+${-ms}` : "0");
    for (const [name, [alone, last, , answer]] of Object.entries(model.get("buys"))) {
      const also = answer === last ? "" : `; ${w("lb_answer_short")} ${told(answer)}`;
      buys[name].textContent = `${told(alone)} ms ${w("lb_alone")}, ${told(last)} ${w("lb_last")}${also}`;
    }
  }

  // --- backwards ---
  const number = (name, value, low, high, step) => {
    const input = make("input");
    Object.assign(input, { type: "number", value, min: low, max: high, step, required: true });
    input.dataset.testid = `lb_ask_${name}`;
    input.setAttribute("aria-label", w(`lb_ask_${name}`));
    return input;
  };
  const share = number("share", 50, 1, 100, 1), target = number("target", 800, 100, 20000, 50), go = make("button", "", w("lb_ask"));
  go.dataset.testid = "lb_ask";
  form.append(w("lb_ask_1"), share, w("lb_ask_2"), target, w("lb_ask_3"), go);
  form.addEventListener("submit", (event) => (event.preventDefault(), ask({ kind: "ask", target: Number(target.value), share: Number(share.value) / 100 })));

  const question = make("input"), hear = make("button", "", w("lb_hear"));
  Object.assign(question, { type: "text", value: model.get("controls").question, required: true, maxLength: 300 });
  question.dataset.testid = "lb_question";
  question.setAttribute("aria-label", w("lb_question"));
  hear.dataset.testid = "lb_hear";
  hearing.append(question, hear);
  hearing.addEventListener("submit", (event) => (event.preventDefault(), (waits.textContent = w("ex_busy")), ask({ kind: "hear", question: question.value })));

  const says = () => {
    for (const one of Object.values(nodes)) one();
    profile.value = model.get("given").profile;
    heard.value = model.get("heard") ? "ear" : "avatar";
    mark.textContent = model.get("mark");
    say.textContent = model.get("sentence");
    told.textContent = model.get("asked").told ?? "";
    waits.textContent = model.get("waits");
    problem.textContent = model.get("problem");
  };
  root.addEventListener("keydown", (event) => event.stopPropagation());
  model.on("change:bars", waterfall);
  model.on("change:curves", distribution);
  model.on("change:rows change:buys", figures);
  model.on("change:chosen change:given change:heard change:sentence change:mark change:asked change:problem", says);
  model.on("change:waits change:answered", () => (waits.textContent = model.get("waits")));
  model.on("change:answered", answered);
  waterfall(), distribution(), figures(), says();
  return hush;
}
export default { render };
