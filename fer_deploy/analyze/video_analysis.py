"""VideoAnalysis: analyze one video segment by segment, and continue an earlier run at its last checkpoint."""

import gc
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from fer_deploy.analyze.accounting import Accounting
from fer_deploy.analyze.checkpoint import Checkpoint, check_same
from fer_deploy.analyze.config import AnalyzeConfig
from fer_deploy.analyze.fingerprint import Fingerprint
from fer_deploy.analyze.parts import PARTS, VIDEO, Parts
from fer_deploy.analyze.progress import AnalysisProgress
from fer_deploy.analyze.recording import Recording
from fer_deploy.analyze.report.summary import Subject, Summary
from fer_deploy.analyze.result_files import SUMMARY, check_videos_stay, require_own_folder
from fer_deploy.analyze.segment_sinks import FIX, PartVideoSink, Tally
from fer_deploy.detectors import DetectorFactory
from fer_deploy.engines.base import Engine
from fer_deploy.errors import ConfigError, MissingDependencyError, StreamError
from fer_deploy.live.pipeline import LivePipeline
from fer_deploy.live.sinks import CsvSink, ParquetSink, Sink
from fer_deploy.live.sources import open_recording
from fer_deploy.vision.tracking.people import People


class Models(NamedTuple):
    """Engine and detectors of an analysis.

    Attributes:
        engine: opened; the caller closes it.
        engine_file: its file.
        detectors: creates a detector for each worker.
        detector_file: file of the detector's network, None if it has none.
        detector: description of the detector.
    """

    engine: Engine
    engine_file: Path
    detectors: DetectorFactory
    detector_file: Path | None
    detector: str


def load_results() -> Any:
    """Import `fer_deploy.analyze.results`, which needs the packages of the extra.

    Raises:
        MissingDependencyError: a package of the extra is not installed.
    """
    try:
        return import_module("fer_deploy.analyze.results")
    except ImportError as err:
        raise MissingDependencyError(
            f"analyzing needs the extra analyze: {err}. Fix: pip install 'fer-toolchain[analyze]'"
        ) from err


