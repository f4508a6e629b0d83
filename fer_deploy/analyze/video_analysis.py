"""VideoAnalysis: analyze one video segment by segment, and continue an earlier run at its last checkpoint."""

import gc
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from fer_deploy.analyze.checkpoint import Checkpoint, check_same
from fer_deploy.analyze.config import AnalyzeConfig
from fer_deploy.analyze.fingerprint import Fingerprint
from fer_deploy.analyze.models import Models
from fer_deploy.analyze.parts import PARTS, VIDEO, Parts
from fer_deploy.analyze.progress import AnalysisProgress
from fer_deploy.analyze.report.summary import Subject, Summary
from fer_deploy.analyze.result_files import SUMMARY, check_videos_stay, require_own_folder
from fer_deploy.analyze.segments.range_start import go_to_start
from fer_deploy.analyze.segments.recording import Recording
from fer_deploy.analyze.segments.saved_index import save_index
from fer_deploy.analyze.segments.sinks import PartVideoSink, Tally, open_tables
from fer_deploy.errors import ConfigError, MissingDependencyError, StreamError
from fer_deploy.live.pipeline import LivePipeline
from fer_deploy.live.seeking.packet_index import PacketIndex, index_of_file
from fer_deploy.live.sinks import Sink
from fer_deploy.live.sources import open_recording
from fer_deploy.live.sources.video import RESTART
from fer_deploy.privacy.portable_paths import without_folders_in_text
from fer_deploy.vision.tracking.baseline import doubt_about_file
from fer_deploy.vision.tracking.people import People


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


