// The view of prompt_lab.py: seven steps from two prompts to a verdict. Steps 4 to 6 have files of their own.
const LOOK_MS = 500; // after an answer the page asks again how far it is
const REST_MS = 400; // after the last tick the plan is made
const FOLD = 60; // pairs shown at once

function render({ model, el }) {
  const w = (name, facts = {}) => (model.get("words")[name] ?? name).replace(/\{(\w+)\}/g, (whole, key) => facts[key] ?? whole);
  const root = make("div", "cd cd-lab"), head = make("div", "cd-head"), badge = make("span", "cd-badge"), sides = make("p", "pl-sides"), stale = note("pl-stale");
  stale.classList.add("warn");
  root.dataset.testid = "clara-prompt-lab";
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", w("pl_title"));
  badge.dataset.testid = "pl-badge";
  head.append(make("span", "cd-title", w("pl_title")), badge);
  const bar = make("div", "pl-steps"), problem = make("p", "cd-problem"), next = button(w, "pl_next");
  bar.setAttribute("role", "tablist");
  problem.setAttribute("role", "alert");
  const play = player(root, model);
  const lab = { model, w, root, play, ask: (kind, more = {}) => model.send({ kind, ...more }) };
  const parts = { prompts: prompts(lab), try: trying(lab), run: running(lab), read: reading(lab), rate: rating(lab), verdict: verdict(lab), save: saving(lab) };
  const tabs = model.get("steps").map((step, n) => {
    const tab = make("button", "", `${n + 1} ${w(`pl_${step}`)}`);
    tab.dataset.testid = `pl-step-${step}`;
    tab.setAttribute("role", "tab");
    tab.addEventListener("click", () => go(step));
    tab.addEventListener("keydown", (event) => {
      const way = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (way) event.preventDefault(), tabs[(n + way + tabs.length) % tabs.length].focus();
    });
    return tab;
  });
  bar.append(...tabs);
  next.className = "call pl-next";
  next.addEventListener("click", () => go(model.get("steps")[model.get("steps").indexOf(model.get("step")) + 1]));
  root.append(head, sides, bar, stale, ...Object.values(parts).map((part) => part.node), problem, next);
  el.append(root);

  const go = (step) => lab.ask("go", { step });
  function step() {
    const now = model.get("step"), steps = model.get("steps"), after = steps[steps.indexOf(now) + 1], within = focused(root) !== null;
    play.hush();
    tabs.forEach((tab, n) => tab.setAttribute("aria-selected", String(steps[n] === now)));
    for (const [name, part] of Object.entries(parts)) part.node.hidden = name !== now;
    next.hidden = !after;
    if (after) next.textContent = w("pl_next", { step: w(`pl_${after}`) });
    if (parts[now].seen) parts[now].seen();
    else if (within) tabs[steps.indexOf(now)].focus(); // what was pressed may stand elsewhere now
  }
  function above() {
    const { a, b } = model.get("sides"), llm = model.get("chosen").llm;
    sides.textContent = w("pl_versus", { a, b });
    badge.textContent = w(`pl_${llm}`);
    badge.classList.toggle("live", llm === "live");
  }
  const old = () => (stale.textContent = model.get("progress").stale && model.get("steps").indexOf(model.get("step")) > 1 ? w("pl_changed") : "");
  let timer = 0;
  function looking() { // one question at a time: the next when the last was answered
    clearTimeout(timer);
    if (["starting", "running", "reckoning"].includes(model.get("progress").state) || model.get("verdict").checking || model.get("rating").judge?.busy) timer = setTimeout(() => lab.ask("look"), LOOK_MS);
  }
  const onProblem = () => (problem.textContent = model.get("problem"));
  root.addEventListener("keydown", (event) => event.stopPropagation()); // JupyterLab's own keys
  const on = { "change:step": step, "change:sides change:chosen": above, "change:progress change:verdict change:rating": looking, "change:progress change:step": old, "change:problem": onProblem };
  for (const [names, then] of Object.entries(on)) model.on(names, then);
  for (const part of Object.values(parts)) for (const [names, then] of Object.entries(part.on)) model.on(names, then), then();
  step(), above(), looking(), old(), onProblem();
  lab.ask("look");
  return () => (clearTimeout(timer), play.end());
}

