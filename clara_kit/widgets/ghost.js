// The view of ghost.py: one setting to drag, and the picture that follows it.
function render({ model, el }) {
  const say = (name) => model.get("words")[name] || name;
  const root = make("div", "ck-ghost");
  root.dataset.testid = "clara-ghost";
  root.dataset.lmSuppressShortcuts = "true";
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", say("gh_name"));
  const head = make("div", "ck-ghost-head"), picture = make("div", "ck-ghost-picture"), told = make("div", "ck-ghost-told");
  const field = (label, node, testid) => {
    const box = make("label", "", `${label} `);
    node.dataset.testid = testid;
    box.append(node);
    return box;
  };
  const options = (pairs) => {
    const node = make("select");
    for (const [value, text] of pairs) node.append(new Option(text, value));
    return node;
  };
  const knob = options(model.get("knobs")), base = options(["recorded", "plan", "tuned"].map((name) => [name, say(`gh_base_${name}`)]));
  const slider = make("input"), value = make("output");
  slider.type = "range";
  slider.dataset.testid = "drag";
  value.dataset.testid = "value";
  told.dataset.testid = "told";
  told.setAttribute("aria-live", "polite");
  head.append(field(say("gh_setting"), knob, "knob"), slider, value, field(say("gh_base"), base, "base"));
  root.append(head, picture, told);
  root.addEventListener("keydown", (event) => event.stopPropagation()); // JupyterLab takes the arrows for its cells
  el.append(root);

  let wanted = null, busy = 0; // one ghost at a time; the newest wish is kept
  function set(name, what) {
    model.set(name, what);
    model.save_changes();
  }
  function drag() {
    wanted = +slider.value;
    if (performance.now() - busy > 1000) next();
  }
  function next() {
    if (wanted === null) return void (busy = 0);
    const now = wanted;
    wanted = null;
    if (now === model.get("value")) return void (busy = 0);
    busy = performance.now();
    set("value", now);
  }
  function draw() {
    const [name, label, least, most, step] = model.get("knobs").find(([one]) => one === model.get("knob"));
    knob.value = name;
    base.value = model.get("base");
    Object.assign(slider, { min: least, max: Math.max(most, model.get("value")), step });
    if (wanted === null) slider.value = model.get("value");
    slider.setAttribute("aria-label", label);
    slider.setAttribute("aria-valuetext", model.get("shown"));
    value.textContent = model.get("shown") + (name.endsWith("_ms") ? " ms" : "");
    picture.innerHTML = model.get("svg");
    const lines = model.get("problem") ? [model.get("problem")] : model.get("told");
    told.replaceChildren(...lines.map((line) => make("p", "", line)));
    next();
  }
  slider.addEventListener("input", drag);
  knob.addEventListener("change", () => set("knob", knob.value));
  base.addEventListener("change", () => set("base", base.value));
  for (const name of ["svg", "told", "problem", "shown"]) model.on(`change:${name}`, draw);
  draw();
}
export default { render };
