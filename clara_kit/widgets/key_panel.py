"""The panel in which keys are entered and tried, for this kernel and, if wished, for `.env`; with what each vendor costs.

A person's first step towards live vendors; `doctor/keys.py` and `doctor/shop.py` do the asking, in a thread, so that a
silent vendor keeps no cell waiting. A key lives in its field only until it is taken, then the field is emptied: neither
the notebook's widget state nor a repr ever holds it.
"""

from __future__ import annotations

import os
import re
import tempfile
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import ipywidgets as w
from pydantic import SecretStr

from clara_kit.core.errors import SettingsError
from clara_kit.core.page import escape
from clara_kit.core.settings import KEY_PAGES, Keys, Settings
from clara_kit.doctor.keys import KeyAnswer, try_key
from clara_kit.doctor.shop import lacking, try_shop
from clara_kit.providers.vendors import TABLE, named
from clara_kit.runtime.config import default_env_file, environment
from clara_kit.widgets.calibrating import CalibrationPanel
from clara_kit.widgets.money import MoneyAndPrivacy, price
from clara_kit.widgets.telling import in_language
from clara_kit.widgets.words import Language, spoken_in, usual_language

_SIGNS = {"ok": "✓", "refused": "✗", "unreachable": "–"}
_OWNER = {name: vendor.id for vendor in TABLE.values() for name in vendor.key_fields}
_SHOP_FIELDS = {"shopify_shop": "shop", "shopify_client_id": "id", "shopify_client_secret": "secret",
                "shopify_admin_token": "token"}  # fmt: skip
_DIM = "color:var(--jp-ui-font-color1);line-height:1.4;max-width:110ch"
_ELSEWHERE = "target='_blank' rel='noopener' style='color:var(--jp-content-link-color);text-decoration:underline'"
_LINK = re.compile(r"https://[^\s<>()]+[^\s<>().,;:]")


