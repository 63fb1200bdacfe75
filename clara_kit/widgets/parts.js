// What every view is made of; it stands before each of them.
function make(name, className = "", text = "") {
  const node = document.createElement(name);
  node.className = className;
  node.textContent = text;
  return node;
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

