"""Store: the output of an archive, a folder or an address that fsspec opens. Every file appears there whole."""

import io
import os
import re
import shlex
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final, NamedTuple, TypeVar

import fsspec
from fsspec.implementations.local import LocalFileSystem

from fer_deploy.archive.scratch import fix_of_full_disk
from fer_deploy.errors import ConfigError, FerDeployError, MissingDependencyError, SinkError
from fer_deploy.files import durable
from fer_deploy.files.guarded_file import GuardedFile
from fer_deploy.files.system_faults import is_passing
from fer_deploy.privacy.redaction import without_password, without_passwords

_T = TypeVar("_T")
_WAITS_S: Final = (1.0, 4.0)
"""Before a further try of a call that failed in a way that may pass."""
_UNFINISHED: Final = ".part"
_FIX: Final = "Fix: check the address, the credentials and the network, then give the same command again"
_OBJECT_STORES: Final = frozenset(
    ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oci", "oss", "r2", "memory")
)
"""Protocols where a file appears when it is complete; elsewhere it is renamed."""


class BackendError(OSError):
    """An exception of a file system that is no OSError, as botocore's when an endpoint cannot be reached."""


@contextmanager
def backend_errors() -> Iterator[None]:
    """Turn every exception of a file system into an OSError; put only calls of file systems into the block.

    Raises:
        BackendError: with the reason in one line.
    """
    try:
        yield
    except (OSError, FerDeployError):
        raise
    except Exception as err:
        raise BackendError(_reason(err)) from err


def _reason(err: Exception) -> str:
    """Return the reason in one line."""
    return without_passwords(" ".join(str(err).split())) or type(err).__name__


class PassingFault(SinkError):
    """The store cannot be used at this moment, and may be there again soon."""


class Entry(NamedTuple):
    """A file in the store: its size in bytes, and when it was written, in seconds since 1970; 0 if unknown."""

    size: int
    written_s: float


def file_system(address: str) -> tuple[Any, str]:
    """Return the file system of an address, and the path in it. Text without :// is a path.

    Raises:
        ConfigError: no file system has that protocol.
        MissingDependencyError: its package is not installed.
        SinkError: it cannot be reached.
    """
    if "://" not in address:
        return LocalFileSystem(), os.path.abspath(address)
    protocol, shown = address.partition("://")[0], without_password(address)
    try:
        return fsspec.core.url_to_fs(address, use_listings_cache=False)  # type: ignore[no-any-return]
    except ImportError as err:
        is_s3 = protocol in ("s3", "s3a")
        fix = "pip install 'fer-toolchain[archive-s3]'" if is_s3 else _fix_of_missing(err, protocol)
        raise MissingDependencyError(f"cannot open {shown}: {err}. Fix: {fix}") from err
    except ValueError as err:
        raise ConfigError(f"cannot open {shown}: {err}. Fix: a folder, or an address such as s3://bucket/out") from err
    except Exception as err:  # some look for credentials at once
        raise SinkError(f"cannot open {shown}: {_reason(err)}. {_FIX}") from err


def _fix_of_missing(err: ImportError, protocol: str) -> str:
    """Return how to install the packages that fsspec's message names."""
    found = re.findall(r'"([\w-]+)"|[Ii]nstall ([a-z][\w-]*) (?:to|for)\b', str(err))
    names = " ".join(quoted or plain for quoted, plain in found)
    return f"pip install {names}" if names else f"install what fsspec needs for {protocol}://"


