#!/usr/bin/env bash
# distributed 2026.8.0: `Client.get_executor()` is documented as «an Executor object that's fully compatible with the
# concurrent.futures API», and it is a subclass of `concurrent.futures.Executor`. Two promises of that API do not hold. Calls
# that are equal (same function, same arguments) are run once, and all of their futures have that one result: calls are taken
# for pure unless the executor is made with `pure=False`, which neither docstring names. So five draws of a random number are
# one number, and `map` over equal items gives equal answers. And `Future.cancel()` returns True while the call is running,
# where the API says «cannot be cancelled and the method will return False»; the call goes on to its end, and what it does is done.
# Seen: «five equal submits: 5 results in a ProcessPoolExecutor, 1 by Dask, 5 by Dask with pure=False» and «cancelled while
# it runs: True; it goes on to its end: True».
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "distributed==2026.8.0"
cat > "$folder/look.py" <<'PY'
import concurrent.futures
import logging
import random
import sys
import time
from pathlib import Path

import distributed

logging.disable(logging.CRITICAL)
WAIT_S = 60.0


def draw():
    return random.random()


def work(folder):
    """Says that it has begun, goes on when it may, and says that it has ended."""
    (folder / "begun").touch()
    until(folder / "may_go_on")
    (folder / "ended").touch()


def until(path):
    began = time.monotonic()
    while not path.exists():
        if time.monotonic() - began > WAIT_S:
            raise SystemExit(f"{path.name}: not within {WAIT_S:.0f} s")
        time.sleep(0.05)


def different(executor):
    return len({future.result() for future in [executor.submit(draw) for _ in range(5)]})


def main(folder):
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        usual = different(pool)
    cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    with cluster, distributed.Client(cluster) as client:
        executor = client.get_executor()
        assert isinstance(executor, concurrent.futures.Executor)
        by_dask, impure = different(executor), different(client.get_executor(pure=False))
        future = executor.submit(work, folder)
        until(folder / "begun")
        cancelled = future.cancel()
        (folder / "may_go_on").touch()
        until(folder / "ended")
    print("distributed", distributed.__version__)
    print(
        f"five equal submits: {usual} results in a ProcessPoolExecutor, {by_dask} by Dask, {impure} by Dask with pure=False"
    )
    print(f"cancelled while it runs: {cancelled}; it goes on to its end: {(folder / 'ended').exists()}")
    assert usual == impure == 5, "five draws have been equal by chance"
    assert by_dask == 1, "equal submits are calls of their own by now"
    assert cancelled, "a call that runs is not cancelled by now"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
PY
"$folder/venv/bin/python" "$folder/look.py" "$folder"
