"""The card of a model of FER+'s labels: whose labels each number is against, confidence, degraded faces."""

import numpy as np
import pytest

from fer_train.config import TrainConfig
from fer_train.data.faces import FERPLUS_EMOTIONS
from fer_train.evaluation.metrics import measure
from fer_train.release.card import MARKER, WeightsFile, write_card

FILE = WeightsFile("net.safetensors", 4_690_000, 9_396_654, "float16")
TRUE = [0, 0, 1, 2, 2, 2, 3, 3, 4, 4, 5, 5, 6, 7, 7, 7, 7]
PREDICTED = [0, 4, 1, 2, 2, 5, 3, 3, 4, 4, 5, 2, 0, 7, 7, 7, 7]


@pytest.fixture
def card(tmp_path):
    def write(spec):
        write_card(tmp_path / "net.md", spec, FILE)
        return (tmp_path / "net.md").read_text()

    return write


def sections(text):
    return {part.split("\n", 1)[0]: part for part in text.split("\n## ")}


CALIBRATION = {
    "split": "PublicTest",
    "against": "ferplus",
    "num_faces": 3500,
    "temperature": 1.23456,
    "unsure_below": 0.41,
    "nll_before": 1.05,
    "nll_after": 1.01,
    "ece_before": 0.08,
    "ece_after": 0.02,
}


@pytest.fixture
def ferplus_spec():
    """As release writes it for a model of FER+'s labels that started from one of FER2013's."""
    eight = measure((np.eye(8) * 3)[PREDICTED].astype(np.float32), np.array(TRUE), names=FERPLUS_EMOTIONS)
    other = measure((np.eye(7) * 3)[PREDICTED[:-4]].astype(np.float32), np.array(TRUE[:-4])).to_dict()
    plain = eight.to_dict() | {"votes": {"num_faces": 3_500, "kl": 0.3214, "agreement": 0.7, "best_agreement": 0.75}}
    step = {"created": "2026-11-22T17:05:12+00:00", "fer_train": "0.1.0", "torch": "2.15.0", "data_sha256": "ab" * 32}
    origin = step | {
        "num_faces": {"Training": 27_000, "PublicTest": 3199},
        "config": TrainConfig(labels="ferplus", num_classes=8, init="/home/best.safetensors").model_dump(mode="json"),
        "init": step | {"num_faces": {"Training": 28_006}, "config": TrainConfig(seed=3).model_dump(mode="json")},
        "ferplus_sha256": "fe" * 32,
        "calibration": CALIBRATION,
        "other_labels": {"PublicTest": {"label_set": "fer2013", **other}},
        "degraded": {
            "split": "PublicTest",
            "label_set": "ferplus",
            "rows": [
                {"what": "clean", "amount": 0.0, "accuracy": 0.877},
                {"what": "dim and soft", "amount": 1.2, "accuracy": 0.82},
            ],
        },
    }
    return {
        "architecture": "net",
        "labels": list(FERPLUS_EMOTIONS),
        "label_set": "ferplus",
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
        "metrics": {"PublicTest": {"plain": plain}},
        "provenance": origin,
    }


def test_card_of_ferplus_says_whose_labels_each_number_is_against(ferplus_spec, card):
    text = card(ferplus_spec)
    parts = sections(text)
    assert text.startswith(
        MARKER + "\n\n# net: emotions of faces, FER+'s votes\n\nIt predicts the votes of FER+'s ten taggers"
    )
    measures = parts["Measures, against FER+ majority"]
    assert (
        "Votes of 3,500 faces of PublicTest: KL from the votes to the model 0.321 nats; one tagger agrees" in measures
    )
    assert "Against FER2013's labels: PublicTest, plain, official, 13 faces: **69.23%** [" in measures
    assert "| contempt | 1.000 | 1.000 | 1.000 | 4 |" in parts["By class: PublicTest, plain, official"]
    assert "they agree on how a face looks" in parts["Known failures (PublicTest, plain, official)"]
    assert f"FER+'s ten taggers per face as they were cast (`--ferplus`; SHA-256 `{'fe' * 32}`)" in parts["Data"]
    commands = parts["Retrain"].split("```")[1].strip().splitlines()
    assert commands[-2].startswith(
        "fer-train train --config net-2.yaml --data fer2013.csv --ferplus fer2013new.csv --init"
    )
    assert commands[-1].startswith(
        "fer-train release --checkpoint runs/net-2/best.safetensors --data fer2013.csv --ferplus"
    )


def test_card_tells_confidence_and_degraded_faces(ferplus_spec, card):
    parts = sections(card(ferplus_spec))
    assert "softmax(logits / 1.235)" in parts["Confidence"]
    assert "3,500 faces of PublicTest against the share of taggers who chose each class" in parts["Confidence"]
    assert "NLL 1.0500 before, 1.0100 after; ECE 0.0800 before, 0.0200 after" in parts["Confidence"]
    assert "Below a confidence of 0.41" in parts["Confidence"]
    assert "against FER+ majority, plain: clean 87.7%; dim and soft" in parts["Degraded faces"]
    assert "**82.0%**" in parts["Degraded faces"]
    assert "](net-degraded.png)" in parts["Degraded faces"]


def test_only_a_model_whose_earlier_steps_had_them_speaks_of_the_last_steps(ferplus_spec, card):
    assert "The last steps did not use FER2013's own labels." in sections(card(ferplus_spec))["Data"]
    del ferplus_spec["provenance"]["init"]
    part = sections(card(ferplus_spec))["Data"]
    assert "called unknown or no face are left out." in part
    assert "FER2013's own labels" not in part  # a teacher may have learned them


def test_card_tells_why_its_two_calibration_errors_differ(ferplus_spec, card):
    part = sections(card(ferplus_spec))["Confidence"]
    assert "The ECE of the table above is higher, because there the majority is the whole truth" in part
    assert "ECE is higher after it" not in part


def test_card_tells_that_the_fit_raised_the_calibration_error(ferplus_spec, card):
    ferplus_spec["provenance"]["calibration"] = CALIBRATION | {"against": "fer2013", "ece_after": 0.09}
    part = sections(card(ferplus_spec))["Confidence"]
    assert "The fit lowers the NLL alone; ECE is higher after it." in part
    assert "the whole truth" not in part


def test_card_of_a_student_of_teachers_alone_names_no_votes(ferplus_spec, card):
    origin = ferplus_spec["provenance"]
    origin["config"]["distillation"] = {"teachers": ["a.json"], "weight": 1.0, "temperature": 2.0, "cached": False}
    del origin["ferplus_sha256"]
    parts = sections(card(ferplus_spec))
    assert "The training targets were the teachers' outputs alone; the loss used no label and no vote." in parts["Data"]
    assert "fer-train distill --config net-2.yaml --data fer2013.csv --teacher a.json --init" in parts["Retrain"]
