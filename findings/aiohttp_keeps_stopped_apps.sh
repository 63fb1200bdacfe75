#!/usr/bin/env bash
# aiohttp 3.14.5: a server that has been stopped and cleaned up is not let go. An application that has a middleware (and no
# sub-application) looks up how its handler is wrapped in a cache of 1,024 entries that is the module's, not the application's,
# and whose keys are the handler and the application. So for each handler that was asked at least once the process holds the
# application, and where the handler is a bound method its object and all that hangs on it, until 1,024 other handlers have
# been asked. A test suite or notebook that starts one server after the other keeps them all; without a middleware, or where
# no request ever came, they go.
# Seen: «of 20 servers that were stopped, still held: 20 with a middleware, 0 without one, 0 that nobody asked» and «after
# the module's cache was cleared: 0».
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "aiohttp==3.14.5"
cat > "$folder/look.py" <<'PY'
import asyncio
import gc
import weakref

import aiohttp
from aiohttp import web

SERVERS = 20


class Shop:
    """What a server is about; its handler is a method of it."""

    async def answer(self, request):
        return web.Response(text="ok")


@web.middleware
async def passes_on(request, handler):
    return await handler(request)


async def serve(middlewares, asks):
    shop = Shop()
    app = web.Application(middlewares=middlewares)
    app.router.add_get("/", shop.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    if asks:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/") as response:
            assert await response.text() == "ok"
    await runner.cleanup()
    return weakref.ref(shop)


def held(middlewares=(), *, asks=True):
    shops = [asyncio.run(serve(middlewares, asks)) for _ in range(SERVERS)]
    gc.collect()
    return shops, sum(shop() is not None for shop in shops)


with_one, many = held([passes_on])
_, none = held()
_, unasked = held([passes_on], asks=False)
print("aiohttp", aiohttp.__version__)
print(f"of {SERVERS} servers that were stopped, still held: {many} with a middleware, {none} without one, {unasked} that nobody asked")
from aiohttp import web_app

web_app._cached_build_middleware.cache_clear()
gc.collect()
left = sum(shop() is not None for shop in with_one)
print(f"after the module's cache was cleared: {left}")
assert many == SERVERS, "what was stopped is let go by now"
assert none == unasked == left == 0, "something else holds them too"
PY
"$folder/venv/bin/python" "$folder/look.py"