class KeyPanel:
    """Shows itself in a notebook; every button is also a method. env_file: where `save` writes.

    A name is a vendor's (`deepgram`: its key) or a key's own (`shopify_client_id`).
    """

    def __init__(self, env_file: str | Path | None = None, *, language: Language | None = None) -> None:
        self._env_file = Path(env_file) if env_file else default_env_file()
        self._language = language or usual_language()
        self._words = spoken_in(self._language)
        self._entered: dict[str, SecretStr] = {}
        self._before: dict[str, str | None] = {}  # what stood in the environment where `use` has set something
        self._fields: dict[str, w.Text | w.Password] = {}
        self._news: dict[str, Callable[[], str]] = {}  # what a row says, in the language of the moment
        self._says, self._about = ({vendor: w.HTML() for vendor in TABLE} for _ in range(2))
        self._asking: dict[str, int] = {}
        self._listeners: list[Callable[[tuple[str, ...]], object]] = []
        self._lock = threading.Lock()
        self._tests: dict[str, w.Button] = {}
        acts: dict[str, Callable[[], object]] = {"use": self.use, "save": self._save, "clear": self.clear}
        self._buttons = {name: _button(act) for name, act in acts.items()}
        self._sum, self._money = w.HTML(), MoneyAndPrivacy()
        self.calibration = CalibrationPanel(language=self._language)
        self._measuring = w.Accordion([self.calibration.widget], selected_index=None)
        self.on_used(lambda _vendors: self.calibration.keys_changed())
        rows = [self._row(vendor, TABLE[vendor].key_fields) for vendor in TABLE]
        self.widget = w.VBox([*rows, w.HBox([*self._buttons.values()]), self._sum, self._measuring, self._money])
        for vendor in TABLE:
            self._stand(vendor)
        self.speak(self._language)

    # --- what the hand does, without a hand -------------------------------------------------------------

    def set(self, name: str, key: str) -> None:
        """Take a key into the panel; it counts nowhere else until `use` or `save`."""
        field = name if name in _OWNER else named(name).key_fields[0]
        vendor, key = _OWNER[field], key.strip()
        with self._lock:
            self._asking[vendor] = self._asking.get(vendor, 0) + 1  # an answer to the key before is void
            if key:
                self._entered[field] = SecretStr(key)
            else:
                self._entered.pop(field, None)
        self._stand(vendor)

    def test(self, vendor: str) -> KeyAnswer:
        """Try the entered key (or else the one that counts now) and wait for the answer."""
        with ThreadPoolExecutor(1) as elsewhere:  # the shop is asked in an event loop, and a cell runs in one
            return elsewhere.submit(self._ask, *self._question(vendor)).result()

    def test_soon(self, vendor: str) -> threading.Thread:
        """Try the key in a thread of its own; the row tells the answer."""
        question = self._question(vendor)
        thread = threading.Thread(target=self._ask, args=question, name=f"clara-key-{vendor}", daemon=True)
        thread.start()
        return thread

    def use(self) -> tuple[str, ...]:
        """Let the entered keys count in this kernel, and forget them here; returns the vendors' names."""
        taken = self._take()
        for field, key in taken.items():
            self._before.setdefault(field.upper(), os.environ.get(field.upper()))
            os.environ[field.upper()] = key.get_secret_value()
        return self._count(taken, lambda: self._words["key_used"])

    def save(self) -> tuple[str, ...]:
        """Write the entered keys into the env file, which only its owner may read, and forget them here."""
        taken = self._take()
        if taken:
            values = {field.upper(): key.get_secret_value() for field, key in taken.items()}
            try:
                write_env(self._env_file, values)
            except (OSError, SettingsError):
                with self._lock:
                    self._entered = {**taken, **self._entered}  # not lost for a full disk
                raise
            os.environ.update(
                {name: value for name, value in values.items() if name in os.environ}
            )  # it hides the file
        return self._count(taken, lambda: self._words["key_saved"].format(file=self._env_file.name))

    def clear(self) -> None:
        """Forget what was entered, and what was set here for this kernel."""
        for field, shown in self._fields.items():
            shown.value = ""
            self.set(field, "")
        before, self._before = self._before, {}
        for name, value in before.items():
            os.environ.pop(name, None)
            os.environ.update({name: value} if value is not None else {})
        vendors = {_OWNER[name.lower()] for name in before}
        for vendor in vendors:
            self._stand(vendor)
        self._call(vendors)

    def on_used(self, callback: Callable[[tuple[str, ...]], object]) -> None:
        """Call `callback(vendors)` whenever other keys count from now on: used, saved, or taken back."""
        self._listeners.append(callback)

    @property
    def entered(self) -> tuple[str, ...]:
        """The vendors of whom something was entered and not yet used."""
        with self._lock:
            return tuple(dict.fromkeys(_OWNER[field] for field in self._entered))

    def status(self, vendor: str) -> str:
        """What the vendor's row says."""
        return self._news[named(vendor).id]()

    def speak(self, language: Language) -> None:
        """Label everything in this language."""
        self._language, self._words = language, spoken_in(language)
        word = self._words
        for field, shown in self._fields.items():
            part = _SHOP_FIELDS.get(field, "key")
            shown.description = word[f"key_field_{part}"]
            shown.placeholder = word["key_paste_shop" if part == "shop" else "key_paste"]
        for vendor, test in self._tests.items():
            test.description, test.tooltip = word["key_test"], f"{TABLE[vendor].name}: {word['key_test_hint']}"
        for name, button in self._buttons.items():
            button.description, button.tooltip = word[f"key_{name}"], word[f"key_{name}_hint"]
        for vendor in TABLE:
            self._about[vendor].value = self._told_of(vendor)
            self._show(vendor)
        self._sum.value = f"<div style='{_DIM}'>{escape(price('five', language))}</div>"
        self._money.speak(language)
        self._measuring.titles = (word["cal_title"],)
        self.calibration.speak(language)

    def __repr__(self) -> str:
        return f"KeyPanel(entered: {', '.join(self.entered) or 'none'})"

    def _repr_mimebundle_(self, **options: Any) -> Any:
        return {**self.widget._repr_mimebundle_(**options), "text/plain": repr(self)}

    # --- what is seen -----------------------------------------------------------------------------------

    def _row(self, vendor: str, fields: Iterable[str]) -> w.VBox:
        for field in sorted(fields, key=[*_SHOP_FIELDS].index) if vendor == "shopify" else fields:
            kind = w.Text if field == "shopify_shop" else w.Password
            made = kind(continuous_update=False, layout=w.Layout(width="auto", flex="0 1 340px"))
            made.style.description_width = "96px"
            made.observe(lambda change, field=field: self._typed(field, change["new"]), names="value")
            self._fields[field] = made
        test = self._tests[vendor] = _button(lambda: self.test_soon(vendor))
        self._says[vendor].layout = w.Layout(flex="1 1 24ch", width="auto")
        parts = [*(self._fields[field] for field in self._fields if _OWNER[field] == vendor), test, self._says[vendor]]
        line = w.HBox(parts, layout=w.Layout(flex_flow="row wrap", align_items="center"))
        made = w.VBox([self._about[vendor], line], layout=w.Layout(margin="0 0 12px 0"))
        made.add_class(f"clara-key-{vendor}")
        return made

    def _told_of(self, vendor: str) -> str:
        """Who it is, where a key is got, and what it costs."""
        shop = vendor == "shopify"
        page = (KEY_PAGES["shopify_client_id"] if shop else TABLE[vendor].page).partition(" ")[0]
        word, link = self._words, f"<a href='{{page}}' {_ELSEWHERE}>{{text}}</a>"
        told = [f"<b style='color:var(--jp-ui-font-color0)'>{TABLE[vendor].name}</b> {escape(word[f'key_{vendor}'])}",
                link.format(page=page, text=escape(word["key_get"])), *([escape(word["key_guide"])] if shop else []),
                escape(price(vendor, self._language))]  # fmt: skip
        return f"<div style='{_DIM}'>{' · '.join(told)}</div>"

    def _typed(self, field: str, value: str) -> None:
        """Take what was typed and empty the field at once: its value would be saved with the notebook."""
        if value:
            self.set(field, value)
            self._fields[field].value = ""

    def _save(self) -> None:
        try:
            self.save()
        except (OSError, SettingsError) as exc:
            why = exc.message if isinstance(exc, SettingsError) else exc.strerror or type(exc).__name__
            told = {"file": self._env_file.name, "why": why}
            for vendor in self.entered:
                self._tell(vendor, lambda: self._words["key_unwritten"].format(**told | {"why": self._in(told["why"])}))

    def _stand(self, vendor: str) -> None:
        self._tell(vendor, lambda: self._standing(vendor))

    def _standing(self, vendor: str) -> str:
        outside, word = environment(self._env_file), self._words
        variables = TABLE[vendor].variables
        with self._lock:
            fresh = [name for name in variables if name.lower() in self._entered]
        there = [name for name in variables if name in fresh or outside.get(name, "").strip()]
        missing = lacking(set(there)) if vendor == "shopify" else ""
        if there and missing:
            return word["key_part"].format(names=", ".join(there), missing=missing)
        return word["key_entered" if fresh else "key_set" if there else "key_none"]

    def _question(self, vendor: str) -> tuple[str, int, Keys]:
        outside = dict(environment(self._env_file))
        with self._lock:
            number = self._asking.get(named(vendor).id, 0)
            entered = {field.upper(): key.get_secret_value() for field, key in self._entered.items()}
        self._tell(vendor, lambda: self._words["key_asking"])
        return vendor, number, Keys.from_env(outside | entered)

    def _ask(self, vendor: str, number: int, keys: Keys) -> KeyAnswer:
        if vendor == "shopify":
            answer = try_shop(keys, Settings())
        else:
            key: SecretStr | None = getattr(keys, TABLE[vendor].key_fields[0])
            answer = try_key(vendor, key.get_secret_value() if key else "", getattr(keys, f"{vendor}_base_url"))
        with self._lock:
            current = self._asking.get(vendor, 0) == number
        if current:
            said = list(filter(None, (answer.message, answer.hint)))
            self._tell(vendor, lambda: " ".join([_SIGNS[answer.state], *(_sentence(self._in(text)) for text in said)]))
        return answer

    def _take(self) -> dict[str, SecretStr]:
        with self._lock:
            taken, self._entered = self._entered, {}
        return taken

    def _count(self, taken: dict[str, SecretStr], news: Callable[[], str]) -> tuple[str, ...]:
        """Say that they count now, here and to whoever wants to know."""
        vendors = tuple(dict.fromkeys(_OWNER[field] for field in taken))
        for vendor in vendors:
            part = vendor == "shopify" and self._standing(vendor) != self._words["key_set"]
            self._stand(vendor) if part else self._tell(vendor, news)
        self._call(vendors)
        return vendors

    def _call(self, vendors: Iterable[str]) -> None:
        if told := tuple(vendors):
            for listener in self._listeners:
                listener(told)

    def _in(self, text: str) -> str:
        return in_language(text, self._language)

    def _tell(self, vendor: str, news: Callable[[], str]) -> None:
        self._news[vendor] = news
        self._show(vendor)

    def _show(self, vendor: str) -> None:
        text = escape(self._news[vendor]())
        shown = _LINK.sub(rf"<a href='\g<0>' {_ELSEWHERE}>\g<0></a>", text)
        self._says[vendor].value = f"<div style='line-height:1.4'>{shown}</div>"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _button(act: Callable[[], object]) -> w.Button:
    made = w.Button(layout=w.Layout(width="auto"))
    made.on_click(lambda _: act())
    return made


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
