"""What a request must be before anything looks at it, and what every answer carries. No framework is needed for that.

Nothing is sent by a browser by itself (no cookies), so no other site can ask in the user's name; the rest is a second
wall: the Host must be ours, with the port; Origin and Sec-Fetch-Site must be ours or absent, but for a link to `/`.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterable
from typing import NamedTuple

Header = tuple[bytes, bytes]

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types whowas-layout"
)
ALWAYS: tuple[Header, ...] = (
    (b"content-security-policy", CSP.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    (b"cache-control", b"no-store"),
)
"""On every answer, errors too."""
METHODS = ("GET", "HEAD", "POST")
API = "/api/"
ONCE = frozenset(
    (b"host", b"origin", b"sec-fetch-site", b"authorization", b"content-type", b"content-length", b"transfer-encoding")
)
"""Two of these could be read as one thing by us, and as another by whoever stands between."""
MOST_BODY = 64 * 1024
MOST_PATH = 2048


class Refusal(NamedTuple):
    """Why a request is not looked at. more: headers."""

    status: int
    why: str
    more: tuple[Header, ...] = ()


def new_token() -> str:
    """32 random bytes, as text for a URL."""
    return secrets.token_urlsafe(32)


class Guard:
    """Says whether a request may pass.

    Args: hosts: HOST:PORT, as a browser writes them. token: for everything below /api/.
    """

    def __init__(self, hosts: Iterable[str], token: str) -> None:
        self._hosts = frozenset(one.lower().encode() for one in hosts)
        self._token = token.encode()

    def refusal(self, method: str, path: str, headers: Iterable[Header]) -> Refusal | None:
        """Return why not, None if it may."""
        told: dict[bytes, bytes] = {}
        for name, value in headers:
            if name.lower() in ONCE and name.lower() in told:
                return Refusal(400, f"there are two headers {name.lower().decode('latin-1')}")
            told[name.lower()] = value
        return (
            self._place(told, method in ("GET", "HEAD") and path == "/" and _leads(told))
            or self._method(method)
            or _too_long(path)
            or (self._data(method, told) if path.startswith(API) else None)
        )

    def _place(self, told: dict[bytes, bytes], leads: bool) -> Refusal | None:
        host = told.get(b"host", b"").lower()
        if host not in self._hosts:
            return Refusal(421, "this is not served under that name; open the URL that whowas serve printed")
        origin = told.get(b"origin")
        if origin is not None and origin.lower() != b"http://" + host:
            return Refusal(403, "other pages may not ask here")
        if told.get(b"sec-fetch-site", b"none") not in (b"same-origin", b"none") and not leads:
            return Refusal(403, "other pages may not ask here, nor show this in themselves")
        return None

    @staticmethod
    def _method(method: str) -> Refusal | None:
        if method in METHODS:
            return None
        return Refusal(405, "only GET, HEAD and POST are known", ((b"allow", ", ".join(METHODS).encode()),))

    def _data(self, method: str, told: dict[bytes, bytes]) -> Refusal | None:
        word, _, given = told.get(b"authorization", b"").partition(b" ")
        same = hmac.compare_digest(given.strip(), self._token)
        if word.lower() != b"bearer" or not same:
            return Refusal(401, "the token is missing or wrong", ((b"www-authenticate", b"Bearer"),))
        if method == "POST" and told.get(b"content-type", b"").partition(b";")[0].strip() != b"application/json":
            return Refusal(415, "questions are application/json")
        length = told.get(b"content-length", b"0")
        if not length.isdigit() or len(length) > 18 or int(length) > MOST_BODY:
            return Refusal(413, f"a question has at most {MOST_BODY} bytes")
        return None


def _leads(told: dict[bytes, bytes]) -> bool:
    """Does a link elsewhere lead a whole tab here? The document holds no data, and its tab no token of another's."""
    return told.get(b"sec-fetch-mode") == b"navigate" and told.get(b"sec-fetch-dest") == b"document"


def _too_long(path: str) -> Refusal | None:
    return Refusal(404, "there is nothing here") if len(path) > MOST_PATH else None
