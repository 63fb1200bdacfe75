// Steps 4 and 5 of prompt_lab.js: conversations side by side to read and hear, and two answers to be rated blind.

function hearing(w, play, asked, testid) {
  const node = make("button", "pl-small", "▶");
  node.title = w("hear");
  node.setAttribute("aria-label", w("hear"));
  node.dataset.testid = testid;
  node.addEventListener("click", () => play.hear(node, asked));
  return node;
}

function reading({ model, w, play, ask }) {
  const node = part("read"), none = note("pl-none"), bar = make("div", "cd-row"), count = make("span", "pl-count"), cols = make("div", "pl-reading"), list = make("div", "pl-pairs"), sheet = make("div", "pl-sheet cd-compare");
  const topic = make("select"), ticks = {};
  for (const name of ["pl_only_different", "pl_only_failed"]) {
    const label = make("label", "pl-tick"), box = (ticks[name] = make("input"));
    box.type = "checkbox";
    box.dataset.testid = name;
    box.addEventListener("change", () => ((most = FOLD), pairs()));
    label.append(box, make("span", "", w(name)));
    bar.append(label);
  }
  topic.addEventListener("change", () => ((most = FOLD), pairs()));
  topic.setAttribute("aria-label", w("pl_topic"));
  topic.dataset.testid = "pl_topic";
  bar.append(topic, count);
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", w("pl_read"));
  sheet.dataset.testid = "pl-sheet";
  sheet.setAttribute("aria-live", "polite");
  cols.append(list, sheet);
  node.append(none, bar, cols);
  let most = FOLD;
  const fits = (pair) => (!ticks.pl_only_different.checked || pair.differs) && (!ticks.pl_only_failed.checked || pair.failed[0] + pair.failed[1] > 0) && (!topic.value || pair.topic === topic.value);
  const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);
  function pairs() {
    const all = model.get("pairs"), found = all.filter(fits), now = model.get("reading").key;
    none.textContent = all.length ? "" : w("pl_no_pairs");
    bar.hidden = cols.hidden = !all.length;
    const topics = [...new Set(all.map((pair) => pair.topic))], held = JSON.stringify(topics);
    if (held !== topic.dataset.held) topic.replaceChildren(new Option(`${w("pl_topic")}: ${w("pl_all")}`, ""), ...topics.map((one) => new Option(w(`pl_topic_${one}`), one)));
    topic.dataset.held = held;
    const several = all.some((pair) => pair.key[2] !== all[0].key[2]);
    count.textContent = w("pl_shown", { n: found.length, all: all.length });
    const focused = list.contains(list.getRootNode().activeElement) ? list.getRootNode().activeElement.dataset.key : null;
    list.replaceChildren(...found.slice(0, most).map((pair) => {
      const item = make("button", "pl-pair"), marks = make("span", "pl-marks"), key = JSON.stringify(pair.key);
      const [, customer, seed] = pair.key;
      item.dataset.key = key;
      item.dataset.testid = "pl-pair";
      item.setAttribute("role", "option");
      item.setAttribute("aria-selected", String(same(pair.key, now)));
      marks.append(make("span", pair.differs ? "pl-mark differs" : "pl-mark", w(pair.differs ? "pl_differs" : pair.greeting ? "pl_differs_greeting" : "pl_same", { n: pair.differs })));
      pair.failed.forEach((n, side) => n && marks.append(make("span", "pl-mark failed", w("pl_failed", { side: "AB"[side], n }))));
      item.append(make("span", "pl-name", pair.title), make("small", "", `${customer || w("pl_stranger")}${several ? ` · ${seed + 1}` : ""}`), marks);
      item.addEventListener("click", () => ask("read", { key: pair.key }));
      item.addEventListener("keydown", (event) => {
        const to = { ArrowDown: item.nextElementSibling, ArrowUp: item.previousElementSibling }[event.key];
        if (to) event.preventDefault(), to.focus(), to.click();
      });
      return item;
    }));
    if (!found.length && all.length) list.append(make("p", "pl-note", w("pl_no_such")));
    if (found.length > most) list.append(button(w, "pl_more", () => ((most += FOLD), pairs())));
    if (focused) [...list.children].find((one) => one.dataset.key === focused)?.focus();
  }
  const broke = ([rule, why, text]) => {
    const line = make("p", "pl-broke", `✗ ${rule}: ${why}`);
    if (text) line.append(make("small", "", ` «${text}»`));
    return line;
  };
  function cell(side, turn, n) {
    const node = make("td");
    if (!side) return node;
    const said = side.pieces.length > 0;
    if (said) node.append(hearing(w, play, { kind: "hear", side: n, turn }, `pl-hear-${"ab"[n]}-${turn}`), " ");
    else node.append(make("span", "pl-note", w("pl_silent")));
    for (const [words, differs] of side.pieces) node.append(differs ? make("mark", "", words) : words, " ");
    if (side.unheard) node.append(make("s", "pl-unheard", side.unheard), make("small", "", ` ${w("pl_unheard")}`));
    if (side.wait_s !== null && turn) node.append(make("p", "pl-note", w("pl_wait", { s: side.wait_s })));
    node.append(...side.failed.map(broke));
    if (said && turn) {
      const keep = make("button", "pl-small pl-make", w("pl_make"));
      keep.dataset.testid = `pl-make-${"ab"[n]}-${turn}`;
      keep.addEventListener("click", () => ask("make", { side: n, turn }));
      node.append(keep);
    }
    return node;
  }
  function read() {
    play.hush();
    const now = model.get("reading");
    for (const item of list.children) item.setAttribute("aria-selected", String(item.dataset.key === JSON.stringify(now.key)));
    if (!now.key) return sheet.replaceChildren(make("p", "pl-note", w("pl_choose_pair")));
    const table = make("table"), top = make("tr"), { a, b } = now.sides;
    top.append(make("th", "", `A: ${a}`), make("th", "", `B: ${b}`));
    table.append(top);
    now.turns.forEach(({ sides, same: equal }, turn) => {
      const asked = sides.map((side) => side?.said ?? ""), above = make("tr", "cd-where"), line = make("tr");
      if (asked[0] === asked[1] || !asked[1]) above.append(Object.assign(make("th", "", asked[0]), { colSpan: 2 }));
      else above.append(...asked.map((said) => make("th", "", said)));
      line.append(...sides.map((side, n) => cell(side, turn, n)));
      if (equal) line.classList.add("pl-equal");
      table.append(...(asked.some(Boolean) ? [above] : []), line);
    });
    if (now.whole.some((several) => several.length)) {
      const line = make("tr");
      line.append(...now.whole.map((several) => {
        const node = make("td");
        if (several.length) node.append(make("p", "pl-note", w("pl_whole")), ...several.map(broke));
        return node;
      }));
      table.append(line);
    }
    const made = make("p", "pl-note");
    made.dataset.testid = "pl-made";
    if (now.made) made.append(`${w("pl_made")} «${now.made}»`);
    sheet.replaceChildren(make("h3", "", now.title), make("p", "pl-note", [now.about, now.mix].filter(Boolean).join(" · ")), made, table);
  }
  return { node, on: { "change:pairs": pairs, "change:reading": read } };
}

