"""Read a YAML file of settings: strict, and safe for untrusted content."""

import math
from collections.abc import Hashable
from pathlib import Path
from typing import Any, Final

import yaml
from yaml.error import MarkedYAMLError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from fer_train.errors import ConfigError

MAX_BYTES: Final = 1_000_000
MAX_BITS: Final = 64
"""Limit for an integer."""
MAX_DEPTH: Final = 50
"""Limit for nested mappings and lists."""
MAX_NODES: Final = 100_000
"""Limit for nodes, with every alias expanded: otherwise a few lines could become gigabytes."""


def read_yaml(path: Path, *, examples: str) -> dict[str, Any]:
    """Return the key: value pairs of a file.

    Args:
        path: the file.
        examples: where to find working files, for messages.

    Raises:
        ConfigError: unreadable or too large, not YAML, nested too deeply, a duplicate key, a number that is infinite,
            NaN or too long, or not pairs.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        text = content.decode()
    except OSError as err:
        raise ConfigError(
            f"cannot read config {path}: {err.strerror or err}. Fix: another path; shipped configs: {examples}"
        ) from err
    except UnicodeDecodeError as err:
        raise ConfigError(
            f"cannot read config {path}: byte {err.start} is not UTF-8. Fix: save it as UTF-8; shipped configs: "
            f"{examples}"
        ) from err
    if len(content) > MAX_BYTES:
        raise ConfigError(
            f"cannot read config {path}: it has more than {MAX_BYTES:,} bytes. Fix: a config; shipped ones: {examples}"
        )
    try:
        found = yaml.load(text, Loader=_StrictLoader)
    except (AttributeError, KeyError, TypeError, ValueError) as err:  # of PyYAML
        raise ConfigError(
            f"{path} is not valid YAML: a value does not fit its tag (!!...). "
            f"Fix: that line; shipped configs: {examples}"
        ) from err
    except yaml.YAMLError as err:
        problem = _in_words(err)
        raise ConfigError(f"{path} is not valid YAML: {problem}. Fix: that line; shipped configs: {examples}") from err
    if not isinstance(found, dict):
        raise ConfigError(
            f"{path} must hold key: value pairs, found {type(found).__name__}. Fix: lines as in the shipped configs: "
            f"{examples}"
        )
    return found


def _in_words(err: yaml.YAMLError) -> str:
    """Return the problem and its position, without the surrounding text, which may be part of a password."""
    if not isinstance(err, MarkedYAMLError) or err.problem_mark is None:
        return " ".join(str(err).split())
    context = f"{err.context}: " if err.context else ""
    return f"{context}{err.problem}, in line {err.problem_mark.line + 1}, column {err.problem_mark.column + 1}"


class _StrictLoader(yaml.SafeLoader):
    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._depth = 0

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            event: Any = self.peek_event()  # type: ignore[no-untyped-call]
            raise _fault(f"more than {MAX_DEPTH} nested lists and mappings", event.start_mark)
        try:
            node: Node | None = super().compose_node(parent, index)
        finally:
            self._depth -= 1
        return node

    def get_single_node(self) -> Node | None:
        node: Node | None = super().get_single_node()
        if node is not None:
            _count(node, {})
        return node

    def construct_object(self, node: Node, deep: bool = False) -> Any:
        try:
            found = super().construct_object(node, deep=deep)
        except (ValueError, OverflowError) as err:  # a number of thousands of digits, the 31st of February
            why = "a number with too many digits" if "set_int_max_str_digits" in str(err) else err
            raise _fault(f"cannot read {node.value!r:.40}: {why}", node.start_mark) from err
        if isinstance(found, float) and not math.isfinite(found):
            raise _fault(f"{node.value!r:.40} is not a finite number", node.start_mark)
        if isinstance(found, int) and found.bit_length() > MAX_BITS:
            raise _fault(f"{node.value!r:.40} is too large", node.start_mark)
        return found

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        if isinstance(node, MappingNode):
            seen: set[tuple[str, str]] = set()
            for key, _ in node.value:
                if isinstance(key, ScalarNode) and (key.tag, key.value) in seen:
                    raise _fault(f"the key {key.value!r:.80} is given twice", key.start_mark)
                if isinstance(key, ScalarNode):
                    seen.add((key.tag, key.value))
        found: dict[Hashable, Any] = super().construct_mapping(node, deep=deep)
        return found


def _count(node: Node, known: dict[int, int | None]) -> int:
    """Return the number of nodes with every alias expanded; raise MarkedYAMLError beyond MAX_NODES."""
    if id(node) in known:
        size = known[id(node)]
        if size is None:
            raise _fault("an alias refers to a value that contains it", node.start_mark)
        return size
    known[id(node)] = None
    size = 1
    if isinstance(node, MappingNode):
        size += sum(_count(part, known) for pair in node.value for part in pair)
    elif isinstance(node, SequenceNode):
        size += sum(_count(part, known) for part in node.value)
    if size > MAX_NODES:
        raise _fault(f"with its aliases it has more than {MAX_NODES:,} values", node.start_mark)
    known[id(node)] = size
    return size


def _fault(problem: str, mark: Any) -> MarkedYAMLError:
    return MarkedYAMLError(problem=problem, problem_mark=mark)
