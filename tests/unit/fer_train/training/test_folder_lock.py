import subprocess
import sys

import pytest
from unit.fer_train.synthetic_faces import make_faces, tiny_config

from fer_train.errors import CheckpointError
from fer_train.training.folder_lock import only_run_in
from fer_train.training.loop import fit

HOLDER = """
import sys
from pathlib import Path
from fer_train.training.folder_lock import only_run_in
with only_run_in(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_run_is_refused_until_the_first_one_dies(tmp_path):
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "run")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(CheckpointError, match=r"another run is writing into .*run. Fix: wait for its end"):
            fit(tiny_config(), make_faces(), tmp_path / "run")
        holder.kill()
    with only_run_in(tmp_path / "run"):
        pass


def test_a_folder_that_cannot_be_held_is_left_to_the_first_write(tmp_path):
    (tmp_path / "run").write_text("a file")
    with only_run_in(tmp_path / "run"):
        pass
