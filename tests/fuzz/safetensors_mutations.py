"""Wrong lengths, headers, offsets, types and values in a safetensors file."""

import json
import struct
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Any

from fuzz.byte_mutations import mutate_bytes
from fuzz.json_mutations import mutate_json, mutate_tree

from fer_deploy.spec import SPEC_KEY

_DTYPES = ("F64", "F32", "F16", "BF16", "I64", "I8", "U8", "BOOL", "F8_E4M3", "F8_E8M0", "F4", "C64", "X99", "", "f32")
_LENGTHS = (0, 1, 2, 7, 100_000_000, 100_000_001, 2**31, 2**32, 2**62, 2**63 - 1, 2**63, 2**64 - 8, 2**64 - 1)
_SIDES = (0, 1, -1, 2**31, 2**32, 2**61, 2**62, 2**63, 2**64 - 1, 2**64)


def mutate_safetensors(rng: Random, content: bytes) -> bytes:
    """Return a file with a wound that a random byte seldom makes, or with random ones."""
    if rng.random() < 0.3:
        return mutate_bytes(rng, content)
    length = struct.unpack("<Q", content[:8])[0]
    header, data = json.loads(content[8 : 8 + length]), bytearray(content[8 + length :])
    text = None
    match rng.randrange(10):
        case 0:
            return struct.pack("<Q", rng.choice((*_LENGTHS, length - 1, length + 1, len(content)))) + content[8:]
        case 1:
            text = mutate_json(rng, json.dumps(header))
        case 2 | 3:
            text = _with_duplicates(rng, header)
        case 4:
            start = rng.randrange(len(data) - 4)
            data[start : start + 4] = struct.pack("<f", rng.choice((float("nan"), float("inf"), -float("inf"), 3e38)))
        case 5 | 6:
            header["__metadata__"][SPEC_KEY] = mutate_json(rng, header["__metadata__"][SPEC_KEY])
        case _:
            for _ in range(rng.choice((1, 1, 2))):
                with suppress(LookupError, ValueError, TypeError):  # the first wound took what the second one looks for
                    rng.choice(_WOUNDS)(rng, header, data)
    return _join(json.dumps(header) if text is None else text, data)


def _join(header: str, data: bytes | bytearray) -> bytes:
    text = header.encode("utf-8", "surrogatepass")
    return struct.pack("<Q", len(text)) + text + bytes(data)


def _with_duplicates(rng: Random, header: dict[str, Any]) -> str:
    """Return a header that gives one key twice, the second time with another value."""
    key = rng.choice(list(header))
    other = mutate_tree(rng, header[key]) if isinstance(header[key], dict) else header[key]
    return f"{json.dumps(header)[:-1]}, {json.dumps(key)}: {json.dumps(other)}}}"


def _any_tensor(rng: Random, header: dict[str, Any]) -> dict[str, Any]:
    tensor: dict[str, Any] = header[rng.choice([name for name in header if name != "__metadata__"])]
    return tensor


def _offsets(rng: Random, header: dict[str, Any], data: bytearray) -> None:
    tensor, other = _any_tensor(rng, header), _any_tensor(rng, header)
    start, stop = tensor["data_offsets"]
    tensor["data_offsets"] = rng.choice(
        (
            [stop, start],
            other["data_offsets"],
            [start, stop + 4],
            [start, 2**63],
            [2**64 - 8, 2**64 - 4],
            [-4, stop],
            [start, start],
            [0, len(data)],
            [start],
            [],
            [start, stop, stop],
            [0.5, 4.0],
            "all",
        )
    )


def _shape(rng: Random, header: dict[str, Any], data: bytearray) -> None:
    tensor = _any_tensor(rng, header)
    shape = tensor["shape"]
    tensor["shape"] = rng.choice(
        (
            [*shape, 1],
            shape[::-1],
            [*shape, rng.choice(_SIDES)],
            [rng.choice(_SIDES)] * 2,
            [2**33] * 4,
            [2, 2**63],
            [0, 2**63],
            [1] * 5_000,
            [],
            [1.5],
            None,
        )
    )


def _dtype(rng: Random, header: dict[str, Any], data: bytearray) -> None:
    _any_tensor(rng, header)["dtype"] = rng.choice(_DTYPES)


def _names(rng: Random, header: dict[str, Any], data: bytearray) -> None:
    name = rng.choice([name for name in header if name != "__metadata__"])
    tensor = header.pop(name)
    if rng.random() < 0.7:
        header[rng.choice(("", "../x", "conv.weight.", "a" * 10_000, "\x00", "running_mean"))] = tensor


def _metadata(rng: Random, header: dict[str, Any], data: bytearray) -> None:
    match rng.randrange(4):
        case 0:
            del header["__metadata__"]
        case 1:
            header["__metadata__"] = rng.choice((None, [], {}, "x", {SPEC_KEY: None}, {SPEC_KEY: {}}, {SPEC_KEY: ""}))
        case 2:
            header["__metadata__"] = {"other": "x"}
        case _:
            header["__metadata__"] |= {f"key{number}": "x" for number in range(20_000)}


def _architecture(rng: Random, header: dict[str, Any], data: bytearray) -> None:
    spec = json.loads(header["__metadata__"][SPEC_KEY])
    spec["architecture"] = rng.choice(("net", "senet", "resnet18", "tiny ", "NET", "../net", "fer_train.models"))
    spec["labels"] = [f"label {number}" for number in range(rng.choice((2, 3, 7, 8, 50_000)))]
    header["__metadata__"][SPEC_KEY] = json.dumps(spec)


def _more_tensors(rng: Random, header: dict[str, Any], data: bytearray) -> None:
    for number in range(rng.choice((1, 1000))):
        header[f"more.{number}"] = {"dtype": "F32", "shape": [0], "data_offsets": [len(data)] * 2}


def _size(rng: Random, header: dict[str, Any], data: bytearray) -> None:
    if rng.random() < 0.5:
        del data[rng.randrange(len(data)) :]
    else:
        data.extend(rng.randbytes(rng.choice((1, 8, 4096))))


_WOUNDS: tuple[Callable[[Random, dict[str, Any], bytearray], None], ...] = (
    _offsets,
    _shape,
    _dtype,
    _names,
    _metadata,
    _architecture,
    _more_tensors,
    _size,
)
