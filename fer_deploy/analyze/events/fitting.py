"""Which events and excluded ranges of a list for all videos fit one of them."""

from collections.abc import Sequence
from typing import TypeVar

from fer_deploy.analyze.events.event_list import Event
from fer_deploy.analyze.events.exclusions import Exclusion, numbers_of
from fer_deploy.analyze.report.summary import Summary

_Span = TypeVar("_Span", Event, Exclusion)


def of_this_video(spans: Sequence[_Span], summary: Summary, *, is_only: bool) -> tuple[tuple[_Span, ...], list[str]]:
    """Return the spans without those for all videos that do not fit this one, and a note on each of these.

    They start after its end, or are of a person of another one. Spans that name this video are kept: what does not fit
    is a mistake. If only a part of the video was analyzed, no start is too late, since the video may go on.

    Args:
        spans: of this video and of all.
        summary: of this video.
        is_only: whether there is no other one; then a person must be in it.
    """
    goes_on = summary.fingerprint.settings.get("end") is not None
    notes = {}
    for place, one in enumerate(spans):
        is_late = not goes_on and one.start_s >= summary.duration_s
        is_of_others = not is_only and isinstance(one, Exclusion) and not numbers_of(one, summary)
        if not one.video and (is_late or is_of_others):
            notes[place] = _note(one, summary) if is_late else _note_on_person(one, summary)
    return tuple(one for place, one in enumerate(spans) if place not in notes), list(notes.values())


def _note_on_person(span: Event | Exclusion, summary: Summary) -> str:
    assert isinstance(span, Exclusion)
    where = f" in line {span.line}" if span.line else ""
    return f"an excluded range{where} is left out: {summary.name} has no person {span.person[:40]!r}"


def _note(span: Event | Exclusion, summary: Summary) -> str:
    what = f"the event {span.label!r}" if isinstance(span, Event) else "an excluded range"
    where = f" in line {span.line}" if span.line else ""
    times = f"it starts at {span.start_s:g} s, and {summary.name} ends at {summary.duration_s:g} s"
    return f"{what}{where} is left out: {times}"
