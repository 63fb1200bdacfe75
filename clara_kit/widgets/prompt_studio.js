// The view of prompt_studio.py: sentences to write on the left; what Clara would say and be told on the right.
const TYPED_MS = 300; // after the last key, what was typed is sent
const SECTIONS = ["greeting", "tone", "when", "rails"];

function render({ model, el }) {
  const w = (name, facts = {}) => (model.get("words")[name] ?? name).replace(/\{(\w+)\}/g, (whole, key) => facts[key] ?? whole);
  const root = make("div", "cd cd-studio");
  root.dataset.testid = "clara-studio";
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", w("studio"));
  el.append(root);
  const named = (name, node, text) => {
    const label = make("label");
    label.append(make("span", "", text ?? w(name)), node);
    node.dataset.testid = name;
    return label;
  };
  const button = (name, className = "") => {
    const node = make("button", className, w(name));
    node.dataset.testid = name;
    return node;
  };
  const line = (testid, role = "") => {
    const node = make("p", testid);
    node.dataset.testid = testid;
    if (role) node.setAttribute("role", role);
    return node;
  };

  // --- what stands where ----------------------------------------------------------------------------------
  const head = make("div", "cd-head"), badge = make("span", "cd-badge");
  badge.dataset.testid = "studio-badge";
  head.append(make("span", "cd-title", w("studio")), badge);
  const choices = make("div", "cd-row cd-choices"), customer = make("select"), prompt = make("select");
  choices.append(named("prompt", prompt), named("studio_customer", customer));
  const kept = make("p", "ps-kept"), keptUndo = make("button", "", w("studio_undo"));
  kept.dataset.testid = "studio-kept";
  kept.append(w("studio_kept"), " ", keptUndo);
  const cols = make("div", "ps-cols"), left = make("div", "ps-left"), side = make("div", "ps-side");
  const list = make("div"), whole = make("details", "ps-section ps-whole"), text = make("textarea");
  text.dataset.testid = "studio-text";
  text.spellcheck = false;
  text.setAttribute("aria-label", w("studio_whole"));
  whole.append(make("summary", "", w("studio_whole")), text);
  const none = line("ps-hint");
  left.append(none, list, whole);
  const ask = make("div", "cd-row ps-ask"), question = make("input"), hear = button("studio_hear", "main");
  question.type = "text";
  ask.append(named("studio_question", question), hear);
  const busy = line("ps-hint", "status"), heard = make("div", "ps-heard"), audio = make("audio");
  heard.dataset.testid = "studio-heard";
  heard.setAttribute("aria-live", "polite");
  audio.controls = true;
  audio.hidden = true;
  const alone = soundsAlone(() => audio.pause());
  audio.addEventListener("play", alone.begin);
  const title = make("h3"), told = make("div", "ps-told"), shared = make("details"), legend = make("p", "ps-hint ps-legend");
  told.dataset.testid = "studio-told";
  const said = { greeting: make("div"), personal: make("div"), static: make("div") }, sharedName = make("summary");
  shared.append(sharedName, said.static);
  told.append(make("h4", "", w("told_greeting")), said.greeting, make("h4", "", w("told_personal")), said.personal, shared);
  legend.append(make("mark", "", w("told_own")), `: ${w("told_own_is")} · `, make("span", "given", w("told_given")), `: ${w("told_given_is")}`);
  side.append(ask, busy, heard, audio, title, told, legend);
  cols.append(left, side);
  const problem = line("cd-problem", "alert"), status = line("ps-status", "status"), unusable = make("div", "ps-unusable");
  const foot = make("div", "cd-row ps-foot"), note = make("input"), save = button("studio_save"), use = button("studio_use"), undo = button("studio_undo");
  note.type = "text";
  note.maxLength = 200;
  foot.append(named("studio_note", note), save, use, undo);
  root.append(head, choices, kept, cols, foot, problem, status, unusable);

  // --- sentences ------------------------------------------------------------------------------------------
  const folds = {}; // section -> its <details>: they stay as they are while the text changes
  let rows = [], shape = "", last = null, timer = 0;
  const grow = (area) => ((area.style.height = "auto"), (area.style.height = `${area.scrollHeight + 2}px`));
  const flush = () => {
    if (!timer) return;
    clearTimeout(timer);
    timer = 0;
    last.send();
  };
  const later = (send) => {
    if (timer && last.send !== send) flush();
    clearTimeout(timer);
    last = { send };
    timer = setTimeout(() => ((timer = 0), send()), TYPED_MS);
  };
  function row(field, n) {
    const node = make("div", "ps-field"), area = make("textarea"), hint = make("p", "ps-hint"), notes = make("ul", "ps-notes"), wrong = make("p", "ps-wrong");
    const label = named("field", area, field.when ? `${field.when}:` : "");
    label.firstChild.className = "ps-when";
    area.rows = 1;
    area.setAttribute("aria-label", `${w(`studio_s_${field.section}`)}, ${field.when || w("cond_always")}`);
    area.readOnly = field.locked;
    const send = () => model.send({ kind: "write", text: area.value });
    area.addEventListener("focus", () => (model.send({ kind: "begin", n }), (focused = area)));
    area.addEventListener("input", () => (grow(area), later(send)));
    area.addEventListener("blur", flush);
    notes.setAttribute("aria-live", "polite");
    node.append(label, wrong, hint, notes);
    return { node, area, hint, notes, wrong, send };
  }
  let focused = null; // the field that was written into last: where a hole is inserted
  function put(area, from, to, words) {
    area.focus();
    area.setRangeText(words, from, to, "end");
    area.dispatchEvent(new Event("input"));
    flush();
  }
  function sentences() {
    const all = model.get("fields"), now = JSON.stringify(all.map((f) => [f.section, f.when, f.locked]));
    none.textContent = all.length ? w("studio_braces") : w("studio_no_fields");
    if (now !== shape) {
      const at = rows.findIndex((one) => one.area === root.getRootNode().activeElement);
      if (at >= 0 && timer) return; // still being typed: what comes next draws it
      const caret = at >= 0 ? rows[at].area.selectionStart : 0;
      shape = now;
      rows = all.map(row);
      list.replaceChildren(...SECTIONS.filter((s) => all.some((f) => f.section === s)).map((section) => {
        const fold = folds[section] ??= Object.assign(make("details", "ps-section"), { open: section !== "rails" });
        const offers = make("div", "ps-offers");
        all.find((f) => f.section === section).offers.forEach(([name], i) => {
          const chip = make("button", "", `{${name}}`);
          chip.title = w("studio_insert");
          chip.addEventListener("mousedown", (event) => event.preventDefault());
          chip.addEventListener("click", () => {
            const now = model.get("fields"), own = rows.map((_, n) => n).filter((n) => now[n].section === section && !now[n].locked);
            const n = own.find((n) => rows[n].area === focused) ?? own[0];
            if (n === undefined) return;
            const { area } = rows[n], at = area === focused ? [area.selectionStart, area.selectionEnd] : [area.value.length, area.value.length];
            put(area, ...at, now[n].offers[i][1]);
          });
          offers.append(chip);
        });
        fold.replaceChildren(make("summary", "", w(`studio_s_${section}`)), offers, ...rows.filter((_, n) => all[n].section === section).map((one) => one.node));
        fold.ontoggle = () => rows.forEach((one) => grow(one.area));
        return fold;
      }));
      if (at >= 0 && rows[at]) {
        rows[at].area.value = all[at].text;
        rows[at].area.focus();
        rows[at].area.setSelectionRange(caret, caret);
      }
    }
    all.forEach((field, n) => {
      const { area, hint, notes } = rows[n];
      const typing = area === root.getRootNode().activeElement;
      if (!typing && area.value !== field.text) area.value = field.text;
      hint.textContent = field.locked ? w("studio_locked") : field.shared && field.shared !== all[n - 1]?.shared ? w("studio_shared", { part: field.shared }) : "";
      notes.replaceChildren(...field.notes.map((one) => {
        const item = make("li", one.sensed, "");
        item.append(make("b", "", `${one.sensed ? "●" : "○"} «${one.sentence}»`), `: ${one.says}`);
        if (one.nearest) {
          const take = make("button", "", w("studio_take"));
          take.addEventListener("click", () => {
            const start = area.value.indexOf(one.sentence);
            if (start >= 0) put(area, start, start + one.sentence.length, one.nearest);
          });
          item.append(` ${w("studio_nearest", { form: one.nearest })} `, take);
        }
        return item;
      }));
      grow(area);
    });
  }

  // --- what follows ---------------------------------------------------------------------------------------
  function telling() {
    const parts = model.get("told");
    for (const [part, node] of Object.entries(said)) {
      const pieces = parts[part] || [];
      node.replaceChildren(...pieces.map(([words, marks]) => {
        const own = make(marks.includes("customer") ? "mark" : "span", "", words);
        if (!marks.includes("given")) return own;
        const given = make("span", "given");
        given.append(own);
        return given;
      }));
      if (!pieces.length) node.textContent = w("told_nothing");
    }
    const chars = (parts.static || []).reduce((sum, [words]) => sum + words.length, 0);
    sharedName.textContent = w("told_static", { chars: chars.toLocaleString() });
  }
  function chosen() {
    const now = model.get("chosen"), bad = model.get("unusable");
    const shown = ([name, label, about]) => new Option(about ? `${label} · ${about}` : label, name);
    prompt.replaceChildren(...model.get("prompts").map(shown), ...bad.map(([name]) => new Option(`✗ ${name.split("/").pop()}`, name)));
    prompt.value = now.template;
    customer.replaceChildren(...model.get("customers").map(([name, about]) => new Option(`${name}: ${about}`, name)));
    customer.value = now.customer;
    title.textContent = w("told_of", { name: now.customer });
    unusable.replaceChildren(...(bad.length ? [make("p", "", w("studio_unusable"))] : []), ...bad.map(([, why]) => make("p", "", why)));
  }
  function saying() {
    rows.forEach(({ node, area, wrong }) => {
      wrong.textContent = area === focused && model.get("problem") ? `✗ ${model.get("problem")}` : "";
      node.classList.toggle("wrong", Boolean(wrong.textContent));
    });
    const wrong = model.get("problem"), changed = model.get("changed"), { name, path } = model.get("saved"), now = model.get("busy");
    problem.textContent = wrong ? `✗ ${wrong}` : "";
    save.disabled = use.disabled = Boolean(wrong);
    undo.disabled = !changed && !wrong;
    badge.hidden = !changed;
    badge.textContent = w("studio_unsaved");
    kept.hidden = !(model.get("kept") && changed);
    status.textContent = model.get("status");
    if (name) {
      const link = make(path ? "a" : "b", "", path || name);
      if (path) { // JupyterLab itself opens it, beside the notebook; elsewhere the address does
        link.href = `${served().baseUrl ?? "/"}lab/tree/${path.split("/").map(encodeURIComponent).join("/")}`;
        link.target = "_blank";
        link.dataset.commandlinkerCommand = "docmanager:open";
        link.dataset.commandlinkerArgs = JSON.stringify({ path });
      }
      status.append(" ", link);
    }
    busy.textContent = now ? w(now) : model.get("heard_under");
    hear.disabled = Boolean(now);
  }
  function hearing() {
    heard.replaceChildren(...model.get("heard").map(([who, words]) => {
      const one = make("p", who);
      one.append(make("b", "", `${who === "clara" ? "Clara" : w("who_customer")}: `), words);
      return one;
    }));
  }
  function whole_text() {
    if (text !== root.getRootNode().activeElement && text.value !== model.get("text")) text.value = model.get("text");
  }
  function served() {
    const config = document.getElementById("jupyter-config-data");
    return config ? JSON.parse(config.textContent) : {};
  }

  // --- hands ----------------------------------------------------------------------------------------------
  const send = (kind, more = {}) => (flush(), model.send({ kind, ...more }));
  const forget = () => {
    clearTimeout(timer);
    timer = 0;
    document.activeElement?.blur();
    model.send({ kind: "undo" });
    shape = "";
  };
  prompt.addEventListener("change", () => ((shape = ""), send("choose", { template: prompt.value })));
  customer.addEventListener("change", () => send("choose", { customer: customer.value }));
  text.addEventListener("input", () => later(sendText));
  const sendText = () => model.send({ kind: "text", text: text.value });
  text.addEventListener("blur", () => (flush(), whole_text()));
  save.addEventListener("click", () => (send("save", { note: note.value }), (note.value = "")));
  use.addEventListener("click", () => (send("use", { note: note.value }), (note.value = "")));
  undo.addEventListener("click", forget);
  keptUndo.addEventListener("click", forget);
  question.value = model.get("question");
  const listen = () => {
    busy.textContent = w("studio_thinking");
    hear.disabled = true;
    send("hear", { text: question.value });
  };
  hear.addEventListener("click", listen);
  root.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target === question && !hear.disabled) listen();
    event.stopPropagation(); // JupyterLab's own keys: a letter typed here is no command
  });
  const onMessage = (content, buffers) => {
    if (content.kind !== "sound") return;
    URL.revokeObjectURL(audio.src);
    audio.src = URL.createObjectURL(new Blob([buffers[0]], { type: "audio/wav" }));
    audio.hidden = false;
    audio.play().catch(() => {}); // a browser that demands a click has the player's
  };
  model.on("msg:custom", onMessage);
  model.on("change:fields", sentences);
  model.on("change:told", telling);
  model.on("change:text", whole_text);
  model.on("change:heard", hearing);
  model.on("change:chosen change:prompts change:unusable", chosen);
  model.on("change:problem change:changed change:kept change:status change:saved change:busy change:heard_under", saying);
  const onQuestion = () => (question.value = model.get("question"));
  model.on("change:question", onQuestion);
  chosen(), sentences(), telling(), whole_text(), hearing(), saying();
  const seen = new ResizeObserver(() => rows.forEach((one) => grow(one.area)));
  seen.observe(left);
  model.send({ kind: "shown", root: served().serverRoot ?? "" });
  return () => (seen.disconnect(), alone.end(), audio.pause());
}
export default { render };
