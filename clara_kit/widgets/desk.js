// The view of desk.py: what is chosen, the call, Clara's face and voice, and what is said.
const CUTS = ["early", "late", "backchannel", "cough", "question", "echo"];
const LATER = ["early", "late"]; // can be asked for before their moment
const LIVE = ["stt", "llm", "tts", "avatar", "shop"];
const LEAD_S = 0.03; // how far ahead of the sound card's clock sound is laid
const DUCKED = 0.25; // -12 dB: she is still heard, and so is whoever speaks over her
const DOWN_S = 0.013, UP_S = 0.033; // time constants: nine tenths of the way in 30 and 76 ms, too gentle for a click

// Her voice: chunks wait until her avatar speaks, are laid one behind the other, and are all taken back at once.
function player(loud) {
  let context = null, meter = null, gain = null, frame = 0;
  const utterances = new Map(); // id -> {chunks, playing, at, nodes}
  const entry = (id) => utterances.get(id) || (utterances.set(id, { chunks: [], playing: false, at: 0, nodes: [] }), utterances.get(id));
  function lay(one) {
    for (const samples of one.chunks.splice(0)) {
      const buffer = context.createBuffer(1, samples.length, one.rate);
      buffer.copyToChannel(samples, 0);
      const node = context.createBufferSource();
      node.buffer = buffer;
      node.connect(meter);
      one.at = Math.max(one.at, context.currentTime + LEAD_S);
      node.start(one.at);
      one.at += buffer.duration;
      one.nodes.push(node);
    }
    watch();
  }
  function watch() {
    if (frame) return;
    const samples = new Float32Array(meter.fftSize);
    const look = () => {
      meter.getFloatTimeDomainData(samples);
      loud(Math.sqrt(samples.reduce((sum, s) => sum + s * s, 0) / samples.length));
      const busy = [...utterances.values()].some((one) => one.playing && one.at > context.currentTime);
      frame = busy ? requestAnimationFrame(look) : (loud(0), 0);
    };
    frame = requestAnimationFrame(look);
  }
  let customer = null; // what the customer says now
  const silence = (id) => {
    const one = utterances.get(id);
    for (const node of one ? one.nodes : []) node.stop();
    utterances.delete(id);
    if (one?.playing) loud(0), level(1); // an old one's end must not bring back what is lowered now
  };
  function level(to, constant_s = 0) { // from wherever it is: cancelling what is under way would jump, and click
    if (context && constant_s) gain.gain.setTargetAtTime(to, context.currentTime, constant_s);
    else if (context) gain.gain.setValueAtTime(to, context.currentTime);
  }
  return {
    open() { // browsers demand a click before any sound
      if (!context) {
        context = new AudioContext({ sampleRate: 24000 });
        meter = context.createAnalyser();
        meter.fftSize = 512;
        gain = context.createGain();
        meter.connect(gain); // before it: her mouth moves as she speaks, not as loud as she is heard
        gain.connect(context.destination);
      }
      context.resume();
    },
    sound(id, rate, pcm) {
      const one = entry(id), whole = new Int16Array(pcm.buffer.slice(pcm.byteOffset, pcm.byteOffset + (pcm.byteLength & ~1)));
      one.rate = rate;
      one.chunks.push(Float32Array.from(whole, (s) => s / 32768));
      if (one.playing && context) lay(one);
    },
    begin(id) {
      for (const other of [...utterances.keys()]) if (other !== id && utterances.get(other).playing) silence(other);
      const one = entry(id);
      if (!one.playing) level(1);
      one.playing = true;
      if (context) lay(one);
    },
    customer(rate, pcm) { // beside her, and not from her mouth
      if (customer) customer.stop();
      customer = null;
      if (!context || !pcm) return;
      const whole = new Int16Array(pcm.buffer.slice(pcm.byteOffset, pcm.byteOffset + (pcm.byteLength & ~1)));
      const buffer = context.createBuffer(1, whole.length, rate);
      buffer.copyToChannel(Float32Array.from(whole, (s) => s / 32768), 0);
      customer = context.createBufferSource();
      customer.buffer = buffer;
      customer.connect(context.destination);
      customer.start(context.currentTime);
    },
    silence,
    duck: (on) => level(on ? DUCKED : 1, on ? DOWN_S : UP_S),
    hush: () => [...utterances].filter(([, one]) => one.playing).forEach(([id]) => silence(id)),
    isOpen: () => context !== null,
    close() {
      for (const id of [...utterances.keys()]) silence(id);
      customer = null;
      if (context) context.close();
      context = null;
    },
  };
}

