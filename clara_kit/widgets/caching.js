// The view of caching.py: who asks and what is true, what is found, the ways of asking, strictness, and two answers to hear.
const WIDE = 560, HIGH = 300, LEFT = 58, RIGHT = 16, TOP = 26, BOTTOM = 46;
function render({ model, el }) {
  const w = (name) => model.get("words")[name] ?? name;
  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
  const send = (kind, more = {}) => model.send({ kind, ...more });
  const root = make("section", "cd cd-caching");
  root.dataset.testid = "clara-caching";
  root.dataset.lmSuppressShortcuts = "true";
  root.setAttribute("aria-label", w("ca_title"));
  const button = (name, act, className = "") => {
    const node = make("button", className, w(name));
    node.dataset.testid = name;
    node.title = model.get("words")[`${name}_hint`] ?? "";
    node.addEventListener("click", act);
    return node;
  };
  const named = (name, node) => {
    const label = make("label");
    label.append(make("span", "", w(name)), node);
    node.dataset.testid = name;
    return label;
  };
  const tick = (name) => {
    const label = make("label", "ca-tick"), input = make("input");
    input.type = "checkbox";
    input.dataset.testid = name;
    label.append(input, make("span", "", w(name)));
    return [label, input];
  };
  const typed = (kind) => Object.assign(make("input"), { type: kind });

  // --- the question and what is found -----------------------------------------------------------------------
  const head = make("div", "cd-head");
  head.append(make("span", "cd-title", w("ca_title")), make("span", "cd-badge", w("ca_offline")));
  const asking = make("form", "cd-row ca-ask"), question = typed("text"), pick = make("select"), go = make("button", "call", w("ca_ask"));
  question.maxLength = 300;
  go.type = "submit";
  go.dataset.testid = "ca_ask";
  asking.append(named("ca_question", question), go, named("ca_pick", pick));
  const result = make("div", "ca-result"), verdict = make("p", "ca-verdict"), answer = make("p", "ca-answer"), why = make("p", "cd-note"), near = make("table", "ca-near"), acts = make("div", "cd-row"), note = make("p", "cd-did");
  result.setAttribute("role", "status");
  verdict.dataset.testid = "ca-verdict";
  answer.dataset.testid = "ca-answer";
  note.dataset.testid = "ca-note";
  const modelAnswers = button("ca_model", () => send("model")), cut = button("ca_cut", () => send("interrupt")), hear = button("ca_hear", () => ((hear.disabled = true), (waits.textContent = w("ca_hearing")), send("hear")));
  const audio = make("audio"), waits = make("span", "ca-waits");
  waits.dataset.testid = "ca-waits";
  waits.setAttribute("role", "status");
  audio.controls = true;
  audio.hidden = true;
  const hush = playing(model, audio);
  acts.append(modelAnswers, cut, hear, waits);
  result.append(verdict, answer, why);
  const problem = make("p", "cd-problem"), status = make("p", "cd-did");
  problem.setAttribute("role", "alert");
  status.setAttribute("role", "status");
  status.dataset.testid = "ca-status";

  // --- what is true -----------------------------------------------------------------------------------------
  const truth = make("div", "ca-part"), line = make("div", "cd-row cd-choices ca-truth"), holds = make("p", "ca-holds"), fallen = make("details"), fallenName = make("summary"), fallenList = make("ul");
  holds.dataset.testid = "ca-holds";
  holds.setAttribute("role", "status");
  fallen.dataset.testid = "ca-fallen";
  fallen.append(fallenName, fallenList);
  const customer = make("select"), prompt = make("select"), date = typed("date"), product = make("select"), price = typed("number"), which = make("select");
  const [rewordedLabel, reworded] = tick("ca_reworded"), [goneLabel, gone] = tick("ca_gone");
  price.min = 0;
  price.step = 10;
  line.append(named("ca_customer", customer), named("ca_prompt", prompt), rewordedLabel, named("ca_date", date), named("ca_product", product), named("ca_price", price), goneLabel, named("ca_llm", which), button("ca_reset", () => send("reset")));
  truth.append(make("h4", "", w("ca_truth")), line, holds, fallen);
  const change = (node, name, value) => node.addEventListener("change", () => send("situate", { changes: value() }));
  change(customer, "customer", () => ({ customer: customer.value }));
  change(prompt, "prompt", () => ({ prompt: prompt.value }));
  change(date, "date", () => ({ date: date.value }));
  change(product, "product", () => ({ product: product.value, price_clp: 0, sold_out: false }));
  change(price, "price_clp", () => ({ price_clp: Math.max(0, Math.round(price.valueAsNumber || 0)) }));
  change(gone, "sold_out", () => ({ sold_out: gone.checked }));
  change(reworded, "reworded", () => ({ reworded: reworded.checked }));
  change(which, "model", () => ({ model: which.value }));

  // --- the ways of asking -----------------------------------------------------------------------------------
  const ways = make("div", "ca-part"), entryPick = make("select"), entryAnswer = make("p", "ca-answer"), entryNote = make("p", "cd-note"), cols = make("div", "ca-cols"), asked = make("ul", "ca-ways"), unlike = make("ul", "ca-ways"), adding = make("form", "cd-row"), way = typed("text"), add = make("button", "", w("ca_add"));
  asked.dataset.testid = "ca-asked";
  way.maxLength = 200;
  add.type = "submit";
  add.dataset.testid = "ca_add";
  adding.append(named("ca_way", way), add);
  const left = make("div"), right = make("div");
  left.append(make("h5", "", w("ca_asked")), asked, adding);
  right.append(make("h5", "", w("ca_unlike")), unlike);
  cols.append(left, right);
  ways.append(make("h4", "", w("ca_ways")), named("ca_entry", entryPick), entryAnswer, entryNote, cols);

  // --- strictness -------------------------------------------------------------------------------------------
  const strict = make("div", "ca-part"), measure = button("ca_measure", () => ((measure.disabled = true), (told.textContent = w("ca_measuring")), send("measure"))), picture = make("div", "ca-picture"), slider = typed("range"), guard = typed("range"), passes = make("p", "ca-passes"), told = make("p", "ca-told"), legend = make("p", "cd-note");
  slider.min = 0;
  slider.max = 1;
  slider.step = 0.02;
  slider.value = 0.7;
  guard.min = 0;
  guard.step = 1;
  guard.value = 0;
  guard.max = 6;
  told.setAttribute("role", "status");
  told.dataset.testid = "ca-told";
  const sliding = named("ca_strictness", slider), guarding = named("ca_guard", guard);
  strict.append(make("h4", "", w("ca_strict")), make("p", "cd-note", w("ca_strict_hint")), measure, picture, guarding, passes, sliding, told, legend);
  root.append(head, asking, result, near, acts, audio, note, problem, status, truth, ways, strict);
  el.append(root);

  const options = (select, pairs, value) => {
    const held = JSON.stringify(pairs);
    if (select.dataset.held !== held) select.replaceChildren(...pairs.map(([name, shown]) => new Option(shown, name)));
    select.dataset.held = held;
    select.value = value;
  };
  const percent = (share) => `${(100 * share).toFixed(1)} %`;
  const differs = (kinds) => kinds.map((kind) => model.get("words")[`ca_differs_${kind}`] ?? kind).join(", ");
  function offered() {
    const { customers = [], prompts = [], products = [], models = [], questions = [] } = model.get("offers"), now = model.get("situation");
    options(customer, [["", w("stranger")], ...customers.map(([name, about]) => [name, `${name}: ${about}`])], now.customer);
    options(prompt, prompts.map((name) => [name, name]), now.prompt);
    options(product, [["", w("ca_no_product")], ...products.map(([handle, title]) => [handle, title])], now.product);
    options(which, models.map((name) => [name, name]), now.model);
    options(pick, [["", w("ca_pick_one")], ...questions], "");
    options(entryPick, questions, model.get("entry").id ?? "");
    const chosen = products.find(([handle]) => handle === now.product);
    price.disabled = gone.disabled = !chosen;
    if (price !== root.getRootNode().activeElement) price.value = chosen ? now.price_clp || chosen[2] : "";
    gone.checked = now.sold_out;
    reworded.checked = now.reworded;
    if (date !== root.getRootNode().activeElement) date.value = now.date;
  }
  function held() {
    const { of = 0, fallen: all = [] } = model.get("holding"), groups = new Map();
    for (const [text, reason, origin] of all) groups.set(reason, [...(groups.get(reason) ?? []), origin === "learnt" ? `${text} (${w("ca_learnt")})` : text]);
    holds.textContent = fill(w("ca_holds"), { n: of - all.length, of });
    fallen.hidden = !all.length;
    fallenName.textContent = fill(w("ca_fallen"), { n: all.length });
    fallenList.replaceChildren(...[...groups].map(([reason, texts]) => {
      const item = make("li");
      const once = [...new Set(texts)].map((text) => [text, texts.filter((other) => other === text).length]); // one question, a skin each
      item.append(make("b", "", reason), make("span", "", ` ${once.map(([text, n]) => (n > 1 ? `${text} (×${n})` : text)).join(" · ")}`));
      return item;
    }));
  }
  function find() {
    const one = model.get("found");
    if (question !== root.getRootNode().activeElement) question.value = one.question ?? "";
    result.dataset.hit = !!one.hit;
    verdict.textContent = one.hit ? `✓ ${w(one.learnt ? "ca_hit_learnt" : "ca_hit")}` : `○ ${w("ca_miss")}`;
    answer.textContent = one.hit ? one.answer : one.said ? `${w("ca_said")} ${one.said}` : "";
    why.textContent = [one.why, one.hit && one.trust < 1 ? fill(w("ca_trust"), { trust: one.trust }) : ""].filter(Boolean).join(" ");
    note.textContent = one.said ? (one.kept ? w("ca_kept") : `${w("ca_not_kept")} ${one.note}`) : "";
    modelAnswers.hidden = one.hit || !!one.said;
    cut.hidden = !one.hit;
    const top = make("tr");
    top.append(...["ca_near", "ca_like", "ca_differs"].map((name) => make("th", "", w(name))));
    near.replaceChildren(top, ...(one.near ?? []).map(([, text, likeness, kinds]) => {
      const row = make("tr"), bar = make("td"), meter = make("meter");
      meter.min = 0;
      meter.max = 1;
      meter.value = likeness;
      bar.append(meter, ` ${likeness.toFixed(2)}`);
      row.append(make("td", "", text), bar, make("td", "", kinds.length ? differs(kinds) : w("ca_agrees")));
      return row;
    }));
    near.hidden = !(one.near ?? []).length;
  }
  function edit() {
    const one = model.get("entry"), where = [...(one.depends ?? []).map((name) => w(`ca_on_${name}`)), ...(one.skin ?? []).map((skin) => `${w("ca_skin")} ${skin}`), ...(one.until ? [`${w("ca_until")} ${one.until}`] : [])];
    entryAnswer.textContent = one.answer ?? "";
    entryNote.textContent = where.length ? `${w("ca_depends")} ${where.join(", ")}` : w("ca_general");
    const mine = (one.mine ?? []).map((text) => {
      const item = make("li", "ca-mine"), drop = make("button", "", "✕");
      drop.setAttribute("aria-label", `${w("ca_drop")}: ${text}`);
      drop.title = w("ca_drop");
      drop.addEventListener("click", () => (send("drop", { text }), way.focus()));
      item.append(make("span", "", text), make("em", "", w("ca_draft")), drop);
      return item;
    });
    asked.replaceChildren(...(one.asked ?? []).map((text) => make("li", "", text)), ...mine);
    unlike.replaceChildren(...(one.unlike ?? []).map(([text, kind]) => {
      const item = make("li");
      item.append(make("span", "", text), make("em", "", differs([kind])));
      return item;
    }));
    entryPick.value = one.id ?? "";
  }
  function draw() {
    const found = model.get("curve"), { guards = [], passes: let_pass = [], shipped } = found;
    guarding.hidden = sliding.hidden = picture.hidden = legend.hidden = passes.hidden = !shipped;
    if (!shipped) return;
    measure.hidden = true;
    guard.max = guards.length - 1;
    const level = Math.min(guard.valueAsNumber, guards.length - 1), passing = let_pass.slice(0, level + 1).flat();
    passes.textContent = level === guards.length - 1 ? w("ca_passes_all") : passing.length ? fill(w("ca_passes"), { what: differs(passing) }) : w("ca_passes_none");
    guard.setAttribute("aria-valuetext", passes.textContent);
    const most = Math.max(0.05, ...guards.flat().map((p) => p[2])) * 1.05;
    const x = (share) => LEFT + (share / most) * (WIDE - LEFT - RIGHT), y = (share) => HIGH - BOTTOM - share * (HIGH - BOTTOM - TOP);
    const at = (points) => points.reduce((best, p) => (Math.abs(p[0] - slider.valueAsNumber) < Math.abs(best[0] - slider.valueAsNumber) ? p : best));
    const figure = svg("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, role: "img", "aria-label": w("ca_strict") });
    for (let n = 0; n <= 4; n++) {
      figure.append(svg("line", { class: "ca-grid", x1: LEFT, x2: WIDE - RIGHT, y1: y(n / 4), y2: y(n / 4) }), svg("text", { x: LEFT - 6, y: y(n / 4) + 4, "text-anchor": "end" }, `${n * 25} %`));
      figure.append(svg("text", { x: x((n / 4) * most), y: HIGH - BOTTOM + 16, "text-anchor": n === 4 ? "end" : "middle" }, percent((n / 4) * most)));
    }
    figure.append(svg("text", { x: (LEFT + WIDE) / 2, y: HIGH - 8, "text-anchor": "middle" }, w("ca_x")), svg("text", { x: LEFT, y: 14 }, w("ca_y")));
    const line = (points, name) => figure.append(svg("polyline", { class: `ca-line ${name}`, points: points.map((p) => `${x(p[2])},${y(p[1])}`).join(" ") }));
    guards.forEach((points, n) => n !== level && line(points, n === guards.length - 1 ? "ca-alone" : ""));
    line(guards[level], "ca-guarded");
    for (const [points, name] of [[guards[guards.length - 1], "alone"], [guards[level], "guarded"]]) {
      const p = at(points), dot = svg("circle", { class: `ca-dot ca-${name}`, cx: x(p[2]), cy: y(p[1]), r: 6 });
      dot.append(svg("title", {}, `${w(`ca_${name}`)}: ${percent(p[1])}, ${percent(p[2])}`));
      figure.append(dot);
    }
    figure.append(svg("path", { class: "ca-shipped", d: `M${x(shipped[2])} ${y(shipped[1]) - 9}l9 9l-9 9l-9 -9Z` }));
    picture.replaceChildren(figure);
    const sentence = (name, p) => fill(w("ca_point"), { law: w(`ca_${name}`), right: percent(p[1]), wrong: percent(p[2]) });
    told.textContent = [sentence("shipped", shipped), sentence("guarded", at(guards[level])), sentence("alone", at(guards[guards.length - 1]))].join(" ");
    legend.textContent = fill(w("ca_counted"), found);
  }
  function says() {
    problem.textContent = model.get("problem");
    status.textContent = model.get("status");
    if (model.get("problem")) (measure.disabled = hear.disabled = false), (waits.textContent = "");
  }
  function sounded() {
    const { waits: two = [] } = model.get("heard");
    if (!two.length) return;
    const s = (ms) => (ms === null ? "–" : `${(ms / 1000).toFixed(2)} s`);
    waits.textContent = fill(w("ca_waits"), { without: s(two[0]), kept: s(two[1]) });
    hear.disabled = false;
  }
  asking.addEventListener("submit", (event) => (event.preventDefault(), send("ask", { text: question.value })));
  pick.addEventListener("change", () => {
    question.value = pick.selectedOptions[0]?.textContent ?? "";
    if (pick.value) send("ask", { text: question.value });
  });
  entryPick.addEventListener("change", () => send("choose", { text: entryPick.value }));
  adding.addEventListener("submit", (event) => {
    event.preventDefault();
    if (way.value.trim()) send("add", { text: way.value });
    way.select();
  });
  for (const node of [slider, guard]) node.addEventListener("input", draw);
  root.addEventListener("keydown", (event) => event.stopPropagation());
  model.on("change:offers change:situation", offered);
  model.on("change:holding", held);
  model.on("change:found", find);
  model.on("change:entry", edit);
  model.on("change:curve", draw);
  model.on("change:heard", sounded);
  model.on("change:problem change:status", says);
  offered(), held(), find(), edit(), draw(), says(), sounded();
  return hush;
}
export default { render };
