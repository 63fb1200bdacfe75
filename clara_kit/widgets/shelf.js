// The view of shelf.py: a table to sort, filter, open and listen to, and what differs between two of its rows.
const COLUMNS = ["when", "title", "customer", "prompt", "mix", "turns", "first_sound", "interruptions", "ended", "size"];
const FIGURES = { turns: (n) => `${n}`, first_sound: (ms) => `${(ms / 1000).toFixed(2)} s`, interruptions: (n) => `${n}`,
  size: (n) => (n >= 1e6 ? `${(n / 1e6).toFixed(1)} MB` : `${Math.ceil(n / 1e3)} kB`) };
const LOOK_EVERY_MS = 2000, AT_ONCE = 200;

function render({ model, el }) {
  const words = () => model.get("words"), w = (name) => words()[name] ?? name;
  const told = (column, value) => words()[`${column}_${value}`] ?? value; // «hung up», «simulated»
  const send = (kind, more = {}) => ((status.textContent = kind === "look" ? status.textContent : w("busy")), model.send({ kind, ...more }));
  const root = make("div", "cd cd-shelf"), head = make("div", "cd-head"), filter = make("input"), differ = make("button"), starred = make("button", "cd-star", "☆");
  const openFile = make("button"), file = make("input");
  Object.assign(file, { type: "file", accept: ".zip,.wav,.flac,.ogg", hidden: true });
  openFile.dataset.testid = "unbundle";
  root.dataset.testid = "clara-shelf";
  filter.type = "text";
  differ.dataset.testid = "differ";
  const count = make("span", "cd-badge"), title = make("span", "cd-title"), status = make("span", "cd-status");
  status.setAttribute("role", "status");
  head.append(title, count, status, make("span", "cd-gap"), openFile, file, differ, starred, filter);
  const scroll = make("div", "cd-scroll"), table = make("table"), names = make("tr"), body = make("tbody"), top = make("thead");
  const more = make("button", "cd-more"), problem = make("p", "cd-problem"), damage = make("p", "cd-damage");
  const bar = make("form", "cd-row cd-bar"), apart = make("div", "cd-apart"), notes = make("div", "cd-remarks"), proof = make("div", "cd-apart"), files = make("p", "cd-files");
  top.append(names);
  table.append(top, body);
  scroll.append(table, more);
  problem.setAttribute("role", "alert");
  apart.dataset.testid = "differences";
  proof.dataset.testid = "proof";
  files.setAttribute("role", "status");
  root.append(head, scroll, problem, files, apart, proof, bar, notes, damage);
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
  function said(row) { // what people have said of it, and where it comes from
    const marks = row.tags.map((tag) => make("span", "cd-tag", `#${tag}`));
    if (row.comments.length) marks.push(make("span", "cd-tag", `✎ ${row.comments.length}`)), (marks.at(-1).title = row.comments.map(([text]) => text).join("\n"));
    if (row.tracked) marks.push(make("span", "cd-tag", w("tracked")));
    if (row.branch_of) marks.push(parent(row));
    return marks;
  }
  function parent(row) { // what a branch was gone on from, opened by a click where it is still there
    const found = () => model.get("rows").find(({ name }) => name === row.branch_of || name.endsWith(`-${row.branch_of}`));
    const from = found(), tag = make("button", "cd-tag", `↳ ${from ? from.title || from.when : row.branch_of}`);
    tag.title = w(from ? "br_from" : "br_from_gone");
    tag.disabled = !from;
    tag.setAttribute("aria-label", `${tag.title}: ${tag.textContent.slice(2)}`);
    tag.addEventListener("click", () => found() && send("open", { name: found().name }));
    return tag;
  }
  let only = false;
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
    const star = make("button", "cd-star", row.star ? "★" : "☆");
    star.title = w("star");
    star.setAttribute("aria-pressed", row.star);
    star.setAttribute("aria-label", `${w("star")}: ${row.title || row.when}`);
    star.addEventListener("click", () => send("star", { name: row.name, on: !row.star }));
    listen.addEventListener("click", () => (playing && playing.name === row.name ? hush() : (hush(), send("listen", { name: row.name }))));
    pick.append(box);
    acts.append(star, listen);
    node.append(pick, acts, ...COLUMNS.map((column) => {
      const cell = make("td", column in FIGURES ? "figure" : column, column === "title" ? "" : shownAs(row, column));
      if (column === "title") cell.append(open, ...said(row));
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
    const texts = (row) => `${COLUMNS.map((column) => shownAs(row, column)).join(" ")} ${row.name} ${row.tags.map((tag) => `#${tag}`).join(" ")} ${row.comments.map(([text]) => text).join(" ")}`.toLowerCase();
    const shown = all.filter((row) => (!only || row.star) && (!wanted.length || wanted.every((word) => texts(row).includes(word)))).sort(order);
    count.textContent = shown.length === all.length ? `${all.length}` : `${shown.length} / ${all.length}`;
    starred.setAttribute("aria-pressed", only);
    starred.textContent = only ? "★" : "☆";
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

  // --- what is said of the chosen one, and what can be done with it -------------------------------------------
  const tags = make("input"), note = make("input"), noteTurn = make("select"), notesForm = make("form", "cd-row"), tagsForm = make("form", "cd-row"), acts = make("div", "cd-row");
  const saveTags = make("button"), addNote = make("button"), listed = make("ul", "cd-comments"), doing = {};
  tags.type = note.type = "text";
  saveTags.type = addNote.type = "submit";
  tags.dataset.testid = "tags", note.dataset.testid = "comment";
  for (const act of ["keep", "bundle", "share", "replay", "again"]) {
    doing[act] = make("button");
    doing[act].dataset.testid = act;
    doing[act].addEventListener("click", () => send(act, { name: model.get("chosen") }));
    acts.append(doing[act]);
  }
  tagsForm.append(tags, saveTags), notesForm.append(noteTurn, note, addNote);
  notes.append(acts, tagsForm, notesForm, listed);
  tagsForm.addEventListener("submit", (event) => (event.preventDefault(), send("tags", { name: model.get("chosen"), tags: tags.value })));
  notesForm.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!note.value.trim()) return;
    send("comment", { name: model.get("chosen"), text: note.value, turn: noteTurn.value ? Number(noteTurn.value) : null });
    note.value = "";
  });
  function remarks() {
    const row = chosen();
    notes.hidden = !row;
    if (!row) return;
    for (const [act, button] of Object.entries(doing)) (button.textContent = w(`act_${act}`)), (button.title = w(`act_${act}_hint`)), (button.disabled = row.ended === "still running");
    saveTags.textContent = w("tags_save"), addNote.textContent = w("comment_add");
    for (const [box, key] of [[tags, "tags"], [note, "comment"], [noteTurn, "comment_turn"]]) (box.placeholder = w(key)), box.setAttribute("aria-label", w(key));
    const before = noteTurn.value, turns = [...Array(Math.min(row.turns ?? 0, 500)).keys()];
    noteTurn.replaceChildren(make("option", "", w("comment_all")), ...turns.map((n) => Object.assign(make("option", "", `${w("turn")} ${n}`), { value: n })));
    noteTurn.firstChild.value = "", (noteTurn.value = before);
    if (root.getRootNode().activeElement !== tags) tags.value = row.tags.join(" ");
    listed.replaceChildren(...row.comments.map(([text, turn], number) => {
      const one = make("li", "", turn === null ? text : `${w("turn")} ${turn}: ${text}`), gone = make("button", "", "×");
      gone.title = w("comment_delete");
      gone.setAttribute("aria-label", `${w("comment_delete")}: ${text}`);
      gone.addEventListener("click", () => send("uncomment", { name: row.name, number }));
      one.append(gone);
      return one;
    }));
  }
  function proven() {
    const { title, records, apart: count, first, proven: anew, changes = [], numbers = [] } = model.get("proof");
    proof.replaceChildren();
    if (!title) return;
    const above = make("div", "cd-head"), close = make("button", "", w("close")), told = make("p", count || anew === false ? "warn" : "");
    above.append(make("span", "cd-title", `${w("act_replay")} ${title}`), make("span", "cd-gap"), close);
    close.addEventListener("click", () => (model.set("proof", {}), model.save_changes(), doing.replay.focus()));
    told.textContent = [count ? w("proof_apart").replace("{n}", count).replace("{all}", records) : w("proof_same").replace("{all}", records),
      anew === null ? "" : w(anew ? "proof_anew" : "proof_anew_not"), changes.length ? "" : w("proof_nothing")].filter(Boolean).join(" ");
    proof.append(above, told);
    if (first) proof.append(make("p", "cd-note", first));
    const rows = [...changes.map(([kind, name, then, now]) => [`${w(`change_${kind}`)}: ${name.replace(/, line (\d+)$/, (_, n) => `, ${w("proof_line")} ${n}`)}`, then, now]),
      ...numbers.filter(([, then, now]) => then !== now).map(([name, then, now]) => [w(`col_${name.replace("_ms", "")}`), then ?? "–", now ?? "–"])];
    if (!rows.length) return;
    const sheet = make("table"), top = make("tr");
    top.append(...["proof_changed", "proof_then", "proof_now"].map((key) => make("th", "", w(key))));
    sheet.append(top);
    for (const [name, then, now] of rows) {
      const one = make("tr");
      one.append(make("th", "", name), make("td", "", then), make("td", "", now));
      sheet.append(one);
    }
    proof.append(sheet);
  }
  openFile.addEventListener("click", () => file.click());
  file.addEventListener("change", async () => {
    if (!file.files.length) return;
    status.textContent = w("busy");
    model.send({ kind: "unbundle", name: file.files[0].name }, undefined, [await file.files[0].arrayBuffer()]);
    file.value = "";
  });
  starred.addEventListener("click", () => ((only = !only), draw()));

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
  let given = "";
  function handed({ name, path }, buffers) { // it lies in its folder, and can be saved or opened from here
    URL.revokeObjectURL(given);
    files.replaceChildren(`${w("file_made")} `, labLink(path.slice(0, path.lastIndexOf("/")), name), " ");
    if (!buffers.length) return;
    const page = name.endsWith(".html"), save = make("a", "", w("file_save"));
    given = URL.createObjectURL(new Blob([buffers[0]], { type: page ? "text/html" : "application/zip" }));
    Object.assign(save, { href: given, download: name });
    files.append(save);
    if (page) files.append(" ", Object.assign(make("a", "", w("file_open")), { href: given, target: "_blank", rel: "noopener" }));
    save.focus();
  }
  const alone = soundsAlone(hush);
  let waits = false;
  const onMessage = (content, buffers) => {
    if (content.kind === "done") (waits = false), content.what !== "look" && (status.textContent = "");
    if (content.kind === "file") return handed(content, buffers);
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
    openFile.textContent = w("open_bundle");
    starred.title = w("starred");
    starred.setAttribute("aria-label", w("starred"));
    rename.textContent = w("rename");
    keep.textContent = w("keep");
    name.setAttribute("aria-label", w("col_title"));
    for (const cell of names.children) if (cell.dataset.column) cell.firstChild.textContent = w(`col_${cell.dataset.column}`);
    names.firstChild.title = w("pick_two");
    draw(), about(), differences(), remarks(), proven();
  }
  const onDamage = () => (damage.textContent = model.get("damage").length ? `${w("not_whole")} ${model.get("damage").join(" ")}` : "");
  const onProblem = () => (problem.textContent = model.get("problem"));
  filter.addEventListener("input", draw);
  more.addEventListener("click", () => ((shownUpTo = Infinity), draw()));
  root.addEventListener("keydown", (event) => event.stopPropagation());
  model.on("msg:custom", onMessage);
  model.on("change:rows", draw);
  model.on("change:chosen", () => (marks(), about(), remarks()));
  model.on("change:rows", remarks);
  model.on("change:proof", proven);
  model.on("change:rows", () => chosen()?.title !== undefined && root.getRootNode().activeElement !== name && !sure && about());
  model.on("change:apart", differences);
  model.on("change:damage", onDamage);
  model.on("change:problem", onProblem);
  model.on("change:words", label);
  label(), onProblem(), onDamage();
  return () => (clearInterval(clock), hush(), URL.revokeObjectURL(given), alone.end(), model.off("msg:custom", onMessage));
}
export default { render };
