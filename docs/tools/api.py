"""Write docs/api.md from the docstrings of `fer_deploy.__all__`.

python docs/tools/api.py            # write the page
python docs/tools/api.py --check    # exit code 1 where the page differs
"""

import dataclasses
import inspect
import sys
import textwrap
import typing
from collections.abc import Iterator
from pathlib import Path

import pydantic
from docstrings import Docstring, read_docstring, type_in_words

import fer_deploy

PAGE = Path(__file__).parents[1] / "api.md"
ORDER = (
    "Recognizer",
    "FaceResult",
    "FaceQuality",
    "Emotion",
    "FrameResult",
    "RecognizerConfig",
    "DetectorConfig",
    "LivePipeline",
    "build_detectors",
    "open_source",
    "open_engine",
    "Engine",
    "ModelSpec",
    "FerDeployError",
)
MADE_BY_CALLERS = ("Recognizer", "LivePipeline")
"""Classes whose constructor is public; the other objects come from them."""
WIDTH = 150
INTRO = """\
<!-- Made by docs/tools/api.py from the docstrings. Change those, then run `make docs`. -->

# Python API

```python
from fer_deploy import Recognizer

with Recognizer() as recognizer:
    for face in recognizer.analyze("photo.jpg"):
        print(face.box, face.label, face.confidence, face.probs)
```

Crops of faces that you already have:

```python
import numpy as np
from fer_deploy import Recognizer

with Recognizer() as recognizer:
    crops = np.zeros((100, 48, 48), dtype=np.uint8)
    probs = recognizer.classify(crops)
    print(probs.shape, [probs.labels[c] for c in probs.argmax(axis=1)[:3]])
```

The live loop as an iterator; leaving the loop ends the run:

```python
from fer_deploy import Recognizer

with Recognizer() as recognizer:
    for result in recognizer.stream("clip.mp4"):
        for face in result.faces:
            print(result.frame.time_s, face.face.track_id, face.shown_label)
```

The names below are stable: `from fer_deploy import NAME`. Each is imported when it is first used, so
`import fer_deploy` is fast. Everything else may change. Files are `str` or `Path`. Images are arrays, (H, W, 3) uint8
in the order blue, green, red, or (H, W) uint8 gray. Boxes are pixels; x2 and y2 are exclusive.
"""


def signature_of(function: object) -> str:
    """Return "(a, *, b=None)" without annotations and self."""
    signature = inspect.signature(typing.cast("typing.Callable[..., object]", function))
    plain = [one.replace(annotation=inspect.Parameter.empty) for one in signature.parameters.values()]
    return str(inspect.Signature([one for one in plain if one.name != "self"]))


def text_of(docstring: Docstring) -> Iterator[str]:
    """Yield the paragraphs in front of the sections, wrapped."""
    for paragraph in filter(None, docstring.text.split("\n\n")):
        is_code = paragraph.startswith("```")
        yield paragraph if is_code else textwrap.fill(paragraph, WIDTH, break_long_words=False, break_on_hyphens=False)
        yield ""


def table_of(head: str, rows: list[tuple[str, str, str]]) -> Iterator[str]:
    """Yield a table of name, type and meaning; nothing for no rows."""
    if rows:
        yield f"| {head} | type | meaning |"
        yield "|---|---|---|"
        for name, kind, meaning in rows:
            escaped = meaning.replace("|", "\\|")
            yield f"| `{name}` | {kind} | {escaped} |".replace("  |", " |")
        yield ""


def function_lines(function: object) -> Iterator[str]:
    """Yield text, arguments, result and errors of a function."""
    docstring = read_docstring(function.__doc__)
    yield from text_of(docstring)
    kinds = {
        name: one.annotation for name, one in inspect.signature(typing.cast("typing.Any", function)).parameters.items()
    }
    args = docstring.items.get("Args", {})
    yield from table_of("argument", [(name, type_in_words(kinds[name]), told) for name, told in args.items()])
    for section, told in docstring.prose.items():
        yield from (f"*{section}:* {told}", "")
    for names, told in docstring.items.get("Raises", {}).items():
        yield f"*Raises* {', '.join(f'`{name}`' for name in names.split(', '))}: {told}"
        yield ""


def fields_of(kind: type) -> Iterator[tuple[str, str, str]]:
    """Yield name, type and meaning of what instances hold: fields, attributes of the docstring, properties."""
    told = read_docstring(kind.__doc__).items.get("Attributes", {})
    hints = typing.get_type_hints(kind, include_extras=False)
    names = [one.name for one in dataclasses.fields(kind)] if dataclasses.is_dataclass(kind) else []
    meanings = dict.fromkeys(names, "") | told
    if issubclass(kind, pydantic.BaseModel):
        meanings |= {name: one.description or "" for name, one in kind.model_fields.items()}
    for name, meaning in meanings.items():
        yield name, type_in_words(hints.get(name, type(getattr(kind, name, None)))), meaning
    for name, value in vars(kind).items():
        if isinstance(value, property) and not name.startswith("_") and value.fget is not None:
            meaning = " ".join(read_docstring(value.__doc__).text.split())
            yield name, type_in_words(inspect.signature(value.fget).return_annotation), meaning


def methods_of(kind: type) -> Iterator[tuple[str, object]]:
    """Yield the name and function of each public method that the class itself defines."""
    for name, value in vars(kind).items():
        if not name.startswith("_") and (inspect.isfunction(value) or isinstance(value, classmethod)):
            yield name, getattr(kind, name)


def class_lines(name: str, kind: type) -> Iterator[str]:
    """Yield what is said of a class."""
    yield from text_of(read_docstring(kind.__doc__))
    if name in MADE_BY_CALLERS:
        yield from (f"`{name}{signature_of(kind.__init__)}`", "")
        yield from function_lines(kind.__init__)
    yield from table_of("attribute", list(fields_of(kind)))
    for method, function in methods_of(kind):
        is_own = method != "model_config"
        if is_own and not _is_validator(kind, method):
            yield from (f"### `{method}{signature_of(function)}`", "")
            yield from function_lines(function)


def _is_validator(kind: type, name: str) -> bool:
    return issubclass(kind, pydantic.BaseModel) and name in kind.__pydantic_decorators__.field_validators


def page() -> str:
    """Return the page.

    Raises:
        ValueError: `ORDER` lacks a public name, or has one that is not public.
    """
    if set(ORDER) != set(fer_deploy.__all__):
        raise ValueError(
            f"ORDER differs from __all__: {sorted(set(ORDER) ^ set(fer_deploy.__all__))}. Fix: change ORDER"
        )
    lines = [INTRO]
    for name in ORDER:
        value = getattr(fer_deploy, name)
        lines += [f"## `{name}`", ""]
        if inspect.isclass(value):
            lines += class_lines(name, value)
        else:
            lines += [f"`{name}{signature_of(value)}`", "", *function_lines(value)]
    return "\n".join(lines).rstrip("\n") + "\n"


if __name__ == "__main__":
    new = page()
    if "--check" in sys.argv[1:]:
        sys.exit(f"{PAGE.name} differs from the docstrings. Fix: make docs" if PAGE.read_text() != new else 0)
    PAGE.write_text(new)
