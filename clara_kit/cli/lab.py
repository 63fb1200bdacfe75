"""`clara lab`: JupyterLab on the kit's folder, open at the desk, with the course in copies of one's own.

Whoever runs or changes a notebook of the course would change a file that git tracks: outputs, counts, a question. So the
server keeps every such notebook as a copy in `notebooks/mine/course`, and shows that under the notebook's own name.
A copy belongs to the text it was made of: another version of the kit brings its own, and the old one stays where it is.
Deleting the notebook in JupyterLab deletes the copy: then it is there again as it was shipped.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from hashlib import sha256
from pathlib import Path

from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager

from clara_kit.core.paths import DATA
from clara_kit.lab.kernel import SHARED

KIT = DATA.parent
_OF_THE_COURSE = re.compile(r"notebooks/(\d\d_\w+)\.ipynb")
SAYS = """
Clara's desk:  {url}

  1. Your browser opens this address. If it does not, copy it there (Ctrl-C here would end everything).
  2. In the page choose Run ▸ Run All Cells. The desk appears below the first lines.
  3. Press «Call Clara», listen, and answer her.

What you write there is yours and changes no file of the kit. To end: press Ctrl-C here, twice.
"""


class CourseContents(AsyncLargeFileManager):
    """The files of the kit, with the course's notebooks in copies."""

    def _get_os_path(self, path: str) -> str:
        shipped = str(super()._get_os_path(path))  # type: ignore[no-untyped-call]
        name = _OF_THE_COURSE.fullmatch(path.strip("/"))
        return str(own_copy(Path(shipped), name[1])) if name and Path(shipped).is_file() else shipped


def own_copy(shipped: Path, stem: str) -> Path:
    """The copy of a notebook of the course, made where there is none."""
    version = sha256(shipped.read_bytes()).hexdigest()[:8]
    copy = shipped.parent / "mine" / "course" / f"{stem}.{version}.ipynb"
    if not copy.is_file():
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(shipped, copy)
    return copy


def lab(*, notebook: str, port: int, no_browser: bool) -> int:
    """Serve until Ctrl-C, open at this notebook of the kit. Returns the exit code."""
    from jupyterlab.labapp import LabApp  # type: ignore[import-untyped]

    opens = f"lab/tree/{(KIT / notebook).relative_to(KIT).as_posix()}" if (KIT / notebook).is_file() else "lab"
    token = secrets.token_hex(24)
    options = {
        "ServerApp.ip": "127.0.0.1",
        "ServerApp.port": port,
        "ServerApp.root_dir": KIT,
        "ServerApp.allow_root": getattr(os, "geteuid", lambda: 1)() == 0,
        "ServerApp.open_browser": not no_browser,
        "ServerApp.contents_manager_class": f"{__name__}.{CourseContents.__name__}",
        "Application.log_level": "ERROR",  # what a reader needs is said below
        "IdentityProvider.token": token,  # one that it makes by itself, it would print in lines of its own
        "LabApp.default_url": f"/{opens}",
        "MultiKernelManager.default_kernel_name": "python3",
    }
    os.chdir(KIT)
    server = LabApp.initialize_server([f"--{name}={value}" for name, value in options.items()])
    os.environ[SHARED] = f"{server.runtime_dir}/clara-{secrets.token_hex(8)}.prompt"
    if opens != "lab":  # its kernel runs before the page asks for one: until then JupyterLab forgets a *Run All*
        start, path = server.session_manager.create_session, opens.removeprefix("lab/tree/")
        server.io_loop.add_callback(start, path, Path(path).name, "notebook", "python3")
    print(SAYS.format(url=f"{server.connection_url}{opens}?token={token}"), flush=True)
    server.start()
    return 0
