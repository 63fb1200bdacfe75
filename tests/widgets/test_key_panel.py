"""The panel for keys, without a browser: what it tells, and that it keeps nothing."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from dotenv import dotenv_values

from clara_kit.core.errors import SettingsError
from clara_kit.doctor.keys import VENDORS, try_key
from clara_kit.providers.vendors import TABLE
from clara_kit.widgets.key_panel import KeyPanel
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.line_book import LineBook
from clara_kit.world.twins.base import TwinContext
from clara_kit.world.twins.every import every_twin
from clara_kit.world.twins.server import TwinServer

SECRET = "abcdefgh-0123456789"


@pytest.fixture(autouse=True)
def vendors(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Twins in the vendors' places, and no key anywhere. monkeypatch also undoes what `use` sets."""
    with TwinServer(every_twin(TwinContext(profile=LatencyProfile.load("fast")), LineBook())) as server:
        for vendor in TABLE.values():
            monkeypatch.setenv(f"{vendor.id.upper()}_BASE_URL", server.addresses[vendor.id]["base_url"])
            for name in vendor.variables:
                monkeypatch.setenv(name, "")
        yield


@pytest.fixture
def panel(tmp_path: Path) -> KeyPanel:
    return KeyPanel(tmp_path / ".env")


def saved_state(panel: KeyPanel) -> str:
    """All that a notebook would store of the panel's widgets."""
    states = [json.dumps(w.get_state(), default=str) for w in walk(panel.widget)]
    assert len(states) > 10
    return "".join(states)


def walk(widget: object) -> Iterator[object]:
    yield widget
    for child in getattr(widget, "children", ()):
        yield from walk(child)


@pytest.mark.parametrize("vendor", [*VENDORS, "heygen", "elevenlabs"])
def test_a_right_key_is_taken_and_a_wrong_one_refused_with_a_remedy(panel: KeyPanel, vendor: str) -> None:
    panel.set(vendor, " test-key\n")
    assert panel.test(vendor).state == "ok" and panel.status(vendor).startswith("✓")
    panel.set(vendor, SECRET)
    answer = panel.test(vendor)
    assert answer.state == "refused" and answer.hint and "https://" in answer.hint
    assert panel.status(vendor).startswith("✗") and answer.hint[1:] in panel.status(vendor)
    assert SECRET not in repr(answer)


def test_a_vendor_that_is_not_there_is_not_reachable_and_no_fault_of_the_key() -> None:
    answer = try_key("anthropic", "test-key", "http://127.0.0.1:9")
    assert answer.state == "unreachable" and "twins work without" in answer.hint


@pytest.mark.parametrize("key", ["", "two words", "schlüssel", "a\nb"])
def test_what_can_be_no_key_is_refused_without_asking(key: str) -> None:
    assert try_key("deepgram", key, "http://127.0.0.1:9").state == "refused"


def test_an_entered_key_is_in_no_repr_and_in_no_widget_state(panel: KeyPanel) -> None:
    panel.set("deepgram", SECRET)
    panel._fields["anthropic_api_key"].value = SECRET  # what a hand does
    assert set(panel.entered) == {"deepgram", "anthropic"}
    assert panel._fields["anthropic_api_key"].value == ""
    panel.test("anthropic")
    shown = repr(panel) + str(panel._repr_mimebundle_()) + saved_state(panel) + repr(vars(panel))
    assert SECRET not in shown and SECRET[:6] not in shown


def test_used_keys_count_in_this_kernel_only(panel: KeyPanel, tmp_path: Path) -> None:
    panel.set("anthropic", "test-key")
    assert os.environ["ANTHROPIC_API_KEY"] == ""
    assert panel.use() == ("anthropic",) and panel.entered == ()
    assert os.environ["ANTHROPIC_API_KEY"] == "test-key"
    assert not (tmp_path / ".env").exists()
    assert panel.test("anthropic").state == "ok"  # the one that counts now


def test_saved_keys_are_readable_by_their_owner_only_and_other_lines_stay(panel: KeyPanel, tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("# mine\nDEEPGRAM_API_KEY=old\nSTT_MODEL=nova-2\n")
    file.chmod(0o644)
    panel.set("deepgram", SECRET + "#$x")
    assert panel.save() == ("deepgram",)
    assert dotenv_values(file) == {"STT_MODEL": "nova-2", "DEEPGRAM_API_KEY": SECRET + "#$x"}
    assert file.read_text().startswith("# mine\n") and file.read_text().count("DEEPGRAM") == 1
    assert file.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in tmp_path.iterdir()] == [".env"]


def test_a_key_that_cannot_be_written_is_not_lost(tmp_path: Path) -> None:
    panel = KeyPanel(tmp_path / "nowhere" / ".env")
    panel.set("deepgram", SECRET)
    with pytest.raises(OSError, match="nowhere"):
        panel.save()
    assert panel.entered == ("deepgram",)
    panel._save()  # what the button does
    assert "cannot be written" in panel.status("deepgram")


