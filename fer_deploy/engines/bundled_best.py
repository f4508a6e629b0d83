"""The best bundled model on this machine: a file in the user's cache, which `fer-deploy bench` without DIR writes.

The package's own folder may be read-only, or shared by several machines. Unlike best.json in a folder that the user
names, this file is a default that nobody asked for: it is used only if everything in it fits, and otherwise ignored.
"""

import os
from pathlib import Path
from typing import Final, NamedTuple

from pydantic import ValidationError

from fer_deploy import __version__
from fer_deploy.artifacts import Family, bundled_files, file_sha256
from fer_deploy.engines.base import Device
from fer_deploy.engines.best import MAX_BEST_BYTES, USES, Best, Chosen, Entry, Fingerprint
from fer_deploy.files.private_files import read_private

FIX: Final = "fer-deploy bench"


class BundledBest(NamedTuple):
    """What was measured of the bundled models of a family.

    Attributes:
        chosen: the best, with a worker on each core; None: the default applies.
        why_not: why a measurement is ignored; empty: there is none, or it is used.
    """

    chosen: Chosen | None
    why_not: str


def bundled_best_file(family: Family) -> Path:
    """Return the file of a family in the user's cache; XDG_CACHE_HOME names another cache."""
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "fer-deploy" / "bench" / f"{family}.json"


def bundled_best(family: Family, device: Device = "auto") -> BundledBest:
    """Return the measured best of a family's bundled models for a worker on each core, or why it is ignored.

    Args:
        family: of the models.
        device: "auto", or only what was measured on this device.
    """
    file = bundled_best_file(family)
    try:
        best = Best.model_validate_json(read_private(file, max_bytes=MAX_BEST_BYTES))
    except FileNotFoundError:
        return BundledBest(None, "")
    except ValidationError:
        return BundledBest(None, f"{file} is not of this version")
    except OSError as err:
        return BundledBest(None, f"{file} cannot be used: {err.strerror or err}")
    if reason := _why_outdated(best, family):
        return BundledBest(None, reason)
    fits = [one for one in best.uses.get("workers", ()) if device in ("auto", one.device) and one.is_usable]
    return BundledBest(_chosen(fits[0], best, family), "") if fits else BundledBest(None, "")


def _why_outdated(best: Best, family: Family) -> str:
    """Return what changed since the measurement; empty: nothing."""
    if best.version != __version__:
        return f"measured with fer-deploy {best.version}, this is {__version__}"
    # With one thread a call, the number of cores does not decide which model is the best.
    here = Fingerprint.of_this_machine().model_copy(update={"cores": best.fingerprint.cores})
    if differences := best.fingerprint.differences(here):
        return "; ".join(differences)
    files = {path.name: path for path in bundled_files(family)}
    for entry in best.uses.get("workers", ()):
        if entry.file not in files or file_sha256(files[entry.file]) != entry.sha256:
            return f"{entry.file} is not the file that was measured"
    return ""


def _chosen(entry: Entry, best: Best, family: Family) -> Chosen:
    path = next(path for path in bundled_files(family) if path.name == entry.file)
    line = f"best bundled model here for {best.goal} with {USES['workers']}, measured {best.measured[:10]}"
    return Chosen(path, entry.device, entry.threads, entry.spinning, line)