class VideoAnalysis:
    """The analysis of one video; create a new one for each run.

    A new live loop runs for each segment, so that a checkpoint has the state of all parts at one frame. The borders of
    segments are fixed, so results are the same to the last bit, however often a run is killed.

    Attributes:
        num_frames_kept: analyzed frames that are in a checkpoint.
    """

    def __init__(
        self,
        video: Path,
        folder: Path,
        config: AnalyzeConfig,
        models: Models,
        progress: AnalysisProgress,
        *,
        names: Mapping[str, str] | None = None,
    ) -> None:
        """Create the analysis; nothing is opened yet.

        Args:
            video: the file.
            folder: for its results.
            config: settings.
            models: engine and detectors.
            progress: called with the progress.
            names: what the user calls a setting, by its dotted key, for messages.
        """
        self._names = names
        self._video, self._folder, self._config, self._models = video, folder, config, models
        self._progress = progress
        self._results = load_results()
        self._pipeline: LivePipeline | None = None
        self._stop_requested = False
        self.num_frames_kept = 0

    def stop(self) -> None:
        """End the run and discard the current segment. Takes no lock: safe in signal handlers."""
        self._stop_requested = True
        if self._pipeline is not None:
            self._pipeline.stop()

    def run(self, *, restart: bool = False) -> Summary | None:
        """Analyze the video, or continue an earlier run; return None if `stop` was called.

        Args:
            restart: delete the results of an earlier run.

        Raises:
            ConfigError: the folder has results of another video, model or setting, or files that no analysis wrote, or
                the video is a result.
            StreamError: the video cannot be read, or the accounting is wrong.
            SinkError: results cannot be written.
        """
        check_videos_stay([self._video], [self._folder])
        require_own_folder(self._folder)
        fingerprint = self._fingerprint()
        summary_file = self._folder / SUMMARY
        finished = None if restart else Summary.load(summary_file)
        if finished is not None:
            check_same(fingerprint, finished.fingerprint, self._folder, self._names)
            self._remove_parts()
            return finished
        with ExitStack() as opened:
            recording = opened.enter_context(closing(Recording(open_recording(self._video))))
            recording.peek()  # a file without video fails here and leaves no trace in the folder
            parts = opened.enter_context(Parts(self._folder / PARTS))
            if restart:
                parts.clear()
                self._results.remove_results(self._folder)
            state = Checkpoint.load(parts.checkpoint) or self._first_state(fingerprint, recording)
            check_same(fingerprint, state.fingerprint, self._folder, self._names)
            parts.remove_beyond(len(state.starts_s))
            end = self._analyze(recording, parts, state)
            if end is None:
                return None
            self._progress.finish()
            engine = self._models.engine
            subject = Subject(self._video, engine.description, self._models.detector, engine.spec.labels)
            summary: Summary = self._results.write_results(
                parts, self._folder, end, subject, with_video=self._config.video
            )
            parts.remove()
            return summary

    def _remove_parts(self) -> None:
        """Remove the parts of a run that was killed after it wrote the summary."""
        parts = Parts(self._folder / PARTS)
        if parts.is_ours:
            with suppress(ConfigError), parts:  # locked: another run has just written the summary and removes them
                parts.remove()

    def _fingerprint(self) -> Fingerprint:
        models = self._models
        return Fingerprint.of(self._video, self._config, engine=models.engine_file, detector=models.detector_file)

    def _first_state(self, fingerprint: Fingerprint, recording: Recording) -> Checkpoint:
        first = recording.peek()
        assert first is not None
        accounting = Accounting(num_announced=recording.source.num_frames)
        return Checkpoint(
            fingerprint=fingerprint,
            fps=recording.source.fps,
            picture_size=first.size,
            accounting=accounting,
            notes=recording.source.notes,
        )

    def _analyze(self, recording: Recording, parts: Parts, state: Checkpoint) -> Checkpoint | None:
        """Analyze the remaining segments and return the last checkpoint; None if `stop` was called."""
        done = self.num_frames_kept = state.accounting.num_analyzed
        self._progress.begin(self._video.name, num_done=done, num_announced=state.accounting.num_announced)
        if not state.is_complete and done and not self._skip(recording, state):
            return None
        while not state.is_complete:
            after = None if self._stop_requested else self._analyze_segment(recording, parts, state)
            if after is None:
                return None
            parts.sync(len(state.starts_s))
            after.save(parts.checkpoint)
            state = after
            self._forget_loop()
            self.num_frames_kept = state.accounting.num_analyzed
        return state

    def _forget_loop(self) -> None:
        """Free the segment's loop, whose parts refer to each other.

        Its video encoder has megabytes that Python does not count, so the collector would let dozens of them
        accumulate.
        """
        self._pipeline = None
        gc.collect()

    def _skip(self, recording: Recording, state: Checkpoint) -> bool:
        num = state.accounting.num_analyzed

        def on_skip(index: int) -> bool:
            self._progress.skip(index, num)
            return not self._stop_requested

        if not recording.skip(num, on_skip=on_skip):
            return False
        recording.peek()
        if recording.num_skipped != state.accounting.num_skipped:
            raise StreamError(
                f"{self._video} has {recording.num_skipped} corrupt frames up to frame {num}, but before it had "
                f"{state.accounting.num_skipped}. Fix: check the disk that holds it, or --restart"
            )
        return True

    def _analyze_segment(self, recording: Recording, parts: Parts, state: Checkpoint) -> Checkpoint | None:
        """Analyze the next segment and return the state after it; None if `stop` was called before its end."""
        config, spec, known = self._config.pipeline, self._models.engine.spec, state.people
        how = config.people.for_model(spec)
        people = People(how, spec.labels) if known is None else People.from_state(how, spec.labels, known)
        segment = recording.segment(self._config.frames_per_segment)
        segment.first_size = state.picture_size  # of the video's first frame, not of the segment's
        tally = Tally()
        sinks = [tally, *self._open_sinks(parts, state)]
        self._pipeline = LivePipeline(
            segment, self._models.detectors, self._models.engine, sinks, config=config, people=[people]
        )
        if self._stop_requested:  # `stop` was called before the pipeline existed
            self._pipeline.stop()
        before = state.accounting
        self._pipeline.run(
            lambda now: self._progress.advance(before.num_analyzed + now.num_frames, before.num_faces + now.num_faces)
        )
        if self._stop_requested and not (segment.is_whole and tally.num_frames == segment.health.num_captured):
            return None
        return self._state_after(recording, state, tally, people)

    def _open_sinks(self, parts: Parts, state: Checkpoint) -> Sequence[Sink]:
        number, labels = len(state.starts_s), self._models.engine.spec.labels
        with ExitStack() as opened:
            sinks: list[Sink] = [
                opened.enter_context(ParquetSink(parts.path(number, "parquet"), labels, fix=FIX)),
                opened.enter_context(CsvSink(parts.path(number, "csv"), labels, fix=FIX)),
            ]
            if self._config.video:
                video = PartVideoSink(
                    parts.path(number, VIDEO), state.fps, size=state.picture_size, codec=self._config.video_codec
                )
                sinks.append(opened.enter_context(video))
            opened.pop_all()  # from here on the loop closes them
            return sinks

    def _state_after(self, recording: Recording, before: Checkpoint, tally: Tally, people: People) -> Checkpoint:
        is_complete = recording.peek() is None  # at the end the source sets num_missing
        counts, health = before.accounting, recording.source.health
        accounting = Accounting(
            num_announced=counts.num_announced,
            num_decoded=recording.num_taken + recording.num_skipped,
            num_skipped=recording.num_skipped,
            num_analyzed=counts.num_analyzed + tally.num_frames,
            num_with_faces=counts.num_with_faces + tally.num_with_faces,
            num_faces=counts.num_faces + tally.num_faces,
            num_missing=health.num_missing,
        )
        accounting.check()
        progress = {"starts_s": [*before.starts_s, tally.start_s], "end_s": tally.end_s, "accounting": accounting}
        return before.model_copy(
            update=progress
            | {
                "num_size_changes": health.num_size_changes,
                "people": people.state(),
                "is_complete": is_complete,
                "trouble": health.last_error if is_complete else "",
            }
        )
