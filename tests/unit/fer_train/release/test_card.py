import numpy as np
import pytest
from unit.fer_train.release.card_cases import sections

from fer_train.config import TrainConfig
from fer_train.errors import ConfigError
from fer_train.evaluation.metrics import measure
from fer_train.release.card import MARKER, check_card_path


def test_head_says_what_the_file_is(spec, card):
    text = card(spec)
    assert text.startswith(MARKER + "\n\n# net: emotions of faces, FER2013's labels\n\nIt predicts FER2013's")
    assert "`net.safetensors`: 4.69 M parameters, 9.40 MB, float16." in text
    assert "(N, 1, 48, 48) uint8, gray, normalized by mean 129.25 and standard deviation 65.05" in text
    assert "7 classes: angry, disgust, fear, happy, sad, surprise, neutral." in text


def test_measures_are_labelled_with_split_view_and_protocol(spec, card):
    part = sections(card(spec))["Measures, against FER2013's labels"]
    rows = [line.split(" | ") for line in part.splitlines() if line.startswith("| PublicTest")]
    assert [row[:4] for row in rows] == [
        ["| PublicTest", "plain", "official", "64"],
        ["| PublicTest", "plain", "clean", "60"],
        ["| PublicTest", "flip", "official", "64"],
    ]
    plain = spec["metrics"]["PublicTest"]["plain"]
    low, high = plain["accuracy_interval"]
    assert rows[0][4] == f"**84.38%** [{100 * low:.1f}, {100 * high:.1f}]"
    assert rows[1][4].startswith("**83.33%** [")
    for column, key in ((5, "f1"), (6, "precision"), (7, "recall"), (8, "loss"), (9, "ece"), (10, "brier")):
        assert rows[0][column].startswith(f"{plain[key]:.4f}")
    assert "PublicTest chose the epoch and was the validation split" in part
    assert "4 of its faces have a twin in Training, and accuracy on these alone is 100.0% (plain); " in part
    assert "these weights were trained without those twins" in part


def test_official_protocol_says_that_official_is_inflated(spec, card):
    spec["provenance"]["config"]["protocol"] = "official"
    spec["metrics"] = {"PrivateTest": spec["metrics"]["PublicTest"]}
    part = sections(card(spec))["Measures, against FER2013's labels"]
    assert "PrivateTest chose neither weights nor epoch" in part
    assert "so official is inflated by them" in part


def test_split_without_twins(spec, card):
    plain = spec["metrics"]["PublicTest"]["plain"]
    plain["clean"] = {key: value for key, value in plain.items() if key != "clean"}
    assert "None of its faces has a twin in Training." in card(spec)


def test_clean_that_is_not_measurable_is_said(spec, card):
    del spec["metrics"]["PublicTest"]["plain"]["clean"]
    text = card(spec)
    assert "The clean protocol could not be measured on this data" in text
    assert "| clean |" not in text


def test_classes_have_a_row_each(spec, card):
    part = sections(card(spec))["By class: PublicTest, plain, official"]
    assert "| disgust | 1.000 | 0.250 | 0.400 | 4 |" in part
    assert part.count("\n|") == 2 + 7


def test_failures_come_from_the_confusion_matrix(spec, card):
    part = sections(card(spec))["Known failures (PublicTest, plain, official)"]
    lines = part.splitlines()
    assert lines[2] == "- disgust is mistaken for angry in 75% of its 4 faces."
    assert lines[3] == "- fear is mistaken for surprise in 30% of its 10 faces."
    assert lines[4] == "- angry is mistaken for sad in 20% of its 10 faces."
    assert "fear is mistaken for surprise in 30%, surprise for fear in 10%" in part
    assert "Disgust has 4 of the 64 faces" in part
    assert "labels are noisy" in part


def test_other_classes_get_no_warnings_about_fear_and_disgust(spec, card):
    three = measure(np.eye(3, dtype=np.float32)[[0, 1, 1]], np.array([0, 1, 1])).to_dict()
    spec |= {"labels": ["class_0", "class_1", "class_2"], "metrics": {"PublicTest": {"plain": three}}}
    text = card(spec)
    assert "isgust" not in text
    assert "mistaken for" not in text
    assert "| class_2 | 0.000 | 0.000 | 0.000 | 0 |" in text


def test_use_and_licence_are_always_there_and_notes_when_given(spec, card):
    assert list(sections(card(spec)))[-2:] == ["Intended use", "Licence"]
    text = card(spec, notes="\nSeen on a dim clip.\n\n")
    assert text.endswith("## Notes\n\nSeen on a dim clip.\n")
    assert "**Not** for decisions about people" in text
    assert "FER2013's images have no clear licence" in text


def test_card_replaces_its_own_kind_only(spec, card, tmp_path):
    card(spec)
    check_card_path(tmp_path / "net.md", tmp_path / "net.safetensors")
    (tmp_path / "net.md").write_text("# my words\n")
    with pytest.raises(ConfigError, match=r"net\.md has the name of the model card.* Fix: move it away; .*--notes"):
        check_card_path(tmp_path / "net.md", tmp_path / "net.safetensors")
    with pytest.raises(ConfigError, match=r"would overwrite .*net\.md\. Fix: --out NAME\.safetensors"):
        check_card_path(tmp_path / "net.md", tmp_path / "net.md")


def test_votes_are_named_among_the_data(card, spec):
    assert "FER+" not in sections(card(spec))["Data"]
    spec["provenance"]["config"]["ferplus_share"] = 0.5
    spec["provenance"]["ferplus_sha256"] = "cd" * 32
    data = sections(card(spec))["Data"]
    assert f"ten taggers per face (`--ferplus`; SHA-256 `{'cd' * 32}`) have a share of 0.5 in the training" in data
    assert "\nIn addition to FER2013's labels" in data


def test_votes_of_an_earlier_step_are_named_too(card, spec):
    spec["provenance"]["init"]["config"]["ferplus_share"] = 0.3
    data = sections(card(spec))["Data"]
    assert "ten taggers per face (`--ferplus`) have a share of 0.3" in data
    assert "\nEarlier steps: in addition to FER2013's labels" in data


def test_precision_and_processes_are_told(card, spec):
    spec["provenance"] |= {"hardware": "Fast CPU", "precision": "bf16", "num_processes": 2}
    assert "on Fast CPU, in bf16, 2 processes; weights from" in card(spec)


def test_teachers_stand_in_the_recipe_by_name(card, spec):
    config = TrainConfig(seed=7, distillation={"teachers": ["/home/someone/senet.safetensors"]})
    spec["provenance"]["config"] = config.model_dump(mode="json")
    text = card(spec)
    assert "- senet.safetensors" in text
    assert "/home/someone" not in text


def test_card_of_classes_of_the_users_own(spec, card):
    names = [f"class_{c}" for c in range(7)]
    parts = sections(card(spec | {"labels": names}))
    assert "# net: emotions of faces, classes of its own" in card(spec | {"labels": names})
    assert "Measures, against labels of the data" in parts


def test_card_of_an_older_version_may_be_replaced(tmp_path):
    old = "<!-- Made by fer-train release and made anew by the next one. Put your own words into --notes FILE. -->\n"
    (tmp_path / "net.md").write_text(old)
    check_card_path(tmp_path / "net.md", tmp_path / "net.safetensors")
