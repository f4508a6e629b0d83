"""The whole way through torchrun."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import torch
import yaml
from unit.fer_train.synthetic_faces import make_faces, tiny_config, write_csv

from fer_train.checkpoint import load_state
from fer_train.training.loop import fit

ROUNDING = 1e-4
"""See test_distributed.py."""


@pytest.mark.slow
@pytest.mark.usefixtures("narrow_net")
def test_killed_worker_is_started_again_and_the_run_ends_as_if_undisturbed(tmp_path, training_server):
    config = tiny_config(dropout=0.0)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config.model_dump(mode="json")))
    data = write_csv(tmp_path / "fer2013.csv", make_faces())
    torchrun = [*training_server.command("torchrun"), "--standalone", "--nproc-per-node", "2"]
    command = [*torchrun, "--max-restarts", "1", str(Path(__file__).with_name("killed_worker.py"))]
    flags = ["--config", tmp_path / "config.yaml", "--data", data, "--out", tmp_path / "out", "--no-tensorboard"]
    environment = os.environ | {"PYTHON_EXEC": str(training_server.python), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, "train", *map(str, flags)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    told = " ".join(done.stderr.split())  # lines are wrapped
    # torchrun names the failure that it sees first: the killed worker, or the other one, which lost it.
    assert re.search(r"\(exitcode: (-9\) local_rank: 1|-?\d+\) local_rank: 0)", told)
    assert told.count("after epoch 1 of 3") == 1
    assert done.stdout.count("best PublicTest accuracy") == 1
    fit(config, make_faces(), tmp_path / "undisturbed")
    ended, expected = (load_state(tmp_path / name / "last.pt") for name in ("out", "undisturbed"))
    assert ended["epoch"] == 3
    for part in ("model", "ema"):
        for name, value in expected[part].items():
            torch.testing.assert_close(ended[part][name], value, rtol=0, atol=ROUNDING, msg=f"{part} {name}")
