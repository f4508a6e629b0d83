"""LivePipeline: sources -> workers -> outlets, each with its own threads, and one handling of every failure.

    capture (a thread a source) -> Intake -> workers (a thread a core) -> Outlet (a thread a sink)

A recording loses no frame: every stage waits for the next. Live, the newest frame wins; no output blocks the loop.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from fer_deploy.engines.base import Engine
from fer_deploy.engines.threads import available_cores
from fer_deploy.errors import ConfigError, StreamError
from fer_deploy.live import ending
from fer_deploy.live.analysis import SourceAnalysis
from fer_deploy.live.config import PipelineConfig
from fer_deploy.live.drawing.overlay import Drawing
from fer_deploy.live.intake import Intake
from fer_deploy.live.load import WorkerLoad
from fer_deploy.live.outlet import POLL_S, Item, Outlet
from fer_deploy.live.result_queue import ResultQueue, require_free_main_thread, results_in_background
from fer_deploy.live.sinks import Sink
from fer_deploy.live.sources import Source, require_sources
from fer_deploy.live.stats import LiveSnapshot, LiveStats, SourceSnapshot
from fer_deploy.live.threads.cores import shared_cores
from fer_deploy.live.threads.failures import Failures, failure_from
from fer_deploy.live.threads.worker import Worker, start_all
from fer_deploy.live.workforce import Detectors, Workforce
from fer_deploy.vision.tracking.people import People
from fer_deploy.vision.types import FrameResult

_log = logging.getLogger(__name__)
OnProgress = Callable[[LiveSnapshot], None]


class LivePipeline:
    """One run of sources -> detector -> engine -> sinks. Create a new one for each run.

        for result in LivePipeline(source, detectors, engine):
            ...                      # breaking out of the loop ends the run

    or `run()`, which returns when the run has ended. The run closes sources and sinks; the caller closes the engine.

    Each captured frame is counted as analyzed, dropped for a newer one, or unused at the run's end. Whether a source is
    live is decided once, before its first frame, for intake, intervals, outlets and sinks.
    """

    def __init__(
        self,
        sources: Source | Sequence[Source],
        detectors: Detectors,
        engine: Engine,
        sinks: Sequence[Sink] = (),
        *,
        config: PipelineConfig | None = None,
        people: Sequence[People] | None = None,
        made_with: Mapping[str, str] | None = None,
    ) -> None:
        """Create a run from opened parts.

        Args:
            sources: one or several; all share the engine.
            detectors: creates a detector for each worker.
            engine: at most one worker at a time uses it, unless it is concurrent.
            sinks: each receives every result.
            config: None: the defaults.
            people: state of each source's people from an earlier run; None: no people yet.
            made_with: more entries for the snapshots' `made_with`, such as the detector's description.
        """
        self._sources = require_sources(sources)
        self._config = config or PipelineConfig()
        self.stats = LiveStats()
        self._labels = engine.spec.labels
        self._made_with = {"engine": engine.description, **(made_with or {})}
        self._num_workers = self._config.workers or available_cores()
        fixed = self._config.detect_every
        are_live = [bool(source.is_live) for source in self._sources]
        self._intake = Intake(are_live, max_frames=self._config.max_frames, multiple=1 if fixed == "auto" else fixed)
        load = WorkerLoad(self._num_workers)
        self._intervals = [load.interval(fixed, is_live=is_live) for is_live in are_live]
        how = self._config.people.for_model(engine.spec)
        met = people or [People(how, self._labels, warns=True) for _ in self._sources]
        analyses = [
            SourceAnalysis(known, engine, self._config, interval, source=source, deliver=self._deliver)
            for known, interval, source in zip(met, self._intervals, self._sources, strict=True)
        ]
        self._workforce = Workforce(
            self._intake, analyses, detectors, engine, num_workers=self._num_workers, on_error=self._on_error
        )
        self._outlets = [Outlet(sink, is_live=self.is_live) for sink in sinks]
        self._num_delivered, self._failures = [0] * len(self._sources), Failures()
        self._has_begun = self._stop_requested = self._stopped = False

    @property
    def is_live(self) -> bool:
        """Whether a source is known to be live: then outputs may lose results."""
        return any(source.is_live for source in self._sources)

    def stop(self) -> None:
        """End the run after the frames being analyzed. Takes no lock: safe in signal handlers and any thread."""
        self._stop_requested = True

    def set_config(self, config: PipelineConfig, detectors: Detectors | None, made_with: Mapping[str, str]) -> None:
        """Use other settings, and detectors if given, from the next frames on. Callable from any thread.

        The people stay, and so do `workers` and `max_frames`. `made_with` replaces entries of that name.
        """
        self._workforce.set_config(config, detectors)
        self._made_with = {**self._made_with, **made_with}

    def snapshot(self) -> LiveSnapshot:
        """Return the current state of the run; callable from any thread."""
        return self.stats.snapshot(
            lambda: tuple(SourceSnapshot.of(one, self._intake.num_dropped(i)) for i, one in enumerate(self._sources)),
            lambda: tuple(outlet.snapshot() for outlet in self._outlets),
            detect_every=max(interval.frames for interval in self._intervals),
            made_with=self._made_with,
            is_over=self._workforce.done.is_set(),
        )

    def __iter__(self) -> Iterator[FrameResult]:
        """Run in the background and yield results in order. If the caller is too slow, live results are dropped.

        Raises:
            ConfigError: it has run before, or a sink needs the main thread.
            FerDeployError: as `run`, after the results before the failure.
        """
        require_free_main_thread(outlet.sink for outlet in self._outlets)
        self._begin()
        queue = ResultQueue()
        self._outlets.append(Outlet(queue, is_live=self.is_live))
        return results_in_background(queue, lambda: self._run(None), self.stop)

    def _begin(self) -> None:
        if self._has_begun:
            raise ConfigError(
                "this LivePipeline has run, and its sources and sinks are closed. Fix: make a new LivePipeline, with "
                "newly opened sources and sinks, for each run"
            )
        self._has_begun = True

    def run(self, on_progress: OnProgress | None = None) -> LiveSnapshot:
        """Run until the sources end, `max_frames` are done, a sink asks to end, or `stop`.

        Args:
            on_progress: called in this thread, several times a second.

        Raises:
            ConfigError: it has run before.
            FerDeployError: the first failure, with its `stage`; all threads have ended and all outputs are closed.
        """
        self._begin()
        return self._run(on_progress)

    def _run(self, on_progress: OnProgress | None) -> LiveSnapshot:
        captures = [Worker("capture", lambda i=i: self._capture(i), self._on_error) for i in range(len(self._sources))]  # type: ignore[misc]
        workers = [Worker("analyze", self._workforce.work, self._on_error) for _ in range(self._num_workers)]
        main, others = self._split_outlets()
        writers = [Worker(f"sink-{outlet.sink.name}", outlet.pump, self._on_error) for outlet in others]
        with shared_cores(max(1, available_cores() // self._num_workers)):
            try:
                start_all((*writers, *workers, *captures))
                self._watch(main, on_progress)
            except BaseException:
                ending.note_incomplete(self._outlets)
                raise
            finally:
                self._end(captures, workers, main, dict(zip(others, writers, strict=True)))
        self._failures.raise_first([err for outlet in self._outlets if (err := outlet.error()) is not None])
        return self.snapshot()

    def _split_outlets(self) -> tuple[Outlet | None, list[Outlet]]:
        main = [outlet for outlet in self._outlets if outlet.sink.needs_main_thread]
        assert len(main) <= 1, "two sinks want the main thread"
        return (main[0] if main else None), [outlet for outlet in self._outlets if outlet not in main]

    def _capture(self, number: int) -> None:
        source = self._sources[number]
        try:
            started_ns = time.monotonic_ns()
            for frame in source.frames():
                if source.is_live is False:
                    self.stats.add_duration("decode", time.monotonic_ns() - started_ns)
                source.health.num_captured += 1
                if source.first_size is None:
                    source.first_size = frame.size
                    self._settle(number)
                if not self._intake.put(number, frame if frame.source == number else replace(frame, source=number)):
                    break
                started_ns = time.monotonic_ns()
        except Exception as err:  # noqa: BLE001 - the thread's end, before its close can hide the cause
            self._on_error("capture", err)
        finally:
            source.health.state = "ended"
            self._intake.finish(number)
            source.close()

    def _settle(self, number: int) -> None:
        """Propagate whether a source is live; called before its first frame."""
        is_live = bool(self._sources[number].is_live)
        self._intake.set_live(number, is_live)
        self._intervals[number].set_live(is_live)
        if is_live:
            for outlet in self._outlets:
                outlet.become_live()

    def _deliver(self, result: FrameResult) -> None:
        self.stats.add(result)
        self._num_delivered[result.frame.source] += 1  # by one worker at a time: each source's results are in order
        whole: Item = result, Drawing(result, self._labels)
        bare: Item = result.without_pixels(), None  # hundreds of results may wait for a file; their frames must not
        for outlet in self._outlets:
            outlet.put(whole if outlet.sink.needs_pixels else bare)

    def _watch(self, main: Outlet | None, on_progress: OnProgress | None) -> None:
        """Wait until everything is analyzed or the run must end; meanwhile serve the sink that needs this thread."""
        told_s = 0.0
        while not (self._stop_requested or self._is_cut_short()):
            if self._workforce.done.wait(POLL_S if main is None else 0):
                return
            if main is not None and not main.step():
                main.end()
                main = None
            if on_progress is not None and time.monotonic() - told_s > 2 * POLL_S:
                on_progress(self.snapshot())
                told_s = time.monotonic()

    def _is_cut_short(self) -> bool:
        """Return whether a sink asks to end, or failed outputs end the run."""
        wants_end = any(outlet.wants_end.is_set() for outlet in self._outlets)
        return wants_end or ending.failures_end_the_run(self._outlets, self._sources)

    def _end(
        self, captures: Sequence[Worker], workers: Sequence[Worker], main: Outlet | None, others: dict[Outlet, Worker]
    ) -> None:
        """End the threads in the order of the flow; frames being analyzed are still delivered, but not to a window."""
        self._stopped = not self._workforce.done.is_set()
        if self._stopped and ending.failures_end_the_run(self._outlets, self._sources):
            ending.note_incomplete(self._outlets)
        for source, capture in zip(self._sources, captures, strict=True):
            source.stop()  # after `max_frames` too: a stream may be waiting for its camera
            if not capture.has_started:
                source.close()
        self._intake.close()
        if main is not None and self._stopped:
            main.end()  # workers may be waiting for the thread that is here
        for outlet in self._outlets:
            if outlet.failure is not None:
                outlet.finish()
        self._join("capture", captures, ending.GRACE_S)
        self._join_workers(workers)
        for outlet, writer in others.items():
            outlet.finish()
            if not writer.has_started:
                outlet.end()
        if main is not None:
            main.finish()
            main.pump(until=lambda: self._stop_requested)
        is_live = ending.any_may_be_live(self._sources)  # all captures have ended: it is known for each that began
        ending.finish_outlets(list(others), is_hasty=lambda: is_live or self._stopped or self._stop_requested)
        for i, source in enumerate(self._sources):
            num_done = self._num_delivered[i] + self._intake.num_dropped(i)
            source.health.num_unused = max(0, source.health.num_captured - num_done)

    def _join(self, stage: str, threads: Sequence[Worker], limit_s: float) -> None:
        if not ending.have_ended(threads, limit_s):
            self._on_error(stage, StreamError(f"the {stage} thread did not end within {limit_s:g} s; it was given up"))

    def _join_workers(self, workers: Sequence[Worker]) -> None:
        """Wait for the chunks being analyzed; give them up if that takes long or an output is blocked."""
        if not ending.have_ended(workers, ending.PATIENCE_S):
            self._workforce.give_up()
            for outlet in self._outlets:
                outlet.finish()
        self._join("infer", workers, ending.ENGINE_S)

    def _on_error(self, stage: str, err: Exception, number: int | None = None) -> None:
        """Store a failure. One of source `number` leaves the others running; any other of a worker ends the run."""
        failure, source = failure_from(stage, err), None if number is None else self._sources[number]
        if stage != "capture" and source is None:
            self._failures.note_fatal(failure)
            ending.note_incomplete(self._outlets)
            self._intake.close()
            return
        if source is not None or not self._has_enough():
            self._failures.note_of_source(failure)
            ending.note_incomplete(self._outlets)
        if len(self._sources) > 1:
            _log.warning("%s", failure)
        if source is not None:
            source.stop()

    def _has_enough(self) -> bool:
        """Return whether enough frames were captured, so that a failure of capture no longer matters."""
        if self._stop_requested or self._stopped:
            return True
        num = sum(source.health.num_captured - self._intake.num_dropped(i) for i, source in enumerate(self._sources))
        return self._config.max_frames is not None and num >= self._config.max_frames
