"""Recognize tokens by their shape, and list the forms in which a message may quote a secret."""

import base64
import json
import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote, quote_plus, unquote, unquote_plus

_SUFFIX: Final = re.compile(r"\.[A-Za-z][A-Za-z0-9]{1,4}$")
_PIECE: Final = re.compile(r"[A-Za-z0-9]+")
_RUN: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|[0-9]+")
"""One word or number; h264Preview has three."""
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_HEX: Final = re.compile(r"(?=.*[0-9])(?=.*[a-f])[0-9a-f]{8,}", re.IGNORECASE)
_NO_WORD: Final = re.compile(r"[bcdfghjklmnpqrstvwxz]{5}", re.IGNORECASE)
_VOWEL: Final = re.compile(r"[aeiouy]", re.IGNORECASE)
_FEW_VOWELS: Final = 0.25
_SHORT_RUNS: Final = 2.75
"""Mean length of a run. Random letters and digits have 1.5 to 2.5, words and numbers 3 to 6."""


def looks_like_a_token(segment: str) -> bool:
    """Return whether a path segment is a key, a hash or random text, not words and short numbers.

    Doubtful segments count as tokens: a hidden name is a nuisance, a shown token is a leak.
    """
    text = _SUFFIX.sub("", unquote(segment))
    if _UUID.search(text) or any(_is_random(piece) for piece in _PIECE.findall(text)):
        return True
    runs = _RUN.findall(text)
    return len(text) >= 16 and len(runs) >= 5 and sum(map(len, runs)) / len(runs) <= _SHORT_RUNS


def _is_random(piece: str) -> bool:
    """Return whether letters and digits without a separator look random."""
    if len(piece) < 8:
        return False
    if piece.isdecimal():
        return len(piece) >= 12
    runs = _RUN.findall(piece)
    mean = len(piece) / len(runs)
    has_digits = not piece.isalpha()
    if _HEX.fullmatch(piece) or (len(runs) >= 3 and mean <= _SHORT_RUNS):
        return True
    if len(piece) >= 10 and len(runs) >= 3 and mean < 3.5:
        return True
    if len(piece) >= 12 and (_NO_WORD.search(piece) or len(_VOWEL.findall(piece)) < _FEW_VOWELS * len(piece)):
        return True
    return len(piece) >= 16 and (has_digits or mean < 4 or len(piece) >= 24)


def variants_of(secret: str) -> Iterator[str]:
    """Yield a secret as given, unescaped, percent-encoded, in Base64, and as Python and JSON quote it."""
    for form in (secret, unquote(secret), unquote_plus(secret)):
        encoded = quote(form, safe="", errors="surrogateescape")
        yield from (form, encoded, quote(form, errors="surrogateescape"), quote(encoded, safe=""))
        yield quote_plus(form, errors="surrogateescape")
        yield from (repr(form)[1:-1], json.dumps(form)[1:-1], json.dumps(form, ensure_ascii=False)[1:-1])
        content = base64.b64encode(form.encode(errors="surrogateescape")).decode()
        yield from (content, content.rstrip("=")) if len(content) >= 8 else ()
