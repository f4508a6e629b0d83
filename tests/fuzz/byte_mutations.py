"""What a bad disk, a broken download or a file of another kind does to bytes."""

from random import Random

_HUGE_VARINTS = (b"\xff" * 9 + b"\x01", b"\xff\xff\xff\xff\x0f", b"\xff\xff\xff\xff\x07", b"\xff" * 10, b"\x80" * 12)
_WORDS = (b"\xff" * 8, b"\x00" * 8, b"\xff" * 7 + b"\x7f", b"\x00" * 7 + b"\x80", b"\x00\x00\x00\x80", b"\xff" * 4)


def mutate_bytes(rng: Random, content: bytes) -> bytes:
    """Return `content` with one to four wounds."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        content = rng.choice(_WOUNDS)(rng, content)
    return content


def _flip_bits(rng: Random, content: bytes) -> bytes:
    wounded = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 8, 64)) if wounded else 0):
        wounded[rng.randrange(len(wounded))] ^= 1 << rng.randrange(8)
    return bytes(wounded)


def _overwrite_run(rng: Random, content: bytes) -> bytes:
    start, size = _place(rng, content), rng.choice((1, 4, 8, 64, 512))
    run = rng.choice((b"\x00" * size, b"\xff" * size, rng.randbytes(size)))
    return (content[:start] + run + content[start + size :])[: max(len(content), 1)]


def _truncate(rng: Random, content: bytes) -> bytes:
    return content[: _place(rng, content)]


def _insert(rng: Random, content: bytes) -> bytes:
    start = _place(rng, content)
    return content[:start] + rng.randbytes(rng.choice((1, 2, 8, 100, 5000))) + content[start:]


def _delete(rng: Random, content: bytes) -> bytes:
    start = _place(rng, content)
    return content[:start] + content[start + rng.choice((1, 2, 8, 100)) :]


def _repeat(rng: Random, content: bytes) -> bytes:
    start = _place(rng, content)
    piece = content[start : start + rng.choice((1, 8, 64, 512))]
    return content[:start] + piece * rng.choice((2, 3, 100)) + content[start:]


def _swap(rng: Random, content: bytes) -> bytes:
    first, second, third = sorted(_place(rng, content) for _ in range(3))
    return content[:first] + content[second:third] + content[first:second] + content[third:]


def _blow_up_length(rng: Random, content: bytes) -> bytes:
    """Put a huge number where a protobuf varint or a fixed-width length may be."""
    start, number = _place(rng, content), rng.choice((*_HUGE_VARINTS, *_WORDS))
    return content[:start] + number + content[start + rng.choice((1, 2, len(number))) :]


def _foreign(rng: Random, content: bytes) -> bytes:
    start = rng.choice((b"PK\x03\x04", b"\x7fELF", b"\x89PNG\r\n", b"{}", b"\x80\x02}q\x00.", b"\x1f\x8b\x08"))
    return start + content[len(start) :]


def _place(rng: Random, content: bytes) -> int:
    """Return a position; headers, at the front, are met more often than their share."""
    return rng.randrange(min(len(content), 64) + 1) if rng.random() < 0.2 else rng.randrange(len(content) + 1)


_WOUNDS = (_flip_bits, _overwrite_run, _truncate, _insert, _delete, _repeat, _swap, _blow_up_length, _foreign)
