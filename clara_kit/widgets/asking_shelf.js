// The view of asking_shelf.py: one setting, one button, and the conversations that would have gone otherwise, by reason.
function render({ model, el }) {
  const say = (name) => model.get("words")[name] || name;
  const root = make("div", "ck-ghost ck-asks");
  root.dataset.testid = "clara-asks";
  root.dataset.lmSuppressShortcuts = "true";
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", say("as_name"));
  root.addEventListener("keydown", (event) => event.stopPropagation()); // JupyterLab takes letters for its cells
  const head = make("div", "ck-ghost-head"), said = make("p", "ck-asks-said"), list = make("div", "ck-asks-list");
  const knob = make("select"), value = make("input"), unit = make("span"), ask = make("button", "", say("as_ask"));
  for (const [name, label] of model.get("knobs")) knob.append(new Option(label, name));
  knob.setAttribute("aria-label", say("gh_setting"));
  value.setAttribute("aria-label", say("as_value"));
  knob.dataset.testid = "knob", value.dataset.testid = "value", ask.dataset.testid = "ask", said.dataset.testid = "said";
  said.setAttribute("aria-live", "polite");
  head.append(make("span", "", say("as_if")), knob, make("span", "", say("as_were")), value, unit, ask);
  root.append(head, said, list);
  el.append(root);

  function choose() {
    const [name, , least, most, step, usual] = model.get("knobs").find(([one]) => one === knob.value);
    const isSwitch = least === 0 && most === 1;
    value.type = isSwitch ? "checkbox" : "number";
    unit.textContent = isSwitch ? say("gh_on") : name.endsWith("_ms") ? "ms" : "";
    Object.assign(value, { min: least, max: most, step, value: usual });
    value.checked = !usual; // of a switch, the other way round is what one asks about
  }
  function send() {
    if (ask.getAttribute("aria-disabled") === "true") return;
    const now = value.type === "checkbox" ? +value.checked : +value.value, { rangeOverflow, rangeUnderflow } = value.validity;
    if (!Number.isFinite(now) || value.value === "" || rangeOverflow || rangeUnderflow) {
      told(say("as_range").replace("{least}", value.min).replace("{most}", value.max), true);
      return void value.focus();
    }
    ask.setAttribute("aria-disabled", "true"); // not disabled: it would lose the focus
    told(say("as_busy"));
    model.send({ kind: "ask", setting: knob.value, value: now });
  }
  function told(text, wrong = false) {
    said.textContent = text;
    said.classList.toggle("wrong", wrong);
  }
  function draw() {
    const [done, of] = model.get("progress");
    ask.setAttribute("aria-disabled", of !== undefined);
    told(model.get("problem") || (of === undefined ? model.get("said") : `${say("as_busy")} ${done} / ${of}`), Boolean(model.get("problem")));
  }
  function drawList() {
    list.replaceChildren(...model.get("reasons").map((reason, number) => {
      const fold = make("details"), what = make("summary"), table = make("table");
      fold.open = number === 0;
      what.append(make("b", "", String(reason.count)), ` ${say("gh_then")}: ${reason.was} → ${say("gh_now")}: ${reason.now}`);
      const top = table.insertRow();
      for (const name of ["as_conversation", "as_at", "as_vouched", "as_mix"]) top.append(make("th", "", say(name)));
      for (const [which, ...cells] of reason.rows) {
        const row = table.insertRow(), open = make("button", "", cells[0]);
        open.dataset.testid = "open";
        open.setAttribute("aria-pressed", model.get("opened") === which);
        open.addEventListener("click", () => model.send({ kind: "open", which }));
        row.insertCell().append(open);
        for (const cell of cells.slice(1)) row.insertCell().textContent = cell;
      }
      fold.append(what, table);
      if (reason.rows.length < reason.count) fold.append(make("p", "", say("as_more").replace("{n}", reason.count - reason.rows.length)));
      return fold;
    }));
  }
  function mark() {
    const pressed = model.get("opened");
    for (const button of list.querySelectorAll("button")) button.setAttribute("aria-pressed", "false");
    const [reason, place] = pressed.split(".");
    list.children[+reason]?.querySelectorAll("button")[+place]?.setAttribute("aria-pressed", "true");
  }
  knob.addEventListener("change", choose);
  ask.addEventListener("click", send);
  value.addEventListener("keydown", (event) => event.key === "Enter" && send());
  for (const name of ["said", "problem", "progress"]) model.on(`change:${name}`, draw);
  const onMessage = (content) => content.kind === "done" && draw();
  model.on("msg:custom", onMessage);
  model.on("change:reasons", drawList);
  model.on("change:opened", () => model.get("opened") && mark());
  choose();
  draw();
  drawList();
  return () => model.off("msg:custom", onMessage);
}
export default { render };
