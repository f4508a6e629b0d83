"""Access: who may see the page. Token, cookie, Host and Origin, in one place."""

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
HEALTH_PATH, PAGE_PATH = "/healthz", "/"
_COOKIE_DAYS = 30
_HOST: Final = re.compile(r"(?P<name>\[[0-9A-Za-z:.%]+\]|[0-9A-Za-z._~-]+)(?::[0-9]{0,5})?", re.ASCII)
"""A Host header: a name or an address, and maybe a port; never a user."""
_ORIGIN: Final = re.compile(rf"[a-z][a-z0-9+.-]*://(?P<host>{_HOST.pattern})", re.ASCII | re.IGNORECASE)
_OPAQUE_ORIGIN: Final = "null"
"""What browsers send for a page without an address."""
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
    """Return a token that nobody guesses."""
    return secrets.token_urlsafe(18)


def require_good_token(token: str) -> str:
    """Return it.

    Raises:
        ConfigError: it is too short to protect anything, or does not pass through an HTTP header. Never shows it.
    """
    if len(token) < MIN_TOKEN_LENGTH:
        raise ConfigError(
            f"the token for --serve has {len(token)} characters, expected at least {MIN_TOKEN_LENGTH}. "
            "Fix: a longer --serve-token or FER_SERVE_TOKEN, or none, and one is made"
        )
    if not all("!" <= character <= "~" for character in token):
        raise ConfigError(
            "the token for --serve holds spaces, control or other characters than ASCII. "
            "Fix: letters and digits in --serve-token or FER_SERVE_TOKEN"
        )
    return token


class Access:
    """Judges requests before any handler sees them; stateless, so that a page outlives the server's restart."""

    def __init__(self, token: str | None, host: str, port: int) -> None:
        """Guard a server that listens at `host`; without a token everyone who reaches it may see it."""
        self._token = token
        self._is_loopback = is_loopback(host)
        self._cookie_name = f"fer_live_{port}"  # cookies know no ports: two loops on one machine must not collide
        self._cookie = hmac.new((token or "").encode(), b"fer-deploy live page", hashlib.sha256).hexdigest()

    def query(self) -> str:
        """Return what the page's address needs after the path, or nothing."""
        return "" if self._token is None else f"?token={quote(self._token, safe='')}"

    @web.middleware
    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let a request through, or answer it with what is missing."""
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
        """Refuse a WebSocket that another site's page opens: browsers send cookies along, and CORS does not apply.

        Raises:
            HTTPForbidden: the browser names another origin. Programs name none.
        """
        origin = request.headers.get("Origin")
        if origin is None:
            return
        found = _ORIGIN.fullmatch(origin)
        if found is None or found["host"].lower() != request.headers.get("Host", "").lower():
            raise _other_origin()

    def _require_sound_origin(self, request: web.Request) -> None:
        """Refuse an Origin header that no browser sends, on every path."""
        origin = request.headers.get("Origin", _OPAQUE_ORIGIN)
        if origin != _OPAQUE_ORIGIN and _ORIGIN.fullmatch(origin) is None:
            raise _other_origin()

    def _require_host(self, request: web.Request) -> None:
        """Refuse a Host header that is none, and defend a loopback server against DNS rebinding.

        DNS rebinding: a name that an attacker's DNS points at 127.0.0.1.
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
        """Keep the right in a cookie, and the token out of history, bookmarks and screenshots."""
        response = web.Response(status=303, headers={"Location": PAGE_PATH})
        response.set_cookie(  # Lax, for Strict would not survive the redirect when the address came in a chat
            self._cookie_name, self._cookie, max_age=_COOKIE_DAYS * 86_400, httponly=True, samesite="Lax", path="/"
        )
        return response


async def add_security_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Forbid foreign code, framing, sniffing, referrers and caches; on every answer, errors too.

    A connection that has not shown the token, and one whose request failed, ends with its answer.
    """
    response.headers.update(SECURITY_HEADERS)
    if response.status >= 400 or not cast(Client, request.protocol).is_known:
        response.force_close()
        response.headers["Connection"] = "close"
    response.headers.popall("Server", None)


def _is_same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode())


def _other_origin() -> web.HTTPForbidden:
    return web.HTTPForbidden(text="403: this page may be watched from its own address only.\n")
