"""Faults of the folder for copies: the message names what is there when the user reads it."""

import errno
import os
from pathlib import Path

import pytest

from fer_deploy.archive.scratch import ScratchFull, scratch_folder
from fer_deploy.errors import FerDeployError, SinkError, StreamError


def sink_error(folder: Path) -> SinkError:
    return SinkError(f"cannot write {folder / '3.parquet'}: the disk is full. Fix: free some space, or another --out")


def fault(tmp_path, err_of) -> Exception:
    """Return what comes out of the folder if the block raises an error."""
    try:
        with scratch_folder(tmp_path / "a b") as folder:
            raise err_of(folder)
    except (FerDeployError, OSError) as err:
        assert list((tmp_path / "a b").iterdir()) == []
        return err


@pytest.mark.parametrize(
    ("err_of", "why"),
    [
        (sink_error, "the disk is full"),
        (lambda folder: OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "No space left on device"),
        (lambda folder: OSError(errno.EACCES, "Permission denied", str(folder / "0")), "Permission denied"),
    ],
)
def test_the_folder_of_the_user_is_named(err_of, why, tmp_path):
    found = fault(tmp_path, err_of)
    assert isinstance(found, ScratchFull)
    assert str(found) == (
        f"cannot write to the folder for copies in {tmp_path / 'a b'}: {why}. Fix: free some space there, check its "
        "rights, or another --scratch, then give the same command again"
    )


def test_of_a_copy_the_address_stays(tmp_path):
    found = fault(tmp_path, lambda folder: ScratchFull(f"cannot copy s3://b/a to {folder / '1-1'}: No space. Fix: x"))
    assert str(found) == f"cannot copy s3://b/a to {tmp_path / 'a b'}: No space. Fix: x"


@pytest.mark.parametrize(
    "err",
    [SinkError("cannot write a in /out: no space. Fix: y"), StreamError("a video"), OSError(errno.EACCES, "no", "/x")],
)
def test_other_errors_stay(err, tmp_path):
    assert fault(tmp_path, lambda folder: err) is err
