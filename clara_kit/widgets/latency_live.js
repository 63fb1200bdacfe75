// The view of latency_live.py: each stage as a bar against its budget, its percentiles, and the alerts.
const FEW = { p95: 20, p99: 100 }; // of fewer turns such a figure is mostly chance
function render({ model, el }) {
  const w = (name) => model.get("words")[name] ?? name;
  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
  const root = make("section", "cd cd-latency");
  root.dataset.testid = "clara-latency";
  root.dataset.lmSuppressShortcuts = "true";
  const head = make("div", "cd-head"), title = make("span", "cd-title"), badge = make("span", "cd-badge"), mark = make("span", "cd-note"), anew = make("button");
  anew.dataset.testid = "la-anew";
  mark.dataset.testid = "la-mark";
  head.append(title, badge, mark, make("span", "cd-gap"), anew);
  const says = make("p", "cd-did"), table = make("table", "la-table"), body = make("tbody"), columns = make("tr"), top = make("thead");
  says.dataset.testid = "la-says";
  says.setAttribute("role", "status");
  const names = ["la_stage", "", "la_last", "p50", "p95", "p99", "la_budget"].map((name) => {
    const cell = make("th");
    cell.scope = "col";
    cell.dataset.name = name;
    columns.append(cell);
    return cell;
  });
  top.append(columns);
  table.append(top, body);
  const sums = make("p", "cd-note"), legend = make("p", "cd-note"), problem = make("p", "cd-problem"), alertsName = make("h4"), alerts = make("ol", "la-told");
  sums.dataset.testid = "la-sums";
  alerts.dataset.testid = "la-told";
  alerts.tabIndex = 0;
  problem.setAttribute("role", "alert");
  root.append(head, says, table, sums, legend, problem, alertsName, alerts);
  el.append(root);
  root.addEventListener("keydown", (event) => event.stopPropagation()); // a key here is no command of JupyterLab's
  anew.addEventListener("click", () => model.send({ kind: "anew" }));

  // --- a row a stage: made once, so that whoever types in one is not disturbed --------------------------------
  const rows = {};
  function rowOf(stage) {
    if (rows[stage]) return rows[stage];
    const row = make("tr"), name = make("th"), lamp = make("span", "la-lamp"), label = make("span"), place = make("td", "la-place"), track = make("div", "la-track");
    row.dataset.testid = `la-${stage.replace(" ", "-")}`;
    row.dataset.stage = stage;
    name.scope = "row";
    lamp.setAttribute("aria-hidden", "true");
    name.append(lamp, label);
    track.setAttribute("aria-hidden", "true"); // the numbers beside it say the same
    const parts = Object.fromEntries(["p50", "p95", "last", "budget", "target"].map((part) => [part, make("i", `la-${part}`)]));
    track.append(...Object.values(parts));
    place.append(track);
    const cells = Object.fromEntries(["last", "p50", "p95", "p99"].map((part) => [part, make("td", "la-number")]));
    const limit = make("td"), input = make("input");
    Object.assign(input, { type: "number", min: 0, max: 600000, step: 50 });
    input.dataset.testid = `budget-${stage.replace(" ", "-")}`;
    input.addEventListener("change", () => model.send({ kind: "budget", stage, ms: Math.max(0, Math.min(600000, +input.value || 0)) }));
    limit.append(input);
    row.append(name, place, ...Object.values(cells), limit);
    return (rows[stage] = { row, lamp, label, parts, cells, input });
  }
  function draw() {
    const all = model.get("rows"), of_all = all.find((one) => one.stage === "total"), target = model.get("sums").target;
    const widest = Math.max(1000, (of_all?.budget ?? 0) * 1.1, Math.min(of_all?.p95 ?? 0, 2 * (of_all?.budget || 1e9)) * 1.05);
    const at = (ms) => `${Math.min(100, (100 * ms) / widest).toFixed(2)}%`;
    const wanted = all.map(({ stage }) => rowOf(stage).row);
    if (wanted.some((row, n) => body.children[n] !== row) || body.children.length !== wanted.length) body.replaceChildren(...wanted);
    for (const one of all) {
      const { row, lamp, label, parts, cells, input } = rowOf(one.stage);
      row.dataset.alert = one.alert;
      label.textContent = w(`la_${one.stage}`) + (one.alert ? ` (${w("la_over")})` : "");
      lamp.textContent = one.alert ? "▲" : one.n ? "●" : "○"; // told apart by form, not by colour alone
      for (const [part, cell] of Object.entries(cells)) {
        cell.textContent = one.n ? one[part] : w("la_nothing");
        cell.classList.toggle("few", one.n < (FEW[part] ?? 1));
      }
      for (const part of ["p50", "p95"]) parts[part].style.width = one.n ? at(one[part]) : "0";
      parts.last.hidden = !one.n;
      parts.last.style.left = one.n ? at(one.last) : "0";
      parts.last.classList.toggle("beyond", one.n > 0 && one.last > widest);
      parts.budget.hidden = !one.budget;
      parts.budget.style.left = at(one.budget ?? 0);
      parts.target.hidden = one.stage !== "total";
      parts.target.style.left = at(target);
      if (input !== input.getRootNode().activeElement) input.value = one.budget ?? "";
      input.setAttribute("aria-label", fill(w("la_budget_of"), { stage: w(`la_${one.stage}`) }));
    }
    const over = all.filter((one) => one.alert), text = !all.some((one) => one.n) ? w("la_none")
      : over.length ? over.map((one) => `▲ ${w(`la_${one.stage}`)}: ${w("la_over")}`).join(" · ") : w("la_well");
    if (says.textContent !== text) says.textContent = text;
    says.dataset.alert = over.length > 0;
    sums.textContent = `${fill(w("la_sums"), model.get("sums"))} ${w("la_few")}`;
    legend.textContent = fill(w("la_legend"), model.get("sums"));
  }
  function list() {
    alerts.replaceChildren(...model.get("told").map((one) => {
      const item = make("li", "", fill(w(one.raised ? "la_raised" : "la_cleared"), { ...one, stage: w(`la_${one.stage}`) }));
      item.dataset.raised = one.raised;
      return item;
    }));
    if (!alerts.children.length) alerts.append(make("li", "", w("la_no_alerts")));
  }
  function badges() {
    badge.textContent = model.get("mix") || w("offline");
    badge.classList.toggle("live", model.get("is_live"));
    mark.textContent = model.get("mark");
  }
  function labels() {
    root.setAttribute("aria-label", w("la_title"));
    title.textContent = w("la_title");
    anew.textContent = w("la_anew");
    anew.title = w("la_anew_hint");
    alertsName.textContent = w("la_alerts");
    for (const cell of names) cell.textContent = cell.dataset.name.startsWith("la_") ? w(cell.dataset.name) : cell.dataset.name;
    draw(), list(), badges();
  }
  const onProblem = () => (problem.textContent = model.get("problem"));
  model.on("change:words", labels);
  model.on("change:rows change:sums", draw);
  model.on("change:told", list);
  model.on("change:mix change:is_live change:mark", badges);
  model.on("change:problem", onProblem);
  labels(), onProblem();
}
export default { render };
