// The view of sharing.py: one conversation in a page of its own. Everything it shows stands in the element «data».
const data = JSON.parse(document.getElementById("data").textContent), main = document.querySelector("main");
const make = (name, className = "", text = "") => Object.assign(document.createElement(name), { className, textContent: text });
const clock = (s) => `${Math.floor(Math.max(0, s) / 60)}:${String(Math.floor(Math.max(0, s) % 60)).padStart(2, "0")}`;
const [beginMs, endMs, left, right, width] = data.scale, lastsS = Math.max(0.1, (endMs - data.soundFromMs) / 1000);
let tongue = data.language, theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light", at = 0, rows = [], drawn = {};
const w = (key) => data.words[tongue][key] ?? key;
const audio = new Audio();
if (data.sound) audio.src = URL.createObjectURL(new Blob([Uint8Array.from(atob(data.sound), (c) => c.charCodeAt(0))], { type: data.soundKind }));
delete data.sound;
const hasSound = Boolean(data.soundKind);

function go(s, play = false) {
  at = Math.min(Math.max(0, s), hasSound && audio.duration ? audio.duration : lastsS);
  if (hasSound) audio.currentTime = at;
  if (play && hasSound) audio.play().catch(() => {});
  follow();
}
const toggle = () => hasSound && (audio.paused ? audio.play().catch(() => {}) : audio.pause());
function follow() {
  const ms = at * 1000 + data.soundFromMs, x = left + (ms - beginMs) * ((right - left) / Math.max(1, endMs - beginMs));
  drawn.slider.value = at;
  drawn.slider.setAttribute("aria-valuetext", clock(at));
  drawn.time.textContent = `${clock(at)} / ${clock(lastsS)}`;
  drawn.play.textContent = audio.paused ? w("w_play") : w("w_pause");
  if (drawn.cursor) drawn.cursor.style.left = `${(100 * Math.min(Math.max(x, left), right)) / width}%`;
  for (const { node, from, to } of rows) {
    const now = from !== null && ms >= from && ms <= (to ?? endMs);
    if (now && node.getAttribute("aria-current") !== "true" && !audio.paused) node.scrollIntoView({ block: "nearest" });
    node.setAttribute("aria-current", now ? "true" : "false");
  }
}
function said(one) {
  const node = make("li", one.who), time = make("button", "", one.from === null ? "–" : clock((one.from - data.soundFromMs) / 1000));
  time.disabled = one.from === null;
  time.setAttribute("aria-label", `${w("share_from")} ${time.textContent}`);
  time.addEventListener("click", () => go((one.from - data.soundFromMs) / 1000, true));
  const text = make("p", "", one.text);
  if (one.unheard) text.append(" ", make("s", "", one.unheard));
  node.append(time, make("b", "", one.who === "Clara" ? "Clara" : w(`who_${one.who}`)), text);
  rows.push({ node, from: one.from, to: one.to });
  return node;
}
function ledger() {
  const table = make("table"), head = make("tr"), scroll = make("div", "wide");
  for (const name of [w("turn"), ...data.stages.map((stage) => w(`what_${stage}`)), w("what_total")]) head.append(make("th", "", name));
  table.append(head);
  for (const [turn, kind, ...ms] of data.ledger) {
    if (kind === "greeting") continue;
    const line = make("tr");
    line.append(make("th", "", turn), ...ms.map((n) => make("td", "", n === null ? "–" : n.toLocaleString(tongue))));
    table.append(line);
  }
  scroll.append(table);
  scroll.tabIndex = 0;
  return scroll;
}
function draw() {
  document.documentElement.lang = tongue;
  document.documentElement.dataset.theme = theme;
  rows = [];
  const bar = make("div", "bar"), play = make("button", "play"), slider = make("input"), time = make("span", "time");
  const back = make("button", "", "−5 s"), on = make("button", "", "+5 s"), speed = make("select"), dark = make("button", "", w(theme === "dark" ? "share_light" : "share_dark"));
  const other = make("button", "", tongue === "es" ? "English" : "Español");
  Object.assign(slider, { type: "range", min: 0, max: lastsS, step: 0.1 });
  slider.setAttribute("aria-label", w("share_place"));
  back.setAttribute("aria-label", w("share_back")), on.setAttribute("aria-label", w("share_on")), speed.setAttribute("aria-label", w("share_speed"));
  for (const rate of [0.75, 1, 1.25, 1.5, 2]) speed.append(Object.assign(make("option", "", `${rate}×`), { value: rate, selected: rate === audio.playbackRate }));
  for (const one of [play, back, on, speed]) one.disabled = !hasSound;
  play.addEventListener("click", toggle);
  back.addEventListener("click", () => go(at - 5));
  on.addEventListener("click", () => go(at + 5));
  slider.addEventListener("input", () => go(Number(slider.value)));
  speed.addEventListener("change", () => (audio.playbackRate = Number(speed.value)));
  dark.addEventListener("click", () => ((theme = theme === "dark" ? "light" : "dark"), draw(), main.querySelector(".theme").focus()));
  other.addEventListener("click", () => ((tongue = tongue === "es" ? "en" : "es"), draw(), main.querySelector(".other").focus()));
  dark.classList.add("theme"), other.classList.add("other");
  bar.append(play, back, on, slider, time, speed, make("span", "gap"), other, dark);
  drawn = { slider, time, play };
  const about = make("p", "about", [data.began && `${data.began} UTC`, data.customer, data.prompt].filter(Boolean).join(" · "));
  const parts = [make("h1", "", data.title), make("p", "about whose", data.whose[tongue]), about, bar];
  parts.push(make("p", "help", w(hasSound ? "share_help" : "share_help_silent")));
  if (data.tags.length) parts.push(make("p", "tags")), data.tags.forEach((tag) => parts.at(-1).append(make("span", "tag", `#${tag}`)));
  if (data.pictures[tongue]) {
    const picture = make("div", "picture"), sheet = make("div", "sheet"), cursor = make("div", "cursor");
    sheet.innerHTML = data.pictures[tongue]; // our own drawing: every text in it was escaped
    sheet.append(cursor);
    const height = sheet.firstChild.viewBox.baseVal.height; // as far as the lanes go: see picture.py
    Object.assign(cursor.style, { top: `${4400 / height}%`, height: `${(280 - 44) * 100 / height}%` });
    sheet.addEventListener("click", (event) => {
      const box = sheet.getBoundingClientRect(), x = ((event.clientX - box.left) / box.width) * width;
      go((beginMs + ((x - left) / (right - left)) * (endMs - beginMs) - data.soundFromMs) / 1000);
    });
    picture.append(sheet);
    drawn.cursor = cursor;
    parts.push(picture);
  }
  const talk = make("ol", "talk"), comments = make("ul", "left");
  talk.append(...data.said.map(said));
  parts.push(make("h2", "", w("share_transcript")), make("p", "help", w("struck")), talk, make("h2", "", w("part_ledger")), ledger());
  for (const [turn, text] of data.comments) comments.append(make("li", "", `${turn === null ? "" : `${w("turn")} ${turn}: `}${text}`));
  if (data.comments.length) parts.push(make("h2", "", w("share_comments")), comments);
  const out = make("ul", "left");
  for (const [key, held] of data.leftOut) out.append(make("div", "", `• ${w(key).replace("{n}", held)}`));
  for (const problem of data.problems) out.append(make("div", "", `• ${problem}`));
  if (out.children.length) parts.push(make("h2", "", w("share_left_out")), out);
  main.replaceChildren(...parts);
  follow();
}
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "SELECT") return;
  const press = { ArrowLeft: () => go(at - 5), ArrowRight: () => go(at + 5), Home: () => go(0), End: () => go(lastsS), k: toggle, j: () => turn(-1), l: () => turn(1) };
  if (event.key === " " && event.target.tagName === "BUTTON") return; // it presses that
  const act = event.key === " " ? toggle : press[event.key];
  if (!act || (event.target === drawn.slider && event.key.startsWith("Arrow"))) return;
  event.preventDefault();
  act();
});
function turn(by) {
  const ms = at * 1000 + data.soundFromMs, begins = rows.map((row) => row.from).filter((from) => from !== null);
  const next = by > 0 ? begins.find((from) => from > ms + 50) : begins.filter((from) => from < ms - 600).at(-1);
  if (next !== undefined) go((next - data.soundFromMs) / 1000);
}
for (const kind of ["play", "pause", "ended"]) audio.addEventListener(kind, follow);
(function tick() {
  if (!audio.paused) (at = audio.currentTime), follow();
  requestAnimationFrame(tick);
})();
draw();
