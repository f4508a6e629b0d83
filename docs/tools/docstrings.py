"""Google-style docstrings as Markdown."""

import collections.abc
import inspect
import re
import textwrap
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass, field

_SECTION = re.compile(r"^(Args|Attributes|Returns|Yields|Raises):$")
_ITEM = re.compile(r"^(\*{0,2}\w+(?:, \w+)*): +(.*)$")
_DEFAULT = re.compile(r" *\[default: (.+?)\]\.?$")


@dataclass
class Docstring:
    """The parts of a docstring.

    Attributes:
        text: paragraphs in front of the sections, as Markdown.
        items: name and meaning of each entry, by section ("Args", "Attributes", "Raises").
        prose: the sections without entries ("Returns", "Yields"), by their name.
    """

    text: str = ""
    items: dict[str, dict[str, str]] = field(default_factory=dict)
    prose: dict[str, str] = field(default_factory=dict)


def read_docstring(text: str | None) -> Docstring:
    """Parse a docstring; None gives an empty one."""
    found = Docstring()
    section, lines = "", []
    for line in [*inspect.cleandoc(text or "").splitlines(), "Args:"]:
        if match := _SECTION.match(line):
            _store(found, section, lines)
            section, lines = match[1], []
        else:
            lines.append(line)
    return found


def _store(found: Docstring, section: str, lines: list[str]) -> None:
    if not section:
        found.text = "\n\n".join(_paragraphs(lines))
        return
    entries = dict(_entries(lines))
    if section in ("Returns", "Yields"):
        found.prose[section] = " ".join(line.strip() for line in lines).strip()
    else:
        found.items[section] = entries


def _paragraphs(lines: list[str]) -> Iterator[str]:
    """Yield paragraphs; an indented one is a sketch of code."""
    for paragraph in "\n".join(lines).strip("\n").split("\n\n"):
        if paragraph.startswith("    "):
            yield f"```text\n{textwrap.dedent(paragraph)}\n```"
        else:
            yield " ".join(paragraph.split())


def _entries(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Yield name and meaning of each entry; deeper lines continue it."""
    entries: list[tuple[str, list[str]]] = []
    for line in lines:
        if match := _ITEM.match(line[4:]):
            entries.append((match[1], [match[2].strip()]))
        elif line.strip() and entries:
            entries[-1][1].append(line.strip())
    for name, words in entries:
        yield name, _DEFAULT.sub(r" Default: \1.", " ".join(words))


def type_in_words(annotation: object) -> str:
    """Return a type as people say it: "str, Path or None"; nothing for Any."""
    words = list(dict.fromkeys(_alternatives(annotation)))
    return " or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]


def _alternatives(annotation: object) -> Iterator[str]:
    """Yield each type that a value may have."""
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation in (inspect.Parameter.empty, typing.Any):
        yield ""
    elif origin is typing.Literal:
        yield from (f'"{one}"' if isinstance(one, str) else str(one) for one in args)
    elif origin in (typing.Union, types.UnionType):
        for one in args:
            yield from _alternatives(one)
    elif origin is typing.Annotated:
        yield from _alternatives(args[0])
    elif "NDArray" in str(annotation) or getattr(origin, "__name__", "") == "ndarray":
        yield "array"
    elif origin is collections.abc.Callable:
        yield f"function that returns {type_in_words(args[-1])}"
    elif args:
        inner = [type_in_words(one) or "any" for one in args if one is not ...]
        is_row = origin is tuple and ... not in args and len(set(inner)) == 1
        yield f"{_name_of(origin)} of {f'{len(inner)} {inner[0]}' if is_row else ' to '.join(inner)}"
    else:
        yield _name_of(annotation)


def _name_of(kind: object) -> str:
    return "None" if kind in (None, type(None)) else str(getattr(kind, "__name__", kind))
