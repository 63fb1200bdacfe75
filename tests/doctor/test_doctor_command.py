"""`clara doctor` and `clara new` as a person types them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clara_kit.cli import main
from clara_kit.cli import new as new_module
from clara_kit.cli.new import slug, write_notebook
from clara_kit.core.errors import ClaraError
from clara_kit.doctor import machine
from clara_kit.world.answers import AnswerBook
from clara_kit.world.latency import LatencyProfile
from clara_kit.world.twins.anthropic.twin import AnthropicTwin
from clara_kit.world.twins.base import TwinContext
from clara_kit.world.twins.server import TwinServer
from clara_kit.world.twins.shopify.graph import Access
from clara_kit.world.twins.shopify.twin import ShopifyTwin

ROOT = Path(__file__).parents[2]
VENDORS = ("DEEPGRAM", "ANTHROPIC", "LIVEAVATAR", "HEYGEN", "ELEVENLABS")


@pytest.fixture(autouse=True)
def a_machine_without_keys_or_internet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("")
    (tmp_path / ".env").chmod(0o600)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    for vendor in VENDORS:
        monkeypatch.delenv(f"{vendor}_API_KEY", raising=False)
        monkeypatch.setenv(f"{vendor}_BASE_URL", "http://127.0.0.1:9")
    for name in ("SHOP", "ADMIN_TOKEN", "CLIENT_ID", "CLIENT_SECRET", "BASE_URL"):
        monkeypatch.delenv(f"SHOPIFY_{name}", raising=False)


@pytest.fixture
def anthropic(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A key, and a second twin that plays the live vendor."""
    twin = AnthropicTwin(TwinContext(profile=LatencyProfile.load("fast")), AnswerBook.load())
    with TwinServer([twin]) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.addresses["anthropic"]["base_url"])
        monkeypatch.setenv("ANTHROPIC_API_KEY", "test-key")
        yield


def test_without_keys_or_internet_the_doctor_says_what_works_and_ends_well(capsys: Any) -> None:
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    for words in ("Python and packages", "Keys", "Reachability", "Models", "Offline world"):
        assert words in said
    assert "twins work without" in said and "DEEPGRAM_API_KEY is not set" in said
    assert "make demo" in said.split("What works now")[1]
    assert "https://console.deepgram.com" in said.split("What to do for the rest")[1]


