// The view of outage_again.py: which outage, and what became of it as it was and both ways.
const SIDES = ["recorded", "off", "on"];
function render({ model, el }) {
  const w = (name) => model.get("words")[name] ?? name;
  const root = make("section", "cd cd-again"), head = make("div", "cd-head"), label = make("label", "oa-which"), which = make("select");
  root.dataset.testid = "clara-outage-again";
  root.dataset.lmSuppressShortcuts = "true";
  which.dataset.testid = "oa-which";
  label.append(make("span", "", w("oa_which")), which);
  head.append(make("span", "cd-title", w("oa_title")), make("span", "cd-gap"), label);
  const wrong = make("p", "cd-did"), table = make("table", "oa-table"), problem = make("p", "cd-problem");
  wrong.dataset.testid = "oa-faults";
  problem.setAttribute("role", "alert");
  root.append(head, wrong, table, problem);
  root.setAttribute("aria-label", w("oa_title"));
  el.append(root);
  function offers() {
    which.replaceChildren(...model.get("offers").map(([name, title]) => new Option(title, name)));
    which.value = model.get("chosen");
    which.disabled = !which.options.length;
  }
  function draw() {
    const faults = model.get("faults"), rows = model.get("rows");
    wrong.textContent = !rows.length ? w("oa_none") : faults.length
      ? `${w("oa_faults")} ${faults.map(([service, kind, n]) => `${w(`ou_${service}`)}: ${w(kind === "slow" ? "oa_slow" : `ou_${kind}`)}${n > 1 ? ` × ${n}` : ""}`).join("; ")}.` : w("oa_no_faults");
    const top = make("tr"), focused = document.activeElement?.dataset?.side;
    top.append(make("th"), ...SIDES.map((side, n) => {
      const cell = make("th"), open = make("button", "", w(`oa_${side}`));
      open.dataset.side = side;
      open.dataset.testid = `oa-${side}`;
      open.title = w("oa_open");
      open.setAttribute("aria-pressed", model.get("opened") === side);
      open.addEventListener("click", () => model.send({ kind: "show", name: side }));
      cell.append(open, make("small", "", model.get("mixes")[n] ?? ""));
      return cell;
    }));
    table.hidden = !rows.length;
    table.replaceChildren(top, ...rows.map(([name, ...values]) => {
      const row = make("tr");
      row.dataset.testid = `oa-row-${name}`;
      row.append(make("th", "", w(`oa_row_${name}`)), ...values.map((value) => make("td", "", `${value ?? "–"}`)));
      return row;
    }));
    if (focused) table.querySelector(`[data-side="${focused}"]`)?.focus();
  }
  which.addEventListener("change", () => model.send({ kind: "choose", name: which.value }));
  which.addEventListener("pointerenter", () => document.activeElement !== which && model.send({ kind: "offers" }));
  root.addEventListener("keydown", (event) => event.stopPropagation());
  const onProblem = () => (problem.textContent = model.get("problem"));
  model.on("change:offers change:chosen", offers);
  model.on("change:rows change:faults change:opened change:mixes", draw);
  model.on("change:problem", onProblem);
  offers(), draw(), onProblem();
}
export default { render };
