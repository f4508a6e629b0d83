"""EventMessage: what a person or a program says about an event, and how it is written in JSON."""

import json
from typing import Any, Final, Literal, NamedTuple, get_args

from fer_deploy.errors import FerDeployError

MAX_MESSAGE_BYTES: Final = 4096
MOST_LETTERS: Final = 100
MOST_KEYS: Final = 9
"""Events with a key of the window: 1 to 9."""
State = Literal["start", "end", "mark"]
_STATES: Final[tuple[State, ...]] = get_args(State)
_EXAMPLE: Final = 'Fix: {"label": "film", "state": "start"}'


class EventRefused(FerDeployError):
    """An event cannot be noted; the events before are unchanged."""


class MalformedEvent(EventRefused):
    """A message is not one of an event."""


class EventMessage(NamedTuple):
    """An event starts, ends, or is a moment.

    Attributes:
        label: of the event, without spaces around it.
        state: start, end, or mark for a moment.
        source: number of the source whose time counts, from 0; None: all of them.
    """

    label: str
    state: State
    source: int | None = None


def checked_label(text: object) -> str:
    """Return a label without spaces around it.

    Raises:
        MalformedEvent: it is not one line of printable text, or too long.
    """
    label = text.strip() if isinstance(text, str) else ""
    if not label or len(label) > MOST_LETTERS or not label.isprintable():
        raise MalformedEvent(f"the label must be one line of 1 to {MOST_LETTERS} printable letters. {_EXAMPLE}")
    return label


def event_from_json(body: bytes) -> EventMessage:
    """Parse a message.

    Raises:
        MalformedEvent: it is too long, or not a JSON object with a label and a state. The text repeats none of it.
    """
    if len(body) > MAX_MESSAGE_BYTES:
        raise MalformedEvent(f"an event has at most {MAX_MESSAGE_BYTES} bytes. {_EXAMPLE}")
    try:
        found: Any = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise MalformedEvent(f"not a JSON object. {_EXAMPLE}")
    if not found.keys() <= {"label", "state", "source"}:
        raise MalformedEvent(f"only label, state and source are known. {_EXAMPLE}")
    state, source = found.get("state"), found.get("source")
    known: dict[str, State] = {one: one for one in _STATES}
    if not isinstance(state, str) or state not in known:
        raise MalformedEvent(f"state must be one of {', '.join(_STATES)}. {_EXAMPLE}")
    if source is not None and (type(source) is not int or source < 0):
        raise MalformedEvent("source must be the number of a source, from 0. Fix: leave it out to mean all sources")
    return EventMessage(checked_label(found.get("label")), known[state], source)
