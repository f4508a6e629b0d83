"""Checkpoint: how far the analysis of a video has come, and all that is needed to go on from there."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from fer_deploy.analyze.accounting import Accounting
from fer_deploy.analyze.fingerprint import Fingerprint
from fer_deploy.analyze.whole_file import write_whole
from fer_deploy.errors import ConfigError, SinkError


class Checkpoint(BaseModel):
    """The state after the last whole segment.

    Attributes:
        fingerprint: of what the results depend on.
        starts_s: time of each finished segment's first frame in the video, in seconds.
        end_s: time of the last frame analyzed.
        fps: frames per second as the video announces them.
        picture_size: width and height of the first frame; the annotated video keeps it.
        accounting: up to here.
        num_size_changes: changes of resolution up to here.
        people: `People.state()`; None before the first segment.
        is_complete: whether the video's end is reached; only joining and reporting are left to do.
        notes: what people should know of the way the video is read, such as which stream of several.
        trouble: what the source said of its end, such as that the file breaks off; empty if nothing.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    fingerprint: Fingerprint
    starts_s: list[float] = []
    end_s: float = 0.0
    fps: float = 0.0
    picture_size: tuple[int, int] = (0, 0)
    accounting: Accounting = Accounting()
    num_size_changes: int = 0
    people: dict[str, Any] | None = None
    is_complete: bool = False
    notes: tuple[str, ...] = ()
    trouble: str = ""

    def save(self, path: Path) -> None:
        """Write it in place of the one before."""
        write_whole(path, self.model_dump_json().encode())

    @classmethod
    def load(cls, path: Path) -> "Checkpoint | None":
        """Return what `save` wrote; None where there is none.

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


def check_same(now: Fingerprint, then: Fingerprint, folder: Path) -> None:
    """Refuse to mix results.

    Raises:
        ConfigError: what is in the folder was made of something else.
    """
    differences = now.differences(then)
    if differences:
        raise ConfigError(
            f"{folder} holds the analysis of something else; now there is {', '.join(differences)}. "
            "Fix: --restart to throw it away, or another --out to keep it"
        )
