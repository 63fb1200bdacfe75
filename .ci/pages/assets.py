"""What pages share lies beside them once: scripts, styles, sounds. Named by content, so that nothing is kept twice.

A page that is opened by a double click may load scripts and media from its folder, but can neither fetch a file nor
import a module of it. So whatever a script needs (a view's source, a sound's bytes) stands in a classic script that
hands it over: `clara.give(name, value)`.
"""

from __future__ import annotations

import io
import json
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

import soundfile

# Of libsndfile's scale from 0 (best) to 1: about 40 kbit/s for the two channels of a recording at 16 kHz. MP3, for
# every browser plays it; Vorbis would be a little smaller, and Safari learned it late.
MP3_COMPRESSION = 0.8
HERE = Path(__file__).parent
FOLDER = "assets"


class Assets:
    """The shared folder of the pages under `out`. Every method returns the address that a page uses."""

    def __init__(self, out: Path) -> None:
        self.folder = out / FOLDER
        self.folder.mkdir(parents=True, exist_ok=True)

    def own(self, name: str) -> str:
        """A file of this package."""
        return self._keep(name, (HERE / name).read_bytes())

    def plotly(self) -> str:
        """What draws plots."""
        from plotly.offline import get_plotlyjs

        return self._keep("plotly.js", get_plotlyjs().encode())

    def style(self, css: str) -> str:
        """A view's style sheet."""
        return self._keep(f"style_{_name(css.encode())}.css", css.encode())

    def view(self, esm: str) -> tuple[str, str]:
        """A view's module: its name, and the script that hands its source over."""
        name = f"view_{_name(esm.encode())}"
        return name, self._give(name, esm)

    def data(self, value: Any) -> tuple[str, str]:
        """What a view shows: its name, and the script that hands it over."""
        name = f"data_{_name(script_json(value).encode())}"
        return name, self._give(name, value)

    def sound(self, wav: bytes) -> tuple[str, str]:
        """A sound for a script: its name, and the script that hands its bytes over. Raises as soundfile for no sound."""
        name = f"sound_{_name(wav)}"
        known = self.folder / f"{name}.js"
        return name, f"{FOLDER}/{known.name}" if known.is_file() else self._give(name, b64encode(mp3(wav)).decode())

    def player(self, wav: bytes) -> str:
        """A sound for the browser's own player."""
        name = f"sound_{_name(wav)}.mp3"
        return f"{FOLDER}/{name}" if (self.folder / name).is_file() else self._keep(name, mp3(wav))

    def _give(self, name: str, value: str) -> str:
        return self._keep(f"{name}.js", f"clara.give({json.dumps(name)}, {script_json(value)});\n".encode())

    def _keep(self, name: str, data: bytes) -> str:
        path = self.folder / name
        if not path.is_file() or path.read_bytes() != data:
            path.write_bytes(data)
        return f"{FOLDER}/{name}"


def mp3(wav: bytes) -> bytes:
    """The same sound, at about an eighth of the size."""
    samples, rate_hz = soundfile.read(io.BytesIO(wav), dtype="int16")
    out = io.BytesIO()
    soundfile.write(
        out, samples, rate_hz, format="MP3", subtype="MPEG_LAYER_III",
        bitrate_mode="CONSTANT", compression_level=MP3_COMPRESSION,
    )  # fmt: skip
    return out.getvalue()


def script_json(value: Any) -> str:
    """JSON that may stand in a script of a page: nothing in it ends the script."""
    return (
        json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        .replace("<", "\\u003c")
        .replace("\u2028", "\\u2028")
    )


def _name(data: bytes) -> str:
    return sha256(data).hexdigest()[:12]
