"""Addresses without what nobody may read: user, password, and secrets among the query's values."""

import re
from typing import Final, NamedTuple
from urllib.parse import unquote

_HEAD: Final = re.compile(r"[^\s:/@]*(?::/+|//+)")
"""A scheme with its `://`, and what a slip of the finger makes of that."""
_PLAIN_HOST: Final = re.compile(r"(\[[^\]]*\]|[^:@\[\]]*)(:\d*)?")
_RAW_FRAMES: Final = re.compile(r"raw:(?:\d+x\d+|WIDTHxHEIGHT\[)@")
_SECRET_VALUES: Final = (
    re.compile(
        r"([?&;](?:[^=&;#]*(?:pass|pwd|psw|token|key|secret|auth|sig|cred|code)[^=&;#]*|pw|pin|p)=)([^&;#\s]*)",
        re.IGNORECASE,
    ),
    # As in rtsp://camera/user=admin_password=xxx_channel=1_stream=0.sdp
    re.compile(r"([/_](?:pass\w*?|pwd|psw|pw|pin)=)(.*?)(?=_[a-z]+=|[?&;#\s]|$)", re.IGNORECASE),
)
_PLACEHOLDER: Final = "user:password@"
"""What our own messages show as an example."""
_HIDDEN: Final = "***"


class _Parts(NamedTuple):
    """An address apart: what stands before the login, the login if there is one, and all behind its @."""

    head: str
    login: str
    rest: str


def without_password(address: str) -> str:
    """Return an address with user and password, and values of its query such as token=, replaced by ***.

    Where a password that is not escaped makes it doubtful how far it reaches, more is hidden rather than less. So too
    where the scheme is misspelt or missing.
    """
    head, login, rest = _parts(address)
    if not head and not login:
        return address
    for pattern in _SECRET_VALUES:
        rest = pattern.sub(rf"\1{_HIDDEN}", rest)
    return f"{head}{_HIDDEN}@{rest}" if login else f"{head}{rest}"


def _parts(address: str) -> _Parts:
    found = _HEAD.match(address)
    head = found[0] if found else ""
    rest = address[len(head) :]
    host = re.split(r"[/?#]", rest, maxsplit=1)[0]
    login, at, behind = rest.rpartition("@")
    is_login = bool(at) and not _PLAIN_HOST.fullmatch(host)
    if not head.endswith("://"):  # it may be the name of a file
        is_login = is_login and ":" in login and not _RAW_FRAMES.match(address)
    return _Parts(head, login, behind) if is_login else _Parts(head, "", rest)


def without_passwords(text: str) -> str:
    """Return a message with every address in it as `without_password` shows it."""
    return re.sub(r"[^\s'\"]+", lambda word: _shown(word[0]), text)


def _shown(word: str) -> str:
    return word if _PLACEHOLDER in word else without_password(word)


def secrets_of(address: str) -> list[str]:
    """Return what `without_password` hides, also as it reads unescaped; the longest first."""
    head, login, rest = _parts(address)
    found = [login, login.partition(":")[2]]
    if head or login:
        found += [value for pattern in _SECRET_VALUES for _, value in pattern.findall(rest)]
    return sorted({text for value in found for text in (value, unquote(value)) if text}, key=len, reverse=True)


def redacted(text: str, address: str) -> str:
    """Return a message of FFmpeg or a driver without the secrets of the address that it may quote."""
    text = text.replace(address, without_password(address))
    for secret in secrets_of(address):
        text = text.replace(secret, _HIDDEN)
    return text