class Begun(NamedTuple):
    """An analysis that has begun: its recording before the first frame, its parts, and the last checkpoint."""

    recording: Recording
    parts: Parts
    state: Checkpoint


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
        with ExitStack() as opened:
            if self._config.selection.start_s:
                self._progress.begin(self._video.name, num_done=0, num_announced=None)
            begun = self.begin(opened, restart=restart)
            if begun is None or isinstance(begun, Summary):
                return begun
            end = self._analyze(*begun)
            return None if end is None else self.finish(begun.parts, end)

    def begin(self, opened: ExitStack, *, restart: bool) -> Begun | Summary | None:
        """Open the video and the folder of its parts, or return the summary if the analysis is finished.

        A new analysis is at the first frame of its range; None if `stop` was called on the way to it.

        Args:
            opened: closes what was opened.
            restart: as for `run`.

        Raises:
            FerDeployError: as `run`.
        """
        check_videos_stay([self._video], [self._folder])
        require_own_folder(self._folder)
        fingerprint = self._fingerprint()
        finished = None if restart else Summary.load(self._folder / SUMMARY)
        if finished is not None:
            check_same(fingerprint, finished.fingerprint, self._folder, self._names)
            self._remove_parts()
            return finished
        recording = opened.enter_context(closing(Recording(open_recording(self._video), self._config.selection)))
        recording.peek()  # a file without video fails here and leaves no trace in the folder
        parts = opened.enter_context(Parts(self._folder / PARTS))
        if restart:
            parts.clear()
            self._results.remove_results(self._folder)
        state = Checkpoint.load(parts.checkpoint)
        if state is None:
            try:
                is_there = go_to_start(recording, partial(self._save_index, parts), on_skip=self._on_skip)
            except StreamError:  # nothing is in the range
                parts.discard()
                raise
            if not is_there:
                return None
            state = Checkpoint.first(fingerprint, recording)
        check_same(fingerprint, state.fingerprint, self._folder, self._names)
        parts.remove_beyond(len(state.starts_s))
        return Begun(recording, parts, state)

    def finish(self, parts: Parts, end: Checkpoint) -> Summary:
        """Write the results after the last segment, and remove the parts.

        Raises:
            FerDeployError: as `run`.
        """
        self._progress.finish()
        engine = self._models.engine
        doubt = doubt_about_file(self._config.pipeline.people.baseline, engine.spec.labels)
        notes = (f"has a wrong baseline: {without_folders_in_text(doubt)}",) if doubt else ()
        subject = Subject(self._video, engine.description, self._models.detector, engine.spec.labels, notes)
        summary: Summary = self._results.write_results(parts, self._folder, end, subject, self._config)
        parts.remove()
        return summary

    @property
    def labels(self) -> tuple[str, ...]:
        """The classifier's labels."""
        return self._models.engine.spec.labels

    def people_after(self, state: Checkpoint) -> People:
        """Return the people of a checkpoint."""
        spec, known = self._models.engine.spec, state.people
        how = self._config.pipeline.people.for_model(spec)
        return People(how, spec.labels) if known is None else People.from_state(how, spec.labels, known)

    def _remove_parts(self) -> None:
        """Remove the parts of a run that was killed after it wrote the summary."""
        parts = Parts(self._folder / PARTS)
        if parts.is_ours:
            with suppress(ConfigError), parts:  # locked: another run has just written the summary and removes them
                parts.remove()

    def _fingerprint(self) -> Fingerprint:
        models = self._models
        return Fingerprint.of(self._video, self._config, engine=models.engine_file, detector=models.detector_file)

    def _analyze(self, recording: Recording, parts: Parts, state: Checkpoint) -> Checkpoint | None:
        """Analyze the remaining segments and return the last checkpoint; None if `stop` was called."""
        done = self.num_frames_kept = state.accounting.num_analyzed
        self._progress.begin(self._video.name, num_done=done, num_announced=self.num_expected(state))
        if not state.is_complete and done and not self._skip(recording, parts, state):
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

    def _skip(self, recording: Recording, parts: Parts, state: Checkpoint) -> bool:
        """Continue where the checkpoint was; return False if `stop` was called."""
        position = state.position
        num = state.accounting.num_analyzed if position is None else position.index
        on_skip = partial(self._on_skip, num=num)
        if position is None:
            is_there = recording.skip(num, on_skip=on_skip)
        else:
            is_there = recording.skip_to(position, partial(self._index, parts), on_skip=on_skip)
        if not is_there:
            return False
        reached = recording.reached()
        num_skipped = reached.num_corrupt - state.num_corrupt_before
        if num_skipped != state.accounting.num_skipped:
            raise StreamError(
                f"{self._video} has {num_skipped} corrupt frames up to frame {num}, but before it had "
                f"{state.accounting.num_skipped}. {RESTART}"
            )
        if position is not None and reached.position != position:
            raise StreamError(f"{self._video} has another frame {num} than before. {RESTART}")
        return True

    def num_expected(self, state: Checkpoint) -> int | None:
        """Return about how many frames are to be analyzed; None if the video does not say."""
        return self._config.selection.num_expected(state.accounting.num_announced, state.fps)

    def _on_skip(self, index: int, num: int) -> bool:
        self._progress.skip(index, num)
        return not self._stop_requested

    def _index(self, parts: Parts) -> PacketIndex | None:
        """Return the index of the packets, of an earlier run or read now; None if `stop` was called."""
        return parts.packet_index() or index_of_file(self._video, goes_on=lambda: not self._stop_requested)

    def _save_index(self, parts: Parts) -> PacketIndex | None:
        return parts.packet_index() or save_index(self._video, parts.packets, goes_on=lambda: not self._stop_requested)

    def _analyze_segment(self, recording: Recording, parts: Parts, state: Checkpoint) -> Checkpoint | None:
        """Analyze the next segment and return the state after it; None if `stop` was called before its end."""
        config, people = self._config.pipeline, self.people_after(state)
        before, num_left_out = state.accounting, recording.num_left_out
        segment = recording.segment(self._config.frames_per_segment)
        segment.first_size = state.picture_size  # of the video's first frame, not of the segment's
        tally = Tally()
        sinks = [tally, *self._open_sinks(parts, state)]
        self._pipeline = LivePipeline(
            segment, self._models.detectors, self._models.engine, sinks, config=config, people=[people]
        )
        if self._stop_requested:  # `stop` was called before the pipeline existed
            self._pipeline.stop()
        self._pipeline.run(
            lambda now: self._progress.advance(before.num_analyzed + now.num_frames, before.num_faces + now.num_faces)
        )
        if self._stop_requested and not (segment.is_whole and tally.num_frames == segment.health.num_captured):
            return None
        num = recording.num_left_out - num_left_out
        return state.after(tally, people.state(), recording.reached(), num_left_out=num)

    def _open_sinks(self, parts: Parts, state: Checkpoint) -> Sequence[Sink]:
        number, labels = len(state.starts_s), self._models.engine.spec.labels
        with ExitStack() as opened:
            is_corrected, run = self._config.pipeline.people.corrects, state.fingerprint
            sinks = open_tables(parts, number, labels, opened, is_corrected=is_corrected, run=run)
            if self._config.video:
                video = PartVideoSink(
                    parts.path(number, VIDEO), state.fps, size=state.picture_size, codec=self._config.video_codec
                )
                sinks.append(opened.enter_context(video))
            opened.pop_all()  # from here on the loop closes them
            return sinks
