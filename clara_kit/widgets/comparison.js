// The view of comparison.py: two prompts, one's own questions, and the answers side by side.
function render({ model, el }) {
  const w = (name) => model.get("words")[name] ?? name;
  const root = make("div", "cd cd-compare"), head = make("div", "cd-head"), choices = make("div", "cd-row cd-choices");
  root.dataset.testid = "clara-comparison";
  head.append(make("span", "cd-title", w("compare_title")), make("span", "cd-badge", w("simulated")));
  const field = (name, node) => {
    const label = make("label");
    label.append(make("span", "", w(name)), node);
    node.dataset.testid = name;
    choices.append(label);
    return node;
  };
  const customer = field("customer", make("select")), left = field("left", make("select")), right = field("right", make("select"));
  const text = make("textarea"), asked = make("label"), go = make("button", "call", w("compare"));
  text.rows = 6;
  text.dataset.testid = "questions";
  asked.append(make("span", "", w("questions")), text);
  go.dataset.testid = "compare";
  const count = make("p", "cd-count"), scroll = make("div", "cd-wide"), table = make("table"), problem = make("p", "cd-problem");
  count.setAttribute("role", "status");
  problem.setAttribute("role", "alert");
  scroll.append(table);
  root.append(head, choices, asked, go, problem, count, scroll);
  el.append(root);

  const fill = (select, pairs, value) => {
    select.replaceChildren(...pairs.map(([name, shown]) => new Option(shown, name)));
    select.value = value;
  };
  function offers() {
    const chosen = model.get("chosen"), prompts = model.get("prompts").map((name) => [name, name]);
    fill(customer, model.get("customers").map(([name, about]) => [name, `${name}: ${about}`]), chosen.customer);
    fill(left, prompts, chosen.left);
    fill(right, prompts, chosen.right);
    text.value = model.get("questions");
  }
  let audio = null;
  const cell = (pieces, row, side) => {
    const node = make("td"), play = make("button", "", "▶");
    play.title = w("hear");
    play.setAttribute("aria-label", w("hear"));
    play.addEventListener("click", () => model.send({ kind: "hear", row, side }));
    node.append(play, " ", ...pieces.flatMap(([words, differs]) => [differs ? make("mark", "", words) : words, " "]));
    return node;
  };
  function draw() {
    const rows = model.get("rows"), chosen = model.get("chosen");
    count.textContent = rows.length ? w("same").replace("{same}", model.get("same")).replace("{all}", rows.length) : "";
    const names = make("tr");
    for (const name of [w("question"), chosen.left, chosen.right]) names.append(make("th", "", name));
    table.replaceChildren(...(rows.length ? [names] : []), ...rows.map(([question, a, b], row) => {
      const line = make("tr");
      line.append(make("th", "", question), cell(a, row, "left"), cell(b, row, "right"));
      return line;
    }));
  }
  const choose = (change) => (model.set("chosen", { ...model.get("chosen"), ...change }), model.save_changes());
  for (const [name, node] of Object.entries({ customer, left, right })) node.addEventListener("change", () => choose({ [name]: node.value }));
  go.addEventListener("click", () => {
    model.set("questions", text.value);
    model.save_changes();
    model.send({ kind: "compare" });
  });
  root.addEventListener("keydown", (event) => event.stopPropagation());
  const onMessage = (content, buffers) => {
    if (content.kind !== "sound") return;
    if (audio) audio.pause();
    audio = new Audio(URL.createObjectURL(new Blob([buffers[0]], { type: "audio/wav" })));
    audio.play();
  };
  model.on("msg:custom", onMessage);
  model.on("change:chosen change:prompts change:questions", offers);
  model.on("change:rows change:same", draw);
  const onProblem = () => (problem.textContent = model.get("problem"));
  model.on("change:problem", onProblem);
  offers(), draw(), onProblem();
  return () => audio && audio.pause();
}
export default { render };
