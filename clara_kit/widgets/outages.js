// The view of outages.py: how each service fares, a button for each way in which it can fail, and what came of it.
const LAMP = { well: "●", failing: "◐", away: "↷", trying: "◔", lost: "✕" }; // told apart by form, not by colour alone
function render({ model, el }) {
  const w = (name) => model.get("words")[name] ?? name;
  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
  const root = make("section", "cd cd-outages");
  root.dataset.testid = "clara-outages";
  root.dataset.lmSuppressShortcuts = "true";
  const head = make("div", "cd-head"), title = make("span", "cd-title"), badge = make("span", "cd-badge"), often = make("label", "ou-often"), choice = make("select");
  choice.dataset.testid = "ou-times";
  often.append(make("span"), choice);
  head.append(title, badge, make("span", "cd-gap"), often);
  const table = make("div", "ou-table"), says = make("p", "cd-did"), more = make("label", "ou-more"), rare = make("input");
  says.dataset.testid = "ou-says";
  says.setAttribute("role", "status");
  rare.type = "checkbox";
  rare.dataset.testid = "ou-rare";
  more.append(rare, make("span"));
  const sums = make("p", "cd-note ou-sums");
  sums.dataset.testid = "ou-sums";
  const problem = make("p", "cd-problem"), told = make("ol", "ou-told"), toldName = make("h4");
  problem.setAttribute("role", "alert");
  told.dataset.testid = "ou-told";
  told.tabIndex = 0;
  root.append(head, table, more, says, sums, problem, toldName, told);
  el.append(root);

  // --- one row a service, its buttons in the order of the kernel ------------------------------------------------
  const USUAL = ["down", "cut", "stall", "slow", "error", "garble"];
  const rows = {}, grid = [];
  for (const [service, ways] of Object.entries(model.get("buttons"))) {
    const row = make("div", "ou-row"), lamp = make("span", "ou-lamp"), name = make("b"), state = make("span", "ou-state"), set = make("div", "ou-buttons"), mend = make("button", "ou-mend");
    const who = make("div", "ou-who");
    row.dataset.testid = `ou-${service}`;
    lamp.setAttribute("aria-hidden", "true");
    who.append(lamp, name, state);
    const buttons = ways.map((how) => {
      const node = make("button");
      node.dataset.testid = `break-${service}-${how}`;
      node.dataset.how = how;
      if (!USUAL.includes(how)) node.classList.add("ou-rare");
      node.addEventListener("click", () => press(service, how));
      return node;
    });
    mend.dataset.testid = `mend-${service}`;
    mend.addEventListener("click", () => (model.send({ kind: "mend", service }), buttons[0].focus()));
    set.setAttribute("role", "group");
    set.append(...buttons, mend);
    row.append(who, set);
    table.append(row);
    rows[service] = { row, lamp, name, state, set, mend, buttons };
    grid.push([...buttons, mend]);
  }
  const roam = roaming(table, () => grid, (node) => !node.hidden && (rare.checked || !node.classList.contains("ou-rare")));
  root.addEventListener("keydown", (event) => event.stopPropagation()); // a key here is no command of JupyterLab's

  // What cannot be done now keeps its place and the focus, and says why.
  function cannot(service) {
    const { mode } = model.get("rows").find((one) => one.service === service) ?? {};
    if (!mode) return model.get("rows").some((one) => one.mode) ? "ou_not_there" : "cut_nobody";
    return ["twin", "sim"].includes(mode) ? "" : "ou_real";
  }
  function press(service, how) {
    const why = cannot(service);
    if (why) return (says.textContent = w(why));
    model.send({ kind: "break", service, how, times: model.get("chosen_times") });
  }
  function state(one) {
    const parts = [w(`ou_lamp_${one.lamp}`)];
    if (one.target) parts.push(w(`ou_target_${one.target}`));
    if (one.failures) parts.push(fill(w("ou_failures"), { n: one.failures }));
    if (one.again_s !== null) parts.push(fill(w("ou_again"), { s: one.again_s.toFixed(1) }));
    if (one.to_come) parts.push(fill(w(one.to_come > 500 ? "ou_lasting_now" : "ou_to_come"), { n: one.to_come }));
    return parts.join(" · ");
  }
  function draw() {
    for (const one of model.get("rows")) {
      const row = rows[one.service], why = cannot(one.service), text = one.mode || one.lamp !== "well" ? state(one) : w(why);
      if (row.state.textContent !== text) row.state.textContent = text;
      row.row.dataset.lamp = one.mode ? one.lamp : "none";
      row.lamp.textContent = one.mode ? LAMP[one.lamp] : "○";
      row.mend.hidden = !one.to_come;
      for (const node of row.buttons) node.setAttribute("aria-disabled", !!why), (node.title = why ? w(why) : w(`ou_${node.dataset.how}_hint`));
    }
    const modes = new Set(model.get("rows").map((one) => one.mode).filter(Boolean));
    badge.textContent = [...modes].map((mode) => w(`mode_${mode}`)).join(", ") || w("offline");
    roam();
  }
  function struck() {
    const [service, how, when] = model.get("struck").split(" ");
    says.textContent = !service ? w("ou_hint") : how === "mended" ? fill(w("ou_mended"), { who: w(`ou_${service}`) })
      : fill(w(when === "now" ? "ou_struck_now" : "ou_struck_next"), { who: w(`ou_${service}`), how: w(`ou_${how}`) });
  }
  function summed() {
    const { degraded, longest, lost, wrong } = model.get("sums");
    sums.textContent = lost === undefined ? "" : [fill(w("ou_sums"), { degraded: degraded.toFixed(1), longest: longest.toFixed(1), lost }), ...wrong.map((one) => `‼ ${w("sv_wrong")}: ${one}.`)].join(" ");
  }
  function list() {
    told.replaceChildren(...model.get("told").map(([at, text]) => {
      const item = make("li");
      item.append(make("span", "ou-at", `${at.toFixed(2)} s`), make("span", "", text));
      return item;
    }));
    if (!told.children.length) told.append(make("li", "ou-none", w("ou_nothing")));
  }
  function label() {
    root.setAttribute("aria-label", w("ou_title"));
    title.textContent = w("ou_title");
    toldName.textContent = w("ou_told");
    often.firstChild.textContent = w("ou_often");
    more.lastChild.textContent = w("ou_rare");
    choice.replaceChildren(...model.get("times").map((one) => new Option(w(`ou_${one}`), one)));
    choice.value = model.get("chosen_times");
    for (const [service, { name, buttons, mend, set }] of Object.entries(rows)) {
      name.textContent = w(`ou_${service}`);
      set.setAttribute("aria-label", w(`ou_${service}`));
      for (const node of buttons) node.textContent = w(`ou_${node.dataset.how}`);
      mend.textContent = w("ou_mend");
      mend.title = w("ou_mend_hint");
    }
    draw(), struck(), summed(), list();
  }
  choice.addEventListener("change", () => (model.set("chosen_times", choice.value), model.save_changes()));
  rare.addEventListener("change", () => (root.classList.toggle("ou-all", rare.checked), roam()));
  const onProblem = () => (problem.textContent = model.get("problem"));
  model.on("change:words", label);
  model.on("change:rows", draw);
  model.on("change:struck", struck);
  model.on("change:told", list);
  model.on("change:sums", summed);
  model.on("change:problem", onProblem);
  label(), onProblem();
}
export default { render };