const KEYS = { ArrowLeft: "left", ArrowRight: "right", ArrowDown: "same", ArrowUp: "both_bad", u: "undo", U: "undo" };
function rating({ model, w, play, ask, root }) {
  const node = part("rate"), box = make("div", "pl-rate"), says = note("pl-rated"), title = make("h3"), cols = make("div", "pl-two"), acts = make("div", "cd-row"), row = make("div", "cd-row cd-choices"), alias = make("input");
  const sides = ["left", "right"].map((name) => {
    const own = make("div", "pl-answer");
    own.dataset.testid = `pl-answer-${name}`;
    cols.append(own);
    return own;
  });
  box.tabIndex = 0;
  box.dataset.testid = "pl-rate-box";
  box.setAttribute("role", "group");
  box.setAttribute("aria-label", w("pl_rate"));
  alias.type = "text";
  alias.maxLength = 40;
  row.append(field(w, "pl_rater", alias));
  alias.addEventListener("change", () => ask("rater", { name: alias.value }));
  const act = (which) => !buttons[which].disabled && (play.hush(), ask("rate", { which }), box.focus({ preventScroll: true }));
  const buttons = { left: "pl_left", same: "pl_tie", right: "pl_right", both_bad: "pl_both_bad", undo: "pl_undo" };
  for (const [which, name] of Object.entries(buttons)) acts.append((buttons[which] = button(w, name, () => act(which))));
  const result = note("pl-rate-result"), show = button(w, "pl_rate_show", () => ask("rates"));
  const judged = note("pl-judged"), judge = button(w, "pl_judge", () => {
    if (model.get("rating").judge?.busy) return;
    if (model.get("rating").judge?.costs && !agreed) return (agreed = true), draw();
    agreed = false;
    ask("judge", { agreed: true });
  }), judging = make("div", "pl-check");
  let agreed = false; // whoever spends says so twice
  judging.append(judge, judged);
  box.append(title, cols, acts);
  node.append(make("p", "", w("pl_rate_how")), make("p", "pl-note", w("pl_rate_keys")), row, box, says, show, result, judging);
  node.addEventListener("keydown", (event) => {
    if (event.target === alias || event.ctrlKey || event.metaKey || event.altKey) return;
    if (KEYS[event.key]) event.preventDefault(), act(KEYS[event.key]);
    const side = sides[Number(event.key) - 1];
    (side?.querySelector("button.differs") ?? side?.querySelector("button"))?.click();
  });
  const turn = (side) => ([said, heard, differs], n) => {
    const own = make("div", "pl-turn"), clara = make("p", "clara");
    if (said) own.append(make("p", "pl-said", said));
    if (heard) {
      const play_it = hearing(w, play, { kind: "hear_rated", side, turn: n }, `pl-hear-rated-${side}-${n}`);
      play_it.classList.toggle("differs", differs);
      clara.append(play_it, " ", heard);
    } else clara.append(make("span", "pl-note", w("pl_silent")));
    clara.classList.toggle("pl-alike", !differs);
    own.append(clara);
    return own;
  };
  function draw() {
    play.hush();
    const now = model.get("rating"), here = Boolean(now.sides);
    if (alias !== root.getRootNode().activeElement) alias.value = now.rater ?? "";
    cols.hidden = !here;
    title.textContent = now.title ?? "";
    for (const which of ["left", "same", "right", "both_bad"]) buttons[which].disabled = !here;
    buttons.undo.disabled = !now.can_undo;
    sides.forEach((side, n) => side.replaceChildren(...(here ? [make("h4", "", w(n ? "pl_b_side" : "pl_a_side")), ...now.sides[n].map(turn(n))] : [])));
    says.textContent = !now.all ? w("pl_rate_none") : w(now.n >= now.all ? "pl_rated_all" : "pl_rated", now);
    show.hidden = !now.n;
    result.textContent = now.result ?? "";
    const other = now.judge ?? {};
    judging.hidden = !now.judge;
    judge.disabled = Boolean(other.why_not);
    judge.setAttribute("aria-disabled", Boolean(other.busy));
    judge.textContent = agreed ? w("pl_agree", other) : w("pl_judge");
    judged.textContent = other.why_not || other.busy || other.said || w("pl_judge_how", other);
  }
  return { node, on: { "change:rating": draw }, seen: () => box.focus({ preventScroll: true }) };
}
