"""Worker: do the tasks of an analysis with opened models, one after another."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from fer_deploy.analyze.jobs.messages import (
    Draw,
    Drawn,
    Failed,
    Index,
    Indexed,
    Observe,
    Observed,
    Reply,
    Task,
)
from fer_deploy.analyze.models import Models
from fer_deploy.analyze.segments.observations import Observation, SegmentAbout, observations_file
from fer_deploy.analyze.segments.observing import observe
from fer_deploy.analyze.segments.recording import Recording
from fer_deploy.analyze.segments.saved_index import save_index
from fer_deploy.analyze.segments.selection import ALL_FRAMES, Selection
from fer_deploy.analyze.segments.sinks import PartVideoSink
from fer_deploy.errors import FerDeployError, StreamError
from fer_deploy.live.drawing.anonymize import anonymized
from fer_deploy.live.drawing.overlay import draw_result
from fer_deploy.live.seeking.opening import open_at
from fer_deploy.live.seeking.packet_index import PacketIndex
from fer_deploy.live.seeking.position import Position, SeekFailed
from fer_deploy.live.sources.video import open_file
from fer_deploy.vision.types import FrameResult


def portable(err: Exception) -> Exception:
    """Return an error that another process can read: one of this package."""
    if isinstance(err, FerDeployError):
        return err
    return FerDeployError(f"a worker process failed: {type(err).__name__}: {err}. Fix: report it as a bug")


class Worker:
    """Holds the models, and the recording that it has read last: its next segment may be the one that is wanted."""

    def __init__(
        self,
        models: Models,
        on_progress: Callable[[int], None],
        *,
        on_skip: Callable[[], None] = lambda: None,
        num_threads: int = 1,
    ) -> None:
        """Create a worker.

        Args:
            models: opened; the caller closes them.
            on_progress: called several times a second with the frames of the current segment that are done.
            on_skip: called for each frame that is decoded to reach the first one of a segment.
            num_threads: that detect and classify.
        """
        self._models, self._on_progress, self._on_skip, self._num_threads = models, on_progress, on_skip, num_threads
        self._recording: tuple[Path, Recording] | None = None
        self._index: tuple[Path, PacketIndex | None] | None = None

    def reply_to(self, task: Task) -> Reply:
        """Do a task; a failure is a reply."""
        try:
            if isinstance(task, Index):
                return self._write_index(task)
            return self._observe(task) if isinstance(task, Observe) else self._draw(task)
        except Exception as err:  # noqa: BLE001 - the parent raises it
            self._close_recording()
            return Failed(portable(err))

    def _write_index(self, task: Index) -> Reply:
        save_index(task.video, task.path)
        return Indexed()

    def _observe(self, task: Observe) -> Reply:
        begun_s = time.process_time()
        recording = self._recording_of(task)
        begun, num_left_out = recording.reached(), recording.num_left_out
        with observations_file(task.path) as file:
            for observations in self._in_groups(task, recording):
                file.add(observations)
            start, end = begun.position, recording.reached()
            about = SegmentAbout(
                fingerprint=task.fingerprint,
                number=task.number,
                labels=self._models.engine.spec.labels,
                start=start,
                end=end,
                key=task.key,
                num_left_out=recording.num_left_out - num_left_out,
                cpu_s=time.process_time() - begun_s,
            )
            file.finish(about)
        return Observed(start, end)

    def _in_groups(self, task: Observe, recording: Recording) -> Iterator[list[Observation]]:
        """Yield the observations of a segment in groups that fit into memory; a video may be one segment.

        A group has as many frames as usual segments, so the batches are those of a sequential analysis.
        """
        first, num_done = recording.num_taken, 0
        while (num_left := task.num_frames - (recording.num_taken - first)) > 0 and recording.has_next():
            observations = observe(
                recording,
                min(task.group_frames, num_left),
                self._models,
                config=task.config,
                first_size=task.first_size,
                on_progress=lambda num, before=num_done: self._on_progress(before + num),  # type: ignore[misc]
                num_threads=self._num_threads,
            )
            num_done += len(observations)
            yield observations

    def _draw(self, task: Draw) -> Reply:
        # After damage there may be no keyframe that leads to the start, and another worker observed the segment.
        recording = self._recording_at(task.video, task.start, task.index, decodes=True)
        with PartVideoSink(task.path, task.fps, size=task.size, codec=task.codec) as sink:
            for index, faces, hidden in zip(task.frames, task.faces, task.hidden, strict=True):
                while recording.num_taken < index and recording.skip_one():
                    pass
                frame = recording.next_frame()
                if frame is None or frame.index != index:
                    raise StreamError(f"{task.video} has fewer frames than before. Fix: check the disk that holds it")
                result = anonymized(FrameResult(frame, faces, hidden=hidden), task.anonymize)
                sink.write(result, draw_result(result, task.labels))
        return Drawn()

    def _recording_of(self, task: Observe) -> Recording:
        """Return the recording before the first frame of a segment, or at its end."""
        try:
            return self._recording_at(task.video, task.start, task.index, task.selection)
        except SeekFailed:
            if not task.decodes:
                raise
        recording = Recording(open_file(task.video), task.selection)
        self._recording = task.video, recording
        while recording.num_taken < task.start.index and recording.skip_one():
            self._on_skip()
        return recording

    def _recording_at(
        self,
        video: Path,
        start: Position,
        index: Path | None,
        selection: Selection = ALL_FRAMES,
        *,
        decodes: bool = False,
    ) -> Recording:
        """Return the recording before a frame; that of the last task may be there.

        Args:
            video: the file.
            start: position of the frame.
            index: file with the packets.
            selection: which frames are analyzed.
            decodes: whether all frames before may be decoded. For each segment that would take longer than one process
                that reads in order.
        """
        if self._recording is not None:
            known, recording = self._recording
            recording.selection = selection
            if known == video and recording.reached().position == start:
                return recording
            self._close_recording()
        opened = open_at(video, start, self._read_index(index), decodes=decodes)
        assert opened is not None
        recording = Recording.at(opened, start, selection)
        self._recording = video, recording
        return recording

    def _read_index(self, path: Path | None) -> PacketIndex | None:
        if path is None:
            return None
        if self._index is None or self._index[0] != path:
            self._index = path, PacketIndex.load(path)
        return self._index[1]

    def _close_recording(self) -> None:
        if self._recording is not None:
            self._recording[1].close()
            self._recording = None
