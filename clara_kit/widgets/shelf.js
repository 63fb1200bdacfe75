// The view of shelf.py: a table to sort, filter, open and listen to, and what differs between two of its rows.
const COLUMNS = ["when", "title", "customer", "prompt", "mix", "turns", "first_sound", "interruptions", "ended", "size"];
const FIGURES = { turns: (n) => `${n}`, first_sound: (ms) => `${(ms / 1000).toFixed(2)} s`, interruptions: (n) => `${n}`,
  size: (n) => (n >= 1e6 ? `${(n / 1e6).toFixed(1)} MB` : `${Math.ceil(n / 1e3)} kB`) };
const LOOK_EVERY_MS = 2000, AT_ONCE = 200;

function render({ model, el }) {
  const words = () => model.get("words"), w = (name) => words()[name] ?? name;
  const told = (column, value) => words()[`${column}_${value}`] ?? value; // «hung up», «simulated»
  const send = (kind, more = {}) => ((status.textContent = kind === "look" ? status.textContent : w("busy")), model.send({ kind, ...more }));
  const root = make("div", "cd cd-shelf"), head = make("div", "cd-head"), filter = make("input"), differ = make("button");
  root.dataset.testid = "clara-shelf";
  filter.type = "text";
  differ.dataset.testid = "differ";
  const count = make("span", "cd-badge"), title = make("span", "cd-title"), status = make("span", "cd-status");
  status.setAttribute("role", "status");
  head.append(title, count, status, make("span", "cd-gap"), differ, filter);
  const scroll = make("div", "cd-scroll"), table = make("table"), names = make("tr"), body = make("tbody"), top = make("thead");
  const more = make("button", "cd-more"), problem = make("p", "cd-problem"), damage = make("p", "cd-damage");
  const bar = make("form", "cd-row cd-bar"), apart = make("div", "cd-apart");
  top.append(names);
  table.append(top, body);
  scroll.append(table, more);
  problem.setAttribute("role", "alert");
  apart.dataset.testid = "differences";
  root.append(head, scroll, problem, apart, bar, damage);
  el.append(root);

  // --- the table ------------------------------------------------------------------------------------------
  let by = "when", down = true, shownUpTo = AT_ONCE, picked = [], playing = null;
  names.append(make("th", "cd-pick"), make("th"));
  for (const column of COLUMNS) {
    const cell = make("th"), button = make("button");
    cell.dataset.column = column;
    button.addEventListener("click", () => ((down = by === column ? !down : column in FIGURES || column === "when"), (by = column), draw()));
    cell.append(button);
    names.append(cell);
  }
  const shownAs = (row, column) => {
    const value = row[column];
    return column in FIGURES ? (value === null ? "–" : FIGURES[column](value)) : value || column !== "customer" ? told(column, value) : w("stranger");
  };
  const order = (a, b) => {
    const [x, y] = [a, b].map((row) => (by === "when" ? row.at : row[by]));
    if (x === null || y === null || x === "" || y === "") return (x === null || x === "") - (y === null || y === ""); // the last, either way
    return (typeof x === "number" ? x - y : String(x).localeCompare(String(y))) * (down ? -1 : 1);
  };
  const lines = new Map(); // what was drawn, by name: only rows that have changed are drawn anew
  function line(row) {
    const key = JSON.stringify(row) + w("open"), before = lines.get(row.name);
    if (before && before.key === key) return before.node;
    const node = make("tr"), pick = make("td", "cd-pick"), box = make("input"), acts = make("td", "cd-acts");
    const open = make("button", "cd-link", row.title || w("untitled")), listen = make("button", "listen", "▶");
    box.type = "checkbox";
    box.setAttribute("aria-label", `${w("pick")}: ${row.title || row.when}`);
    box.title = w("pick");
    box.addEventListener("change", () => {
      picked = picked.filter((name) => name !== row.name);
      if (box.checked) picked = [...picked.slice(-1), row.name];
      marks();
    });
    open.title = w("open");
    open.setAttribute("aria-label", `${w("open")}: ${row.title || row.when || row.name}`);
    open.addEventListener("click", () => send("open", { name: row.name }));
    listen.title = w(row.sound ? "listen" : "silent");
    listen.setAttribute("aria-label", `${listen.title}: ${row.title || row.when}`);
    listen.disabled = !row.sound;
    listen.addEventListener("click", () => (playing && playing.name === row.name ? hush() : (hush(), send("listen", { name: row.name }))));
    pick.append(box);
    acts.append(listen);
    node.append(pick, acts, ...COLUMNS.map((column) => {
      const cell = make("td", column in FIGURES ? "figure" : column, column === "title" ? "" : shownAs(row, column));
      if (column === "title") cell.append(open);
      cell.dataset.label = w(`col_${column}`); // where there is no room for a head
      return cell;
    }));
    node.classList.toggle("running", row.ended === "still running");
    node.addEventListener("dblclick", (event) => event.target.tagName === "TD" && open.click());
    lines.set(row.name, { key, node });
    return node;
  }
  function draw() {
    for (const cell of names.children) if (cell.dataset.column) cell.setAttribute("aria-sort", cell.dataset.column === by ? (down ? "descending" : "ascending") : "none");
    const wanted = filter.value.trim().toLowerCase().split(/\s+/).filter(Boolean), all = model.get("rows");
    const texts = (row) => `${COLUMNS.map((column) => shownAs(row, column)).join(" ")} ${row.name}`.toLowerCase();
    const shown = all.filter((row) => !wanted.length || wanted.every((word) => texts(row).includes(word))).sort(order);
    count.textContent = shown.length === all.length ? `${all.length}` : `${shown.length} / ${all.length}`;
    const active = root.getRootNode().activeElement, hidden = shown.length - shownUpTo;
    body.replaceChildren(...shown.slice(0, shownUpTo).map(line));
    if (active && active !== root.getRootNode().activeElement && body.contains(active)) active.focus({ preventScroll: true });
    more.hidden = hidden <= 0;
    more.textContent = w("more").replace("{n}", hidden);
    if (!shown.length) {
      const cell = make("td", "", w(all.length ? "no_match" : "no_runs"));
      cell.colSpan = COLUMNS.length + 2;
      body.append(make("tr")), body.lastChild.append(cell);
    }
    const there = new Set(all.map((row) => row.name));
    picked = picked.filter((name) => there.has(name));
    for (const name of lines.keys()) if (!there.has(name)) lines.delete(name);
    marks();
  }
  function marks() {
    for (const [name, { node }] of lines) {
      node.classList.toggle("chosen", name === model.get("chosen"));
      node.querySelector("input").checked = picked.includes(name);
      node.querySelector(".listen").textContent = playing && playing.name === name ? "■" : "▶";
    }
    differ.disabled = picked.length !== 2;
    differ.title = differ.disabled ? w("pick_two") : "";
  }

  // --- the chosen one: its title, its folder, and the way to be rid of it -----------------------------------
  const name = make("input"), rename = make("button"), remove = make("button"), keep = make("button");
  name.type = "text";
  name.dataset.testid = "title";
  rename.type = "submit";
  remove.type = keep.type = "button";
  remove.dataset.testid = "delete";
  let sure = false;
  const chosen = () => model.get("rows").find((row) => row.name === model.get("chosen"));
  function about() {
    const row = chosen();
    bar.hidden = !row;
    sure = false;
    if (row) {
      name.value = row.title;
      bar.replaceChildren(name, rename, labLink(row.folder, w("folder")), make("span", "cd-gap"), keep, remove);
      deletion();
    }
  }
  function deletion() {
    remove.textContent = w(sure ? "delete_sure" : "delete");
    remove.className = sure ? "hang" : "";
    keep.hidden = !sure;
  }
  bar.addEventListener("submit", (event) => (event.preventDefault(), send("call", { name: model.get("chosen"), title: name.value })));
  remove.addEventListener("click", () => (sure ? send("delete", { name: model.get("chosen") }) : ((sure = true), deletion())));
  keep.addEventListener("click", () => ((sure = false), deletion(), remove.focus()));

  // --- what differs between two -----------------------------------------------------------------------------
  const side = (pieces, differs) => {
    const cell = make("td", pieces && pieces.length ? "" : "cd-none", pieces && pieces.length ? "" : "–");
    for (const [text, apart] of pieces ?? []) cell.append(differs && apart ? make("mark", "", text) : text, " ");
    return cell;
  };
  function contrasts(rows, heads, part) {
    const sheet = make("table"), first = make("tr"), changes = rows.some((row) => row.change !== null);
    for (const text of [part === "prompt" ? w("sentence") : "", ...heads]) first.append(make("th", "", text));
    if (changes) first.append(make("th", "cd-change", w("change")));
    sheet.append(first);
    let where = "";
    for (const row of rows) {
      if (row.where !== where) {
        const above = make("tr", "cd-where"), cell = make("th", "", told("where", row.where));
        cell.colSpan = first.children.length;
        above.append(cell), sheet.append(above);
        where = row.where;
      }
      const drawn = make("tr"), unit = part === "ledger" || row.what === "first_sound" ? " ms" : "";
      const values = [row.left, row.right].map((pieces) => (pieces && ["mix", "ended"].includes(row.what) ? [[told(row.what, pieces.map(([t]) => t).join(" ")), true]] : pieces));
      const n = row.change === null ? 0 : Math.round(row.change);
      const change = n ? `${n > 0 ? "▲ +" : "▼ −"}${Math.abs(n).toLocaleString("en")}${unit}` : "";
      drawn.append(make("th", "", words()[`what_${row.what}`] ?? words()[`col_${row.what}`] ?? row.what),
        ...values.map((pieces) => side(pieces, !row.same && row.change === null)), ...(changes ? [make("td", "figure", change)] : []));
      sheet.append(drawn);
    }
    return sheet;
  }
  function differences() {
    const { sides, notes = [], parts = [] } = model.get("apart");
    apart.replaceChildren();
    if (!sides) return;
    const above = make("div", "cd-head"), close = make("button", "", w("close"));
    above.append(make("span", "cd-title", w("differ")), make("span", "cd-gap"), close);
    close.addEventListener("click", () => (model.set("apart", {}), model.save_changes(), differ.focus()));
    apart.append(above);
    const list = make("ul", "cd-notes");
    for (const note of [...notes, "chance"]) list.append(make("li", note === "mix" || note === "speed" ? "warn" : "", w(`differ_${note}`)));
    apart.append(list);
    const heads = sides.map((one) => `${one.title} (${told("mix", one.mix)})`);
    for (const [part, rows] of parts) {
      const fold = make("details"), same = rows.filter((row) => row.same), other = rows.filter((row) => !row.same);
      fold.dataset.testid = `part-${part}`;
      fold.open = other.length > 0 && part !== "inputs"; // what nobody chose by hand
      fold.append(make("summary", "", `${w(`part_${part}`)}: ${w("differ_count").replace("{n}", other.length)}`));
      if (other.length) fold.append(contrasts(other, heads, part));
      if (same.length) {
        const equal = make("details", "cd-equal");
        equal.append(make("summary", "", w("equal").replace("{n}", same.length)), contrasts(same, heads, part));
        fold.append(equal);
      }
      apart.append(fold);
    }
  }
  differ.addEventListener("click", () => send("compare", { name: picked[0], other: picked[1] }));

  // --- sound, and the list that is looked at again --------------------------------------------------------------
  function hush() {
    if (playing) playing.audio.pause(), URL.revokeObjectURL(playing.audio.src);
    playing = null;
    marks();
  }
  const alone = soundsAlone(hush);
  let waits = false;
  const onMessage = (content, buffers) => {
    if (content.kind === "done") (waits = false), content.what !== "look" && (status.textContent = "");
    if (content.kind !== "sound") return;
    hush();
    playing = { name: content.name, audio: new Audio(URL.createObjectURL(new Blob([buffers[0]], { type: "audio/wav" }))) };
    playing.audio.addEventListener("ended", hush);
    alone.begin();
    playing.audio.play().catch(() => {}); // stopped before it began
    marks();
  };
  const clock = setInterval(() => {
    if (waits || document.hidden || root.offsetParent === null) return; // nobody sees it
    waits = true;
    send("look");
  }, LOOK_EVERY_MS);
  function label() {
    title.textContent = w("runs");
    filter.placeholder = w("filter");
    filter.setAttribute("aria-label", w("filter"));
    differ.textContent = w("differ");
    rename.textContent = w("rename");
    keep.textContent = w("keep");
    name.setAttribute("aria-label", w("col_title"));
    for (const cell of names.children) if (cell.dataset.column) cell.firstChild.textContent = w(`col_${cell.dataset.column}`);
    names.firstChild.title = w("pick_two");
    draw(), about(), differences();
  }
  const onDamage = () => (damage.textContent = model.get("damage").length ? `${w("not_whole")} ${model.get("damage").join(" ")}` : "");
  const onProblem = () => (problem.textContent = model.get("problem"));
  filter.addEventListener("input", draw);
  more.addEventListener("click", () => ((shownUpTo = Infinity), draw()));
  root.addEventListener("keydown", (event) => event.stopPropagation());
  model.on("msg:custom", onMessage);
  model.on("change:rows", draw);
  model.on("change:chosen", () => (marks(), about()));
  model.on("change:rows", () => chosen()?.title !== undefined && root.getRootNode().activeElement !== name && !sure && about());
  model.on("change:apart", differences);
  model.on("change:damage", onDamage);
  model.on("change:problem", onProblem);
  model.on("change:words", label);
  label(), onProblem(), onDamage();
  return () => (clearInterval(clock), hush(), alone.end(), model.off("msg:custom", onMessage));
}
export default { render };
