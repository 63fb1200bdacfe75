"""Runs every notebook and writes it as a page under build/walkthrough, with an index. Changes no notebook."""

import html
import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbconvert import HTMLExporter

# Plots that a page can show by itself, without a kernel or the internet.
os.environ["PLOTLY_RENDERER"] = "notebook"
out = Path("build/walkthrough")
out.mkdir(parents=True, exist_ok=True)
rows = []
for path in sorted(Path("notebooks").glob("[0-9]*.ipynb")):
    notebook = nbformat.read(path, as_version=4)
    print(f"running {path} ...", flush=True)
    NotebookClient(
        notebook, timeout=600, store_widget_state=False, resources={"metadata": {"path": "notebooks"}}
    ).execute()
    page, _ = HTMLExporter().from_notebook_node(notebook)
    (out / f"{path.stem}.html").write_text(page, encoding="utf-8")
    title = next(
        (line.lstrip("# ") for cell in notebook.cells for line in cell.source.splitlines() if line.startswith("# ")),
        path.stem,
    )
    rows.append(f'<li><a href="{path.stem}.html">{html.escape(title)}</a></li>')
if not rows:
    sys.exit("There are no notebooks.")
(out / "index.html").write_text(
    f"<!doctype html><meta charset=utf-8><title>Clara kit</title><h1>Clara kit</h1><ul>{''.join(rows)}</ul>\n",
    encoding="utf-8",
)
print(f"Open {out / 'index.html'}")