function focused(within) {
  const node = within.getRootNode().activeElement;
  return node && within.contains(node) ? node : null;
}
function button(w, name, then, className = "") {
  const node = make("button", className, w(name));
  node.dataset.testid = name;
  if (then) node.addEventListener("click", then);
  return node;
}
function part(name) {
  const node = make("section", "pl-part");
  node.dataset.testid = `pl-part-${name}`;
  return node;
}
function field(w, name, node) {
  const label = make("label");
  label.append(make("span", "", w(name)), node);
  node.dataset.testid = name;
  return label;
}
function note(name, role = "status") {
  const node = make("p", "pl-note");
  node.dataset.testid = name;
  node.setAttribute("role", role);
  return node;
}
function planned_in(w, model) {
  const now = model.get("plan");
  return now.nothing ? w("pl_nothing") : now.conversations ? w(now.calls ? "pl_plan" : "pl_plan_scripted", now) : "";
}

// One answer at a time is heard; the button that began it stops it.
function player(root, model) {
  let now = null;
  const hush = () => {
    if (now) now.audio?.pause(), (now.button.textContent = now.text), now.audio && URL.revokeObjectURL(now.audio.src);
    now = null;
  };
  const alone = soundsAlone(hush);
  const onMessage = (content, buffers) => {
    if (content.kind !== "sound" || !now || content.of !== now.of) return;
    now.audio = new Audio(URL.createObjectURL(new Blob([buffers[0]], { type: "audio/wav" })));
    now.audio.addEventListener("ended", hush);
    now.button.textContent = `■${now.text.slice(1)}`;
    alone.begin();
    now.audio.play().catch(() => {}); // stopped before it began
  };
  model.on("msg:custom", onMessage);
  return {
    hush,
    hear: (button, asked) => {
      const own = now && now.button === button;
      hush();
      if (own) return;
      now = { button, text: button.textContent, of: JSON.stringify(asked) };
      model.send({ ...asked, of: now.of });
    },
    end: () => (hush(), alone.end(), model.off("msg:custom", onMessage)),
  };
}

// --- 1: two prompts; B's studio stands below this ---
function prompts({ model, w, ask }) {
  const node = part("prompts"), a = make("select"), row = make("div", "cd-row cd-choices"), says = note("pl-says");
  row.append(field(w, "pl_prompt_a", a));
  node.append(row, says);
  a.addEventListener("change", () => ask("choose", { changes: { a: a.value } }));
  a.addEventListener("focus", () => ask("look"));
  const draw = () => {
    const { equal, wrong } = model.get("sides"), held = JSON.stringify(model.get("offers").prompts);
    if (held !== a.dataset.held) a.replaceChildren(...model.get("offers").prompts.map(([name, label, about]) => new Option(about ? `${label} · ${about}` : label, name)));
    a.dataset.held = held;
    a.value = model.get("chosen").a;
    says.textContent = wrong ? w("pl_wrong") : equal ? w("pl_equal") : "";
  };
  return { node, on: { "change:offers change:chosen change:sides": draw } };
}

