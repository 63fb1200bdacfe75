// What a person thinks of the moment that is shown: three buttons (keys 1, 2, 3), one that takes the last back (U), and
// one that makes the answer there a scenario.
function labelRow(model, root) {
  const say = (name) => model.get("words")[name] || name;
  const row = make("div", "ck-labels"), name = make("span", "ck-labels-name"), told = make("span", "ck-labels-told");
  row.dataset.testid = "labels";
  row.setAttribute("role", "group");
  told.setAttribute("aria-live", "polite");
  told.dataset.testid = "labelled";
  const send = (label) => model.get("can_label") && model.send({ kind: "label", label });
  const buttons = [0, 1, 2, null].map((label) => {
    const node = make("button");
    node.dataset.testid = label === null ? "label-undo" : `label-${label}`;
    node.addEventListener("click", () => send(label));
    return node;
  });
  const make_it = make("button");
  make_it.dataset.testid = "make-scenario";
  make_it.addEventListener("click", () => send("scenario"));
  row.append(name, ...buttons, make_it, told);
  const draw = () => {
    row.hidden = !model.get("can_label");
    row.setAttribute("aria-label", say("lb_name"));
    name.textContent = say("lb_name");
    buttons.forEach((node, n) => {
      node.textContent = say(n < 3 ? `lb_${n}` : "lb_undo");
      node.title = `${say(n < 3 ? `lb_hint_${n}` : "lb_hint_undo")} (${n < 3 ? n + 1 : "U"})`;
    });
    make_it.textContent = say("lb_make");
    make_it.title = say("lb_hint_make");
    told.textContent = model.get("labelled");
  };
  root.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) return;
    const n = ["1", "2", "3", "u", "U"].indexOf(event.key);
    if (n < 0) return;
    event.preventDefault();
    event.stopPropagation(); // JupyterLab would make a heading of the cell
    send(n < 3 ? n : null);
  });
  for (const what of ["words", "can_label", "labelled"]) model.on(`change:${what}`, draw);
  draw();
  return row;
}

