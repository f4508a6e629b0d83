"""SplitAnalysis: the analysis of one video whose segments worker processes observe, in any order.

    index, observe (any order, any worker) | prove, replay (in order, here) | draw (any worker) | checkpoint (in order)

The parts and the checkpoint are those of `VideoAnalysis`, which may continue the run, and the other way round.
"""

from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from fer_deploy.analyze.checkpoint import Checkpoint
from fer_deploy.analyze.config import AnalyzeConfig
from fer_deploy.analyze.jobs.messages import Draw, Failed, Index, Indexed, Observe, Observed, Progress, Reply, Task
from fer_deploy.analyze.jobs.plan import Planned, SegmentPlan
from fer_deploy.analyze.parts import OBSERVATIONS, VIDEO
from fer_deploy.analyze.report.summary import Summary
from fer_deploy.analyze.segments.observations import read_observations
from fer_deploy.analyze.segments.recording import Reached
from fer_deploy.analyze.segments.replay import replay
from fer_deploy.analyze.segments.sinks import Tally, open_tables
from fer_deploy.analyze.video_analysis import VideoAnalysis
from fer_deploy.live.seeking.position import Position, SeekFailed
from fer_deploy.vision.types import FrameResult


class SplitAnalysis:
    """Gives tasks to workers and puts their replies in order. Used by one thread; create a new one for each run.

    Attributes:
        video: the file.
        is_complete: whether all segments are in the checkpoint.
        num_frames_kept: analyzed frames that are in a checkpoint.
    """

    def __init__(self, video: Path, analysis: VideoAnalysis, config: AnalyzeConfig, *, most_ahead: int) -> None:
        """Create the analysis; nothing is opened yet.

        Args:
            video: the file.
            analysis: of this video; it begins and finishes, and has the models.
            config: settings.
            most_ahead: segments that may be observed and not yet be in the checkpoint.
        """
        self.video = video
        self._analysis, self._config, self._most_ahead = analysis, config, most_ahead
        self._labels = analysis.labels
        self._opened = ExitStack()
        self.is_complete = False
        self.num_frames_kept = 0

    def begin(self, *, restart: bool) -> Summary | str | None:
        """Open the video and its parts; return the summary if it is finished, or why it cannot be split.

        If `VideoAnalysis.stop` was called, it is empty text.

        Raises:
            FerDeployError: as `VideoAnalysis.run`.
        """
        begun = self._analysis.begin(self._opened, restart=restart)
        if begun is None or isinstance(begun, Summary):
            return "" if begun is None else begun
        self._parts, self._saved = begun.parts, begun.state
        self._replayed = self._saved
        self.num_frames_kept = self._saved.accounting.num_analyzed
        self.is_complete = self._saved.is_complete
        counts, position = self._saved.accounting, self._saved.position or begun.recording.reached().position
        num_read = counts.num_before_start + counts.num_decoded - counts.num_skipped
        if not self.is_complete and (position is None or position.index != num_read):
            return "it is a picture" if position is None else "its checkpoint is of one process that knew no position"
        begun.recording.close()
        self._people = self._analysis.people_after(self._saved)
        self._observed: dict[int, tuple[Observe, Reply]] = {}
        self._flying: dict[int, Observe] = {}
        self._num_observed: dict[int, int] = {}
        self._num_planned = 0
        self._last: Planned | None = None
        self._to_draw: deque[Draw] = deque()
        self._unsaved: deque[tuple[int, Checkpoint]] = deque()
        self._drawn: set[int] = set()
        self._is_index_asked = False
        if position is not None:
            self._plan = SegmentPlan(
                Planned(len(self._saved.starts_s), position),
                self._config.frames_per_segment,
                self._saved.picture_size,
                self._config.selection,
            )
        return None

    @property
    def why_in_order(self) -> str:
        """Why the rest of the video is to be read in order, as text; empty while it can be split."""
        return "" if self.is_complete else self._plan.why_in_order

    @property
    def num_frames_done(self) -> int:
        """Frames that were observed, or are at the moment."""
        return self._replayed.accounting.num_analyzed + sum(self._num_observed.values())

    @property
    def num_faces_done(self) -> int:
        """Faces in the frames that were replayed."""
        return self._replayed.accounting.num_faces

    @property
    def num_expected(self) -> int | None:
        """About how many frames are to be analyzed; None if the video does not say."""
        return self._analysis.num_expected(self._saved)

    @property
    def state(self) -> Checkpoint:
        """The last checkpoint."""
        return self._saved

    def next_task(self) -> Task | None:
        """Return a task for an idle worker; None if there is none at the moment."""
        if self.is_complete or self.why_in_order:
            return None
        if not self._is_index_asked:
            self._is_index_asked = True
            index = self._parts.packet_index()
            if index is None:
                return Index(self.video, self._parts.packets)
            self._plan.set_index(index, None)
        if self._to_draw:
            return self._to_draw.popleft()
        planned = self._plan.peek()
        if planned is None or planned.number - len(self._saved.starts_s) >= self._most_ahead:
            return None
        self._last = self._plan.take()
        task = self._flying[planned.number] = self._observe(planned)
        return task

    def _observe(self, planned: Planned) -> Observe:
        self._num_planned += 1  # part of the name: a worker whose prediction was wrong may still be writing
        return Observe(
            video=self.video,
            index=self._index_file,
            number=planned.number,
            start=planned.start,
            num_frames=self._config.frames_per_segment,
            first_size=self._saved.picture_size,
            config=self._config.pipeline,
            fingerprint=self._saved.fingerprint,
            path=self._parts.path(planned.number, f"{self._num_planned}.{OBSERVATIONS}"),
            selection=self._config.selection,
        )

    @property
    def _index_file(self) -> Path | None:
        return None if self._plan.index is None else self._parts.packets

    def accept(self, task: Task, message: Progress | Reply) -> None:
        """Use a worker's message about a task of `next_task`.

        Raises:
            FerDeployError: the task failed, or results cannot be written.
        """
        if isinstance(message, Failed) and not isinstance(task, Observe):
            raise message.error
        if isinstance(message, Indexed):
            self._plan.set_index(self._parts.packet_index(), self._last)
        elif isinstance(task, Observe):
            self._note_observed(task, message)
        elif isinstance(task, Draw) and not isinstance(message, Progress):
            self._drawn.add(task.number)
            self._save()

    def _note_observed(self, task: Observe, message: Progress | Reply) -> None:
        if self._flying.get(task.number) is not task:  # its prediction was wrong, and it is observed again
            if not isinstance(message, Progress):
                task.path.unlink(missing_ok=True)
            return
        if isinstance(message, Progress):
            self._num_observed[task.number] = message.num_frames
            return
        self._observed[task.number] = task, message
        while not self.is_complete and (next_one := self._observed.pop(self._plan.proven.number, None)):
            del self._flying[self._plan.proven.number]
            self._num_observed.pop(self._plan.proven.number, None)
            if not self._use(*next_one):
                self._miss()

    def _use(self, task: Observe, reply: Reply) -> bool:
        """Replay a segment whose turn it is; return False if its prediction was wrong."""
        if isinstance(reply, Failed):
            if isinstance(reply.error, SeekFailed) or task.start.is_predicted:
                if not task.start.is_predicted:
                    self._plan.why_in_order = str(reply.error).partition(" Fix: ")[0]
                return False
            raise reply.error
        assert isinstance(reply, Observed)
        if reply.start is None or reply.start != self._plan.proven.start:
            task.path.unlink(missing_ok=True)
            return False
        self._replay(task, reply.start, reply.end)
        return True

    def _miss(self) -> None:
        """Observe again from the proven position; what was observed behind it is not used."""
        for task, _ in self._observed.values():
            task.path.unlink(missing_ok=True)
        for waiting in (self._observed, self._flying, self._num_observed):
            waiting.clear()
        self._last = None
        self._plan.miss()

    def _replay(self, task: Observe, start: Position, end: Reached) -> None:
        observations, about = read_observations(task.path)
        tally = Tally()
        results: list[FrameResult] = []
        with ExitStack() as opened:
            is_corrected, run = self._config.pipeline.people.corrects, self._saved.fingerprint
            tables = open_tables(self._parts, task.number, self._labels, opened, is_corrected=is_corrected, run=run)
            sinks = [tally, *tables]
            for result in replay(observations, self._people, self._labels):
                results.append(result)
                for sink in sinks:
                    sink.write(result, None)
        people = self._people.state()
        self._replayed = self._replayed.after(tally, people, end, num_left_out=about.num_left_out)
        self._unsaved.append((task.number, self._replayed))
        task.path.unlink()
        if end.position is not None:
            self._plan.prove(end.position, was_predicted=task.start.is_predicted)
            if self._plan.proven.number not in self._flying:
                self._plan.go_on()
        else:
            self._plan.end()
            self._flying.clear()
            self._num_observed.clear()
        if self._config.video and results:
            self._to_draw.append(self._draw(task, start, results))
        else:
            self._drawn.add(task.number)
            self._save()

    def _draw(self, task: Observe, start: Position, results: Sequence[FrameResult]) -> Draw:
        state, path = self._saved, self._parts.path(task.number, VIDEO)
        return Draw(
            video=self.video,
            index=self._index_file,
            number=task.number,
            start=start,
            frames=tuple(result.frame.index for result in results),
            faces=tuple(result.faces for result in results),
            hidden=tuple(result.hidden for result in results),
            anonymize=self._config.pipeline.anonymize,
            labels=self._labels,
            fps=state.fps,
            size=state.picture_size,
            codec=self._config.video_codec,
            path=path,
        )

    def _save(self) -> None:
        """Write the checkpoints of the segments whose files are complete, in order."""
        while self._unsaved and self._unsaved[0][0] in self._drawn:
            number, state = self._unsaved.popleft()
            self._drawn.discard(number)
            self._parts.sync(number)
            state.save(self._parts.checkpoint)
            self._saved, self.num_frames_kept = state, state.accounting.num_analyzed
            self.is_complete = state.is_complete

    def finish(self) -> Summary:
        """Write the results; raises FerDeployError as `VideoAnalysis.run`."""
        return self._analysis.finish(self._parts, self._saved)

    def close(self) -> None:
        """Close what is open; further calls do nothing."""
        self._opened.close()
