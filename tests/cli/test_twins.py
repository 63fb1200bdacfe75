"""`clara twins`: every vendor's twin at one port, for any client."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import httpx
import pytest


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT for one process alone")
def test_one_line_says_where_every_twin_is_and_an_interrupt_ends_it() -> None:
    command = [sys.executable, "-m", "clara_kit", "twins", "--port", "0", "--latency", "fast"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            addresses = json.loads(process.stdout.readline())
            assert set(addresses) == {"deepgram", "anthropic", "elevenlabs", "liveavatar", "heygen", "shopify"}
            url = addresses["shopify"]["base_url"] + "/admin/api/2026-10/graphql.json"
            query = "{ customers(first: 250) { nodes { id } } products(first: 250) { nodes { id } } }"
            answer = httpx.post(url, json={"query": query}, headers={"X-Shopify-Access-Token": "test-key"})
            held = answer.json()["data"]
            assert len(held["customers"]["nodes"]) >= 15 and len(held["products"]["nodes"]) >= 40
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
