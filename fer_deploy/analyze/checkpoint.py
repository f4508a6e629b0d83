"""Checkpoint: the progress of a video's analysis, and the state needed to continue it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from fer_deploy.analyze.accounting import Accounting
from fer_deploy.analyze.fingerprint import Fingerprint
from fer_deploy.analyze.segments.range_start import range_notes
from fer_deploy.analyze.segments.recording import Reached, Recording
from fer_deploy.analyze.segments.sinks import Tally
from fer_deploy.analyze.whole_file import write_whole
from fer_deploy.errors import ConfigError, SinkError
from fer_deploy.live.seeking.position import Position


class Checkpoint(BaseModel):
    """The state after the last complete segment.

    Attributes:
        fingerprint: of everything that the results depend on.
        starts_s: time of the first frame with a result of each finished segment, in seconds of the video; None for a
            segment without one.
        start_s: time of the first frame of the range.
        end_s: time of the last frame read.
        num_corrupt_before: corrupt frames and packets before the range, as far as they were read.
        fps: frames per second according to the video.
        picture_size: width and height of the first frame, and of the annotated video.
        accounting: up to here.
        num_size_changes: changes of resolution up to here.
        people: `People.state()`; None before the first segment.
        position: of the next frame; None before the first segment, at the end, and for a picture.
        is_complete: whether the end of the video or of the range is reached; only joining and reporting remain.
        is_cut: whether it is the end of the range, and the video goes on.
        notes: facts for the user about how the video is read, such as which of several streams.
        trouble: fault at the video's end, such as a truncated file; empty if there is none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    fingerprint: Fingerprint
    starts_s: list[float | None] = []
    start_s: float = 0.0
    end_s: float = 0.0
    num_corrupt_before: int = 0
    fps: float = 0.0
    picture_size: tuple[int, int] = (0, 0)
    accounting: Accounting = Accounting()
    num_size_changes: int = 0
    people: dict[str, Any] | None = None
    position: Position | None = None
    is_complete: bool = False
    is_cut: bool = False
    notes: tuple[str, ...] = ()
    trouble: str = ""

    @classmethod
    def first(cls, fingerprint: Fingerprint, recording: Recording) -> Self:
        """Return the state before the first segment; the recording is at the first frame of its range."""
        first, source, reached = recording.peek(), recording.source, recording.reached()
        assert first is not None
        return cls(
            fingerprint=fingerprint,
            start_s=first.time_s,
            num_corrupt_before=reached.num_corrupt if reached.num_taken else 0,
            fps=source.fps,
            picture_size=first.size,
            accounting=Accounting(num_announced=source.num_frames, num_before_start=reached.num_taken),
            notes=source.notes + range_notes(recording.selection),
        )

    @property
    def until_s(self) -> float:
        """When the last frame that was read ends, in seconds of the video; at most the end of the range."""
        if self.is_cut:
            return float(self.fingerprint.settings["end"])
        num, span_s = self.accounting.num_decoded - self.accounting.num_skipped, self.end_s - self.start_s
        return self.end_s + (span_s / (num - 1) if num > 1 and span_s > 0 else 1 / self.fps)

    def after(self, tally: Tally, people: dict[str, Any], reached: Reached, *, num_left_out: int) -> "Checkpoint":
        """Return the state after the next segment.

        Args:
            tally: of the segment's results.
            people: `People.state()` after it.
            reached: state of the recording after it.
            num_left_out: frames of the segment that were read and have no result.

        Raises:
            StreamError: the counts do not add up.
        """
        counts = self.accounting
        num_skipped = reached.num_corrupt - self.num_corrupt_before
        accounting = Accounting(
            num_announced=counts.num_announced,
            num_decoded=reached.num_taken - counts.num_before_start + num_skipped,
            num_skipped=num_skipped,
            num_analyzed=counts.num_analyzed + tally.num_frames,
            num_with_faces=counts.num_with_faces + tally.num_with_faces,
            num_faces=counts.num_faces + tally.num_faces,
            num_missing=reached.num_missing,
            num_left_out=counts.num_left_out + num_left_out,
            num_before_start=counts.num_before_start,
        )
        accounting.check()
        return self.model_copy(
            update={
                "starts_s": [*self.starts_s, tally.start_s if tally.num_frames else None],
                "end_s": reached.last_s,
                "accounting": accounting,
                "num_size_changes": reached.num_size_changes,
                "people": people,
                "position": reached.position,
                "is_complete": reached.is_end,
                "is_cut": reached.is_cut,
                "trouble": reached.trouble,
            }
        )

    def save(self, path: Path) -> None:
        """Write the checkpoint; it replaces the previous one."""
        write_whole(path, self.model_dump_json().encode())

    @classmethod
    def load(cls, path: Path) -> "Checkpoint | None":
        """Read a checkpoint; return None if there is none.

        Raises:
            ConfigError: it is damaged, or of another version.
            SinkError: it cannot be read.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as err:
            raise SinkError(f"cannot read {path}: {err.strerror}. Fix: check the folder's permissions") from err
        except ValidationError as err:
            raise ConfigError(
                f"{path} is not a checkpoint of this version: {err.error_count()} faults, the first at "
                f"{'.'.join(map(str, err.errors()[0]['loc'])) or 'its start'}. Fix: --restart, or another --out"
            ) from err


def check_same(now: Fingerprint, then: Fingerprint, folder: Path, names: Mapping[str, str] | None = None) -> None:
    """Refuse to mix results of different inputs; `names` are those of `Fingerprint.differences`.

    Raises:
        ConfigError: the folder has results of another video, model, setting or version.
    """
    differences = now.differences(then, names)
    if differences:
        haar = "--detector haar, " if now.detector and not then.detector else ""
        raise ConfigError(
            f"{folder} has results of another analysis; this run has {', '.join(differences)}. "
            f"Fix: {haar}--restart to delete them, or another --out to keep them"
        )
