// Stands where Jupyter and its kernel were: gives each view of the kit its model, with what was left of the conversation.
// A classic script: a page that is opened from a folder may load no module and fetch no file.
window.clara = (() => {
  const given = {}, waiting = {};
  function give(name, value) {
    given[name] = value;
    for (const done of waiting[name] || []) done(value);
    delete waiting[name];
  }
  function load(name) { // a script of the assets, when it is first needed
    if (name in given) return Promise.resolve(given[name]);
    return new Promise((done, fail) => {
      if (waiting[name]) return void waiting[name].push(done);
      waiting[name] = [done];
      const script = document.createElement("script");
      script.src = `assets/${name}.js`;
      script.onerror = () => (delete waiting[name], fail(new Error(`assets/${name}.js is missing`)));
      document.head.append(script);
    });
  }

  // What a view knows of the kernel: https://anywidget.dev/en/afm/
  class Model {
    constructor({ state, moments, sounds }, unanswered) {
      this.state = { ...state };
      this.moments = moments;
      this.sounds = sounds;
      this.unanswered = unanswered;
      this.listeners = [];
    }
    get(name) {
      return this.state[name];
    }
    set(name, value) {
      if (typeof name === "object") return void Object.entries(name).forEach(([key, one]) => this.set(key, one));
      if (this.state[name] === value) return;
      this.state[name] = value;
      this.tell(`change:${name}`, this, value);
      this.tell("change", this);
    }
    save_changes() {
      if (this.moments && this.get("step") !== this.get("moment").step) this.go(this.get("step"));
    }
    on(names, act) {
      for (const name of names.split(" ")) this.listeners.push([name, act]);
    }
    off(names, act) {
      const gone = names && names.split(" ");
      this.listeners = this.listeners.filter(([name, one]) => (gone && !gone.includes(name)) || (act && act !== one));
    }
    tell(name, ...what) {
      for (const [one, act] of [...this.listeners]) if (one === name) act(...what);
    }
    go(step) {
      const last = this.get("steps") - 1, to = Math.max(0, Math.min(last, step));
      this.set("step", to);
      this.set("moment", Object.fromEntries(Object.entries(this.moments).map(([name, { values, steps }]) => [name, values[steps[to]]])));
    }
    async send(message) {
      if (message.kind === "at" && this.moments) {
        const { values, steps } = this.moments.at_ms;
        return this.go(Math.max(0, steps.findLastIndex((n) => values[n] <= message.at_ms)));
      }
      const known = this.sounds.find(([asked]) => Object.entries(asked).every(([key, value]) => message[key] === value));
      if (!known) return this.unanswered();
      const sound = await wav(await load(known[1]));
      this.tell("msg:custom", { ...message, kind: "sound" }, [new DataView(sound)]);
    }
  }

  // The kernel sends WAV, so the views expect it; what lies in the assets is compressed.
  async function wav(base64) {
    const rate = 24000;
    const sound = await new OfflineAudioContext(1, 1, rate).decodeAudioData(Uint8Array.from(atob(base64), (c) => c.charCodeAt(0)).buffer);
    const count = sound.numberOfChannels, size = sound.length * count * 2, out = new DataView(new ArrayBuffer(44 + size));
    const text = (at, word) => [...word].forEach((c, n) => out.setUint8(at + n, c.charCodeAt(0)));
    text(0, "RIFF"), out.setUint32(4, 36 + size, true), text(8, "WAVEfmt ");
    [[16, 32, 16], [20, 16, 1], [22, 16, count], [24, 32, rate], [28, 32, rate * count * 2], [32, 16, count * 2], [34, 16, 16]]
      .forEach(([at, bits, value]) => out[`setUint${bits}`](at, value, true));
    text(36, "data"), out.setUint32(40, size, true);
    const channels = Array.from({ length: count }, (_, n) => sound.getChannelData(n));
    for (let n = 0, at = 44; n < sound.length; n++)
      for (const channel of channels) out.setInt16(at, Math.max(-1, Math.min(1, channel[n])) * 32767, true), (at += 2);
    return out.buffer;
  }

  const modules = {};
  async function show(node) {
    const data = given[node.dataset.clara];
    const note = node.closest(".widget")?.querySelector(".note[role=status]");
    const model = new Model(data, () => note?.animate([{ opacity: 0.1 }, { opacity: 1 }], { duration: 250, iterations: 3 }));
    const source = () => URL.createObjectURL(new Blob([given[data.view]], { type: "text/javascript" }));
    const { default: view } = await (modules[data.view] ||= import(source()));
    const { render, initialize } = typeof view === "function" ? await view() : view;
    await initialize?.({ model });
    await render?.({ model, el: node });
    if (!data.moments) for (const field of node.querySelectorAll("input, select, textarea")) field.disabled = true;
    node.addEventListener("click", (event) => { // an address of the notebook's server leads nowhere here
      const link = event.target.closest("a[href]");
      if (link && !/^(https?:|blob:|#)/.test(link.getAttribute("href"))) event.preventDefault();
    });
  }

  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  function plot(node) {
    const figure = JSON.parse(node.querySelector("script").textContent), style = getComputedStyle(document.body);
    const [fg, line] = ["--fg", "--line"].map((name) => style.getPropertyValue(name).trim());
    const layout = { ...figure.layout, paper_bgcolor: "transparent", plot_bgcolor: "transparent", width: undefined, autosize: true,
      font: { ...figure.layout?.font, color: fg, family: "system-ui, sans-serif" } };
    for (const name of Object.keys({ xaxis: 1, yaxis: 1, ...layout })) if (/^[xy]axis\d*$/.test(name))
      layout[name] = { ...layout[name], gridcolor: line, zerolinecolor: line, linecolor: line };
    const drawn = node.lastElementChild.tagName === "DIV" ? node.lastElementChild : node.appendChild(document.createElement("div"));
    layout.height ??= 420;
    drawn.style.height = `${layout.height}px`;
    window.Plotly.react(drawn, figure.data, layout, { displayModeBar: false, responsive: true });
  }
  function paint() {
    document.body.dataset.jpThemeLight = String(!dark.matches); // the views look for JupyterLab's own mark
    document.querySelectorAll(".plot").forEach(plot);
  }
  function start() {
    paint();
    dark.addEventListener("change", paint);
    return Promise.all([...document.querySelectorAll("[data-clara]")].map(show)).then(() => (document.body.dataset.ready = "yes"));
  }
  return { give, load, start };
})();