const FACE = `<svg viewBox="0 0 130 150" role="img" aria-label="Clara">
<path d="M20 76C14 26 40 8 66 8s52 18 46 70c-2 26 0 40-8 50H28c-8-12-6-30-8-52z" fill="#4a2f27"/>
<path d="M50 112h32v18c0 10-32 10-32 0z" fill="#dba182"/><path d="M16 150c2-20 22-26 34-28 4 8 28 8 32 0 12 2 32 8 34 28z" fill="#2a9d8f"/>
<ellipse cx="66" cy="78" rx="36" ry="43" fill="#f0c3a5"/><path d="M28 72c0-34 18-46 40-46s38 14 36 46c-8-22-24-26-34-30-8 12-32 12-42 30z" fill="#4a2f27"/>
<g fill="none" stroke="#4a2f27" stroke-width="2.5" stroke-linecap="round"><path d="M43 65q8-5 15-1"/><path d="M75 64q8-4 15 1"/><path d="M66 80q-4 8 1 10"/></g>
<g class="cd-eye" fill="#2b1d18"><ellipse cx="51" cy="75" rx="4" ry="5"/><ellipse cx="82" cy="75" rx="4" ry="5"/></g>
<g fill="#e58f7b" opacity=".5"><circle cx="41" cy="91" r="6"/><circle cx="92" cy="91" r="6"/></g>
<ellipse class="cd-mouth" cx="66" cy="103" rx="11" ry="2" fill="#a83c45"/></svg>`;

