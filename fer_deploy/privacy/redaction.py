"""Remove credentials from URLs, and from messages that quote them.

Hidden are the user and password, every value of the query, the fragment, and path segments that look like tokens. A
URL can be ambiguous, as with an unescaped @ / # or ? in the password. Then only the parts that are not secret in any
reading are shown.
"""

import re
from typing import Final, NamedTuple

from fer_deploy.privacy.token_shapes import looks_like_a_token, variants_of

HIDDEN: Final = "***"
ESCAPE_FIX: Final = "in user, password, path and query write @ as %40, / as %2F, # as %23 and ? as %3F"
"""Text after "Fix:" for a URL that `is_ambiguous`."""
_HEAD: Final = re.compile(r"[^\s:/@]*(?::/+|//+)")
"""A scheme with its `://`, also mistyped as rtsp:/ or rtsp//."""
_SCHEMES: Final = frozenset(
    {
        "http",
        "https",
        "rtsp",
        "rtsps",
        "rtmp",
        "rtmps",
        "mqtt",
        "mqtts",
        "srt",
        "udp",
        "tcp",
        "tls",
        "rtp",
        "ws",
        "wss",
        "ftp",
        "ftps",
        "sftp",
        "hls",
        "mms",
    }
)
"""Schemes that mark a URL even if the slashes are wrong; anything else with one slash may be a file name."""
_HOST: Final = re.compile(r"(?:\[[0-9A-Fa-f:.]*(?:%\w+)?\]|[\w.-]*)(?::\d*)?")
_RAW_FRAMES: Final = re.compile(r"raw:(?:\d+x\d+|WIDTHxHEIGHT\[)@")
_NAME: Final = re.compile(r"[A-Za-z_][\w.\[\]-]{0,31}")
_SECRET_NAME: Final = re.compile(
    r"pass|pwd|psw|token|key|secret|auth|sig|cred|code|jwt|session|sid|login|user|usr|account|bearer|^(?:pw|pin|p|tok)$",
    re.IGNORECASE,
)
_SECRET_FOLDER: Final = re.compile(
    r"(?:api|access|auth)?[_-]?(?:pass(?:word|wd)?|pwd|tokens?|keys?|secrets?|auth|jwt|sessions?|sid|login|users?|bearer)",
    re.IGNORECASE,
)
"""A folder whose next segment is secret, as in /token/VALUE/."""
_NAMED_SECRETS: Final = re.compile(r"([?&;/_])(\w+)=([^&;#\s]*)")
_EXAMPLES: Final = frozenset(
    f"mqtt{tls}://{login}host{rest}/topic"
    for tls in ("", "[s]")
    for login, rest in (("user:password@", ""), ("[user:password@]", "[:port]"))
)
"""Example URLs in our own messages; they are not redacted."""
_IN_TEXT: Final = re.compile(
    # A password may hold spaces.
    r"""[^\s'"]*:/+[^\s/?#@:'"]*:(?!\d*(?:[\s/?#'"]|$))[^@\n]{0,80}@(?:\S*@)?[^\s'"]*"""
    r"""|[^\s'"]*:/+(?:\S*@)?[^\s'"]*|[^\s'"]+"""
)
_END_OF_SENTENCE: Final = re.compile(r"[.,:;!)>}]*$")
_KEYED = re.compile(r"rtmp[a-z]*:", re.IGNORECASE)
"""Schemes whose last path segment is the publisher's key."""


class _Parts(NamedTuple):
    """The parts of a URL.

    Attributes:
        head: the scheme with its slashes; empty if there is none.
        login: everything before the @; None without an @.
        rest: host, port, path, query and fragment; None if none of it may be shown.
        is_url: the head belongs to a URL, not to a path.
        is_ambiguous: an @ after the host makes it unclear where the password ends.
    """

    head: str
    login: str | None
    rest: str | None
    is_url: bool
    is_ambiguous: bool = False


def without_password(address: str) -> str:
    """Return a URL with everything that may be secret replaced by ***.

    Other text, such as a file name, is returned unchanged, except for a login and for values named password, token
    and the like.
    """
    head, login, rest, is_url, _ = _parts(address)
    if not head and "://" in address and re.search(r"\s", address):
        return without_passwords(address)  # a whole command in place of a URL
    if rest is None:
        return f"{head}{HIDDEN}"
    shown = (
        _rest_shown(rest, has_key=_KEYED.match(head) is not None) if is_url else _NAMED_SECRETS.sub(_named_shown, rest)
    )
    if login is None:
        return head + shown
    return f"{head}{HIDDEN if login else ''}@{shown}"


def is_ambiguous(address: str) -> bool:
    """Return whether an unescaped character of the password, or an @ in path or query, hides where the host begins."""
    parts = _parts(address)
    return parts.is_url and parts.is_ambiguous


