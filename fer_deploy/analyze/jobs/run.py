"""SplitRun: analyze several videos with worker processes that they share."""

from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

from fer_deploy.analyze.config import AnalyzeConfig
from fer_deploy.analyze.jobs.crew import Crew, Event
from fer_deploy.analyze.jobs.messages import Task
from fer_deploy.analyze.jobs.split_analysis import SplitAnalysis
from fer_deploy.analyze.progress import AnalysisProgress
from fer_deploy.analyze.report.summary import Summary
from fer_deploy.analyze.video_analysis import VideoAnalysis

_WAIT_S = 0.1
Done = Callable[[Path, Summary | Exception], None]
"""Called with each video, and its summary or its failure, in the order in which they end."""


class SplitRun:
    """Gives the workers the segments of the first video, and of the next ones where the first has none for them.

    A video whose frames can be read in order only is analyzed in this process. Used by one thread; `stop` by any.
    """

    def __init__(
        self,
        videos: Mapping[Path, VideoAnalysis],
        config: AnalyzeConfig,
        progress: AnalysisProgress,
        *,
        crew: Crew[SplitAnalysis],
    ) -> None:
        """Create a run.

        Args:
            videos: the analysis of each.
            config: settings.
            progress: of the first video that is not finished.
            crew: the workers.
        """
        self._videos, self._config, self._progress, self._crew = videos, config, progress, crew
        self._waiting = deque(videos)
        self._active: list[SplitAnalysis] = []
        self._shown: SplitAnalysis | None = None
        self._in_order: VideoAnalysis | None = None
        self._stop_requested = False
        self._done: Done = lambda video, result: None
        self._restart = False

    def stop(self) -> None:
        """End the run. Takes no lock: safe in signal handlers."""
        self._stop_requested = True
        for analysis in self._videos.values():
            analysis.stop()

    @property
    def num_frames_kept(self) -> int:
        """Frames of the first unfinished video that the next run need not analyze again."""
        if self._in_order is not None:
            return self._in_order.num_frames_kept
        return self._active[0].num_frames_kept if self._active else 0

    def run(self, on_done: Done, *, restart: bool) -> None:
        """Analyze the videos, or as many as are finished when `stop` is called.

        Args:
            on_done: called with each that ends.
            restart: delete the results of earlier runs.
        """
        self._done, self._restart = on_done, restart
        try:
            while not self._stop_requested and (self._waiting or self._active):
                self._give_tasks()
                for event in self._crew.events(_WAIT_S):
                    self._use(event)
                for analysis in [one for one in self._active if one.is_complete or one.why_in_order]:
                    self._end(analysis)
                self._show()
        finally:
            for analysis in self._active:
                analysis.close()

    def _give_tasks(self) -> None:
        for worker in self._crew.idle():
            while (found := self._next_task()) is None and self._begin_next():
                pass
            if found is None:
                return
            self._crew.give(worker, *found)

    def _next_task(self) -> tuple[SplitAnalysis, Task] | None:
        for analysis in self._active:
            task = analysis.next_task()
            if task is not None:
                return analysis, task
        return None

    def _begin_next(self) -> bool:
        """Begin the next video; return False if there is none, or enough have begun."""
        if self._stop_requested or not self._waiting or len(self._active) > self._crew.num_workers:
            return False
        video = self._waiting.popleft()
        most_ahead = 2 * self._crew.num_workers + 2
        analysis = SplitAnalysis(video, self._videos[video], self._config, most_ahead=most_ahead)
        try:
            begun = analysis.begin(restart=self._restart)
        except Exception as err:  # noqa: BLE001 - the other videos continue
            analysis.close()
            self._done(video, err)
            return True
        if begun is None:
            self._active.append(analysis)
            return True
        analysis.close()
        if isinstance(begun, Summary):
            self._done(video, begun)
        elif begun:
            self._run_in_order(video, begun)
        return True

    def _use(self, event: Event[SplitAnalysis]) -> None:
        if event.owner not in self._active:
            return
        try:
            event.owner.accept(event.task, event.message)
        except Exception as err:  # noqa: BLE001 - the other videos continue
            self._drop(event.owner)
            self._done(event.owner.video, err)

    def _drop(self, analysis: SplitAnalysis) -> None:
        self._crew.forget(analysis)
        self._active.remove(analysis)
        analysis.close()

    def _end(self, analysis: SplitAnalysis) -> None:
        """Finish an analysis that is complete, or continue it in order."""
        if not analysis.is_complete:
            self._drop(analysis)
            self._run_in_order(analysis.video, analysis.why_in_order)
            return
        try:
            result: Summary | Exception = analysis.finish()
        except Exception as err:  # noqa: BLE001 - as above
            result = err
        self._drop(analysis)
        self._done(analysis.video, result)

    def _run_in_order(self, video: Path, why: str) -> None:
        """Analyze a video in this process, from its last checkpoint."""
        self._progress.note(f"{video.name} is read in order, by one process: {why}")
        self._in_order, self._shown = self._videos[video], None
        try:
            if self._stop_requested:
                return
            result: Summary | Exception | None = self._in_order.run()
        except Exception as err:  # noqa: BLE001 - as above
            result = err
        if result is not None:
            self._in_order = None
            self._done(video, result)

    def _show(self) -> None:
        """Show the progress of the first video."""
        if not self._active:
            return
        first = self._active[0]
        if first is not self._shown:
            self._shown, num_done = first, first.state.accounting.num_analyzed
            self._progress.begin(first.video.name, num_done=num_done, num_announced=first.num_expected)
        self._progress.advance(first.num_frames_done, first.num_faces_done)
