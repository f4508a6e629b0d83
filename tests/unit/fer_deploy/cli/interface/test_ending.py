"""How a program ends while a thread that was given up is inside OpenCV: without this, C++ aborts it (134)."""

import os
import subprocess
import sys

import pytest

_LEFT = """
import atexit, sys, threading, time
import cv2, numpy
from fer_deploy.cli.interface.ending import run

def blur_for_ever(started):
    picture = numpy.zeros((2000, 2000, 3), numpy.uint8)
    while True:
        cv2.GaussianBlur(picture, (31, 31), 0)
        started.set()

def main():
    started = threading.Event()
    threading.Thread(target=blur_for_ever, args=(started,), daemon=True).start()
    started.wait()
    atexit.register(print, "last words")
    {end}

run(main)
"""


@pytest.mark.parametrize(
    ("end", "code"),
    [("sys.exit(7)", 7), ("pass", 0), ("sys.exit('a reason')", 1), ("raise ValueError('a bug')", 1)],
)
def test_the_code_is_that_of_the_command_and_nothing_is_lost(end, code):
    done = subprocess.run(
        [sys.executable, "-c", _LEFT.format(end=end)], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout) == (code, "last words\n"), done.stderr
    assert "terminate called" not in done.stderr


@pytest.mark.parametrize("end", ["pass", "sys.exit(7)"])
def test_output_that_a_full_disk_does_not_take_is_told_by_pythons_own_code(end):
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", _LEFT.format(end=end)], stdout=full, env=variables, timeout=120, check=False
        )
    assert done.returncode == 120


def test_it_is_how_both_programs_run(repo_dir):
    for package in ("fer_deploy", "fer_train"):
        assert 'interface.ending").run(' in (repo_dir / package / "__main__.py").read_text()
