// The view of rollout.py: two prompts, a share to drag, who meets which, and whether the numbers are as they should be.
function render({ model, el }) {
  const say = (name) => model.get("words")[name] || name;
  const root = make("div", "ck-ghost ck-rollout"), head = make("div", "ck-ghost-head");
  root.dataset.testid = "clara-rollout";
  root.dataset.lmSuppressShortcuts = "true";
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", say("ro_name"));
  root.addEventListener("keydown", (event) => event.stopPropagation()); // JupyterLab takes letters for its cells
  const told = make("p", "ck-asks-said"), people = make("ul"), code = make("code"), ratio = make("p");
  const field = (label, node, testid) => {
    const box = make("label", "", `${say(label)} `);
    node.dataset.testid = testid;
    box.append(node);
    return box;
  };
  const set = (name, what) => {
    model.set(name, what);
    model.save_changes();
  };
  const choice = (name) => {
    const node = make("select");
    for (const one of model.get("prompts")) node.append(new Option(one, one));
    node.addEventListener("change", () => set(name, node.value));
    return node;
  };
  const fresh = choice("new"), old = choice("old"), share = make("input"), shown = make("output"), name = make("input");
  share.type = "range";
  Object.assign(share, { min: 0, max: 100, step: 1 });
  share.addEventListener("input", () => (shown.textContent = `${share.value} %`));
  share.addEventListener("change", () => set("share", share.value / 100));
  name.addEventListener("change", () => set("experiment", name.value));
  head.append(field("ro_new", fresh, "new"), field("ro_old", old, "old"), field("ro_share", share, "share"), shown, field("ro_experiment", name, "experiment"));
  const counted = [0, 1].map(() => Object.assign(make("input"), { type: "number", min: 0 }));
  const labels = counted.map((node, n) => {
    node.addEventListener("change", () => set("counts", counted.map((one) => (one.value === "" ? null : Math.round(+one.value)))));
    return field("ro_met", node, `met-${n}`);
  });
  const check = make("div", "ck-ghost-head");
  check.append(make("b", "", say("ro_check")), ...labels);
  told.setAttribute("aria-live", "polite");
  ratio.setAttribute("aria-live", "polite");
  told.dataset.testid = "told", ratio.dataset.testid = "ratio", people.dataset.testid = "people";
  const asks = make("p", "", `${say("ro_code")} `);
  asks.append(code);
  root.append(head, told, people, asks, check, ratio);
  el.append(root);
  function draw() {
    fresh.value = model.get("new"), old.value = model.get("old"), name.value = model.get("experiment");
    share.value = Math.round(model.get("share") * 100);
    shown.textContent = `${share.value} %`;
    told.textContent = model.get("problem") || model.get("told");
    told.classList.toggle("wrong", Boolean(model.get("problem")));
    asks.hidden = !model.get("code");
    ratio.textContent = model.get("ratio");
    code.textContent = model.get("code");
    labels.forEach((label, n) => (label.firstChild.textContent = `${say("ro_met").replace("{prompt}", model.get(n ? "old" : "new"))} `));
    people.replaceChildren(...model.get("rows").map(([who, prompt]) => {
      const one = make("li", prompt === model.get("new") ? "new" : "", `${who}: ${prompt}`);
      return one;
    }));
  }
  for (const trait of ["new", "old", "share", "experiment", "rows", "told", "ratio", "code", "problem"]) model.on(`change:${trait}`, draw);
  draw();
}
export default { render };
