"""Lengths: which events and excluded ranges of a list for all videos lie in one of them."""

from collections.abc import Sequence
from typing import TypeVar

from fer_deploy.analyze.events.event_list import Event
from fer_deploy.analyze.events.exclusions import Exclusion
from fer_deploy.analyze.report.summary import Summary

_Span = TypeVar("_Span", Event, Exclusion)


def of_this_length(spans: Sequence[_Span], summary: Summary) -> tuple[tuple[_Span, ...], list[str]]:
    """Return the spans without those for all videos that start after the end of this one, and a note on each of these.

    Spans that name this video are kept: their start is a mistake. So is every span if only a part of the video was
    analyzed, since the video may go on.
    """
    if summary.fingerprint.settings.get("end") is not None:
        return tuple(spans), []
    kept = tuple(one for one in spans if one.video or one.start_s < summary.duration_s)
    return kept, [_note(one, summary) for one in spans if one not in kept]


def _note(span: Event | Exclusion, summary: Summary) -> str:
    what = f"the event {span.label!r}" if isinstance(span, Event) else "an excluded range"
    where = f" in line {span.line}" if span.line else ""
    times = f"it starts at {span.start_s:g} s, and {summary.name} ends at {summary.duration_s:g} s"
    return f"{what}{where} is left out: {times}"
