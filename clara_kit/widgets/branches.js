// «Go on from here»: the panel below the window's steps, and the tree of what was answered.
function branchPanel(model, root) {
  const say = (name) => model.get("words")[name] || name, labels = [];
  const send = (act, more = {}) => model.send({ kind: "branch", do: act, ...more });
  const box = make("div", "ck-branch"), opener = make("button", "ck-branch-open"), panel = make("div", "ck-branch-panel");
  box.dataset.testid = "branch";
  box.append(opener, panel);
  opener.dataset.testid = "branch-open";
  opener.setAttribute("aria-expanded", "false");
  opener.addEventListener("click", () => send(model.get("branch_open") ? "close" : "open"));
  panel.setAttribute("role", "group");
  const worded = (node, name, hint) => (labels.push(() => {
    if (name) node.textContent = say(name);
    if (hint) (node.title = say(hint)), node.setAttribute("aria-label", say(hint));
  }), node);
  const button = (name, hint, testid, act) => {
    const node = worded(make("button"), name, hint);
    node.type = "button";
    node.dataset.testid = `branch-${testid}`;
    node.addEventListener("click", act);
    return node;
  };
  const field = (name, node, testid) => {
    const label = make("label");
    label.append(worded(make("span"), name), node);
    node.dataset.testid = `branch-${testid}`;
    return label;
  };

  // --- the question ---------------------------------------------------------------------------------------
  const form = make("form", "ck-branch-form"), at = make("input"), prompt = make("select"), customer = make("select"), way = make("select"), llm = make("select");
  const line = make("input"), ask = worded(make("button", "ck-branch-ask"), "br_ask"), knobs = make("span", "ck-branch-knobs");
  at.type = "number";
  at.step = "0.01";
  at.min = 0;
  line.type = "text";
  line.maxLength = 500;
  ask.type = "submit";
  ask.dataset.testid = "branch-ask";
  const asked = field("br_line", line, "line");
  asked.className = "ck-branch-line";
  form.append(field("br_at", at, "at"), field("br_prompt", prompt, "prompt"), field("br_customer", customer, "customer"), knobs, field("br_llm", llm, "llm"), field("br_way", way, "way"), asked, ask);
  const numbers = {};
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const settings = Object.fromEntries(Object.entries(numbers).filter(([, node]) => node.value !== "").map(([name, node]) => [name, +node.value]));
    send("ask", { text: line.value, template: prompt.value, customer: customer.value, llm: llm.value, cuts_in: way.value !== "after", settings });
  });
  at.addEventListener("change", () => model.send({ kind: "at", at_ms: at.value * 1000 }));
  const problem = make("p", "ck-branch-problem");
  problem.setAttribute("role", "alert");
  problem.dataset.testid = "branch-problem";

  // --- the tree -------------------------------------------------------------------------------------------
  const tree = make("ul", "ck-branch-tree"), detail = make("div", "ck-branch-detail"), apart = make("div", "ck-branch-apart");
  tree.setAttribute("role", "tree");
  tree.dataset.testid = "branch-tree";
  detail.dataset.testid = "branch-answer";
  detail.setAttribute("aria-live", "polite");
  apart.dataset.testid = "branch-apart";
  const rows = () => model.get("branch_tree"), current = () => rows().find((row) => row.number === model.get("branch_node"));
  const secs = (ms) => `${(ms / 1000).toFixed(2)} s`;
  const choose = (number) => {
    model.set("branch_node", number);
    model.set("branch_apart", {});
    model.save_changes();
  };
  let owed = false;
  function drawTree() {
    const held = owed || tree.contains(tree.getRootNode().activeElement);
    tree.setAttribute("aria-label", say("br_tree"));
    tree.replaceChildren(...rows().map((row) => {
      const node = make("li"), chosen = row.number === model.get("branch_node"), shown = row.number === model.get("branch_shown");
      node.setAttribute("role", "treeitem");
      node.setAttribute("aria-level", row.depth + 1);
      node.setAttribute("aria-selected", chosen);
      if (shown) node.setAttribute("aria-current", "true");
      node.tabIndex = chosen ? 0 : -1;
      node.style.paddingInlineStart = `${6 + row.depth * 18}px`;
      node.dataset.number = row.number;
      const name = make("b", "", row.number ? row.name : say("br_recorded"));
      node.append(make("span", "ck-branch-mark", shown ? "◉" : row.depth ? "└" : "○"), name);
      if (row.number) {
        node.append(make("span", "at", secs(row.from_ms)), make("span", "line", `«${row.line}»`));
        for (const what of row.changed) node.append(make("span", "changed", what));
        if (row.ms !== null) node.append(make("span", "ms", `${row.ms} ms`));
        if (row.kept) node.append(make("span", "changed", say("br_kept")));
      }
      node.addEventListener("click", () => choose(row.number));
      node.addEventListener("dblclick", () => send("show", { number: row.number }));
      return node;
    }));
    const chosen = tree.querySelector('[aria-selected="true"]');
    owed = held && !chosen; // the chosen one is gone, and its parent not chosen yet
    if (held) (chosen ?? tree.lastElementChild)?.focus({ preventScroll: true }); // what was chosen may just have been deleted
    drawDetail();
  }
  tree.addEventListener("keydown", (event) => {
    const all = rows(), place = all.findIndex((row) => row.number === model.get("branch_node")), row = all[place];
    if (!row || event.ctrlKey || event.metaKey || event.altKey) return;
    const parent = row.number.includes(".") ? row.number.slice(0, row.number.lastIndexOf(".")) : "";
    const child = all.slice(place + 1).find((one) => one.depth === row.depth + 1 && (row.number === "" || one.number.startsWith(`${row.number}.`)));
    const to = { ArrowUp: all[place - 1], ArrowDown: all[place + 1], Home: all[0], End: all.at(-1), ArrowRight: child,
      ArrowLeft: row.depth ? all.find((one) => one.number === parent) : undefined }[event.key];
    const act = to ? () => choose(to.number) : { Enter: () => send("show", { number: row.number }), " ": () => row.number && hear(row.number),
      F2: () => row.number && rename(), Delete: () => row.number && send("delete", { number: row.number }) }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });

  // --- one answer -----------------------------------------------------------------------------------------
  let playing = null, naming = false;
  const hush = () => {
    if (playing) playing.pause(), URL.revokeObjectURL(playing.src);
    playing = null;
    play.textContent = `▶ ${say("br_hear")}`;
  };
  const alone = soundsAlone(() => hush());
  const hear = (number) => (playing ? hush() : send("hear", { number }));
  const play = button("", "br_hear_hint", "hear", () => hear(model.get("branch_node")));
  const show = button("br_show", "br_show_hint", "show", () => send("show", { number: model.get("branch_node") }));
  const name = make("input"), call = button("br_rename", "br_rename_hint", "rename", () => rename());
  name.type = "text";
  name.maxLength = 80;
  name.dataset.testid = "branch-name";
  const keep = button("br_keep", "br_keep_hint", "keep", () => send("keep", { number: model.get("branch_node") }));
  const drop = button("br_delete", "br_delete_hint", "delete", () => send("delete", { number: model.get("branch_node") }));
  const other = make("select");
  other.dataset.testid = "branch-other";
  other.addEventListener("change", () => (other.value ? send("beside", { number: model.get("branch_node"), text: other.value }) : choose(model.get("branch_node"))));
  const beside = make("label", "ck-branch-beside"), tools = make("div", "ck-branch-tools"), words = make("div");
  beside.append(worded(make("span"), "br_beside"), other);
  tools.append(play, show, call, name, keep, drop, beside);
  detail.append(words, tools);
  function rename() {
    naming = true;
    name.value = current().name;
    drawDetail();
    name.focus();
    name.select();
  }
  const named = (yes) => {
    if (!naming) return;
    naming = false;
    if (yes) send("name", { number: model.get("branch_node"), text: name.value });
    drawDetail();
    tree.querySelector('[aria-selected="true"]')?.focus({ preventScroll: true });
  };
  name.addEventListener("keydown", (event) => ({ Enter: () => named(true), Escape: () => named(false) })[event.key]?.());
  name.addEventListener("blur", () => named(true));
  function drawDetail() {
    const row = current();
    words.replaceChildren();
    name.hidden = !naming;
    for (const node of [play, call, keep, drop, beside]) node.hidden = !row || !row.number;
    call.hidden ||= naming;
    show.hidden = !row || row.number === model.get("branch_shown");
    if (!row) return;
    if (!row.number) return void words.append(make("p", "dim", say("br_recorded_hint")));
    const said = make("p", "answer"), took = make("p", "dim");
    said.append(make("span", "who", "Clara: "), row.answer || say("w_nothing"));
    if (row.unheard) said.append(" ", make("s", "", row.unheard));
    const parts = row.stages.map(([stage, ms]) => `${say(`part_${stage}`)}: ${ms}`).join("; ");
    took.textContent = row.ms === null ? row.whose : `${say("br_after").replace("{ms}", row.ms)} (${parts}). ${row.whose}.`;
    words.append(said, took, ...row.notes.map((note) => make("p", "note", note)));
    if (row.kept) {
      const where = make("p", "dim", `${say("br_kept_at")} `);
      where.append(labLink(row.kept));
      words.append(where);
    }
    keep.disabled = !!row.kept;
    const others = rows().filter((one) => one.number && one.number !== row.number);
    other.replaceChildren(new Option("–", ""), ...others.map((one) => new Option(`${one.name} «${one.line}»`, one.number)));
    other.value = model.get("branch_apart").sides ? model.get("branch_apart").sides[1][0] : "";
    beside.hidden = !others.length;
  }
  function drawApart() {
    const { sides = [] } = model.get("branch_apart");
    apart.replaceChildren(...sides.map(([, called, question, pieces]) => {
      const side = make("section"), said = make("p");
      said.append(...pieces.flatMap(([words, differs]) => [differs ? make("mark", "", words) : words, " "]));
      side.append(make("h4", "", called), make("p", "dim", `«${question}»`), said);
      return side;
    }));
    if (!sides.length) other.value = "";
  }
  const onMessage = (content, buffers) => {
    if (content.kind !== "branch_sound" || !buffers.length) return;
    hush();
    alone.begin();
    playing = new Audio(URL.createObjectURL(new Blob([buffers[0]], { type: "audio/wav" })));
    play.textContent = `■ ${say("br_hush")}`;
    playing.addEventListener("ended", hush);
    playing.play().catch(() => {}); // stopped before it began
  };

  // --- all of it ------------------------------------------------------------------------------------------
  panel.append(form, problem, tree, detail, apart, worded(make("p", "dim ck-branch-help"), "br_help"));
  panel.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && event.target !== name) send("close"), opener.focus();
    event.stopPropagation(); // keys are for the panel here
  });
  const fill = (select, pairs) => {
    const value = select.value;
    select.replaceChildren(...pairs.map(([name, shown]) => new Option(shown, name)));
    select.value = pairs.some(([name]) => name === value) ? value : pairs[0][0];
  };
  function offers() {
    const { prompts = [], customers = [], knobs: offered = [], llms = ["scripted"] } = model.get("branch_choices"), as = ["", say("br_as")];
    fill(prompt, [as, ...prompts.map((one) => [one, one])]);
    fill(customer, [as, ...customers.map(([one, about]) => [one, `${one}: ${about}`])]);
    fill(llm, llms.map((one) => [one, say(`br_llm_${one}`)]));
    fill(way, [["cut", say("br_cut")], ["after", say("br_after_it")]]);
    for (const [name, min, max, step] of offered.filter(([name]) => !numbers[name])) {
      const node = (numbers[name] = make("input"));
      Object.assign(node, { type: "number", min, max, step });
      knobs.append(field(`br_${name}`, node, name));
    }
    for (const node of Object.values(numbers)) node.placeholder = say("br_as_short");
  }
  function drawPanel() {
    const open = model.get("branch_open");
    box.hidden = !model.get("can_branch");
    panel.hidden = !open;
    opener.textContent = `↳ ${say("br_open")}`;
    opener.title = say("br_open_hint");
    opener.setAttribute("aria-expanded", open);
  }
  const opened = () => {
    drawPanel();
    if (model.get("branch_open")) line.focus({ preventScroll: true });
  };
  const where = () => (at.value = (model.get("branch_at") / 1000).toFixed(2));
  const told = () => (problem.textContent = model.get("branch_problem"));
  const all = () => {
    offers(); // makes fields, which have labels
    for (const label of labels) label();
    panel.setAttribute("aria-label", say("br_open"));
    drawPanel(), drawTree(), drawApart(), where(), told(), hush();
  };
  model.on("change:can_branch", drawPanel);
  model.on("change:branch_open", opened);
  model.on("change:branch_tree change:branch_node change:branch_shown", drawTree);
  model.on("change:branch_apart", () => (drawApart(), drawDetail()));
  model.on("change:branch_choices change:words", all);
  model.on("change:branch_at", where);
  model.on("change:branch_problem", told);
  model.on("msg:custom", onMessage);
  all();
  return { node: box, end: () => (hush(), alone.end(), model.off("msg:custom", onMessage)) };
}

