// What every view is made of; it stands before each of them.
function make(name, className = "", text = "") {
  const node = document.createElement(name);
  node.className = className;
  node.textContent = text;
  return node;
}

// A node of a drawing.
function svg(name, attributes, text = "") {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.textContent = text;
  return node;
}

// Plays each sound that the kernel sends, and it alone; returns what ends it, for a view that is gone plays nothing.
function playing(model, audio) {
  const alone = soundsAlone(() => audio.pause());
  audio.addEventListener("play", alone.begin);
  const onMessage = (content, buffers) => {
    if (content.kind !== "sound") return;
    URL.revokeObjectURL(audio.src);
    audio.src = URL.createObjectURL(new Blob([buffers[0]], { type: "audio/wav" }));
    audio.hidden = false;
    audio.play().catch(() => {});
  };
  model.on("msg:custom", onMessage);
  return () => (model.off("msg:custom", onMessage), alone.end(), audio.pause());
}

// A folder or file of this machine, as a link that opens in JupyterLab's file browser where that can reach it.
function labLink(path, text = "") {
  const config = document.getElementById("jupyter-config-data");
  const { rootUri = "", baseUrl = "/" } = config ? JSON.parse(config.textContent) : {};
  const root = decodeURIComponent(rootUri.replace(/^file:\/\//, "")).replace(/\/$/, "");
  if (!rootUri || !path.startsWith(`${root}/`)) return make("code", "", path);
  const inside = path.slice(root.length + 1), link = make("a", "", text || inside);
  link.href = `${baseUrl}lab/tree/${inside.split("/").map(encodeURIComponent).join("/")}`;
  link.dataset.commandlinkerCommand = "filebrowser:go-to-path";
  link.dataset.commandlinkerArgs = JSON.stringify({ path: inside });
  return link;
}

// One sound at a time in a page: whoever begins takes the word from the others.
function soundsAlone(stop) {
  const told = (event) => event.detail !== told && stop();
  document.addEventListener("clara-sounds", told);
  return {
    begin: () => document.dispatchEvent(new CustomEvent("clara-sounds", { detail: told })),
    end: () => document.removeEventListener("clara-sounds", told),
  };
}

// Tab comes to one button of a grid only, the arrows to all others. lines: its rows; usable: whether one can be come to.
function roaming(area, lines, usable = () => true) {
  let at = null;
  const now = () => lines().map((line) => line.filter(usable)).filter((line) => line.length);
  function mark() {
    const all = now();
    if (!all.flat().includes(at)) at = all[0]?.[0] ?? null;
    for (const node of lines().flat()) node.tabIndex = node === at ? 0 : -1;
  }
  area.addEventListener("focusin", (event) => lines().flat().includes(event.target) && ((at = event.target), mark()));
  area.addEventListener("keydown", (event) => {
    const all = now(), y = all.findIndex((line) => line.includes(at)), x = y < 0 ? 0 : all[y].indexOf(at);
    const to = { ArrowRight: [y, x + 1], ArrowLeft: [y, x - 1], ArrowDown: [y + 1, x], ArrowUp: [y - 1, x], Home: [y, 0], End: [y, Infinity] }[event.key];
    if (!to || !all.length) return;
    const there = all[Math.min(Math.max(to[0], 0), all.length - 1)];
    there[Math.min(Math.max(to[1], 0), there.length - 1)].focus();
    event.preventDefault();
  });
  return mark;
}
