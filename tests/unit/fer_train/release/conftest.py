"""The ModelSpec of a release, and its card."""

import pytest
from unit.fer_train.release.card_cases import FILE, PREDICTED, TRUE, metrics_of

from fer_train.config import TrainConfig
from fer_train.data.faces import EMOTIONS
from fer_train.release.card import write_card


@pytest.fixture
def spec():
    """A spec as release writes it: 64 faces of PublicTest, of which the last four have a twin in Training."""
    official = metrics_of(PREDICTED, TRUE)
    return {
        "architecture": "net",
        "labels": list(EMOTIONS),
        "input": {
            "name": "images",
            "height": 48,
            "width": 48,
            "channels": 1,
            "dtype": "uint8",
            "color": "gray",
            "mean": 129.25,
            "std": 65.05,
        },
        "metrics": {
            "PublicTest": {
                "plain": official | {"clean": metrics_of(PREDICTED[:-4], TRUE[:-4])},
                "flip": official,
            }
        },
        "provenance": {
            "created": "2026-11-22T17:05:12+00:00",
            "fer_train": "0.1.0",
            "torch": "2.15.0",
            "data_sha256": "ab" * 32,
            "num_faces": {"Training": 28006, "PublicTest": 3589},
            "config": TrainConfig(seed=7, init="/home/someone/best.safetensors").model_dump(mode="json"),
            "data_rows": {"Training": 28709, "PublicTest": 3589},
            "num_twins": 351,
            "measured_on": "Fast CPU, 2 cores, torch 2.15.0",
            "recalibrated_on": 28006,
            "init": {
                "created": "2026-11-21T00:00:00+00:00",
                "fer_train": "0.1.0",
                "torch": "2.14.0",
                "data_sha256": "ab" * 32,
                "num_faces": {"Training": 28006},
                "config": TrainConfig(seed=3, num_epochs=22).model_dump(mode="json"),
            },
        },
    }


@pytest.fixture
def card(tmp_path):
    def write(spec, weights=FILE, **options):
        write_card(tmp_path / "net.md", spec, weights, **options)
        return (tmp_path / "net.md").read_text()

    return write
