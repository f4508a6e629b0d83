"""Addresses without what nobody may read: user, password, and secrets among the query's values."""

import re
from urllib.parse import unquote

_PLAIN_HOST = re.compile(r"(\[[^\]]*\]|[^:@\[\]]*)(:\d*)?")
_SECRET_VALUE = re.compile(
    r"([?&;][^=&;#]*(?:pass|pwd|psw|token|key|secret|auth|sig|cred|code)[^=&;#]*=)([^&;#\s]*)", re.IGNORECASE
)
_HIDDEN = "***"
_HIDDEN_VALUE = rf"\1{_HIDDEN}"


def without_password(address: str) -> str:
    """Return a URL with user and password, and values of its query such as token=, replaced by ***.

    Where a password that is not escaped makes it doubtful how far it reaches, more is hidden rather than less.
    """
    scheme, separator, rest = address.partition("://")
    if not separator:
        return address
    host = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "@" in rest and not _PLAIN_HOST.fullmatch(host):
        rest = f"{_HIDDEN}@{rest.rpartition('@')[2]}"
    return f"{scheme}://{_SECRET_VALUE.sub(_HIDDEN_VALUE, rest)}"


def secrets_of(address: str) -> list[str]:
    """Return what `without_password` hides, also as it reads unescaped; the longest first."""
    _, separator, rest = address.partition("://")
    if not separator:
        return []
    found = [value for _, value in _SECRET_VALUE.findall(rest)]
    host = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "@" in rest and not _PLAIN_HOST.fullmatch(host):
        login = rest.rpartition("@")[0]
        found += [login, login.partition(":")[2]]
    return sorted({text for value in found for text in (value, unquote(value)) if text}, key=len, reverse=True)


def redacted(text: str, address: str) -> str:
    """Return a message of FFmpeg or a driver without the secrets of the address that it may quote."""
    text = text.replace(address, without_password(address))
    for secret in secrets_of(address):
        text = text.replace(secret, _HIDDEN)
    return text
