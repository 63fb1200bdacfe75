"""The panel in which keys are entered and tried, for this kernel and, if wished, for `.env`.

A person's first step towards live vendors; `doctor/keys.py` does the asking, in a thread, so that a
silent vendor keeps no cell waiting. A key lives in a Password field only until it is taken, then the field is
emptied: neither the notebook's widget state nor a repr ever holds it.
"""

from __future__ import annotations

import os
import re
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ipywidgets as w
from pydantic import SecretStr

from clara_kit.core.errors import SettingsError
from clara_kit.doctor.keys import KeyAnswer, try_key
from clara_kit.providers.vendors import VENDORS, spoken
from clara_kit.runtime.config import default_env_file, environment

_SIGNS = {"ok": "✓", "refused": "✗", "unreachable": "–"}


class KeyPanel:
    """Shows itself in a notebook; every button is also a method. env_file: where `save` writes."""

    def __init__(self, env_file: str | Path | None = None) -> None:
        self._env_file = Path(env_file) if env_file else default_env_file()
        self._entered: dict[str, SecretStr] = {}
        self._fields: dict[str, w.Password] = {}
        self._says: dict[str, w.Label] = {}
        self._asking: dict[str, int] = {}
        self._lock = threading.Lock()
        self._listeners: list[Callable[[tuple[str, ...]], object]] = []
        self.widget = w.VBox([*map(self._row, VENDORS), self._foot()])
        for vendor in VENDORS:
            self._tell(vendor, self._standing(vendor))

    # --- what the hand does, without a hand -------------------------------------------------------------

    def set(self, vendor: str, key: str) -> None:
        """Take a key into the panel; it counts nowhere else until `use` or `save`."""
        spoken(vendor)  # raises for any other name
        key = key.strip()
        with self._lock:
            self._asking[vendor] = self._asking.get(vendor, 0) + 1  # an answer to the key before is void
            if key:
                self._entered[vendor] = SecretStr(key)
            else:
                self._entered.pop(vendor, None)
        self._tell(vendor, self._standing(vendor))

    def test(self, vendor: str) -> KeyAnswer:
        """Try the entered key (or else the one that counts now) and wait for the answer."""
        return self._ask(*self._question(vendor))

    def test_soon(self, vendor: str) -> threading.Thread:
        """Try the key in a thread of its own; the row tells the answer."""
        question = self._question(vendor)
        thread = threading.Thread(target=self._ask, args=question, name=f"clara-key-{vendor}", daemon=True)
        thread.start()
        return thread

    def use(self) -> tuple[str, ...]:
        """Let the entered keys count in this kernel, and forget them here; returns the vendors' names."""
        taken = self._take()
        for vendor, key in taken.items():
            os.environ[f"{vendor.upper()}_API_KEY"] = key.get_secret_value()
            self._tell(vendor, "set for this kernel")
        self._used(taken)
        return tuple(taken)

    def save(self) -> tuple[str, ...]:
        """Write the entered keys into the env file, which only its owner may read, and forget them here."""
        taken = self._take()
        if taken:
            values = {f"{v.upper()}_API_KEY": key.get_secret_value() for v, key in taken.items()}
            try:
                write_env(self._env_file, values)
            except (OSError, SettingsError):
                with self._lock:
                    self._entered = {**taken, **self._entered}  # not lost for a full disk
                raise
        for vendor in taken:
            self._tell(vendor, f"saved to {self._env_file.name}")
        self._used(taken)
        return tuple(taken)

    def clear(self) -> None:
        """Forget what was entered."""
        for vendor in VENDORS:
            self._fields[vendor].value = ""
            self.set(vendor, "")

    @property
    def entered(self) -> tuple[str, ...]:
        """The vendors whose key was entered and not yet used."""
        with self._lock:
            return tuple(self._entered)

    def status(self, vendor: str) -> str:
        """What the vendor's row says."""
        spoken(vendor)  # raises for any other name
        return str(self._says[vendor].value)

    def __repr__(self) -> str:
        return f"KeyPanel(entered: {', '.join(self.entered) or 'none'})"

    def _repr_mimebundle_(self, **options: Any) -> Any:
        return {**self.widget._repr_mimebundle_(**options), "text/plain": repr(self)}

    # --- what is seen -----------------------------------------------------------------------------------

    def _row(self, vendor: str) -> w.HBox:
        name = spoken(vendor).name
        field = w.Password(description=name, placeholder="paste the key, then Enter or Test", continuous_update=False)
        field.observe(lambda change: self._typed(vendor, change["new"]), names="value")
        test = w.Button(description="Test", tooltip=f"Ask {name} for something free with this key")
        test.on_click(lambda _: self.test_soon(vendor))
        self._fields[vendor], self._says[vendor] = field, w.Label()
        return w.HBox([field, test, self._says[vendor]])

    def _foot(self) -> w.HBox:
        def button(name: str, tooltip: str, act: Callable[[], object]) -> w.Button:
            made = w.Button(description=name, tooltip=tooltip, layout=w.Layout(width="auto"))
            made.on_click(lambda _: act())
            return made

        use = button("Use for this kernel", "Set them for this kernel; forgotten when it ends", self.use)
        save = button("Save to .env", "Keep them in a file that only you can read and git ignores", self._save)
        clear = button("Forget", "Empty the panel", self.clear)
        return w.HBox([use, save, clear])

    def _typed(self, vendor: str, value: str) -> None:
        """Take what was typed and empty the field at once: its value would be saved with the notebook."""
        if value:
            self.set(vendor, value)
            self._fields[vendor].value = ""

    def _save(self) -> None:
        try:
            self.save()
        except (OSError, SettingsError) as exc:
            why = exc.message if isinstance(exc, SettingsError) else exc.strerror or type(exc).__name__
            for vendor in self.entered:
                self._tell(vendor, f"✗ {self._env_file.name} cannot be written: {why}")

    def _standing(self, vendor: str) -> str:
        if vendor in self.entered:
            return "entered; test it, or use it"
        if environment(self._env_file).get(f"{vendor.upper()}_API_KEY", "").strip():
            return "set already"
        return f"none; keys are made at {spoken(vendor).page}"

    def _question(self, vendor: str) -> tuple[str, int, SecretStr, str | None]:
        spoken(vendor)  # raises for any other name
        outside = environment(self._env_file)
        with self._lock:
            number = self._asking.get(vendor, 0)
            key = self._entered.get(vendor) or SecretStr(outside.get(f"{vendor.upper()}_API_KEY", ""))
            self._tell(vendor, "asking …")
        return vendor, number, key, outside.get(f"{vendor.upper()}_BASE_URL") or None

    def _ask(self, vendor: str, number: int, key: SecretStr, address: str | None) -> KeyAnswer:
        answer = try_key(vendor, key.get_secret_value(), address)
        with self._lock:
            if self._asking.get(vendor, 0) == number:
                said = (_SIGNS[answer.state], answer.message, answer.hint)
                self._tell(vendor, " ".join(filter(None, said)))
        return answer

    def _take(self) -> dict[str, SecretStr]:
        with self._lock:
            taken, self._entered = self._entered, {}
        return taken

    def on_used(self, callback: Callable[[tuple[str, ...]], object]) -> None:
        """Call `callback(vendors)` whenever other keys count from now on."""
        self._listeners.append(callback)

    def _used(self, taken: dict[str, SecretStr]) -> None:
        for callback in self._listeners if taken else ():
            callback(tuple(taken))

    def _tell(self, vendor: str, text: str) -> None:
        self._says[vendor].value = text


def write_env(path: Path, values: dict[str, str]) -> None:
    """Put names and values into an env file, keeping its other lines; it is never readable by others."""
    for name, value in values.items():
        if not re.fullmatch(r"[!-~]+", value) or "'" in value or "\\" in value:
            raise SettingsError(f"{name} holds characters that no key has.", hint="copy it again, alone.")
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    named = re.compile(rf"\s*(?:export\s+)?({'|'.join(map(re.escape, values))})\s*=")
    kept = [line for line in lines if not named.match(line)]
    text = "\n".join([*kept, *(f"{name}='{value}'" for name, value in values.items())]) + "\n"
    # A new file takes the place of the old one: mkstemp's are 0600 from their first byte on.
    handle, fresh = tempfile.mkstemp(dir=path.parent, prefix=".env-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(fresh, path)
    except BaseException:
        Path(fresh).unlink(missing_ok=True)
        raise
