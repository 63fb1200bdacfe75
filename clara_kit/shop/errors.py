"""What went wrong with a request to Shopify, in words: whose fault, whether to try again, what to do.

Used by `fetcher.py`. Reads statuses, headers and bodies that others received. Shopify's own words are never
passed on, for they may quote an address or a token: a message here holds a status, a code, a scope or a
request id, all of them checked. Sources: shopify.dev, response codes, rate limits and access scopes.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from clara_kit.core.errors import FailureKind, ProviderError
from clara_kit.core.outside import request_id
from clara_kit.core.retry import asked_wait_ms

ShopErrorKind = Literal[
    "bad_token", "missing_scope",
    "protected_data",  # the plan or the app's approval keeps customers' data back
    "throttled",
    "frozen",  # the shop's bill is unpaid, or the shop is closed
    "locked", "security", "forbidden",
    "not_found",  # the customer, or the shop
    "server", "timeout", "unreachable", "not_json", "bad_answer",
    "bad_request",  # the query itself is at fault
    "bad_shop_name",
]  # fmt: skip
KINDS: tuple[ShopErrorKind, ...] = get_args(ShopErrorKind)
RETRYABLE: frozenset[ShopErrorKind] = frozenset(("throttled", "server", "timeout", "unreachable"))

_TOKEN_HINT = (
    "check SHOPIFY_ADMIN_TOKEN, or SHOPIFY_CLIENT_ID and SHOPIFY_CLIENT_SECRET, and that they belong to SHOPIFY_SHOP; "
    "a token ends when its app is removed from the shop."
)
_SCOPE_HINT = (
    "give the app the scopes read_customers, read_orders and read_products, then install it in the shop again."
)
_PROTECTED_HINT = (
    "Shopify gives customers' data only to apps that were approved for it: ask for «Protected customer data access» in the "
    "app's settings (API access): level 1 for skin type and concerns, level 2 (not on every plan) for the name."
)
_SAYS: dict[ShopErrorKind, tuple[str, str, FailureKind]] = {
    "bad_token": ("Shopify refused the token", _TOKEN_HINT, "refused"),
    "missing_scope": ("The app lacks a right in the shop", _SCOPE_HINT, "refused"),
    "protected_data": ("Shopify keeps the customer's data back", _PROTECTED_HINT, "refused"),
    "throttled": ("Shopify's rate limit is reached", "wait a moment; another app may be using up the shop's limit.", "rate_limited"),
    "frozen": ("The shop is frozen", "its owner has to settle the account at https://admin.shopify.com.", "refused"),
    "locked": ("The shop is locked", "its owner has to write to Shopify's support.", "refused"),
    "security": ("Shopify's protection against abuse stopped the request", "wait some minutes, and ask from another network if it stays.", "refused"),
    "forbidden": ("Shopify does not allow this", "check the app's scopes and that it is installed in this shop.", "refused"),
    "not_found": ("There is no such shop", "check SHOPIFY_SHOP and SHOPIFY_BASE_URL.", "refused"),
    "server": ("Shopify failed", "try again in a moment; https://www.shopifystatus.com tells more.", "overloaded"),
    "timeout": ("Shopify did not answer in time", "try again; check the network.", "stalled"),
    "unreachable": ("Shopify cannot be reached", "check the network, a proxy or firewall, SHOPIFY_SHOP and SHOPIFY_BASE_URL.", "unreachable"),
    "not_json": ("The answer is not Shopify's JSON", "check SHOPIFY_SHOP and SHOPIFY_BASE_URL, and for a proxy or a page that wants a password.", "protocol"),
    "bad_answer": ("Shopify's answer makes no sense", "check SHOPIFY_BASE_URL, and for a proxy.", "protocol"),
    "bad_request": ("Shopify does not take the query", "SHOPIFY_API_VERSION may be one that this kit's queries were not made for; the default is.", "bad_input"),
    "bad_shop_name": ("That is not the name of a shop", "set SHOPIFY_SHOP to the name that ends in .myshopify.com (Settings, Domains).", "refused"),
}  # fmt: skip
_BY_STATUS: dict[int, ShopErrorKind] = {
    401: "bad_token", 402: "frozen", 403: "forbidden", 404: "not_found", 423: "locked", 429: "throttled", 430: "security",
}  # fmt: skip
_BY_CODE: dict[str, ShopErrorKind] = {
    "THROTTLED": "throttled", "SHOP_INACTIVE": "frozen", "INTERNAL_SERVER_ERROR": "server",
    "MAX_COST_EXCEEDED": "bad_request",
}  # fmt: skip
_CODES = frozenset((*_BY_CODE, "ACCESS_DENIED", "undefinedField", "missingRequiredArguments", "argumentNotAccepted",
                    "argumentLiteralsIncompatible", "variableMismatch", "INVALID_VARIABLE"))  # fmt: skip
SCOPE = re.compile(r"\b(?:read|write|unauthenticated_read)_[a-z_]{2,40}\b")


class ShopError(ProviderError):
    """The shop, or the way to it, failed. `scopes`: which rights are lacking, where that is known.

    wait_ms: how long Shopify asks to wait, None where it does not say.
    """

    def __init__(
        self,
        kind: ShopErrorKind,
        facts: str = "",
        *,
        says: str = "",
        hint: str = "",
        scopes: tuple[str, ...] = (),
        wait_ms: float | None = None,
    ) -> None:
        first, usual_hint, failure = _SAYS[kind]
        super().__init__(
            f"{says or first}{f' ({facts})' if facts else ''}.",
            hint=hint or usual_hint,
            kind=failure,
            retryable=kind in RETRYABLE,
            retry_after_ms=wait_ms,
        )
        self.reason: ShopErrorKind = kind
        """What it is in the shop's own terms; `kind` is the word that events have for it."""
        self.scopes, self.wait_ms = scopes, wait_ms


