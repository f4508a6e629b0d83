"""ReplayedVideo: the rows of one video from the observations of its segments, as a sequential analysis writes them."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

from fer_deploy.analyze.segments.observations import SegmentAbout, opened_observations
from fer_deploy.analyze.segments.recording import Reached
from fer_deploy.analyze.segments.replay import replay
from fer_deploy.analyze.segments.sinks import Tally
from fer_deploy.archive.manifest import About, VideoRow, dead_name
from fer_deploy.archive.segment_plan import mark_again
from fer_deploy.archive.store import Store
from fer_deploy.archive.work import Work
from fer_deploy.errors import ArtifactError, StreamError
from fer_deploy.live.output_files import frames_path
from fer_deploy.live.sinks import ParquetSink
from fer_deploy.vision.tracking.people import People

_NUM_AHEAD: Final = 8
"""Segments that are fetched before they are needed."""


class ReplayedVideo(NamedTuple):
    """What was replayed of a video.

    Attributes:
        row: of the manifest.
        num_frames: in the tables.
        num_faces: in the tables.
        num_corrupt: frames and packets that were skipped.
        num_missing: frames that the file announces and does not contain.
        trouble: fault at the file's end; empty if there is none.
        gap: why it ends before the video, as text; empty if it is complete.
        is_marked: whether a mark was left, so that `run` continues from a proven position.
    """

    row: VideoRow
    num_frames: int
    num_faces: int
    num_corrupt: int = 0
    num_missing: int = 0
    trouble: str = ""
    gap: str = ""
    is_marked: bool = False


class Replay:
    """Replays the segments of one video into two local tables."""

    def __init__(self, store: Store, about: About, scratch: Path) -> None:
        """Set the store, the settings, and a folder for the tables and for one segment."""
        self._store, self._about, self._scratch = store, about, scratch
        self.faces = scratch / "video.parquet"
        self.frames = frames_path(self.faces)

    def run(self, row: VideoRow, works: list[Work]) -> ReplayedVideo:
        """Write the tables of a video up to its end, or to the first gap.

        Args:
            row: of the manifest.
            works: its segments, in their order.

        Raises:
            StreamError: the counts do not add up.
            SinkError: the store cannot be read, or a table cannot be written.
        """
        for older in (self.faces, self.frames):
            older.unlink(missing_ok=True)
        labels, people = self._about.spec.labels, self._about.config.pipeline.people
        # Not a block with it: of unfinished tables it would say where they are, and this folder is removed.
        sink = ParquetSink(
            self.faces,
            labels,
            is_corrected=people.corrects,
            run=self._about.fingerprint_of(row),
            fix="another --scratch",
        )
        video = self._written(row, works, sink)
        sink.close()
        return video

    def _written(self, row: VideoRow, works: list[Work], sink: ParquetSink) -> ReplayedVideo:
        labels = self._about.spec.labels
        people = People(self._about.config.pipeline.people.for_model(self._about.spec), labels)
        tally = Tally()
        end: Reached | None = None
        num_left_out = 0
        for work, path in self._fetched(works):
            if path is None:
                return self._after(row, tally, end, gap=self._why_missing(work))
            try:
                with opened_observations(path) as (observations, about):
                    gap = self._gap_before(work, about, end)
                    if gap:
                        is_marked = about.key == work.key
                        return self._after(row, tally, end, gap=gap)._replace(is_marked=is_marked)
                    for result in replay(observations, people, labels):
                        for one in (tally, sink):
                            one.write(result, None)
            except ArtifactError:
                self._store.remove(work.name)
                return ReplayedVideo(row, 0, 0, gap=f"segment {work.segment.number} was damaged and is removed")
            path.unlink()
            end = about.end
            num_left_out += about.num_left_out
            if end.is_end:
                break
        if end is None or not end.is_end:
            raise StreamError(f"{row.shown} goes on after its last segment. Fix: report it as a bug")
        if end.num_taken != tally.num_frames + num_left_out:
            raise StreamError(
                f"{row.shown} has {end.num_taken} frames, but its segments have "
                f"{tally.num_frames + num_left_out}. Fix: report it as a bug"
            )
        return self._after(row, tally, end, gap="")

    def _why_missing(self, work: Work) -> str:
        is_dead = self._store.exists(dead_name(work.row, work.segment.number))
        return f"segment {work.segment.number} {'was given up' if is_dead else 'is missing'}"

    def _gap_before(self, work: Work, about: SegmentAbout, end: Reached | None) -> str:
        """Return why a segment does not continue the one before; empty if it does. A wrong prediction is marked."""
        if about.key != work.key:
            return f"segment {work.segment.number} is to be computed again"
        if end is None or about.start == end.position:
            return ""
        assert end.position is not None  # it is not the end
        mark_again(self._store, work.row, work.segment.number, end.position)
        return f"segment {work.segment.number} begins at another frame than its packets announce"

    def _fetched(self, works: list[Work]) -> Iterator[tuple[Work, Path | None]]:
        """Yield segments in their order with their local files, None if missing; some are fetched before."""
        with ThreadPoolExecutor(_NUM_AHEAD) as pool:
            ahead: deque[Future[Path | None]] = deque()
            todo = iter(works)
            for work in works:
                while len(ahead) < _NUM_AHEAD and (later := next(todo, None)) is not None:
                    ahead.append(pool.submit(self._fetch, later))
                yield work, ahead.popleft().result()

    def _fetch(self, work: Work) -> Path | None:
        path = self._scratch / f"{work.segment.number}.parquet"
        return path if self._store.fetch(work.name, path) else None

    @staticmethod
    def _after(row: VideoRow, tally: Tally, end: Reached | None, *, gap: str) -> ReplayedVideo:
        if end is None:
            return ReplayedVideo(row, 0, 0, gap=gap)
        counts = (end.num_corrupt, end.num_missing, end.trouble)
        return ReplayedVideo(row, tally.num_frames, tally.num_faces, *counts, gap=gap)
