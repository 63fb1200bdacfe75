// The view of comparison.py: two prompts, one's own questions, and the answers side by side.
function render({ model, el }) {
  const w = (name) => model.get("words")[name] ?? name;
  const root = make("div", "cd cd-compare"), head = make("div", "cd-head"), choices = make("div", "cd-row cd-choices");
  root.dataset.testid = "clara-comparison";
  head.append(make("span", "cd-title", w("compare_title")), make("span", "cd-badge", w("simulated")));
  const field = (name, node, where) => {
    const label = make("label");
    label.append(make("span", "", w(name)), node);
    node.dataset.testid = name;
    where.append(label);
    return node;
  };
  const customer = field("customer", make("select"), choices), left = field("left", make("select"), choices), right = field("right", make("select"), choices);
  const text = make("textarea"), asked = make("label"), go = make("button", "call", w("compare")), kept = make("form", "cd-row cd-choices");
  text.rows = 6;
  text.dataset.testid = "questions";
  asked.append(make("span", "", w("questions")), text);
  const list = field("question_list", make("select"), kept), name = field("list_name", make("input"), kept), keep = make("button", "", w("keep_list"));
  const file = make("span");
  name.type = "text";
  name.maxLength = 60;
  keep.type = "submit";
  keep.dataset.testid = "keep_list";
  kept.append(keep, file);
  go.dataset.testid = "compare";
  const count = make("p", "cd-count"), sheet = make("div", "cd-wide"), problem = make("p", "cd-problem");
  count.setAttribute("role", "status");
  problem.setAttribute("role", "alert");
  root.append(head, choices, kept, asked, go, problem, count, sheet);
  el.append(root);

  const fill = (select, pairs, value) => {
    if (JSON.stringify(pairs) !== select.dataset.held) select.replaceChildren(...pairs.map(([name, shown]) => new Option(shown, name)));
    select.dataset.held = JSON.stringify(pairs);
    select.value = value;
  };
  const listName = (key, told) => (key === "usual" ? w("list_usual") : key.startsWith("mine/") ? `${told} (${w("mine")})` : told);
  function offers() {
    const chosen = model.get("chosen"), prompts = model.get("prompts").map((name) => [name, name]);
    fill(customer, model.get("customers").map(([name, about]) => [name, `${name}: ${about}`]), chosen.customer);
    fill(left, prompts, chosen.left);
    fill(right, prompts, chosen.right);
    fill(list, [["", w("list_choose")], ...model.get("question_lists").map(([key, told]) => [key, listName(key, told)])], "");
    if (text !== root.getRootNode().activeElement) text.value = model.get("questions");
    file.replaceChildren(...(model.get("kept_at") ? [labLink(model.get("kept_at"), w("list_file"))] : []));
  }
  let playing = null;
  function hush() {
    if (playing) playing.audio.pause(), (playing.button.textContent = "▶"), URL.revokeObjectURL(playing.audio.src);
    playing = null;
  }
  const alone = soundsAlone(hush);
  const cell = (pieces, row, side) => {
    const node = make("td"), play = make("button", "", "▶");
    play.title = w("hear");
    play.dataset.testid = `hear-${side}-${row}`;
    play.setAttribute("aria-label", w("hear"));
    play.addEventListener("click", () => (playing && playing.button === play ? hush() : model.send({ kind: "hear", row, side })));
    node.append(play, " ", ...pieces.flatMap(([words, differs]) => [differs ? make("mark", "", words) : words, " "]));
    return node;
  };
  function table(rows) {
    const table = make("table"), names = make("tr");
    for (const name of model.get("asked")) names.append(make("th", "", name));
    table.append(names);
    for (const [row, [question, a, b]] of rows) {
      const above = make("tr", "cd-where"), line = make("tr"), asked = make("th", "", question);
      asked.colSpan = 2;
      above.append(asked);
      line.append(cell(a, row, "left"), cell(b, row, "right"));
      table.append(above, line);
    }
    return table;
  }
  function draw() {
    hush();
    const rows = [...model.get("rows").entries()], same = rows.filter(([, row]) => row[3]), other = rows.filter(([, row]) => !row[3]);
    sheet.replaceChildren(...(other.length ? [table(other)] : []));
    if (same.length) {
      const fold = make("details", "cd-equal");
      fold.append(make("summary", "", w("equal").replace("{n}", same.length)), table(same));
      fold.open = !other.length;
      sheet.append(fold);
    }
    says();
  }
  function says() {
    const all = model.get("rows").length, now = model.get("progress");
    go.disabled = now !== "";
    count.textContent = now ? `${w("busy")} ${now}` : all ? w("same").replace("{same}", model.get("same")).replace("{all}", all) : "";
  }
  const choose = (change) => (model.set("chosen", { ...model.get("chosen"), ...change }), model.save_changes());
  for (const [name, node] of Object.entries({ customer, left, right })) node.addEventListener("change", () => choose({ [name]: node.value }));
  const written = () => (model.set("questions", text.value), model.save_changes());
  text.addEventListener("change", written);
  go.addEventListener("click", () => (written(), model.send({ kind: "compare" })));
  list.addEventListener("change", () => list.value && ((name.value = list.value.startsWith("mine/") ? list.value.slice(5) : ""), text.blur(), model.send({ kind: "take", name: list.value })));
  kept.addEventListener("submit", (event) => (event.preventDefault(), written(), model.send({ kind: "keep", name: name.value })));
  for (const what of ["pointerenter", "focusin"]) choices.addEventListener(what, () => model.send({ kind: "offers" })); // a version saved meanwhile
  root.addEventListener("keydown", (event) => event.stopPropagation());
  const onMessage = (content, buffers) => {
    if (content.kind !== "sound") return;
    hush();
    const button = root.querySelector(`[data-testid="hear-${content.side}-${content.row}"]`);
    playing = { button, audio: new Audio(URL.createObjectURL(new Blob([buffers[0]], { type: "audio/wav" }))) };
    button.textContent = "■";
    playing.audio.addEventListener("ended", hush);
    alone.begin();
    playing.audio.play().catch(() => {}); // stopped before it began
  };
  model.on("msg:custom", onMessage);
  model.on("change:chosen change:prompts change:questions change:question_lists change:kept_at", offers);
  model.on("change:rows change:same", draw);
  model.on("change:progress", says);
  const onProblem = () => (problem.textContent = model.get("problem"));
  model.on("change:problem", onProblem);
  offers(), draw(), onProblem();
  return () => (hush(), alone.end(), model.off("msg:custom", onMessage));
}
export default { render };