// --- 2: scenarios by topic, customers, repetitions, and what it comes to ---
function trying({ model, w, ask }) {
  const node = part("try"), cols = make("div", "pl-two"), row = make("div", "cd-row cd-choices"), plan = note("pl-plan"), warn = note("pl-warn");
  const seeds = make("input"), llm = make("select"), budget = make("input"), most = field(w, "pl_budget", budget), sure = make("input"), until = make("label", "pl-tick");
  Object.assign(seeds, { type: "number", min: 1, max: 20, step: 1 });
  row.append(field(w, "pl_seeds", seeds), field(w, "pl_llm", llm), most);
  sure.type = "checkbox";
  sure.dataset.testid = "pl_until_sure";
  sure.addEventListener("change", () => choose({ until_sure: sure.checked }));
  until.append(sure, make("span", "", w("pl_until_sure")), make("small", "", w("pl_until_sure_how")));
  Object.assign(budget, { type: "number", min: 0.5, step: 0.5 });
  budget.addEventListener("change", () => choose({ budget_usd: Math.max(0.01, Number(budget.value) || 1) }));
  warn.classList.add("warn");
  const wanted = {}; // what was chosen here and the kernel has not taken up yet: its answer to an earlier click takes nothing back
  const settled = () => {
    const now = model.get("chosen");
    for (const name of Object.keys(wanted)) if (JSON.stringify(wanted[name]) === JSON.stringify(now[name])) delete wanted[name];
    return { ...now, ...wanted };
  };
  const choose = (changes) => (Object.assign(wanted, changes), settled(), ask("choose", { changes }));
  seeds.addEventListener("change", () => choose({ seeds: Math.min(20, Math.max(1, Math.round(Number(seeds.value)) || 1)) }));
  llm.addEventListener("change", () => choose({ llm: llm.value }));
  const ticks = { scenarios: new Map(), customers: new Map() };
  const chosen = (what) => [...ticks[what]].filter(([, box]) => box.checked).map(([name]) => name);
  const tick = (what, name, text, more = "") => {
    const label = make("label", "pl-tick"), box = make("input");
    box.type = "checkbox";
    box.dataset.testid = `pl-${what}-${name || "stranger"}`;
    label.append(box, make("span", "", text));
    if (more) label.append(make("small", "", more));
    box.addEventListener("change", () => choose({ [what]: chosen(what) }));
    ticks[what].set(name, box);
    return label;
  };
  const all = (what, names, to, text) => {
    const node = make("button", "pl-small", text);
    node.dataset.testid = `pl-${what}-${to ? "all" : "none"}`;
    node.addEventListener("click", () => (names().forEach((name) => (ticks[what].get(name).checked = to)), choose({ [what]: chosen(what) })));
    return node;
  };
  const counts = {}, topics = [];
  const box = (what) => {
    const own = make("fieldset", "pl-box"), legend = make("legend", "", w(`pl_${what}`)), count = (counts[what] = make("span", "pl-count")), line = make("div", "cd-row"), list = make("div", "pl-list");
    const names = () => [...ticks[what].keys()];
    line.append(all(what, names, true, w("pl_all")), all(what, names, false, w("pl_none")), count);
    own.append(legend, line, list);
    cols.append(own);
    return list;
  };
  const scenarios = box("scenarios"), customers = box("customers");
  let held = "";
  const build = () => {
    const { topics: found, customers: people, llms } = model.get("offers"), now = JSON.stringify([found, people, llms]);
    if (now === held) return;
    held = now;
    const open = new Set(topics.filter((one) => one.fold.open).map((one) => one.topic));
    topics.length = 0;
    for (const one of Object.values(ticks)) one.clear();
    scenarios.replaceChildren(...found.map(([topic, several]) => {
      const fold = make("details"), head = make("summary"), every = make("input"), count = make("span", "pl-count"), names = several.map(([name]) => name);
      every.type = "checkbox";
      every.dataset.testid = `pl-topic-${topic}`;
      every.setAttribute("aria-label", `${w(`pl_topic_${topic}`)}: ${w("pl_all")}`);
      every.addEventListener("click", (event) => event.stopPropagation());
      every.addEventListener("change", () => (names.forEach((name) => (ticks.scenarios.get(name).checked = every.checked)), choose({ scenarios: chosen("scenarios") })));
      head.append(every, ` ${w(`pl_topic_${topic}`)} `, count);
      fold.append(head, ...several.map(([name, title, reacts]) => tick("scenarios", name, title, reacts ? w("pl_reacts") : "")));
      fold.open = open.has(topic);
      topics.push({ topic, fold, every, count, names });
      return fold;
    }));
    customers.replaceChildren(...people.map(([name, about]) => tick("customers", name, name || w("pl_stranger"), about)));
    llm.replaceChildren(...llms.map((one) => new Option(w(`pl_${one}`), one)));
  };
  const draw = () => {
    build();
    const now = settled();
    for (const [what, boxes] of Object.entries(ticks)) {
      const on = new Set(now[what]);
      for (const [name, own] of boxes) own.checked = on.has(name);
      counts[what].textContent = w("pl_choice", { n: [...boxes.keys()].filter((name) => on.has(name)).length, all: boxes.size });
    }
    for (const { every, count, names } of topics) {
      const on = names.filter((name) => ticks.scenarios.get(name).checked).length;
      every.checked = on === names.length;
      every.indeterminate = on > 0 && on < names.length;
      count.textContent = w("pl_choice", { n: on, all: names.length });
    }
    seeds.value = now.seeds;
    llm.value = now.llm;
    sure.checked = now.until_sure;
    budget.value = now.budget_usd;
    most.hidden = !["live", "recorded"].includes(now.llm);
  };
  let timer = 0;
  const later = () => (clearTimeout(timer), (timer = setTimeout(() => node.isConnected && ask("plan"), REST_MS)));
  const planned = () => {
    const now = model.get("plan");
    plan.textContent = planned_in(w, model);
    warn.textContent = [now.missing ? w(now.pays ? "pl_missing_asked" : "pl_missing", now) : "", now.few ? w("pl_few") : ""].filter(Boolean).join(" ");
  };
  node.append(cols, row, until, plan, warn);
  const refused = () => model.get("problem") && (Object.keys(wanted).forEach((name) => delete wanted[name]), draw());
  return { node, on: { "change:offers change:chosen": draw, "change:chosen change:sides": later, "change:plan": planned, "change:problem": refused } };
}

