"""Access: decide who may see the page, by token, cookie, Host and Origin."""

import hashlib
import hmac
import re
import secrets
from typing import Final, cast
from urllib.parse import quote

from aiohttp import web
from aiohttp.typedefs import Handler

from fer_deploy.errors import ConfigError
from fer_deploy.live.serve.address import is_loopback
from fer_deploy.live.serve.slots import Client

MIN_TOKEN_LENGTH = 8
HEALTH_PATH, PAGE_PATH, EVENTS_PATH = "/healthz", "/", "/events"
_COOKIE_DAYS = 30
_HOST: Final = re.compile(r"(?P<name>\[[0-9A-Za-z:.%]+\]|[0-9A-Za-z._~-]+)(?::[0-9]{0,5})?", re.ASCII)
"""A Host header: a name or an address, with an optional port, and no user."""
_ORIGIN: Final = re.compile(rf"[a-z][a-z0-9+.-]*://(?P<host>{_HOST.pattern})", re.ASCII | re.IGNORECASE)
_OPAQUE_ORIGIN: Final = "null"
"""The Origin that browsers send for a page without a URL."""
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}


def new_token() -> str:
    """Return a random token."""
    return secrets.token_urlsafe(18)


def require_good_token(token: str) -> str:
    """Return `token` after checking it.

    Raises:
        ConfigError: it is too short, or has characters that an HTTP header cannot carry. The text hides the token.
    """
    if len(token) < MIN_TOKEN_LENGTH:
        raise ConfigError(
            f"the token for --serve has {len(token)} characters, expected at least {MIN_TOKEN_LENGTH}. "
            "Fix: a longer --serve-token or FER_SERVE_TOKEN, or none, and one is generated"
        )
    if not all("!" <= character <= "~" for character in token):
        raise ConfigError(
            "the token for --serve contains spaces, control characters or non-ASCII characters. "
            "Fix: letters and digits in --serve-token or FER_SERVE_TOKEN"
        )
    return token


class Access:
    """Checks requests before any handler runs. It is stateless, so an open page survives a restart of the server."""

    def __init__(self, token: str | None, host: str, port: int) -> None:
        """Guard a server that listens at `host`. Without a token everyone who can reach it may see the page."""
        self._token = token
        self._is_loopback = is_loopback(host)
        self._cookie_name = f"fer_live_{port}"  # cookies ignore ports: two loops on one machine must not collide
        self._cookie = hmac.new((token or "").encode(), b"fer-deploy live page", hashlib.sha256).hexdigest()

    def query(self) -> str:
        """Return the query of the page's URL; empty without a token."""
        return "" if self._token is None else f"?token={quote(self._token, safe='')}"

    @web.middleware
    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Pass a request to its handler, or answer with the reason for the refusal."""
        self._require_host(request)
        self._require_sound_origin(request)
        if self._token is None or self._knows_token(request):
            cast(Client, request.protocol).is_known = True
            return await handler(request)
        if request.path == HEALTH_PATH:
            return await handler(request)
        if request.path == PAGE_PATH and _is_same(request.query.get("token", ""), self._token):
            return self._welcome()
        raise web.HTTPUnauthorized(
            text="401: the token is missing or wrong. Open the address that fer-deploy live printed, or send it as "
            "'Authorization: Bearer TOKEN'.\n",
            headers={"WWW-Authenticate": "Bearer"},
        )

    def require_same_origin(self, request: web.Request) -> None:
        """Refuse a WebSocket or a POST of another site's page: browsers send cookies with it, and CORS does not apply.

        Raises:
            HTTPForbidden: the request has another origin. Programs other than browsers send none.
        """
        origin = request.headers.get("Origin")
        if origin is None:
            return
        found = _ORIGIN.fullmatch(origin)
        if found is None or found["host"].lower() != request.headers.get("Host", "").lower():
            raise _other_origin()

    def _require_sound_origin(self, request: web.Request) -> None:
        """Refuse a malformed Origin header, on every path."""
        origin = request.headers.get("Origin", _OPAQUE_ORIGIN)
        if origin != _OPAQUE_ORIGIN and _ORIGIN.fullmatch(origin) is None:
            raise _other_origin()

    def _require_host(self, request: web.Request) -> None:
        """Refuse a malformed Host header, and protect a loopback server against DNS rebinding.

        In DNS rebinding an attacker's DNS resolves a name to 127.0.0.1.
        """
        host = request.headers.get("Host", "")
        found = _HOST.fullmatch(host)
        if host and found is None:
            raise web.HTTPBadRequest(text="400: the Host header is malformed.\n")
        if self._is_loopback and not is_loopback("" if found is None else found["name"].strip("[]")):
            raise web.HTTPForbidden(text="403: this server answers to localhost and 127.0.0.1 only.\n")

    def _knows_token(self, request: web.Request) -> bool:
        scheme, _, credential = request.headers.get("Authorization", "").partition(" ")
        by_header = scheme.lower() == "bearer" and _is_same(credential.strip(), self._token or "")
        return by_header or _is_same(request.cookies.get(self._cookie_name, ""), self._cookie)

    def _welcome(self) -> web.Response:
        """Set the cookie and redirect to the page: the token stays out of history, bookmarks and screenshots."""
        response = web.Response(status=303, headers={"Location": PAGE_PATH})
        response.set_cookie(  # Lax: browsers would not send a Strict cookie after a link from a chat
            self._cookie_name, self._cookie, max_age=_COOKIE_DAYS * 86_400, httponly=True, samesite="Lax", path="/"
        )
        return response


async def add_security_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Forbid foreign code, framing, sniffing, referrers and caches in every response, including errors.

    A connection without the token, or with a failed request, is closed after its response.
    """
    response.headers.update(SECURITY_HEADERS)
    if response.status >= 400 or not cast(Client, request.protocol).is_known:
        response.force_close()
        response.headers["Connection"] = "close"
    response.headers.popall("Server", None)


def _is_same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode())


def _other_origin() -> web.HTTPForbidden:
    return web.HTTPForbidden(text="403: this page may be opened from its own address only.\n")
