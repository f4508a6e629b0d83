"""The two files of the demo, from the cache or fetched once: a clip with people, and YuNet, which finds their faces.

Each has a pinned size and SHA-256; other bytes are not kept. All of it takes at most `LIMIT_S`, so that a slow network
or none costs no more than that.
"""

import hashlib
import os
import threading
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fer_deploy.detectors import yunet_file
from fer_deploy.files.durable import write_file
from fer_deploy.files.private_files import read_private

LIMIT_S: Final = 5.0
"""For both files together, from the first question to a name server to the last byte."""
ATTRIBUTION: Final = (
    "face-demographics-walking-and-pause.gif from https://github.com/intel-iot-devkit/sample-videos, CC BY 4.0 "
    "(https://creativecommons.org/licenses/by/4.0/); boxes and labels were added"
)
_CHUNK_BYTES: Final = 65_536


@dataclass(frozen=True)
class PinnedFile:
    """A file that is known to the byte.

    Attributes:
        name: for messages.
        address: where it is.
        num_bytes: its size.
        sha256: its digest, hexadecimal.
        path: where it is kept.
    """

    name: str
    address: str
    num_bytes: int
    sha256: str
    path: Path

    def is_kept(self) -> bool:
        """Return whether the cache holds just these bytes."""
        try:
            return self.sha256 == _sha256(read_private(self.path, max_bytes=self.num_bytes))
        except OSError:
            return False

    def fetch(self, deadline_s: float) -> None:
        """Download and keep it.

        Args:
            deadline_s: on `time.monotonic`'s clock; nothing is kept after it.

        Raises:
            OSError: no network, too slow, other bytes, or the cache cannot be written; the text says which.
        """
        content = self._download(deadline_s)
        if len(content) != self.num_bytes:
            seen = f"more than {self.num_bytes:,}" if len(content) > self.num_bytes else f"{len(content):,}"
            raise OSError(f"{self.address} gave {seen} bytes, expected {self.num_bytes:,}")
        if (found := _sha256(content)) != self.sha256:
            raise OSError(f"{self.address} gave a file with SHA-256 {found}, expected {self.sha256}")
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if time.monotonic() < deadline_s:
            write_file(self.path, content)

    def _download(self, deadline_s: float) -> bytes:
        content = bytearray()
        with urllib.request.urlopen(self.address, timeout=max(0.1, deadline_s - time.monotonic())) as answer:
            while len(content) <= self.num_bytes and (chunk := answer.read1(_CHUNK_BYTES)):
                content += chunk
                if time.monotonic() >= deadline_s:
                    raise TimeoutError("time is up")
        return bytes(content[: self.num_bytes + 1])


def demo_clip() -> PinnedFile:
    """Return the clip: three people walk towards the camera, 41 frames of 480x270."""
    commit = "45fcafeabd18f0762006fb3bc7068ddbc5426575"
    name = "face-demographics-walking-and-pause.gif"
    return PinnedFile(
        name="the sample clip",
        address=f"https://raw.githubusercontent.com/intel-iot-devkit/sample-videos/{commit}/preview/{name}",
        num_bytes=1_935_222,
        sha256="6483ce22b1228ecc48f89b591cb99c09ba24e1468bdda5fbfebaae9bcca59dc8",
        path=_cache() / "demo" / name,
    )


def demo_detector() -> PinnedFile:
    """Return YuNet as `fer_deploy.detectors` keeps it."""
    return PinnedFile("YuNet", yunet_file.ADDRESS, yunet_file.NUM_BYTES, yunet_file.SHA256, yunet_file.cache_file())


def fetch_once(files: list[PinnedFile], *, limit_s: float = LIMIT_S) -> str:
    """Bring the files into the cache. Return why that failed, in words; empty if all of them are there.

    What is kept already is not fetched. A thread does the work: a name server that does not answer would hold up
    this one for longer than `limit_s`.
    """
    missing = [file for file in files if not file.is_kept()]
    if not missing:
        return ""
    deadline_s = time.monotonic() + limit_s
    failures: list[str] = []

    def work() -> None:
        for file in missing:
            try:
                file.fetch(deadline_s)
            except OSError as err:  # URLError and time-outs are OSErrors
                failures.append(f"cannot fetch {file.name}: {getattr(err, 'reason', None) or err}")
                return

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    worker.join(limit_s)
    if all(file.is_kept() for file in missing):
        return ""
    if worker.is_alive() or time.monotonic() >= deadline_s:
        late = next(file for file in missing if not file.is_kept())
        return f"{late.name} was not here within {limit_s:g} s"
    return failures[0] if failures else f"cannot read {missing[0].path} back"


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fer-deploy"


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
