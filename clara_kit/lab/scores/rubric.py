"""What a judge is told: a written text with a version, from `data/rubrics/`."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta

from clara_kit import data_files
from clara_kit.core.checked import Checked
from clara_kit.core.errors import ScriptError
from clara_kit.core.paths import DATA

FOLDER = DATA / "rubrics"
_HINT = "a rubric has id, version, description and text; see data/rubrics/spoken_sales.yaml."
_Text = Annotated[str, Meta(pattern=r"\S")]


class Rubric(Checked, frozen=True, kw_only=True):
    """What counts and how the answer must look. `hash`: 12 hex digits of the text's SHA-256; whatever is judged names it."""

    error = ScriptError
    what = "A rubric is wrong"
    hint = _HINT

    id: _Text
    version: Annotated[int, Meta(ge=1)]
    description: str = ""
    text: _Text

    @classmethod
    def load(cls, name_or_path: str | Path = "spoken_sales") -> Rubric:
        """A rubric of `data/rubrics/` by name, or any YAML file by path; raises `ScriptError`."""
        return data_files.made(data_files.find(name_or_path, FOLDER, "rubric"), _read)

    @property
    def hash(self) -> str:
        """Twelve hex digits that stand for the text."""
        return sha256(self.text.encode()).hexdigest()[:12]

    @property
    def about(self) -> str:
        """«spoken_sales 1 (0f3a…)»."""
        return f"{self.id} {self.version} ({self.hash})"


def _read(path: Path) -> Rubric:
    def made(data: Any) -> Rubric:
        if not isinstance(data, dict):
            raise ScriptError(f"A rubric is a mapping, not {type(data).__name__}.", hint=_HINT)
        return Rubric.model_validate(data)

    return data_files.built(path, made, _HINT)
