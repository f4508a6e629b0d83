"""go_to_start: bring a recording to the first frame of its range; range_notes: say which frames are analyzed."""

from collections.abc import Callable

from fer_deploy.analyze.segments.recording import Recording
from fer_deploy.analyze.segments.selection import ROUNDING_S, Selection
from fer_deploy.durations import duration_text
from fer_deploy.errors import StreamError, argument
from fer_deploy.live.seeking.packet_index import PacketIndex
from fer_deploy.live.sources import VideoSource


def go_to_start(
    recording: Recording, index: Callable[[], PacketIndex | None], *, on_skip: Callable[[int, int], bool]
) -> bool:
    """Skip the frames before the range, by a seek where the file allows it; return False if `on_skip` did.

    After a seek, the number of the first frame is that which the packets announce. Where a packet before it is damaged,
    where packets have no times, or where there is no keyframe, all frames before the range are decoded.

    Args:
        recording: at its first frame.
        index: returns the index of the file's packets; None if there is none.
        on_skip: called with each frame that is decoded and discarded, and with the number of all of them as far as it
            is known; returns False to stop.

    Raises:
        StreamError: the recording has no frame in its range, or cannot be read.
    """
    selection = recording.selection
    if selection.start_s > 0:
        num = _sought(recording, index(), on_skip)
        if num is None:
            return False
        while (time_s := recording.next_s()) is not None and selection.is_before(time_s):
            if not on_skip(recording.num_taken, max(num, recording.num_taken + 1)):
                return False
            recording.skip_one()
    if not recording.has_next():
        raise _empty(recording, recording.last_s or 0.0, is_end=not recording.reached().is_cut)
    return True


def _sought(recording: Recording, index: PacketIndex | None, on_skip: Callable[[int, int], bool]) -> int | None:
    """Seek if possible; return the number of frames before the range as far as it is known, None to stop."""
    start_s, source = recording.selection.start_s, recording.source
    first, frame = recording.reached().position, recording.peek()
    until = None if index is None or first is None else index.until(first, start_s - ROUNDING_S)
    if index is None or first is None or until is None or frame is None or not isinstance(source, VideoSource):
        return round(start_s * source.fps)
    if until.is_end:
        raise _empty(recording, until.last_s, is_end=True)
    num = until.num_frames
    target = index.ahead(first, num, size=frame.size) if num else None
    is_there = target is None or recording.skip_to(target, lambda: index, on_skip=lambda one: on_skip(one, num))
    return num if is_there else None


def _empty(recording: Recording, last_s: float, *, is_end: bool) -> StreamError:
    """Return the error for a recording without a frame in its range; `last_s` is the time of the last frame before."""
    selection, source = recording.selection, recording.source
    start = f"{argument('start')} is {selection.start_s:g} s"
    if is_end:
        end_s = last_s + 1 / source.fps
        return StreamError(
            f"{source.name} ends at {end_s:.2f} s, but {start}. Fix: a start before its end; times count from the "
            "beginning of the video"
        )
    return StreamError(
        f"{source.name} has no frame in the range: {start}, and {argument('end')} {selection.end_s:g} s. Fix: a longer "
        "range"
    )


def range_notes(selection: Selection) -> tuple[str, ...]:
    """Return for the user which frames are analyzed, each to go on after "the analysis" or the name of the video."""
    notes = []
    if selection.end_s is not None or selection.start_s > 0:
        until = "the end" if selection.end_s is None else duration_text(selection.end_s)
        notes.append(f"covers {duration_text(selection.start_s)} to {until} of the video")
    if selection.sample_fps is not None:
        notes.append(f"uses {selection.sample_fps:g} frames of each second")
    return tuple(notes)