def test_a_broken_offline_world_ends_with_one_and_says_what_to_do(capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def mute() -> str:
        raise OSError("the library of the voice is missing")

    monkeypatch.setattr(machine, "_voice", mute)
    assert main(["doctor", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] is False and any("make clean" in line for line in told["todo"])
    assert not any("make demo" in line for line in told["works"])


def test_json_is_all_that_is_printed_and_holds_no_key(capsys: Any, anthropic: None) -> None:
    assert main(["doctor", "--json"]) == 0
    out = capsys.readouterr().out
    told = json.loads(out)
    assert {"ok", "findings", "works", "todo"} <= told.keys() and "test-key" not in out
    states = {(f["group"], f["name"]): f["state"] for f in told["findings"]}
    assert states[("Reachability", "Anthropic")] == "ok" and states[("Keys", "Deepgram")] == "absent"


def test_live_without_any_key_has_nothing_to_try(capsys: Any) -> None:
    assert main(["doctor", "--live"]) == 0
    assert "nothing to try live" in capsys.readouterr().out


def test_live_names_the_price_and_spends_nothing_unless_agreed(capsys: Any, anthropic: None) -> None:
    assert main(["doctor", "--live"]) == 1
    said = capsys.readouterr().out
    assert "USD" in said and "Nothing was spent" in said and "left out, for want of a key: Deepgram" in said
    assert "What each vendor made of it" not in said


def test_live_lays_the_messages_beside_the_twins(capsys: Any, anthropic: None) -> None:
    assert main(["doctor", "--live", "--yes"]) == 0
    said = capsys.readouterr().out
    assert "ok model:" in said and "skipped voice: no key" in said
    assert "content_block_delta" in said and "The twins' messages have the fields and types" in said
    assert "test-key" not in said


def test_live_with_a_wrong_key_ends_with_one(capsys: Any, anthropic: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "wrong-key")
    assert main(["doctor", "--live", "--yes", "--json"]) == 1
    out = capsys.readouterr().out
    told = json.loads(out)["live"]
    assert [s["state"] for s in told["steps"]] == ["skipped", "skipped", "failed", "skipped"]
    assert "ANTHROPIC_API_KEY" in told["steps"][2]["text"] and "wrong-key" not in out
    assert any(d["kind"] == "401 /v1/messages" and d["verdict"] == "missing in twin" for d in told["differences"])


def test_a_new_notebook_has_its_title_and_a_plain_file_name(tmp_path: Path) -> None:
    path = write_notebook("Año «nuevo»: ¿saludo *breve*?", tmp_path / "mine")
    assert path.name == "ano-nuevo-saludo-breve.ipynb"
    first = json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"][0]
    assert first == "# Año «nuevo»: ¿saludo \\*breve\\*?\n"


def test_a_new_notebook_never_takes_the_place_of_another(tmp_path: Path) -> None:
    first = write_notebook("mine", tmp_path)
    first.write_text("my work", encoding="utf-8")
    assert write_notebook("Mine!", tmp_path).name == "mine-2.ipynb"
    assert first.read_text(encoding="utf-8") == "my work"


@pytest.mark.parametrize(
    ("title", "name"), [("../../etc", "etc"), ("¿?", "notebook"), ("x" * 200, "x" * 60), ("CON", "con")]
)
def test_no_title_leads_out_of_the_folder(title: str, name: str, tmp_path: Path) -> None:
    assert slug(title) == name
    assert write_notebook(title, tmp_path).parent == tmp_path


def test_a_notebook_without_a_title_is_refused_with_an_example(tmp_path: Path) -> None:
    with pytest.raises(ClaraError, match="needs a title"):
        write_notebook("  ", tmp_path)


def test_clara_new_prints_where_it_is_and_how_to_open_it(
    capsys: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(new_module, "DATA", tmp_path / "data")
    assert main(["new", "Greeting"]) == 0
    path, how = capsys.readouterr().out.splitlines()
    assert path == str(tmp_path / "notebooks" / "mine" / "greeting.ipynb") and Path(path).is_file()
    assert "clara lab" in how and path in how


def test_the_starter_runs_clean(tmp_path: Path) -> None:
    cells = json.loads(write_notebook("runs", tmp_path).read_text(encoding="utf-8"))["cells"]
    names: dict[str, Any] = {}
    for cell in cells:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            exec("".join(cell["source"]), names)
    assert "mine" not in str(cells) and names["run"].turns.height >= 2


def test_notebooks_of_ones_own_are_seen_by_neither_git_nor_the_tests(tmp_path: Path) -> None:
    path = "notebooks/mine/any.ipynb"
    assert subprocess.run(["git", "check-ignore", "-q", path], cwd=ROOT, check=False).returncode == 0
    import tomllib

    options = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"]
    assert "mine" in options["ini_options"]["norecursedirs"]


@pytest.fixture
def a_shop(monkeypatch: pytest.MonkeyPatch) -> Iterator[ShopifyTwin]:
    """A shop is set up, and a twin plays it."""
    twin = ShopifyTwin.of_personas(TwinContext(profile=LatencyProfile.load("fast")))
    with TwinServer([twin]) as server:
        monkeypatch.setenv("SHOPIFY_BASE_URL", server.addresses["shopify"]["base_url"])
        monkeypatch.setenv("SHOPIFY_SHOP", "beta-skincare.myshopify.com")
        monkeypatch.setenv("SHOPIFY_ADMIN_TOKEN", "test-key")
        yield twin


def test_a_shop_that_is_set_up_is_named_with_where_its_settings_come_from_and_no_value(
    capsys: Any, a_shop: Any
) -> None:
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert "SHOPIFY_SHOP from the environment" in said and "test-key" not in said
    assert "Shopify live, if it takes the key" in said


def test_live_asks_the_shop_for_its_scopes_and_costs_nothing(capsys: Any, a_shop: ShopifyTwin) -> None:
    assert main(["doctor", "--live"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Beta Skincare" in said and "read_customers" in said and "API 2026-10" in said
    a_shop.access = Access(scopes=frozenset({"read_customers", "read_products"}))
    assert main(["doctor", "--live"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "read_orders is missing" in said and "going_live.md" in said


def test_live_with_a_wrong_token_ends_with_one_and_says_what_to_do(
    capsys: Any, a_shop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOPIFY_ADMIN_TOKEN", "wrong-token")
    assert main(["doctor", "--live"]) == 1
    said = capsys.readouterr().out
    assert "Shopify refused the token" in said and "SHOPIFY_ADMIN_TOKEN" in said and "wrong-token" not in said
