// The view of survival.py: each service, each way to fail, each moment of a turn, as one picture; and a month of calls.
const SIGN = { survived: "✓", degraded: "◐", apologised: "!", alerted: "△", lost: "✕", wrong: "‼" }; // told apart by form too
function render({ model, el }) {
  const w = (name) => model.get("words")[name] ?? name;
  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
  const root = make("section", "cd cd-survival");
  root.dataset.testid = "clara-survival";
  root.dataset.lmSuppressShortcuts = "true";
  const head = make("div", "cd-head"), title = make("span", "cd-title"), badge = make("span", "cd-badge"), sides = make("div", "cd-row sv-sides");
  sides.setAttribute("role", "group");
  const side = Object.fromEntries(["on", "off"].map((name) => {
    const node = make("button");
    node.dataset.testid = `sv-${name}`;
    node.addEventListener("click", () => (model.set("side", name), model.save_changes()));
    sides.append(node);
    return [name, node];
  }));
  head.append(title, badge, make("span", "cd-gap"), sides);
  const legend = make("ul", "sv-legend"), scroll = make("div", "sv-scroll"), table = make("table"), sums = make("p", "cd-did"), detail = make("p", "sv-detail");
  sums.dataset.testid = "sv-sums";
  sums.setAttribute("role", "status");
  detail.dataset.testid = "sv-detail";
  scroll.append(table);
  const month = make("div", "sv-month"), monthName = make("h4"), monthSays = make("p", "cd-note"), monthTable = make("table"), draw_month = make("button", "call"), sources = make("details", "sv-sources"), sourcesName = make("summary"), sourcesList = make("ul");
  draw_month.dataset.testid = "sv-month";
  draw_month.addEventListener("click", () => model.send({ kind: "month" }));
  sources.append(sourcesName, sourcesList);
  month.append(monthName, monthSays, draw_month, monthTable, sources);
  const problem = make("p", "cd-problem");
  problem.setAttribute("role", "alert");
  root.append(head, legend, scroll, sums, detail, month, problem);
  el.append(root);

  let grid = [];
  const roam = roaming(table, () => grid);
  const way = ([service, trouble]) => `${service.split(" + ").map((one) => w(`ou_${one}`)).join(" + ")}: ${w(`tr_${trouble}`)}`;
  function cells() {
    const found = model.get("cells")[model.get("side")] ?? {}, chosen = model.get("chosen");
    for (const node of grid.flat()) {
      const one = found[node.dataset.cell], outcome = one?.[0] ?? "";
      node.textContent = SIGN[outcome] ?? "·";
      node.dataset.outcome = outcome;
      node.setAttribute("aria-pressed", node.dataset.cell === chosen);
      node.title = `${node.dataset.says}: ${outcome ? fill(w("sv_cell"), { outcome: w(`sv_${outcome}`), degraded: one[1].toFixed(1), silent: one[2].toFixed(1) }) : w("sv_not_yet")}`;
      node.setAttribute("aria-label", node.title);
    }
    const all = Object.values(found), count = (name) => all.filter(([outcome]) => outcome === name).length;
    const silent = all.map((one) => one[2]).sort((a, b) => a - b), of = (share) => (silent[Math.min(silent.length - 1, Math.floor(share * silent.length))] ?? 0).toFixed(1);
    sums.textContent = fill(w(all.length < model.get("total") ? "sv_doing" : "sv_sums"), {
      done: all.length, total: model.get("total"), lost: all.reduce((sum, one) => sum + one[3], 0), half: of(0.5), twentieth: of(0.95),
    });
    legend.replaceChildren(...Object.entries(SIGN).filter(([name]) => name !== "wrong" || count("wrong")).map(([name, sign]) => {
      const item = make("li");
      item.append(make("span", "sv-sign", sign), make("span", "", `${w(`sv_${name}`)}: ${count(name)}`));
      item.firstChild.dataset.outcome = name;
      item.title = w(`sv_${name}_hint`);
      return item;
    }));
    for (const [name, node] of Object.entries(side)) node.setAttribute("aria-pressed", name === model.get("side"));
    roam();
  }
  function build() {
    const top = make("tr"), phases = model.get("phases"), focused = document.activeElement?.dataset?.cell;
    top.append(make("th"), ...phases.map((phase) => Object.assign(make("th", "", w(`ph_${phase}`)), { title: w(`ph_${phase}_hint`) })));
    grid = [];
    const rows = model.get("rows").map(([service, trouble, there], y) => {
      const row = make("tr"), name = make("th", "", way([service, trouble]));
      if (y && model.get("rows")[y - 1][0] !== service) row.className = "sv-next";
      row.append(name);
      const line = phases.map((phase, x) => {
        const cell = make("td");
        row.append(cell);
        if (!there.includes(phase)) return null;
        const node = make("button");
        node.dataset.cell = `${service} / ${trouble} / ${phase}`;
        node.dataset.says = `${way([service, trouble])}, ${w(`ph_${phase}_hint`)}`;
        node.addEventListener("click", () => model.send({ kind: "open", cell: node.dataset.cell }));
        cell.append(node);
        return node;
      });
      grid.push(line.filter(Boolean));
      return row;
    });
    const tops = make("thead"), body = make("tbody");
    tops.append(top);
    body.append(...rows);
    table.replaceChildren(tops, body);
    cells();
    if (focused) table.querySelector(`[data-cell="${focused}"]`)?.focus();
  }
  const shown = () => (detail.textContent = model.get("detail") || w("sv_open"));
  function months() {
    const { of = 0, rows = [], sources: told = [], busy = "" } = model.get("month");
    draw_month.textContent = busy || w(of ? "sv_month_again" : "sv_month_draw");
    draw_month.disabled = !!busy;
    monthSays.textContent = of ? fill(w("sv_month_says"), { of: of.toLocaleString(model.get("language")) }) : w("sv_month_hint");
    const top = make("tr");
    top.append(make("th"), make("th", "", w("sv_on")), make("th", "", w("sv_off")));
    monthTable.replaceChildren(...(rows.length ? [top] : []), ...rows.map(([name, on, off]) => {
      const row = make("tr");
      row.dataset.testid = `month-${name}`;
      row.append(make("th", "", w(`sv_month_${name}`)), make("td", "", on), make("td", "", off));
      return row;
    }));
    sources.hidden = !told.length;
    sourcesList.replaceChildren(...told.map((text) => make("li", "", text)));
  }
  function label() {
    root.setAttribute("aria-label", w("sv_title"));
    title.textContent = w("sv_title");
    badge.textContent = w("mix_simulated");
    monthName.textContent = w("sv_month_title");
    sourcesName.textContent = w("sv_month_sources");
    for (const [name, node] of Object.entries(side)) node.textContent = w(`sv_${name}`);
    build(), shown(), months();
  }
  root.addEventListener("keydown", (event) => event.stopPropagation());
  const onProblem = () => (problem.textContent = model.get("problem"));
  model.on("change:words change:rows change:phases", label);
  model.on("change:cells change:side change:chosen", cells);
  model.on("change:detail", shown);
  model.on("change:month", months);
  model.on("change:problem", onProblem);
  label(), onProblem();
  const seen = new IntersectionObserver(([now]) => now.isIntersecting && (seen.disconnect(), model.send({ kind: "seen" })));
  seen.observe(root); // played when it is looked at, so that *Run All* is not kept waiting
  return () => seen.disconnect();
}
export default { render };
