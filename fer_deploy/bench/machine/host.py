"""The environment of a run: machine, versions, commit, load, and other work of this project on the same machine."""

import os
import platform
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

import fer_deploy
from fer_deploy.engines.threads import available_cores
from fer_deploy.environment import Environment, survey
from fer_deploy.privacy.portable_paths import without_folders_in_text
from fer_deploy.privacy.redaction import without_passwords

_PROCESSES: Final = Path("/proc")
_CHECKOUT: Final = Path(fer_deploy.__file__).parents[1]
_WORK: Final = {
    "train": ("train", "sweep", "distill", "crossval", "soup", "ensemble", "evaluate", "release", "audit"),
    "deploy": ("live", "analyze", "archive", "export", "quantize", "build", "rebuild", "bench"),
}
"""Commands of fer-train and fer-deploy that keep cores busy."""
_CHANGES: Final = ("status", "--porcelain", "--", ".", ":!benchmarks/results")
"""Published results are no change: a benchmark writes them while the next one is still to run."""
_SHOWN: Final = 100
_GIT_SECONDS: Final = 10.0
_STOPPED: Final = ("T", "t", "Z", "X")


@dataclass(frozen=True)
class BackgroundWork:
    """Another process of this project that computes; `command` has no folders and no passwords."""

    pid: int
    command: str

    @property
    def advice(self) -> str:
        """How to pause it, and let it go on."""
        return f"kill -STOP {self.pid} pauses it, kill -CONT {self.pid} lets it go on"


@dataclass(frozen=True)
class Host:
    """What a reader needs to judge the numbers of a run, and to repeat it.

    Attributes:
        environment: result of `environment.survey`.
        num_cores: physical cores that this process may use; `environment.num_cores` counts logical ones.
        version: of this project.
        commit: of the checkout that runs; None: an installed package.
        is_dirty: whether that checkout has changes that are not committed; None: as above.
        started: in UTC.
        load_before: processes that ran on average over the last minute, before the run; None: not known here.
        load_after: the same after it, with the run itself; None: it is not over.
        background: other work of this project on this machine, which makes absolute times worthless.
    """

    environment: Environment
    num_cores: int
    version: str
    commit: str | None
    is_dirty: bool | None
    started: str
    load_before: float | None
    load_after: float | None
    background: tuple[BackgroundWork, ...]

    @classmethod
    def now(cls) -> Self:
        """Survey this machine; takes up to seconds."""
        commit, is_dirty = _checkout(_CHECKOUT)
        return cls(
            survey(),
            available_cores(),
            fer_deploy.__version__,
            commit,
            is_dirty,
            datetime.now(UTC).isoformat(timespec="seconds"),
            _load(),
            None,
            background_work(),
        )

    def ended(self) -> "Host":
        """Return the same with the load after the run, and the work that began meanwhile."""
        found = {work.pid: work for work in (*self.background, *background_work())}
        return replace(self, load_after=_load(), background=tuple(found.values()))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def background_work(processes: Path = _PROCESSES) -> tuple[BackgroundWork, ...]:
    """Return the other processes of this project that compute: not this one, its parents, or one that is paused."""
    own = set(_own_line(processes))
    found = []
    for folder in sorted(processes.glob("[0-9]*"), key=lambda path: int(path.name)):
        try:
            words = [word.decode(errors="replace") for word in (folder / "cmdline").read_bytes().split(b"\0") if word]
            state = _stat(folder)[0]
        except (OSError, ValueError, IndexError):  # it has ended, or belongs to another user
            continue
        pid = int(folder.name)
        if pid not in own and state not in _STOPPED and (command := computing_command(words)) is not None:
            found.append(BackgroundWork(pid, command))
    return tuple(found)


def computing_command(words: Sequence[str]) -> str | None:
    """Return the command line of fer-train or fer-deploy for people if it keeps cores busy, or None."""
    for number, word in enumerate(words[:-1]):
        before = words[number - 1] if number else ""
        for kind, commands in _WORK.items():
            is_program = Path(word).name == f"fer-{kind}" or (before == "-m" and word == f"fer_{kind}")
            if is_program and words[number + 1] in commands:
                shown = " ".join((f"fer-{kind}", *words[number + 1 :]))
                return without_folders_in_text(without_passwords(shown))[:_SHOWN]
    return None


def _own_line(processes: Path) -> Iterator[int]:
    """Yield this process and its parents, up to the first one."""
    pid = os.getpid()
    while pid > 1:
        yield pid
        try:
            pid = int(_stat(processes / str(pid))[1])
        except (OSError, ValueError, IndexError):
            return


def _stat(folder: Path) -> list[str]:
    """Return the fields of a process after its name: state, parent, ..."""
    return (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()


def _load() -> float | None:
    return round(os.getloadavg()[0], 2) if platform.system() != "Windows" else None


def _checkout(folder: Path) -> tuple[str | None, bool | None]:
    """Return the commit, and whether something is changed; None for an installed package, or without git."""
    if not (folder / ".git").exists():
        return None, None
    commit, changes = (_git(folder, *words) for words in (("rev-parse", "HEAD"), _CHANGES))
    return (None, None) if commit is None or changes is None else (commit.strip(), bool(changes.strip()))


def _git(folder: Path, *words: str) -> str | None:
    try:
        command = ["git", "-C", str(folder), *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=_GIT_SECONDS, check=True).stdout
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