function render({ model, el }) {
  const root = make("div", "cd");
  root.dataset.testid = "clara-desk";
  root.setAttribute("role", "group");
  el.append(root);
  const w = (name) => model.get("words")[name] ?? name;
  const send = (kind, text) => model.send({ kind, text });
  const usd = (n) => `${n.toFixed(n < 0.1 ? 5 : 2)} USD`;

  // --- what stands where ----------------------------------------------------------------------------------
  const head = make("div", "cd-head"), title = make("span", "cd-title"), badge = make("span", "cd-badge");
  const tongue = make("select");
  for (const [value, name] of [["en", "English"], ["es", "Español"]]) tongue.append(new Option(name, value));
  head.append(title, badge, make("span", "cd-gap"), tongue);
  const choices = make("div", "cd-row cd-choices");
  const field = (name, node) => {
    const label = make("label"), text = make("span");
    label.append(text, node);
    label.dataset.word = name;
    node.dataset.testid = name;
    choices.append(label);
    return node;
  };
  const customer = field("customer", make("select")), known = field("customer_live", make("input"));
  known.type = "text";
  const prompt = field("prompt", make("select")), preset = field("preset", make("select")), speed = field("speed", make("select"));
  const limit = field("limit_usd", make("input"));
  Object.assign(limit, { type: "number", min: 0.01, max: 100, step: 0.01 });
  const fallback = field("fallback", make("input"));
  fallback.type = "checkbox";
  const button = (name, className = "") => {
    const node = make("button", className);
    node.dataset.testid = node.dataset.word = name;
    return node;
  };
  const call = button("call", "call"), hangUp = button("hang_up", "hang");
  choices.append(call, hangUp);
  const shown = (node, yes) => (node.closest("label").style.display = yes ? "" : "none");
  const live = make("details", "cd-live"), liveRow = make("div", "cd-row"), liveName = make("summary");
  live.append(liveName, liveRow);
  const notice = make("p", "cd-notice");
  notice.dataset.testid = "notice";
  notice.setAttribute("role", "status");
  const stage = make("div", "cd-stage"), left = make("div", "cd-face"), talk = make("div", "cd-talk"), lines = make("div");
  left.innerHTML = FACE;
  const state = make("div", "cd-state"), mouth = left.querySelector(".cd-mouth");
  state.setAttribute("role", "status");
  left.append(state);
  talk.dataset.testid = "talk";
  talk.tabIndex = 0;
  talk.append(lines);
  const aloud = make("div", "cd-aloud"); // what she said, once it is whole: the lines above change ten times a second
  aloud.setAttribute("aria-live", "polite");
  const hear = button("hear_her");
  left.append(hear);
  stage.append(left, talk);
  const line = make("div", "cd-row cd-line"), text = make("input"), say = button("say"), type = button("type"), interrupt = button("interrupt");
  text.type = "text";
  text.dataset.testid = "line";
  line.append(text, say, type, interrupt);
  const cuts = make("details", "cd-cuts"), cutsName = make("summary"), cutRow = make("div", "cd-row"), cutSays = make("p", "cd-did"), cutNote = make("p", "cd-note");
  cutsName.dataset.word = "cut_title";
  cutsName.textContent = " ";
  cutSays.dataset.testid = "did";
  cutSays.setAttribute("role", "status");
  const cutButtons = CUTS.map((name, n) => {
    const node = make("button"), digit = make("kbd", "", `${n + 1}`);
    node.append(make("span"), digit);
    node.dataset.testid = `cut-${name}`;
    node.addEventListener("click", () => cutIn(name));
    cutRow.append(node);
    return node;
  });
  cuts.open = model.get("cut_ins_open");
  cuts.append(cutsName, cutRow, cutSays, cutNote);
  const problem = make("p", "cd-problem"), turns = make("div", "cd-turns");
  problem.setAttribute("role", "alert");
  turns.dataset.testid = "turns";
  const open = make("section", "cd-open"), openTitle = make("h4"), openRows = make("ul");
  openTitle.dataset.word = "open_title";
  openTitle.textContent = " ";
  open.append(openTitle, openRows);
  open.dataset.testid = "open";
  root.append(head, choices, live, notice, stage, line, cuts, problem, turns, open, aloud);

  // --- what it says ---------------------------------------------------------------------------------------
  function label() {
    root.setAttribute("aria-label", w("desk"));
    title.textContent = w("desk");
    tongue.value = model.get("language");
    tongue.setAttribute("aria-label", w("language"));
    for (const node of root.querySelectorAll("[data-word]"))
      if (node.tagName === "BUTTON") node.textContent = w(node.dataset.word);
      else node.firstChild.textContent = w(node.dataset.word);
    limit.title = w("limit_hint");
    fallback.closest("label").title = w("fallback_hint");
    for (const node of [say, type, interrupt]) node.title = w(`${node.dataset.word}_hint`);
    text.placeholder = w("line");
    text.setAttribute("aria-label", w("line"));
    liveName.textContent = w("live");
    offers(), phase(), said(), ledger(), running(), cutIns(), standIns();
  }
  function fill(select, pairs, value) {
    select.replaceChildren(...pairs.map(([name, shown]) => new Option(shown, name)));
    select.value = value;
  }
  function offers() {
    const { customers = [], prompts = [], speeds = [], presets = [], live: vendors = [] } = model.get("offers"), chosen = model.get("chosen");
    const atShop = (chosen.live || []).includes("shop");
    const line = model.get("phase") === "talking"; // on the line only who thinks can be exchanged
    fill(customer, [["", w("stranger")], ...customers.map(([name, about]) => [name, about ? `${name}: ${about}` : name])], chosen.customer);
    shown(customer, !atShop), shown(known, atShop), shown(limit, (chosen.live || []).length);
    customer.title = customer.selectedOptions[0]?.textContent ?? "";
    fallback.checked = chosen.fallback ?? model.get("offers").fallback ?? false;
    if (document.activeElement !== limit) limit.value = (chosen.limit_usd ?? 0.5).toFixed(2);
    known.value = atShop ? chosen.customer : "";
    fill(prompt, prompts.map((name) => [name, name]), chosen.prompt);
    fill(preset, [...(chosen.preset ? [] : [""]), ...presets].map((name) => [name, w(`preset_${name}`)]), chosen.preset);
    preset.title = w("preset_hint"), shown(preset, presets.length);
    fill(speed, speeds.map((name) => [name, name]), chosen.speed);
    const focused = document.activeElement?.dataset?.testid;
    liveRow.replaceChildren(...vendors.map(([service, ready]) => {
      const node = make("label"), box = make("input");
      box.type = "checkbox";
      box.checked = (chosen.live || []).includes(service);
      box.disabled = line && service !== "llm";
      box.dataset.testid = `live-${service}`;
      box.addEventListener("change", () => {
        const now = new Set(model.get("chosen").live || []);
        box.checked ? now.add(service) : now.delete(service);
        choose({ live: LIVE.filter((s) => now.has(s)), ...(service === "shop" ? { customer: "" } : {}) });
      });
      const notes = line && service !== "llm" ? [w("next_call")] : [...(ready ? [] : [w("no_key")]), ...(line ? [w("next_answer")] : [])];
      node.append(box, w(service), ...(notes.length ? [make("small", "", ` (${notes.join("; ")})`)] : []));
      return node;
    }));
    if (focused?.startsWith("live-")) liveRow.querySelector(`[data-testid="${focused}"]`)?.focus();
  }
  function choose(change) {
    model.set("chosen", { ...model.get("chosen"), ...change });
    model.save_changes();
  }
  const attached = () => !Object.keys(model.get("offers")).length; // to a conversation that a cell began
  let waits = ""; // what the focus is kept at the words for
  function phase() {
    const now = model.get("phase"), spoken = model.get("state"), talks = now === "talking", busy = now === "connecting" || now === "ending";
    const at = document.activeElement, left = [call, hangUp, interrupt].includes(at);
    call.hidden = talks || busy;
    hangUp.hidden = !talks && now !== "connecting";
    for (const node of choices.querySelectorAll("select, input")) node.disabled = (talks && node !== limit && node !== preset) || busy;
    live.style.display = busy || attached() ? "none" : "";
    hear.hidden = !(talks && model.get("gives_sound") && !voice.isOpen());
    for (const node of choices.children) if (node !== hangUp && attached()) node.style.display = "none";
    for (const node of [text, say, type]) node.disabled = !talks;
    interrupt.disabled = !(talks && spoken === "AVATAR_SPEAKING");
    if (left && (at.hidden || at.disabled)) (talks ? text : busy ? talk : call).focus(); // not lost with the button
    waits = busy && document.activeElement === talk ? now : waits;
    if (!busy && waits && at === talk) (talks ? text : call).focus();
    if (!busy) waits = "";
    state.textContent = talks ? (model.get("gives_sound") ? w(spoken) : `${w(spoken)} (${w("no_sound")})`) : w(now);
    state.classList.toggle("talks", spoken === "AVATAR_SPEAKING");
    const real = talks || busy || attached() ? model.get("is_live") : (model.get("chosen").live || []).length > 0;
    const without = model.get("unpriced").map(w);
    const paid = model.get("spent_usd"), { usd_a_minute: minute = 0, usd_an_answer: answer = 0 } = model.get("rate");
    const price = `${w("spent")} ${usd(paid)}${without.length ? ` (${w("unpriced")}: ${without.join(", ")})` : ""}`;
    const each = [[minute, "rate_minute"], [answer, "rate_answer"]].filter(([n]) => n).map(([n, name]) => `${usd(n)} ${w(name)}`);
    const rates = real && each.length ? [`${w("about")} ${each.join(" + ")}`] : [];
    badge.textContent = [w(real ? "live_badge" : "offline"), ...rates, ...((real && talks) || paid ? [price] : [])].join(" · ");
    badge.classList.toggle("live", real);
    if (now === "over" || now === "ready") voice.close();
  }
  function said() {
    const all = model.get("said");
    if (!all.length && !attached()) return lines.replaceChildren(make("p", "cd-hint", w("first_steps")));
    while (lines.children.length > all.length || lines.querySelector(".cd-hint")) lines.lastChild.remove();
    all.forEach((one, n) => {
      const told = JSON.stringify([one, w("who_customer")]);
      if (lines.children[n]?.dataset.told === told) return; // what is marked with the mouse stays so
      const row = make("p", one.who);
      row.dataset.told = told;
      const who = one.who === "clara" ? "Clara" : w(`who_${one.who}`);
      row.append(make("b", "", `${who}${one.by ? ` (${w("said_backup")})` : ""}: `), one.text);
      if (one.read) row.append(" ", make("span", "read", `[${w("said_read")}] ${one.read}`));
      if (one.later) row.append(" ", make("span", "later", one.later));
      if (one.lost) row.append(" ", make("s", "", one.lost));
      if (one.lost) row.title = w("struck");
      lines.children[n] ? lines.children[n].replaceWith(row) : lines.append(row);
    });
    const whole = all.filter((one) => one.who === "clara" && !one.later).map((one) => [one.text, one.read].filter(Boolean).join(" "));
    if (aloud.dataset.count !== `${whole.length}`) aloud.textContent = whole.length ? `Clara: ${whole.at(-1)}` : "";
    aloud.dataset.count = whole.length;
  }
  function ledger() {
    const rows = model.get("turns").filter((turn) => turn.ms !== null), twins = rows.filter((turn) => !turn.real);
    const last = rows.slice(-4).map((turn) =>
      `${w("turn")} ${turn.turn}: ${w("first_sound")} ${(turn.ms / 1000).toFixed(2)} s${turn.real && turn.usd ? `, Claude ${usd(turn.usd)} (${w("real")})` : ""}`);
    const would = twins.reduce((sum, turn) => sum + (turn.usd || 0), 0);
    if (would) last.push(`${w("cost")} ${usd(would)}${/live/.test(model.get("mix")) ? "" : ` (${w("offline")})`}`);
    turns.textContent = last.join(" · ");
  }
  function standIns() { // what stands in for a service that fails
    const all = model.get("stand_ins") || [], going = all.some(([service, target]) => target === "backup" && service !== "avatar") && !all.some(([service]) => service === "avatar");
    const targets = [...new Set(all.map(([, target]) => target))]; // each is named once, after all whose work it does
    const says = targets.map((target) => `${all.filter((one) => one[1] === target).map(([service]) => w(`ou_${service}`)).join(", ")} – ${w(`ou_target_${target}`)}`).join(" · ");
    notice.textContent = !all.length ? "" : `${w(going ? "fallback_switching" : "fallback_now")} ${says}`;
  }
  // What cannot be done now keeps its place and the focus, and says why: it can be done in a moment.
  const cannot = (name) => (model.get("phase") !== "talking" ? "cut_nobody" : model.get("state") !== "AVATAR_SPEAKING" && !LATER.includes(name) ? "cut_silent" : "");
  function cutIn(name) {
    if (!cannot(name)) return send("cut_in", name);
    cutSays.textContent = w(cannot(name));
  }
  function cutIns() {
    const armed = model.get("armed"), { name, stopped_ms: stopped, asked, rest, noticed, held } = model.get("did");
    CUTS.forEach((one, n) => {
      const node = cutButtons[n], waits = armed.includes(one), why = cannot(one);
      node.firstChild.textContent = waits ? `${w(`cut_${one}`)} …` : w(`cut_${one}`);
      node.title = why ? w(why) : waits ? w("cut_waits_hint") : w(`cut_${one}_hint`);
      node.setAttribute("aria-disabled", !!why);
      if (LATER.includes(one)) node.setAttribute("aria-pressed", waits);
    });
    const told = !name ? "" : [
      stopped == null ? w(!noticed ? "did_unnoticed" : held && !asked ? "did_held" : "did_on") : w("did_stopped").replace("{s}", (stopped / 1000).toFixed(2)),
      ...(rest ? [w("did_rest")] : []), ...(asked ? [w("did_asked").replace("{text}", asked)] : []),
    ].join("; ");
    const says = armed.length ? `${armed.map((one) => w(`cut_${one}`)).join(", ")}: ${w("cut_waits")}`
      : name ? `${w(`cut_${name}`)}: ${told}.` : w(model.get("phase") === "talking" ? "cut_silent" : "cut_nobody");
    if (cutSays.textContent !== says) cutSays.textContent = says;
    const note = /\bstt live|^live$/.test(model.get("mix")) ? "cut_note_live" : "cut_note";
    cutNote.textContent = `${w(note)} ${["tuned", "fast"].includes(model.get("chosen").preset) ? w("preset_hint") : ""}`;
  }
  function running() { // whatever runs in this kernel, so that nothing does so unseen
    const rows = model.get("running"), busy = ["connecting", "talking", "ending"].includes(model.get("phase"));
    open.hidden = attached() || !rows.length;
    const focused = document.activeElement?.dataset?.row;
    openRows.replaceChildren(...rows.map((one) => {
      const row = make("li"), end = make("button", "hang", w("hang_up"));
      const cost = one.live || one.usd ? `${w("spent")} ${usd(one.usd)}${one.unpriced.length ? ` (${w("unpriced")}: ${one.unpriced.map(w).join(", ")})` : ""}` : w("twin_only");
      row.append(make("b", "", one.title), make("span", "", [`${w("open_since")} ${one.since}`, one.mix[model.get("language")], cost, ...(one.here ? [w("open_here")] : [])].join(" · ")));
      end.dataset.row = `end ${one.key}`;
      end.setAttribute("aria-label", `${w("hang_up")}: ${one.title}`);
      end.addEventListener("click", () => send("end", one.key));
      if (!one.here && !busy) {
        const show = make("button", "", w("open_show"));
        show.dataset.row = `show ${one.key}`;
        show.addEventListener("click", () => (voice.open(), send("show", one.key)));
        row.append(show);
      }
      row.append(end);
      return row;
    }));
    if (focused) openRows.querySelector(`[data-row="${focused}"]`)?.focus();
  }

  // --- hands ----------------------------------------------------------------------------------------------
  const voice = player((level) => mouth.setAttribute("ry", (2 + Math.min(11, level * 60)).toFixed(1)));
  call.addEventListener("click", () => (voice.open(), send("call")));
  hangUp.addEventListener("click", () => send("hang_up"));
  const hush = () => (voice.hush(), send("interrupt")); // silent at the click: the way to the kernel and back takes 100 ms
  interrupt.addEventListener("click", hush);
  root.addEventListener("click", () => model.get("phase") === "talking" && (voice.open(), (hear.hidden = true)));
  const speak = (kind) => {
    if (text.disabled || !text.value.trim()) return;
    send(kind, text.value);
    text.value = "";
  };
  say.addEventListener("click", () => speak("say"));
  type.addEventListener("click", () => speak("type"));
  root.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target === text) speak("type");
    if (event.key === "Escape" && !interrupt.disabled) hush();
    if (CUTS[event.key - 1] && !/INPUT|SELECT|TEXTAREA/.test(event.target.tagName) && cuts.open) cutIn(CUTS[event.key - 1]);
    event.stopPropagation(); // JupyterLab's own keys: a letter typed here is no command
  });
  tongue.addEventListener("change", () => (model.set("language", tongue.value), model.save_changes()));
  customer.addEventListener("change", () => choose({ customer: customer.value }));
  known.addEventListener("change", () => choose({ customer: known.value.trim() }));
  prompt.addEventListener("change", () => choose({ prompt: prompt.value }));
  limit.addEventListener("change", () => choose({ limit_usd: Math.min(100, Math.max(0.01, +limit.value || 0.5)) }));
  preset.addEventListener("change", () => choose({ preset: preset.value }));
  speed.addEventListener("change", () => choose({ speed: speed.value }));
  fallback.addEventListener("change", () => choose({ fallback: fallback.checked }));
  for (const [node, what] of [[choices, "pointerenter"], [choices, "focusin"], [live, "toggle"]])
    node.addEventListener(what, () => send("offers")); // a prompt saved meanwhile, a key entered
  const alone = soundsAlone(() => {}); // a recording falls silent when she speaks, never she for a recording
  const seen = new IntersectionObserver(([now]) => now.isIntersecting && send("offers")); // back from another notebook
  seen.observe(root);
  const onMessage = (content, buffers) => {
    if (content.kind === "sound" && buffers.length) voice.sound(content.utterance, content.rate_hz, buffers[0]);
    else if (content.kind === "begin") alone.begin(), voice.begin(content.utterance);
    else if (content.kind === "customer") voice.customer(content.rate_hz, buffers[0]);
    else if (content.kind === "silence") voice.silence(content.utterance);
    else if (content.kind === "duck") voice.duck(content.on);
  };
  model.on("msg:custom", onMessage);
  model.on("change:words", label);
  model.on("change:offers change:chosen", offers);
  model.on("change:phase", () => (offers(), running()));
  model.on("change:running", running);
  model.on("change:phase change:state change:is_live change:spent_usd change:unpriced change:chosen change:rate change:gives_sound", phase);
  model.on("change:armed change:did change:phase change:state change:chosen change:mix", cutIns);
  model.on("change:said", said);
  model.on("change:stand_ins", standIns);
  model.on("change:turns", ledger);
  const onProblem = () => (problem.textContent = model.get("problem"));
  model.on("change:problem", onProblem);
  label(), onProblem();
  if (model.get("is_new") && !attached()) { // *Run All* took the page to the last cell: what was asked for is here
    send("shown");
    requestAnimationFrame(() => root.scrollIntoView({ block: "nearest" }));
  }
  return () => (model.off("msg:custom", onMessage), alone.end(), seen.disconnect(), voice.close());
}
export default { render };
