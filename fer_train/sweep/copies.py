"""Copies: runs and checkpoints of a sweep at an address that fsspec opens, from where another machine goes on."""

import contextlib
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import fsspec

from fer_train.errors import CheckpointError, ConfigError, MissingDependencyError
from fer_train.sweep.jobs import Job, Reporter

SEND_EVERY_S: Final = 300.0
"""Seconds between two copies of the runs that are being trained."""
_UNFINISHED: Final = ".part"
_LAST: Final = ("last.pt", "history.json", "release.md")
"""Files that say what of a run is complete, in this order; they are copied behind the others."""


class Copies:
    """The files of a sweep's folder, by their names relative to it."""

    def __init__(self, address: str, out: Path) -> None:
        """Set address and folder; nothing is copied yet.

        Raises:
            ConfigError: no file system has that protocol.
            MissingDependencyError: its package is not installed.
            CheckpointError: it cannot be opened.
        """
        self._shown, self._out = re.sub(r"//[^/@]*@", "//***@", address), out
        self._sent: dict[str, tuple[int, int]] = {}
        try:
            self._fs, root = fsspec.core.url_to_fs(address, use_listings_cache=False)
        except ImportError as err:
            named = re.search(r"[Ii]nstall ([a-z][\w-]*) (?:to|for)\b", str(err))
            fix = f"pip install {named[1]}" if named else "install what fsspec needs for it"
            raise MissingDependencyError(f"cannot open {self._shown}: {err}. Fix: {fix}") from err
        except ValueError as err:
            raise ConfigError(f"cannot open {self._shown}: {err}. Fix: an address such as s3://bucket/sweep") from err
        except Exception as err:  # some look for credentials at once
            raise self._unreachable("open", err) from err
        self._root = root.rstrip("/")

    def __str__(self) -> str:
        """Return the address without a password."""
        return self._shown

    def fetch(self) -> list[str]:
        """Copy the runs of the address that are further than those in the folder; return their names.

        A run is further if it is released and the local one is not, or if the local one has not begun.

        Raises:
            CheckpointError: the address cannot be read, or the folder not be written.
        """
        with self._reached("read"):
            there = sorted(self._names(), key=_place)
            runs = {name.partition("/")[0] for name in there if "/" in name}
            further = sorted(run for run in runs if self._is_further(run, there))
            for name in there:
                run, _, inner = name.partition("/")
                if run in further or (not inner and not (self._out / name).exists()):
                    self._fetch(name)
        return further

    def _names(self) -> Iterator[str]:
        with contextlib.suppress(FileNotFoundError):
            for path in self._fs.find(self._root):
                name = path[path.index(self._root) + len(self._root) + 1 :]
                if not name.endswith(_UNFINISHED):
                    yield name

    def _is_further(self, run: str, there: Sequence[str]) -> bool:
        here = self._out / run
        if f"{run}/release.md" in there:
            return not (here / "release.md").exists()
        has_begun = any((here / name).exists() for name in ("last.pt", "history.json"))
        return not has_begun and f"{run}/last.pt" in there

    def _fetch(self, name: str) -> None:
        path = self._out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}{_UNFINISHED}")
        self._fs.get_file(f"{self._root}/{name}", str(draft))
        draft.replace(path)
        self._sent[name] = _state(path)

    def send(self) -> None:
        """Copy the files of all runs that have changed since the last call.

        Raises:
            CheckpointError: the address cannot be written.
        """
        found = [
            path for path in self._out.rglob("*") if path.is_file() and not path.name.endswith((".lock", _UNFINISHED))
        ]
        with self._reached("write"):
            for name, path in sorted(
                ((str(one.relative_to(self._out)), one) for one in found), key=lambda two: _place(two[0])
            ):
                with contextlib.suppress(FileNotFoundError):  # a draft of fer-train that has its name now
                    state = _state(path)
                    if self._sent.get(name) != state:
                        self._put(path, f"{self._root}/{name}")
                        self._sent[name] = state

    def _put(self, path: Path, target: str) -> None:
        self._fs.makedirs(target.rpartition("/")[0], exist_ok=True)
        self._fs.put_file(str(path), f"{target}{_UNFINISHED}")
        self._fs.mv(f"{target}{_UNFINISHED}", target)

    @contextmanager
    def _reached(self, verb: str) -> Iterator[None]:
        try:
            yield
        except Exception as err:  # backends raise what is no OSError
            raise self._unreachable(verb, err) from err

    def _unreachable(self, verb: str, err: Exception) -> CheckpointError:
        reason = " ".join(str(err).split()) or type(err).__name__
        return CheckpointError(
            f"cannot {verb} {self._shown}: {reason}. What is in {self._out} is complete. Fix: check the address, "
            "the credentials and the network, then give the same command again"
        )


def _place(name: str) -> tuple[int, str]:
    """Return a key that puts what says that a run is complete behind its other files."""
    file = name.rpartition("/")[2]
    return (_LAST.index(file) + 1 if file in _LAST else 0), name


def _state(path: Path) -> tuple[int, int]:
    about = path.stat()
    return about.st_mtime_ns, about.st_size


class CopyingReporter:
    """Tells another reporter, and copies what has changed when a run ends and from time to time meanwhile.

    An address that cannot be written stops no run: it is said, and tried again.
    """

    def __init__(self, reporter: Reporter, copies: Copies, say: Callable[[str], Any]) -> None:
        """Set what is printed, and how a failure is worded."""
        self._reporter, self._copies, self._say = reporter, copies, say
        self._sent_s = time.monotonic()

    def on_begin(self, job: Job, command: str) -> None:
        """Pass it on."""
        self._reporter.on_begin(job, command)

    def on_end(self, job: Job, code: int) -> None:
        """Pass it on, and copy."""
        self._reporter.on_end(job, code)
        self._send()

    def on_poll(self, running: Sequence[tuple[Job, str]]) -> None:
        """Pass it on, and copy every `SEND_EVERY_S`."""
        self._reporter.on_poll(running)
        if time.monotonic() - self._sent_s >= SEND_EVERY_S:
            self._send()

    def on_stop(self, jobs: Sequence[Job]) -> None:
        """Pass it on."""
        self._reporter.on_stop(jobs)

    def _send(self) -> None:
        try:
            self._copies.send()
        except CheckpointError as err:
            self._say(f"not copied: {err}")
        self._sent_s = time.monotonic()
