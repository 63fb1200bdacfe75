// The view of shelf.py: a table to sort, filter and open.
const COLUMNS = ["when", "title", "customer", "prompt", "mix", "turns", "first_sound", "interruptions", "ended", "size"];
const FIGURES = { turns: (n) => `${n}`, first_sound: (ms) => `${(ms / 1000).toFixed(2)} s`, interruptions: (n) => `${n}`,
  size: (n) => (n >= 1e6 ? `${(n / 1e6).toFixed(1)} MB` : `${Math.ceil(n / 1e3)} kB`) };

function render({ model, el }) {
  const w = (name) => model.get("words")[name] ?? name;
  const root = make("div", "cd cd-shelf"), head = make("div", "cd-head"), filter = make("input"), again = make("button");
  root.dataset.testid = "clara-shelf";
  filter.type = "text";
  const count = make("span", "cd-badge"), title = make("span", "cd-title");
  head.append(title, count, make("span", "cd-gap"), filter, again);
  const scroll = make("div", "cd-scroll"), table = make("table"), names = make("tr"), body = make("tbody"), problem = make("p", "cd-problem");
  const top = make("thead");
  top.append(names);
  table.append(top, body);
  scroll.append(table);
  problem.setAttribute("role", "alert");
  root.append(head, scroll, problem);
  el.append(root);

  let by = "when", down = true;
  names.append(make("th"));
  for (const column of COLUMNS) {
    const cell = make("th"), button = make("button");
    cell.dataset.column = column;
    button.addEventListener("click", () => ((down = by === column ? !down : column in FIGURES || column === "when"), (by = column), draw()));
    cell.append(button);
    names.append(cell);
  }
  function draw() {
    for (const cell of names.children) cell.setAttribute("aria-sort", cell.dataset.column === by ? (down ? "descending" : "ascending") : "none");
    const wanted = filter.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    const all = model.get("rows");
    const shown = all.filter((row) => wanted.every((word) => COLUMNS.some((c) => String(row[c] ?? "").toLowerCase().includes(word))));
    const order = (a, b) => (a === null ? -1 : b === null ? 1 : a < b ? -1 : a > b ? 1 : 0);
    shown.sort((a, b) => order(a[by], b[by]) * (down ? -1 : 1));
    count.textContent = shown.length === all.length ? `${all.length}` : `${shown.length} / ${all.length}`;
    body.replaceChildren(...shown.slice(0, 500).map((row) => {
      const line = make("tr", row.name === model.get("chosen") ? "chosen" : "");
      const cell = make("td"), open = make("button", "", w("open"));
      open.addEventListener("click", () => model.send({ kind: "open", name: row.name }));
      cell.append(open);
      line.append(cell);
      for (const column of COLUMNS) {
        const figure = FIGURES[column], value = row[column];
        line.append(make("td", figure ? "figure" : column, figure ? (value === null ? "–" : figure(value)) : value));
      }
      line.addEventListener("dblclick", () => open.click());
      return line;
    }));
    if (!shown.length) body.append(make("tr", "", "")), body.lastChild.append(make("td", "", w("no_runs")));
  }
  function label() {
    title.textContent = w("runs");
    again.textContent = w("refresh");
    filter.placeholder = w("filter");
    filter.setAttribute("aria-label", w("filter"));
    for (const cell of names.children) if (cell.dataset.column) cell.firstChild.textContent = w(`col_${cell.dataset.column}`);
    draw();
  }
  filter.addEventListener("input", draw);
  root.addEventListener("keydown", (event) => event.stopPropagation());
  again.addEventListener("click", () => model.send({ kind: "refresh" }));
  model.on("change:rows change:chosen", draw);
  const onProblem = () => (problem.textContent = model.get("problem"));
  model.on("change:problem", onProblem);
  model.on("change:words", label);
  label(), onProblem();
}
export default { render };