def test_the_button_does_not_keep_the_kernel_waiting(panel: KeyPanel, monkeypatch: pytest.MonkeyPatch) -> None:
    may_answer = threading.Event()

    def slow(*args: object) -> object:
        may_answer.wait(5)
        return try_key("deepgram", "")

    monkeypatch.setattr("clara_kit.widgets.key_panel.try_key", slow)
    thread = panel.test_soon("deepgram")
    assert thread is not threading.current_thread() and thread.is_alive()
    panel.set("deepgram", "another")  # the answer to the key before counts no more
    may_answer.set()
    thread.join(5)
    assert panel.status("deepgram") == "entered; test it, or use it"


def enter_the_shop(panel: KeyPanel) -> None:
    for field, value in (
        ("shopify_shop", "beta.myshopify.com"), ("shopify_client_id", "test-client"), ("shopify_client_secret", "test-secret"),
    ):  # fmt: skip
        panel._fields[field].value = value  # what a hand does


def test_the_shop_has_its_several_fields_and_what_is_still_missing_is_named(panel: KeyPanel) -> None:
    panel.set("shopify_client_id", "test-client")
    assert "SHOPIFY_SHOP" in panel.status("shopify").partition("still missing")[2]
    enter_the_shop(panel)
    assert panel.status("shopify") == "entered; test it, or use it" and panel.entered == ("shopify",)
    assert "test-secret" not in saved_state(panel) + repr(vars(panel)) and "test-client" not in saved_state(panel)
    answer = panel.test("shopify")
    assert answer.state == "ok" and panel.status("shopify").startswith("✓ Shopify takes the key")
    panel.set("shopify_client_secret", SECRET)
    assert panel.test("shopify").state == "refused" and SECRET not in panel.status("shopify")
    panel.set("shopify", "")
    assert panel.test("shopify").message == "No shop was given."


async def test_the_shop_can_be_tried_from_a_cell_which_runs_in_a_loop(panel: KeyPanel) -> None:
    enter_the_shop(panel)
    assert panel.test("shopify").state == "ok"


def test_the_shop_is_saved_whole(panel: KeyPanel, tmp_path: Path) -> None:
    enter_the_shop(panel)
    assert panel.save() == ("shopify",)
    assert set(dotenv_values(tmp_path / ".env")) == {"SHOPIFY_SHOP", "SHOPIFY_CLIENT_ID", "SHOPIFY_CLIENT_SECRET"}


def test_others_are_told_when_other_keys_count(panel: KeyPanel) -> None:
    told: list[tuple[str, ...]] = []
    panel.on_used(told.append)
    panel.set("deepgram", SECRET)
    assert told == []
    panel.use()
    panel.set("anthropic", SECRET)
    panel.save()
    panel.use()  # nothing is left to be used
    assert told == [("deepgram",), ("anthropic",)]
    panel.clear()
    assert told[2:] == [("deepgram",)] and os.environ["DEEPGRAM_API_KEY"] == ""


def test_a_saved_key_counts_also_where_another_was_set_for_this_kernel(panel: KeyPanel) -> None:
    panel.set("anthropic", SECRET)
    panel.use()
    panel.set("anthropic", "test-key")
    panel.save()
    assert panel.test("anthropic").state == "ok"


def test_every_vendor_has_a_link_to_its_key_a_price_and_a_test(panel: KeyPanel) -> None:
    for vendor in TABLE:
        about = panel._about[vendor].value
        assert "href='https://" in about and ("USD" in about or "free" in about)
    assert len(panel._tests) == len(TABLE) == 6


def test_the_panel_speaks_spanish_and_so_do_the_answers(tmp_path: Path) -> None:
    panel = KeyPanel(tmp_path / ".env", language="es")
    assert panel.status("deepgram") == "todavía sin llave" and panel._buttons["clear"].description == "Borrar"
    panel.set("anthropic", SECRET)
    panel.test("anthropic")
    assert panel.status("anthropic").startswith("✗ Anthropic rechaza la llave (HTTP 401). Cópiala de nuevo")
    panel.speak("en")
    assert panel.status("anthropic").startswith("✗ Anthropic refuses the key (HTTP 401). Copy it again")


def test_forgetting_empties_the_panel(panel: KeyPanel) -> None:
    panel.set("deepgram", SECRET)
    panel.clear()
    assert panel.entered == () and SECRET not in saved_state(panel)


def test_an_unknown_vendor_is_named(panel: KeyPanel) -> None:
    with pytest.raises(SettingsError, match="acme"):
        panel.set("acme", "test-key")


def test_the_first_notebook_stores_no_output_of_the_panel() -> None:
    notebook = json.loads((Path(__file__).parents[2] / "notebooks" / "00_start_here.ipynb").read_text("utf-8"))
    (cell,) = [c for c in notebook["cells"] if "KeyPanel()" in "".join(c["source"])]
    assert cell["outputs"] == [] and "nbval-ignore-output" in cell["metadata"]["tags"]
    assert "widgets" not in notebook["metadata"]