@dataclass(frozen=True, slots=True)
class Problem:
    """One entry of an answer's `errors`: what it means, which fields it took away, which scopes it names."""

    kind: ShopErrorKind
    fields: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    facts: str = ""

    def error(self, wait_ms: float | None = None) -> ShopError:
        """The same as an error of the whole answer."""
        return ShopError(self.kind, self.facts, scopes=self.scopes, wait_ms=wait_ms)


def from_status(status: int, headers: Mapping[str, str], body: Any) -> ShopError:
    """Any answer that is not a success. `body`: its JSON, or None."""
    kind: ShopErrorKind = _BY_STATUS.get(status) or ("server" if status >= 500 else "bad_request")
    if 300 <= status < 400:
        kind = "not_found"  # a wrong name leads to a page of Shopify's
    scopes = tuple(dict.fromkeys(SCOPE.findall(str(body)[:2000]))) if status == 403 else ()
    found = request_id(headers.get("x-request-id"))
    facts = (f"HTTP {status}", *([f"request {found}"] if found else ()), *scopes)
    wait_ms = asked_wait_ms(headers, time.time())
    return ShopError("missing_scope" if scopes else kind, ", ".join(facts), scopes=scopes, wait_ms=wait_ms)


def problems_of(envelope: dict[str, Any]) -> tuple[Problem, ...]:
    """The entries of `errors`, whatever its shape; empty where there are none."""
    errors = envelope.get("errors")
    if not errors:
        return ()
    if not isinstance(errors, list):
        return (_problem({"message": str(errors)}),)
    return tuple(_problem(e if isinstance(e, dict) else {"message": str(e)}) for e in errors[:50])


def throttle_wait_ms(envelope: dict[str, Any]) -> float | None:
    """How long until the bucket holds what the query costs; inf where it never can; None where it is not said."""
    cost = _at(envelope, "extensions", "cost")
    status = _at(cost, "throttleStatus")
    asked, held = _number(_at(cost, "requestedQueryCost")), _number(_at(status, "currentlyAvailable"))
    most, rate = _number(_at(status, "maximumAvailable")), _number(_at(status, "restoreRate"))
    if asked is None or held is None or not rate or rate < 0:
        return None
    if most is not None and asked > most:
        return float("inf")
    return max(0.0, (asked - held) / rate * 1000)


def cost_of(envelope: dict[str, Any]) -> float | None:
    """The points that a query cost, or would have."""
    cost = _at(envelope, "extensions", "cost")
    actual = _number(_at(cost, "actualQueryCost"))
    return _number(_at(cost, "requestedQueryCost")) if actual is None else actual


def _problem(error: dict[str, Any]) -> Problem:
    message, path = str(error.get("message"))[:500], error.get("path")
    code, id_ = (str(_at(error, "extensions", name) or "") for name in ("code", "requestId"))
    needs = _at(error, "extensions", "requiredAccess")
    scopes: tuple[str, ...] = ()
    if code == "ACCESS_DENIED" or "not approved to" in message or "ccess denied" in message:
        scopes = tuple(dict.fromkeys(SCOPE.findall(f"{needs} {message}"[:1000])))
        kind: ShopErrorKind = "missing_scope" if scopes or needs else "protected_data"
    elif message == "Throttled":
        kind = "throttled"
    else:
        kind = _BY_CODE.get(code) or ("bad_request" if code or "locations" in error else "bad_answer")
    told = [code if code in _CODES else "another code" if code else "no code", *scopes]
    if found := request_id(id_):
        told.append(f"request {found}")
    fields = tuple(p for p in path if isinstance(p, str)) if isinstance(path, list) else ()
    return Problem(kind, fields, scopes, ", ".join(told))


def _at(value: Any, *names: str) -> Any:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _number(value: Any) -> float | None:
    """A finite number, None for anything else."""
    usable = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e12
    return float(value) if usable else None
