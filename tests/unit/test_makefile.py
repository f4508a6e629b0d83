"""What the targets of the Makefile do without variables."""

import re
import subprocess
from pathlib import Path

import pytest

from fer_train.config_file import load_config
from fer_train.training.repeat import require_unseen_folds

REPO = Path(__file__).parents[2]


def config_of(*words, **environment):
    lines = subprocess.run(
        ["make", "--dry-run", *words],
        cwd=REPO,
        env={"PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return re.search(r"--config (\S+)", lines).group(1)


def test_crossval_takes_a_config_whose_folds_are_unseen():
    require_unseen_folds(load_config(REPO / config_of("crossval")))


def test_a_given_config_is_taken():
    assert config_of("crossval", "CONFIG=my.yaml") == "my.yaml"
    assert config_of("crossval", CONFIG="my.yaml") == "my.yaml"


@pytest.mark.parametrize(
    ("votes", "config"), [("", "senet-ferplus-taught"), ("FERPLUS=fer2013new.csv", "senet-ferplus")]
)
def test_votes_choose_the_config_of_train(votes, config):
    assert config_of("train", *votes.split()) == f"configs/train/{config}.yaml"
