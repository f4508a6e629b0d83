"""Staging: videos of other machines, and the indexes of their packets, on the local disk while they are needed."""

import shutil
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from fsspec.callbacks import Callback

from fer_deploy.analyze.jobs.messages import Observe
from fer_deploy.archive.manifest import TO_THE_END, About, VideoRow, index_name
from fer_deploy.archive.scratch import ScratchFull, fault_of_scratch, fix_of_full_disk
from fer_deploy.archive.store import Store, backend_errors, file_system
from fer_deploy.archive.work import Work
from fer_deploy.errors import FerDeployError, SinkError, StreamError
from fer_deploy.live.fingerprint.sources import digest_of_video
from fer_deploy.privacy.redaction import without_password


class Staged(NamedTuple):
    """A video on this machine, and the file of its index of packets; None if it has none."""

    video: Path
    packets: Path | None


class ReadFailed(StreamError):
    """A video cannot be brought to this machine, or is another one than that of the manifest."""


class _Place:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lock = threading.Lock()
        self.staged: Staged | None = None
        self.num_users = 0


def fetch_video(address: str, folder: Path, on_bytes: Callable[[], None] = lambda: None) -> tuple[Path, str]:
    """Return the local path of a video, and its digest. A local file stays where it is, another one is copied.

    Args:
        address: a path, or an address.
        folder: for the copy.
        on_bytes: called while bytes arrive.

    Raises:
        ReadFailed: it cannot be read.
        ScratchFull: the disk of the folder is full.
    """
    if "://" not in address:
        try:
            return Path(address), digest_of_video(Path(address))
        except StreamError as err:
            raise ReadFailed(str(err)) from err
    try:
        fs, path = file_system(address)
        with backend_errors():
            about = fs.info(path)
        etag = next((str(about[name]).strip('"') for name in ("ETag", "etag") if about.get(name)), "")
        local = folder / Path(path).name
        with backend_errors():
            fs.get_file(path, str(local), callback=Callback(hooks={"bytes": lambda *_, **__: on_bytes()}))
        return local, f"etag:{etag}" if etag else digest_of_video(local)
    except (OSError, FerDeployError) as err:
        if isinstance(err, OSError) and (fix := fix_of_full_disk(err)):  # no fault of the video: no try is lost
            raise ScratchFull(
                f"cannot copy {without_password(address)} to {folder}: {err.strerror}. Fix: {fix}"
            ) from err
        raise ReadFailed(
            f"cannot read {without_password(address)}: {err}. Fix: check the address, its rights and the network"
        ) from err


def with_address(text: str, video: Path, address: str) -> str:
    """Return a message with the address of a video in place of the path of its copy, which is removed soon."""
    return text.replace(str(video.parent), without_password(address).rpartition("/")[0]) if "://" in address else text


def failure_of(err: Exception, staged: Staged, row: VideoRow, scratch: Path) -> Exception:
    """Return the failure of a segment; its message names the video as the manifest does.

    Args:
        err: of the worker.
        staged: the video.
        row: of the manifest.
        scratch: folder for copies and unfinished files.

    Raises:
        ScratchFull: the worker could not write there; the segment is not to blame.
    """
    if isinstance(err, SinkError) and (fault := fault_of_scratch(err, scratch)):
        raise fault
    if isinstance(err, FerDeployError):
        err.args = (with_address(str(err), staged.video, row.address), *err.args[1:])
    return err


class Staging:
    """Keeps the last videos that were used. Any thread may use it."""

    def __init__(self, store: Store, folder: Path, *, most: int, on_bytes: Callable[[], None] = lambda: None) -> None:
        """Set the folder, which the caller removes.

        Args:
            store: has the indexes.
            folder: for copies.
            most: videos that stay on the disk while nothing uses them.
            on_bytes: called while bytes of a video arrive, by the thread that wants it.
        """
        self._store, self._folder, self._most, self._on_bytes = store, folder, most, on_bytes
        self._places: OrderedDict[str, _Place] = OrderedDict()
        self._lock = threading.Lock()
        self._num_places = 0

    def use(self, row: VideoRow) -> Staged:
        """Bring a video to this machine, or wait for it; `leave` says that it is not needed any more.

        Raises:
            ReadFailed: it cannot be read, or it has changed since `plan`.
        """
        with self._lock:
            self._num_places += 1
            folder = self._folder / f"{row.id}-{self._num_places}"  # its own: an old one may be removed at this moment
            place = self._places.setdefault(row.id, _Place(folder))
            self._places.move_to_end(row.id)
            place.num_users += 1
        try:
            with place.lock:
                if place.staged is None:
                    place.staged = self._bring(row, place.folder)
                return place.staged
        except BaseException:
            self.leave(row)
            raise

    def _bring(self, row: VideoRow, folder: Path) -> Staged:
        folder.mkdir(parents=True, exist_ok=True)
        video, digest = fetch_video(row.address, folder, self._on_bytes)
        if digest != row.digest:
            raise ReadFailed(f"{row.shown} has changed since archive plan. Fix: archive plan again, with it")
        name = index_name(row.id)
        index = self._store.local_path(name)
        if index is None and not row.why_not:
            index = folder / "packets.npz"
            self._store.fetch(name, index)
        return Staged(video, None if row.why_not else index)

    def leave(self, row: VideoRow) -> None:
        """Note that a use has ended; the copies that were used least recently are removed."""
        with self._lock:
            self._places[row.id].num_users -= 1
            unused = [name for name, place in self._places.items() if place.num_users == 0]
            old = [self._places.pop(name) for name in unused[: max(0, len(unused) - self._most)]]
        for place in old:
            shutil.rmtree(place.folder, ignore_errors=True)


def task_of(work: Work, about: About, staged: Staged, path: Path) -> Observe:
    """Return the task to observe a segment.

    Args:
        work: the segment.
        about: of the manifest.
        staged: its video.
        path: of the observations.
    """
    row, segment, config = work.row, work.segment, about.config
    # Samples do not fill the batches of segments evenly, so groups end where those of a sequential analysis do.
    groups = {} if config.sample_fps is None else {"group_frames": config.frames_per_segment}
    return Observe(
        video=staged.video,
        index=staged.packets,
        number=segment.number,
        start=segment.position,
        num_frames=TO_THE_END if work.is_last else config.frames_per_segment,
        first_size=row.size_of_picture,
        config=config.pipeline,
        fingerprint=about.fingerprint_of(row),
        path=path,
        decodes=True,
        key=work.key,
        selection=config.selection,
        **groups,
    )
