"""Wrong values at any place of a JSON text, and texts that only a parser without limits would take."""

import copy
import json
from random import Random
from typing import Any

_DEEP = "@@deep@@"
_HUGE_INT = "@@huge-int@@"
_HUGE_FLOAT = "@@huge-float@@"
_HALF_PAIR = "@@half-pair@@"
_VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    1,
    -1,
    2,
    2**31,
    2**63,
    2**64,
    -(2**63),
    10**30,
    0.5,
    -0.0,
    1e308,
    float("nan"),
    float("inf"),
    float("-inf"),
    "",
    "x",
    "1",
    "\x00",
    "../../etc/passwd",
    "\U0001f600" * 3,
    [],
    {},
    [[]],
    [None],
    {"": None},
    {"x": {}},
    "net",
    "senet",
    "resnet18",
    "efficientnet_b0",
    "tensorrt_rtx",
    "8.6",
    "ampere_plus",
    "fp16",
    "int8",
    _DEEP,
    _HUGE_INT,
    _HUGE_FLOAT,
    _HALF_PAIR,
)


def mutate_json(rng: Random, text: str) -> str:
    """Return a text with one to three wounds; not always JSON any more. What is none stays as it is."""
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError):
        return text
    for _ in range(rng.choice((1, 1, 2, 3))):
        tree = mutate_tree(rng, tree)
    return _dump(rng, tree)


def mutate_tree(rng: Random, tree: Any) -> Any:
    """Return a copy that differs at one place."""
    tree = copy.deepcopy(tree)
    spots = list(_spots(tree))
    if not spots:
        return _value(rng)
    holder, key = rng.choice(spots)
    match rng.randrange(6):
        case 0 | 1 | 2:
            holder[key] = _value(rng)
        case 3:
            del holder[key]
        case 4 if isinstance(holder, dict):
            holder[rng.choice(("extra", "", "spec", "format", key + "s"))] = _value(rng)
        case 4:
            holder.insert(key, _value(rng))
        case 5 if isinstance(holder, list):
            holder[:] = holder * rng.choice((2, 100))
        case _:
            holder[key] = holder[rng.choice(list(holder))] if isinstance(holder, dict) else _value(rng)
    return tree


def _value(rng: Random) -> Any:
    match rng.randrange(30):
        case 0:
            return "long " * 40_000
        case 1:
            return [str(number) for number in range(20_000)]
        case 2:
            return {str(number): number for number in range(5_000)}
        case 3:
            return ["same"] * 20_000
        case _:
            return rng.choice(_VALUES)


def _spots(tree: Any) -> Any:
    """Yield (container, key) of everything in the tree; only the first elements of long lists."""
    pairs = list(tree.items()) if isinstance(tree, dict) else list(enumerate(tree)) if isinstance(tree, list) else []
    for key, value in pairs[:50]:
        yield tree, key
        yield from _spots(value)


def _dump(rng: Random, tree: Any) -> str:
    text = json.dumps(tree, ensure_ascii=rng.random() < 0.5)
    depth = rng.choice((150, 1_000, 100_000))
    opening, closing = rng.choice((("[", "]"), ('{"a":', "}")))
    text = text.replace(f'"{_DEEP}"', opening * depth + "1" + closing * depth)
    text = text.replace(f'"{_HUGE_INT}"', "9" * rng.choice((400, 5_000, 200_000)))
    text = text.replace(f'"{_HUGE_FLOAT}"', rng.choice(("1e999", "-1e999", "1e-999", "1e9999999999999999999")))
    text = text.replace(f'"{_HALF_PAIR}"', '"\\ud800"')
    match rng.randrange(20):
        case 0:
            return text[: rng.randrange(len(text) + 1)]
        case 1:
            return text + text
        case 2:
            return "\ufeff" + text
        case 3 if text.startswith("{") and len(text) > 2:  # every key of the first level twice
            return text[:-1] + "," + text[1:]
        case 4:
            return text + " " * 50_000
        case _:
            return text