def _parts(address: str) -> _Parts:
    found = _HEAD.match(address)
    head = found[0] if found else ""
    rest = address[len(head) :]
    is_url = head.endswith("://") or (head.rstrip("/").rstrip(":").lower() in _SCHEMES)
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    place = rest.rfind("@")
    if not is_url:
        is_login = place >= 0 and ":" in (authority if place >= len(authority) else authority[:place])
        if _RAW_FRAMES.match(address) or not is_login:
            return _Parts(head, None, rest, is_url=False)
        return _Parts(head, rest[:place], rest[place + 1 :], is_url=False)
    if place < len(authority):
        return _plain_parts(head, rest, authority)
    is_host = _HOST.fullmatch(authority.rpartition("@")[2]) is not None
    if is_host and "@" not in authority and ":" not in rest[:place]:  # as in http://host/@home: no password
        return _Parts(head, None, rest, is_url=True)
    end_of_path = min((rest.find(sign) for sign in "?#" if sign in rest), default=len(rest))
    if is_host and place > end_of_path:  # what follows the @ is a host, or the end of a query's value
        return _Parts(head, rest, None, is_url=True, is_ambiguous=True)
    return _Parts(head, rest[:place], rest[place + 1 :], is_url=True, is_ambiguous=True)


def _plain_parts(head: str, rest: str, authority: str) -> _Parts:
    """Return the parts of a URL that has no @ after its host. An invalid host or port is hidden."""
    login, at, host = authority.rpartition("@")
    behind = rest[len(authority) :]
    if not _HOST.fullmatch(host):
        host = HIDDEN
    return _Parts(head, login if at else None, host + behind, is_url=True)


def _rest_shown(rest: str, *, has_key: bool = False) -> str:
    """Return host, path and the names in the query; values and the fragment are hidden.

    Args:
        rest: the URL from the host on.
        has_key: whether the last segment is the stream's key, as in rtmp://host/app/key.
    """
    place, number, fragment = rest.partition("#")
    place, question, query = place.partition("?")
    host, *segments = place.split("/")
    shown = [host if _HOST.fullmatch(host) else HIDDEN]
    for before, segment in zip(["", *segments], segments, strict=False):
        is_secret = _SECRET_FOLDER.fullmatch(before) is not None or looks_like_a_token(segment)
        shown.append(HIDDEN if segment and is_secret else _segment_shown(segment))
    if has_key and len(segments) > 1 and segments[-1]:
        shown[-1] = HIDDEN
    parameters = "".join(part if part in "&;" else _parameter_shown(part) for part in re.split(r"([&;])", query))
    return "/".join(shown) + question + parameters + number + (HIDDEN if fragment else "")


def _segment_shown(segment: str) -> str:
    """Return a segment with everything from its first value on hidden, as in /user=me_password=x/ and /a;session=1."""
    found = re.search(r"[=;]", segment)
    return segment if found is None or segment.endswith(found[0]) else f"{segment[: found.end()]}{HIDDEN}"


def _parameter_shown(parameter: str) -> str:
    name, equals, value = parameter.partition("=")
    if not equals:
        return HIDDEN if name else ""
    shown = name if _NAME.fullmatch(name) and not looks_like_a_token(name) else HIDDEN
    return f"{shown}={HIDDEN if value else ''}"


def _named_shown(found: re.Match[str]) -> str:
    sign, name, value = found.groups()
    return f"{sign}{name}={HIDDEN}" if value and _SECRET_NAME.search(name) else found[0]


def without_passwords(text: str) -> str:
    """Return a message with `without_password` applied to every URL in it."""
    return _IN_TEXT.sub(lambda word: _word_shown(word[0]), text)


def _word_shown(word: str) -> str:
    end = _END_OF_SENTENCE.search(word)
    length = end.start() if end else len(word)
    body = word[:length]
    return word if body.lstrip("(") in _EXAMPLES else without_password(body) + word[length:]


def secrets_of(address: str) -> list[str]:
    """Return what `without_password` hides, in every form that a message may quote, longest first.

    Values of up to three characters are omitted, unless they belong to a login or are named password, token and the
    like: hiding every "1" would make the message unreadable.
    """
    head, login, rest, is_url, _ = _parts(address)
    certain = [] if not login else [login, *login.partition(":")[::2]]
    found: list[str] = []
    if is_url:
        place, _, fragment = (rest or "").partition("#")
        path, _, query = place.partition("?")
        for name, equals, value in (part.partition("=") for part in re.split(r"[&;]", query)):
            (certain if equals and _SECRET_NAME.search(name) else found).append(value if equals else name)
        shown = without_password(head + path).split("/")
        hidden = [one for one, other in zip((head + path).split("/"), shown, strict=False) if one != other]
        found += [piece for one in (fragment, *hidden) for piece in _secret_pieces(one)]
    values = {*certain, *(value for value in found if len(value) > 3)} - {""}
    return sorted({form for value in values for form in variants_of(value)}, key=len, reverse=True)


def _secret_pieces(hidden: str) -> list[str]:
    """Return a fragment or segment as a whole, then its values and its tokens on their own."""
    pieces = [piece.partition(".")[0] for piece in re.split(r"[=;&/?]", hidden) if looks_like_a_token(piece)]
    return [hidden, *re.findall(r"=([^=;&/?]+)", hidden), *pieces]


def redacted(text: str, address: str) -> str:
    """Return a message of FFmpeg or a driver without the secrets of `address`, which it may quote."""
    text = text.replace(address, without_password(address))
    for secret in secrets_of(address):
        start, end = (r"(?<!\w)" if secret[0].isalnum() else ""), (r"(?!\w)" if secret[-1].isalnum() else "")
        text = re.sub(f"{start}{re.escape(secret)}{end}", HIDDEN, text, flags=re.IGNORECASE)
    return without_passwords(text)