class Store:
    """Files by their names relative to the address. Any thread may use it.

    Faults that may pass are tried again, but not before a first call has succeeded: the address may be wrong.
    """

    def __init__(self, address: str) -> None:
        """Set the address; nothing is created yet.

        Raises:
            FerDeployError: as `file_system`.
        """
        self.address = address
        self._fs, root = file_system(address)
        self._root = root.rstrip("/")
        protocols = {self._fs.protocol} if isinstance(self._fs.protocol, str) else set(self._fs.protocol)
        self.is_local = isinstance(self._fs, LocalFileSystem)
        self.absolute = self._root if self.is_local else address
        self._is_object_store = bool(protocols & _OBJECT_STORES)
        self.is_of_this_process = "memory" in protocols
        self._was_reached = False

    def __str__(self) -> str:
        """Return the address without a password."""
        return without_password(self.address)

    @property
    def argument(self) -> str:
        """The address without a password as a shell takes it, for the commands in messages."""
        text = str(self)
        return shlex.quote(f"./{text}" if text.startswith("-") else text)

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def local_path(self, name: str) -> Path | None:
        """Return the path of a file; None if it is on another machine."""
        return Path(self._path(name)) if self.is_local else None

    def list(self, folder: str) -> dict[str, Entry]:
        """Return the complete files in a folder and those below, by their names."""
        found = self._read_by(folder, lambda path: self._fs.find(path, detail=True)) or {}
        start = len(self._root) + 1
        absolute = {path[path.index(self._root) :][start:]: about for path, about in found.items()}
        return {name: entry_of(about) for name, about in sorted(absolute.items()) if _UNFINISHED not in Path(name).name}

    def read(self, name: str) -> bytes | None:
        """Return the content of a file; None if there is none."""
        content: bytes | None = self._read_by(name, self._fs.cat_file)
        return content

    def exists(self, name: str) -> bool:
        """Return whether there is a file."""
        return bool(self._read_by(name, self._fs.isfile))

    def open(self, name: str) -> IO[bytes]:
        """Open a file to read parts of it."""
        return self._patiently(lambda: self._opened(name), lambda: self._reading(name))

    def _opened(self, name: str) -> IO[bytes]:
        file: IO[bytes] = self._fs.open(self._path(name), "rb")
        return file if self.is_local else io.BufferedReader(GuardedFile(file, lambda: self._reading(name)))

    def read_with(self, name: str, use: Callable[[IO[bytes]], _T]) -> _T:
        """Return what a function reads of a file; a fault of the store while it reads is not one of the content."""

        def used() -> _T:
            with self._opened(name) as file:
                return use(file)

        return self._patiently(used, lambda: self._reading(name))

    def fetch(self, name: str, path: Path) -> bool:
        """Copy a file to this machine; return False if there is none."""
        return self._read_by(name, lambda remote: self._fs.get_file(remote, str(path)) or True) is not None

    def write(self, name: str, content: bytes) -> None:
        """Write a file; it appears whole and replaces an older one.

        Raises:
            SinkError: it cannot be written.
        """
        self._put(name, lambda path: self._fs.pipe_file(path, content))

    def send(self, path: Path, name: str) -> None:
        """Copy a file of this machine into the store; it appears whole and replaces an older one.

        Raises:
            SinkError: it cannot be written.
        """
        self._put(name, lambda target: self._fs.put_file(str(path), target))

    def _put(self, name: str, put: Callable[[str], object]) -> None:
        def whole() -> None:
            path = self._path(name)
            if self._is_object_store:
                put(path)
                return
            with self._draft_of(path) as draft:
                put(draft)

        self._patiently(whole, lambda: self._writing(name))

    def _read_by(self, name: str, call: Callable[[str], _T]) -> _T | None:
        """Return the result of a call with the path; None if there is no such file."""

        def found() -> _T | None:
            try:
                return call(self._path(name))
            except FileNotFoundError:
                return None

        return self._patiently(found, lambda: self._reading(name))

    def _patiently(self, call: Callable[[], _T], guarded: Callable[[], AbstractContextManager[None]]) -> _T:
        """Return the result of a call in a guard, which turns its faults into those of the store."""
        for wait_s in _WAITS_S if self._was_reached else ():
            with suppress(PassingFault), guarded():
                return call()
            time.sleep(wait_s)
        with guarded():
            result = call()
        self._was_reached = True
        return result

    @contextmanager
    def _draft_of(self, path: str) -> Iterator[str]:
        """Yield a name beside a file; what was written there gets the name of the file, and is removed if it cannot."""
        draft = _draft(path)
        self._fs.makedirs(os.path.dirname(path), exist_ok=True)
        try:
            yield draft
            self._give_name(draft, path)
        except Exception:
            with suppress(Exception):  # on a full disk every byte counts
                self._fs.rm_file(draft)
            raise

    def _give_name(self, draft: str, path: str) -> None:
        if self.is_local:
            durable.give_name(Path(draft), Path(path))
        else:
            self._fs.mv(draft, path)

    def remove(self, name: str) -> None:
        """Remove a file, if there is one."""

        def removed() -> None:
            with suppress(FileNotFoundError):
                self._fs.rm_file(self._path(name))

        self._patiently(removed, lambda: self._writing(name))

    @contextmanager
    def _reading(self, name: str) -> Iterator[None]:
        try:
            with backend_errors():
                yield
        except BackendError as err:
            raise self._unreachable("read", name, err) from err
        except OSError as err:
            fix = fix_of_full_disk(err) or "check the address and its rights"
            raise _kind_of(err)(f"cannot read {name} in {self}: {err}. Fix: {fix}") from err

    @contextmanager
    def _writing(self, name: str) -> Iterator[None]:
        try:
            with backend_errors():
                yield
        except BackendError as err:
            raise self._unreachable("write", name, err) from err
        except OSError as err:
            is_missing = isinstance(err, FileNotFoundError) and not self.is_local
            check = "rights and that its bucket exists" if is_missing else "space and rights"
            raise _kind_of(err)(
                f"cannot write {name} in {self}: {err}. What is complete there stays. Fix: check {check}, "
                "then give the same command again"
            ) from err

    def _unreachable(self, verb: str, name: str, err: BackendError) -> PassingFault:
        return PassingFault(f"cannot {verb} {name} in {self}: {err}. {_FIX}")


def _kind_of(err: OSError) -> type[SinkError]:
    return PassingFault if is_passing(err) else SinkError


def _draft(path: str) -> str:
    """Return a name beside a file that no other process and no other machine uses."""
    folder, name = os.path.split(path)
    return f"{folder}/{name}.{socket.gethostname()}.{uuid.uuid4().hex[:12]}{_UNFINISHED}"


def entry_of(about: dict[str, Any]) -> Entry:
    """Return size and time of a file from fsspec's description of it."""
    written = next((about[name] for name in ("mtime", "LastModified", "created", "last_modified") if name in about), 0)
    return Entry(int(about.get("size") or 0), float(written.timestamp() if hasattr(written, "timestamp") else written))