// --- 3: it runs; what has arrived so far ---
function running({ model, w, ask }) {
  const node = part("run"), row = make("div", "cd-row"), meter = make("progress"), says = note("pl-progress"), figures = make("div", "cd-wide"), kept = make("p", "pl-note");
  const start = button(w, "pl_start", () => (model.get("plan").costs && !agreed ? ((agreed = true), draw()) : (ask("run", { agreed }), (agreed = false))), "call"), stop = button(w, "pl_stop", () => ask("stop")), plan = note("pl-run-plan");
  let agreed = false; // whoever spends says so twice
  meter.setAttribute("aria-label", w("pl_run"));
  row.append(start, stop, meter);
  figures.dataset.testid = "pl-so-far";
  node.append(plan, row, says, figures, kept);
  const draw = () => {
    const now = model.get("progress"), state = now.state ?? "idle", busy = ["starting", "running", "reckoning"].includes(state), at = model.get("plan");
    const held = focused(row);
    start.disabled = busy || at.nothing;
    start.textContent = agreed ? w("pl_agree", at) : w(state === "stopped" && !now.stale ? "pl_resume" : "pl_start");
    stop.disabled = !["starting", "running"].includes(state);
    if (held?.disabled) (stop.disabled ? start : stop).focus(); // whoever goes by keys keeps their place
    meter.hidden = state === "idle";
    if (state === "starting") meter.removeAttribute("value");
    else (meter.max = now.all || 1), (meter.value = now.done || 0);
    says.textContent = state === "failed" ? now.error : w({ reckoning: "pl_reckons" }[state] ?? `pl_${state}`, now);
    says.classList.toggle("wrong", state === "failed");
    plan.textContent = planned_in(w, model);
    kept.replaceChildren(...(now.folder ? [`${w("pl_kept")} `, labLink(now.folder)] : []));
    const rows = now.figures ?? [];
    if (!rows.length) return figures.replaceChildren();
    const table = make("table"), top = make("tr");
    top.append(make("th"), make("th", "", "A"), make("th", "", "B"));
    table.append(top, ...rows.map(([label, a, b]) => {
      const line = make("tr");
      line.append(make("th", "", label), make("td", "figure", a), make("td", "figure", b));
      return line;
    }));
    figures.replaceChildren(make("p", "pl-note", w(state === "done" ? "pl_of_pairs" : "pl_so_far", { n: now.pairs })), table);
  };
  return { node, on: { "change:progress change:plan": draw } };
}

// --- 7: the winner becomes a version ---
function saving({ model, w, ask }) {
  const node = part("save"), row = make("div", "cd-row cd-choices"), text = make("input"), who = make("select"), says = note("pl-saved"), sure = make("p", "pl-sentence");
  text.type = "text";
  text.maxLength = 200;
  const send = (use) => () => (ask("save", { side: who.value, note: text.value, use }), (text.value = ""));
  row.append(field(w, "pl_winner", who), field(w, "pl_save_note", text), button(w, "pl_save_b", send(false), "call"), button(w, "pl_save_use", send(true)));
  node.append(make("p", "", w("pl_save_how")), sure, row, says);
  const draw = () => {
    const { a, b } = model.get("sides"), held = who.value || "B", { text: said = "", path } = model.get("saved"), now = model.get("verdict");
    who.replaceChildren(new Option(`A: ${a}`, "A"), new Option(`B: ${b}`, "B"));
    who.value = held;
    sure.textContent = now.sentence ? `${now.rehearsal ? `${w("pl_rehearsal")}. ` : ""}${now.sentence}` : w("pl_no_verdict");
    says.replaceChildren(said, " ", ...(path ? [labLink(path)] : []));
  };
  return { node, on: { "change:sides change:saved change:verdict": draw } };
}
export default { render };
