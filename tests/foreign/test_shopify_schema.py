"""Every query of the kit, and the twin's part of the schema, against the whole schemas that Shopify publishes."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
import tarfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from graphql import GraphQLSchema, build_client_schema, build_schema, parse, validate
from graphql.validation import NoDeprecatedCustomRule

from clara_kit.shop.queries import API_VERSION, QUERIES
from clara_kit.world.twins.shopify.graph import SCHEMA_FILE
from clara_kit.world.twins.shopify.twin import VERSIONS

PACKAGE = "@shopify/dev-mcp@1.16.0"  # ISC; the introspection of each version, in dist/data
ROOT = Path(__file__).parents[2]
KEPT = ROOT / "build" / "foreign" / "shopify"


@pytest.fixture(scope="module")
def published() -> Path:
    """A folder with the published schemas; skips where there is no npm or no package registry."""
    if all((KEPT / _file(version)).is_file() for version in VERSIONS):
        return KEPT
    if shutil.which("npm") is None:
        pytest.skip("npm is missing: Shopify's schemas were not compared (Debian: apt-get install npm)")
    KEPT.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        ["npm", "pack", PACKAGE, "--silent"], cwd=KEPT, capture_output=True, text=True, timeout=110, check=False
    )
    if done.returncode != 0:
        pytest.skip("npm could not fetch Shopify's schemas (no package registry?)")
    packed = KEPT / done.stdout.split()[-1]
    with tarfile.open(packed) as tar:
        for version in VERSIONS:
            inside = tar.extractfile(f"package/dist/data/{_file(version)}")
            assert inside is not None
            (KEPT / _file(version)).write_bytes(inside.read())
    packed.unlink()
    return KEPT


def _file(version: str) -> str:
    return f"admin_{version}.json.gz"


@cache
def introspection(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()))
    return found


@cache
def schema(path: Path) -> GraphQLSchema:
    # Without assume_valid graphql-core stumbles over Node.id, which is deprecated in some objects only.
    return build_client_schema(introspection(path)["data"], assume_valid=True)


@cache
def served() -> GraphQLSchema:
    return build_schema(SCHEMA_FILE.read_text(encoding="utf-8"))


@pytest.mark.parametrize("version", VERSIONS)
def test_every_query_of_the_kit_is_valid_in_every_version_that_is_served(published: Path, version: str) -> None:
    assert len(QUERIES) >= 9
    wrong = {
        name: [e.message for e in validate(schema(published / _file(version)), parse(text))]
        for name, text in QUERIES.items()
    }
    assert wrong == {name: [] for name in QUERIES}


def test_no_query_of_the_kit_asks_for_what_is_deprecated(published: Path) -> None:
    now = schema(published / _file(API_VERSION))
    for name, text in QUERIES.items():
        assert not validate(now, parse(text), [NoDeprecatedCustomRule]), name


def test_the_comparison_would_notice_a_wrong_field(published: Path) -> None:
    now = schema(published / _file(API_VERSION))
    assert validate(now, parse('{ customer(id: "x") { skinType } }'))
    assert validate(served(), parse('{ customer(id: "x") { skinType } }'))
    assert validate(now, parse('{ customer(id: "x") { email } }'), [NoDeprecatedCustomRule])


def test_the_committed_part_is_what_the_script_makes_of_the_published_schema(published: Path) -> None:
    script = ROOT / ".ci" / "prune_shopify_schema.py"
    made = subprocess.run(
        [sys.executable, str(script), str(published / _file("2026-10"))], capture_output=True, text=True, check=True
    )
    assert made.stdout == SCHEMA_FILE.read_text(encoding="utf-8")


@pytest.mark.parametrize("version", VERSIONS)
def test_the_twin_promises_nothing_that_a_version_does_not(published: Path, version: str) -> None:
    theirs = schema(published / _file(version)).type_map
    compared = 0
    for name, mine in served().type_map.items():
        if name.startswith("__"):
            continue
        assert type(mine) is type(theirs[name]), name
        assert set(getattr(mine, "values", ())) <= set(getattr(theirs[name], "values", ())), name
        for field, kind in getattr(mine, "fields", {}).items():
            other = theirs[name].fields[field]  # type: ignore[attr-defined]
            assert str(kind.type) == str(other.type), f"{name}.{field}"
            args = {a: str(arg.type) for a, arg in getattr(kind, "args", {}).items()}
            assert args == {a: str(arg.type) for a, arg in getattr(other, "args", {}).items() if a in args}
            compared += 1
    assert compared > 100


def test_the_scopes_are_those_that_the_package_names(published: Path) -> None:
    items = introspection(published / _file("2026-10"))["offline_scopes"]["items"]
    needed = {i["typeName"]: i["offlineScopes"] for i in items if i["type"] == "type"}
    assert needed["Customer"] == ["read_customers"] and needed["Product"] == ["read_products"]
    assert needed["Order"] == ["read_orders", "read_marketplace_orders", "read_quick_sale"]
