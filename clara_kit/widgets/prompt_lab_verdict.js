// Step 6 of prompt_lab.js: what can be said, and how surely: a sentence, intervals as a plot and a table, where B loses.

function verdict({ model, w, ask }) {
  const node = part("verdict"), none = note("pl-no-verdict"), heading = make("h3", "pl-heading"), why = make("p", "pl-note"), sentence = make("p", "pl-sentence"), figure = make("figure", "pl-figure"), notes = make("ul", "cd-notes");
  const losing = make("div", "pl-losing"), which = make("select"), check = make("div", "pl-check"), go = button(w, "pl_check", () => model.get("verdict").checking || ask("check"));
  heading.dataset.testid = "pl-heading";
  sentence.dataset.testid = "pl-sentence";
  which.dataset.testid = "pl-by";
  which.setAttribute("aria-label", w("pl_metric"));
  which.addEventListener("change", () => ask("by", { metric: which.value }));
  const checked = note("pl-checked");
  check.append(go, make("span", "pl-note", w("pl_check_why")), checked);
  const by = make("div", "cd-wide");
  by.dataset.testid = "pl-by-scenario";
  const top = make("div", "cd-row");
  top.append(make("h3", "", w("pl_by_scenario")), which);
  losing.append(top, by);
  node.append(none, heading, why, sentence, figure, notes, losing, check);

  // Each metric on a scale of its own, so that better is always to the right of the line in the middle.
  function interval({ low, mid, high, sure, told }) {
    const W = 240, H = 22, most = Math.max(...[low, mid, high].map(Math.abs), 1e-12), x = (value) => W / 2 + (value / most) * (W / 2 - 8);
    const box = svg("svg", { viewBox: `0 0 ${W} ${H}`, class: `pl-interval ${sure}`, role: "img", "aria-label": told });
    box.append(svg("line", { x1: W / 2, x2: W / 2, y1: 0, y2: H, class: "zero" }));
    box.append(svg("line", { x1: x(low), x2: x(high), y1: H / 2, y2: H / 2, class: "span" }));
    for (const end of [low, high]) box.append(svg("line", { x1: x(end), x2: x(end), y1: 6, y2: H - 6, class: "span" }));
    box.append(svg("circle", { cx: x(mid), cy: H / 2, r: 4.5 }));
    return box;
  }
  const SAYS = { better: "▲", worse: "▼", moved: "◆", unsure: "?" };
  const line = (name, cells) => {
    const row = make("tr");
    row.append(...cells.map((cell) => (typeof cell === "string" ? make(name, "", cell) : cell)));
    return row;
  };
  const figured = (text, below = "") => {
    const cell = make("td", "figure", text);
    if (below) cell.append(make("small", "", below));
    return cell;
  };
  function effects(rows) {
    const table = make("table", "pl-effects");
    table.append(line("th", [w("pl_metric"), "A", "B", w("pl_effect"), w("pl_worse_better"), w("pl_says")]));
    table.append(...rows.map((row) => {
      const plot = make("td", "plot"), says = make("td", `says ${row.sure}`, `${SAYS[row.sure]} ${row.says}`);
      plot.append(row.low === null ? make("small", "", row.mid === null ? "" : w("pl_bare")) : interval(row)); // a point alone would have no scale
      const own = line("th", [row.label, figured(row.a), figured(row.b), figured(row.effect, row.interval), plot, says]);
      [w("pl_metric"), "A", "B", w("pl_effect")].forEach((label, n) => (own.children[n].dataset.label = label));
      own.dataset.testid = `pl-effect-${row.name}`;
      return own;
    }));
    return table;
  }
  function losers(rows) {
    const table = make("table");
    table.append(line("th", [w("pl_scenario"), "A", "B", w("pl_effect")]), ...rows.map(([name, ...figures]) => line("th", [name, ...figures.map((one) => figured(one))])));
    return table;
  }
  function draw() {
    const now = model.get("verdict"), here = Boolean(now.effects);
    none.textContent = here ? "" : w("pl_no_verdict");
    for (const one of [heading, why, sentence, figure, notes, losing, check]) one.hidden = !here;
    if (!here) return;
    heading.textContent = now.rehearsal ? w("pl_rehearsal") : w("pl_verdict");
    heading.classList.toggle("warn", now.rehearsal);
    why.textContent = [now.mix, now.rehearsal ? w("pl_rehearsal_why") : ""].filter(Boolean).join(". ");
    sentence.textContent = now.sentence;
    const told = now.effects.filter((row) => row.told_apart), rest = now.effects.filter((row) => !row.told_apart), fold = make("details");
    fold.append(make("summary", "", w("pl_rest", { n: rest.length })), effects(rest));
    fold.open = !told.length;
    figure.replaceChildren(make("figcaption", "pl-note", w("pl_effects")), ...(told.length ? [effects(told)] : []), ...(rest.length ? [fold] : []));
    notes.replaceChildren(...(now.notes ?? []).map((text) => make("li", "", text)));
    const held = JSON.stringify(now.metrics ?? []);
    if (held !== which.dataset.held) which.replaceChildren(...(now.metrics ?? []).map(([name, label]) => new Option(label, name)));
    which.dataset.held = held;
    which.value = now.by ?? "";
    by.replaceChildren(now.scenarios?.length ? losers(now.scenarios) : make("p", "pl-note", w("pl_nowhere")));
    go.setAttribute("aria-disabled", Boolean(now.checking)); // not disabled: it would lose the focus
    checked.textContent = now.checking ? w("busy") : (now.checked ?? "");
  }
  return { node, on: { "change:verdict": draw } };
}
