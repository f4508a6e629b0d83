"""What the C library does with freed memory is a matter of the process, so each case has one of its own."""

import os
import platform
import subprocess
import sys

import pytest

from fer_train import allocator

FAULTS = """
import resource, sys
from fer_train.allocator import keep_freed_memory
print(sys.argv[1:] and keep_freed_memory())
b"x" * (40 * 2**20 + len(sys.argv))
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
b"x" * (40 * 2**20 + len(sys.argv))
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
PAGES = 40 * 2**20 // os.sysconf("SC_PAGE_SIZE")
pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")


def faults(*words: str, **variables: str) -> tuple[str, int]:
    """Return what the call said, and the page faults of the second array of 40 MiB."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    command = [sys.executable, "-c", FAULTS, *words]
    done = subprocess.run(command, env=own | variables, capture_output=True, text=True, check=True)
    said, number = done.stdout.split()
    return said, int(number)


def test_freed_memory_is_used_again():
    assert faults("keep") == ("True", pytest.approx(0, abs=PAGES // 20))


def test_by_default_it_is_not():
    assert faults()[1] > PAGES // 2


@pytest.mark.parametrize("own", [{"MALLOC_ARENA_MAX": "2"}, {"GLIBC_TUNABLES": "glibc.malloc.arena_max=2"}])
def test_settings_of_the_user_stay(own):
    said, number = faults("keep", **own)
    assert said == "False"
    assert number > PAGES // 2


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr("ctypes.CDLL", lambda _: object())
    for name in list(os.environ):
        if name.startswith(("MALLOC_", "GLIBC_")):
            monkeypatch.delenv(name)
    assert not allocator.keep_freed_memory()
