"""grown: add the rows of one call of `plan` to the manifest, without losing those of another call at the same time."""

import fcntl
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Final

from fer_deploy.archive.manifest import About, Manifest, VideoRow
from fer_deploy.archive.planned_models import check_models
from fer_deploy.archive.store import Store
from fer_deploy.errors import SinkError, StreamError

_LOCK: Final = "plan.lock"


def grown(store: Store, about: About, new: Iterable[VideoRow], names: Mapping[str, str] | None = None) -> Manifest:
    """Read the manifest again, add rows, and write it; a row replaces one of the same address.

    A video that cannot be read now keeps the row with its segments: it may be there again tomorrow. A folder is locked
    meanwhile, so calls come one after another. An address has no locks: what another call writes between our reading
    and our writing would be replaced, so the manifest is compared right before and after it.

    Args:
        store: the archive.
        about: of this call.
        new: rows of this call.
        names: see `check_models`.

    Raises:
        ConfigError: the manifest is of another analysis.
        StreamError: another call has written the manifest at the same moment.
        FerDeployError: the store cannot be read or written.
    """
    with _locked(store):
        earlier = Manifest.find(store)
        if earlier is not None:
            check_models(earlier.about, about.fingerprint, names)
        rows = {} if earlier is None else {row.address: row for row in earlier.rows.values()}
        known = {row.address for row in rows.values() if row.segments}
        readable = (row for row in new if row.digest or row.address not in known)
        manifest = Manifest.of(about, (rows | {row.address: row for row in readable}).values())
        if not store.is_local:
            _check_is(earlier, store)
        manifest.save(store)
        if not store.is_local:
            _check_is(manifest, store)
    return manifest


@contextmanager
def _locked(store: Store) -> Iterator[None]:
    """Wait for other calls that write into the same folder; the system releases the lock of a killed process."""
    path = store.local_path(_LOCK)
    if path is None:
        yield
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.open("ab")  # it stays: a new file under this name would not be the one that others have locked
    except OSError as err:
        raise SinkError(
            f"cannot write {path}: {err.strerror}. Fix: check space and rights, then give the same command again"
        ) from err
    with lock:
        with suppress(OSError):  # some network file systems have no locks
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _check_is(expected: Manifest | None, store: Store) -> None:
    there = Manifest.find(store)
    if (None if there is None else there.about.hash) != (None if expected is None else expected.about.hash):
        raise StreamError(f"another plan is running on {store}. Fix: give the same command again")
