"""NodeWorker: one worker on a node of a cluster. It opens the models once, then computes one segment after another.

It knows nothing of Ray: `shell` runs it in an actor.
"""

import gc
import hashlib
import shutil
import socket
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fer_deploy.analyze.fingerprint import Fingerprint
from fer_deploy.analyze.jobs.messages import Failed, Observed, Recipe
from fer_deploy.analyze.jobs.worker import Worker, portable
from fer_deploy.archive.manifest import NAME, About, Manifest
from fer_deploy.archive.planned_models import check_models
from fer_deploy.archive.scratch import ScratchFull, fault_of_scratch, scratch_folder
from fer_deploy.archive.staging import Staging, failure_of, task_of
from fer_deploy.archive.store import PassingFault, Store
from fer_deploy.archive.todo import is_wanted
from fer_deploy.archive.work import Work
from fer_deploy.errors import FerDeployError, SinkError
from fer_deploy.live.file_names import file_and_stream

_NUM_VIDEOS: Final = 5
"""That a node looks for; some more if there are many."""


@dataclass(frozen=True)
class Job:
    """What a worker needs to know of an archive.

    Attributes:
        address: of the output; a path is absolute.
        manifest: SHA-256 of the manifest's file, so that another folder of that name is noticed.
        ids: of the manifest's rows. A later `plan` may have added some, and the archive is still this one.
        about: of the manifest.
        recipe: opens the models.
        scratch: folder for copies; None: the system's.
        num_threads: that detect and classify.
        videos: some local ones. A node that has none of them lacks the videos; one alone may have been removed since.
    """

    address: str
    manifest: str
    ids: frozenset[str]
    about: About
    recipe: Recipe
    scratch: Path | None
    num_threads: int
    videos: tuple[str, ...]

    @classmethod
    def of(
        cls, store: Store, manifest: Manifest, recipe: Recipe, *, scratch: Path | None = None, num_threads: int = 1
    ) -> "Job":
        """Describe an archive to its workers; raises SinkError. The arguments are those of the attributes."""
        rows = manifest.rows.values()
        local = [file_and_stream(Path(row.address))[0] for row in rows if row.segments and "://" not in row.address]
        some = local[:: len(local) // _NUM_VIDEOS or 1]
        return cls(
            address=store.absolute,
            manifest=hashlib.sha256(store.read(NAME) or b"").hexdigest(),
            ids=frozenset(manifest.rows),
            about=manifest.about,
            recipe=recipe,
            scratch=scratch,
            num_threads=num_threads,
            videos=tuple(str(path) for path in some if path.is_file()),
        )


@dataclass(frozen=True)
class Finished:
    """Reply: the segment with so many frames is in the store."""

    num_frames: int


@dataclass(frozen=True)
class Skipped:
    """Reply: another run has finished the segment, or given it up."""


@dataclass(frozen=True)
class Unfit:
    """Reply: nothing can be computed on this node; the segment is not to blame.

    Attributes:
        why: as text with the mend.
        passes: whether that may change, as a server that is being restarted, or a disk that is full.
    """

    why: str
    passes: bool = False


Reply = Finished | Skipped | Unfit | Failed


class NodeWorker:
    """Used by one thread; another one may read `heartbeat`."""

    def __init__(self, job: Job) -> None:
        """Set the job; nothing is opened yet."""
        self._job = job
        self._opened = ExitStack()
        self._num_signs = self._num_frames = 0

    def open(self) -> Unfit | None:
        """Open store, models and a folder for copies; return why that cannot be done here."""
        try:
            self._check_files()
            models = self._opened.enter_context(self._job.recipe())
            engine, detector = models.engine_file, models.detector_file
            here = Fingerprint.with_digest("", self._job.about.config, engine=engine, detector=detector)
            check_models(self._job.about, here)
            self._folder = self._opened.enter_context(scratch_folder(self._job.scratch))
        except FerDeployError as err:
            self._opened.close()
            return _unfit(err, passes=isinstance(err, PassingFault))
        self._sign()
        self._staging = Staging(self._store, self._folder, most=1, on_bytes=self._sign)
        self._worker = Worker(models, self._note, on_skip=self._sign, num_threads=self._job.num_threads)
        return None

    def _check_files(self) -> None:
        """Raise SinkError if this node does not see the output or the videos."""
        self._store = Store(self._job.address)
        content = self._store.read(NAME)
        if content is None or not self._is_of_the_archive(content):
            found = "no manifest" if content is None else "another manifest"
            raise SinkError(
                f"{self._store} has {found} there. Fix: an output that all nodes share, such as a mounted folder or "
                "s3://bucket/archive"
            )
        videos = self._job.videos
        if videos and not any(Path(video).is_file() for video in videos):
            others = f", and so are {len(videos) - 1} others" if len(videos) > 1 else ""
            raise SinkError(
                f"{videos[0]} is not there{others}. Fix: mount the videos under the same path on all nodes, or plan "
                "with addresses such as s3://bucket/videos"
            )

    def _is_of_the_archive(self, content: bytes) -> bool:
        if hashlib.sha256(content).hexdigest() == self._job.manifest:
            return True
        there = Manifest.find(self._store)  # a `plan` beside the run writes another one
        return (
            there is not None
            and there.about.fingerprint == self._job.about.fingerprint
            and not self._job.ids.isdisjoint(there.rows)
        )

    def compute(self, work: Work) -> Reply:
        """Compute a segment and send it to the store."""
        try:
            self._num_frames = 0
            self._sign()
            reply = self._computed(work) if is_wanted(self._store, work) else Skipped()
        except ScratchFull as err:
            reply = _unfit(fault_of_scratch(err, self._folder) or err, passes=True)
        except SinkError as err:  # of the output as this node sees it; another one may write there
            reply = _unfit(err, passes=True)
        except Exception as err:  # noqa: BLE001 - the run decides
            reply = Failed(portable(err))
        finally:
            gc.collect()  # a decoder has megabytes that Python does not count
        return self._judged(reply)

    def _computed(self, work: Work) -> Reply:
        staged = self._staging.use(work.row)
        try:
            path = self._folder / "segment.parquet"
            reply = self._worker.reply_to(task_of(work, self._job.about, staged, path))
            if isinstance(reply, Failed):
                return Failed(failure_of(reply.error, staged, work.row, self._folder))
            assert isinstance(reply, Observed)
            self._sign()
            self._store.send(path, work.name)
            path.unlink()
            return Finished(reply.end.num_taken - work.segment.first)
        finally:
            self._staging.leave(work.row)

    def _judged(self, reply: Reply) -> Reply:
        """Check after a failure whether files are missing on this node; if so, the segment does not count as failed.

        They were there when the worker was opened, so they may be there again.
        """
        if not isinstance(reply, Failed):
            return reply
        try:
            self._check_files()
        except FerDeployError as err:
            return _unfit(err, passes=True)
        return reply

    def _note(self, num_frames: int) -> None:
        if num_frames != self._num_frames:
            self._num_frames = num_frames
            self._sign()

    def _sign(self) -> None:
        self._num_signs += 1

    def heartbeat(self) -> tuple[int, int]:
        """Return a number that grows as long as this worker gets on, and the frames of its segment that are done."""
        return self._num_signs, self._num_frames

    def leave(self) -> None:
        """Remove copies and unfinished files; any thread may call it, since the process ends then."""
        shutil.rmtree(self._folder, ignore_errors=True)


def _unfit(err: FerDeployError, *, passes: bool) -> Unfit:
    return Unfit(f"on {socket.gethostname()}: {err}", passes)
