"""The real data, where it lies beside the checkout: reader, leak-free protocol, the bundled model's accuracy."""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from fer_deploy.artifacts import bundled_model
from fer_deploy.engines import open_engine
from fer_deploy.spec import Precision
from fer_train.data import apply_protocol, read_faces, take_split
from fer_train.data.splits import read_row_numbers
from fer_train.errors import SplitAbsentError

pytestmark = [pytest.mark.shared, pytest.mark.slow]


@pytest.fixture(scope="module")
def fer2013(shared_dir):
    """Faces with FER+ votes, read from the CSV files; these are deleted at once, for they hold real faces."""
    with tempfile.TemporaryDirectory() as folder:
        faces, votes = Path(folder) / "fer2013.csv", Path(folder) / "fer2013new.csv"
        command = [sys.executable, str(shared_dir / "fer2013" / "unpack.py"), "--csv", faces, "--ferplus", votes]
        subprocess.run(command, check=True, capture_output=True)
        yield read_faces(faces, ferplus=votes)


def test_counts_and_votes(fer2013):
    assert fer2013.counts() == {"Training": 28709, "PublicTest": 3589}
    training = take_split(fer2013, "Training")
    assert np.bincount(training.labels).tolist() == [3995, 436, 4097, 7215, 4830, 3171, 4965]
    assert fer2013.votes[0].tolist() == [4, 0, 0, 1, 3, 2, 0, 0, 0, 0]
    assert set(fer2013.votes.sum(axis=1)) == {9, 10}


def test_clean_protocol_drops_703_rows(fer2013, shared_dir):
    twins = read_row_numbers(shared_dir / "fer2013" / "private_twins.txt")
    assert apply_protocol(fer2013, "clean", "Training", twins).counts() == {"Training": 28006, "PublicTest": 3589}
    assert apply_protocol(fer2013, "clean", "Training").counts() == {"Training": 28709 - 351, "PublicTest": 3589}
    assert len(apply_protocol(fer2013, "official", "Training", twins)) == len(fer2013)


def test_absent_private_test_is_stated(fer2013):
    with pytest.raises(SplitAbsentError, match=r"no split 'PrivateTest'.*Training \(28,709\), PublicTest \(3,589\)"):
        take_split(fer2013, "PrivateTest")


@pytest.mark.parametrize("precision", [Precision.FP16, Precision.INT8])
def test_bundled_models_recognize_as_their_specs_say(fer2013, precision):
    public = take_split(fer2013, "PublicTest")
    with open_engine(bundled_model(precision), device="cpu") as engine:
        batches = np.array_split(public.images[:, None], 60)
        predicted = np.concatenate([engine.infer(batch).argmax(axis=1) for batch in batches])
        metrics = engine.spec.metrics
    is_int8 = precision is Precision.INT8
    promised = metrics["artifact"]["accuracy"]
    accuracy = float((predicted == public.labels).mean())
    assert accuracy == pytest.approx(promised, abs=0.003 if is_int8 else 0.001)  # CPUs round INT8 differently
    assert accuracy >= 0.678
