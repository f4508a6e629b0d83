import copy

import numpy as np
import pytest
import yaml

from fer_train.config import TrainConfig
from fer_train.config_file import config_from_dict
from fer_train.data.faces import EMOTIONS
from fer_train.errors import ConfigError
from fer_train.evaluation.metrics import measure
from fer_train.release.card import MARKER, WeightsFile, check_card_path, write_card

FILE = WeightsFile("net.safetensors", 4_690_000, 9_396_654, "float16")
TRUE = [0] * 10 + [1] * 4 + [2] * 10 + [3] * 10 + [4] * 10 + [5] * 10 + [6] * 10
PREDICTED = [*[0] * 8, 4, 4, 1, 0, 0, 0, *[2] * 6, 5, 5, 5, 4, *[3] * 10, *[4] * 10, *[5] * 9, 2, *[6] * 10]


def metrics_of(predicted, labels):
    return measure((np.eye(7) * 3)[predicted].astype(np.float32), np.array(labels)).to_dict()


@pytest.fixture
def spec():
    """A spec as release writes it: 64 faces of PublicTest, of which the last four have a twin in Training."""
    official = metrics_of(PREDICTED, TRUE)
    return {
        "architecture": "net",
        "labels": list(EMOTIONS),
        "input": {"name": "images", "height": 48, "width": 48, "channels": 1, "dtype": "uint8", "color": "gray",
                  "mean": 129.25, "std": 65.05},
        "metrics": {"PublicTest": {
            "plain": official | {"clean": metrics_of(PREDICTED[:-4], TRUE[:-4])}, "flip": official,
        }},
        "provenance": {
            "created": "2026-11-22T17:05:12+00:00", "fer_train": "0.1.0", "torch": "2.15.0", "data_sha256": "ab" * 32,
            "num_faces": {"Training": 28006, "PublicTest": 3589},
            "config": TrainConfig(seed=7, init="/home/someone/best.safetensors").model_dump(mode="json"),
            "data_rows": {"Training": 28709, "PublicTest": 3589}, "num_twins": 351,
            "measured_on": "Fast CPU, 2 cores, torch 2.15.0", "recalibrated_on": 28006,
            "init": {
                "created": "2026-11-21T00:00:00+00:00", "fer_train": "0.1.0", "torch": "2.14.0",
                "data_sha256": "ab" * 32, "num_faces": {"Training": 28006},
                "config": TrainConfig(seed=3, num_epochs=22).model_dump(mode="json"),
            },
        },
    }  # fmt: skip


@pytest.fixture
def card(tmp_path):
    def write(spec, weights=FILE, **options):
        write_card(tmp_path / "net.md", spec, weights, **options)
        return (tmp_path / "net.md").read_text()

    return write


def sections(text):
    return {part.split("\n", 1)[0]: part for part in text.split("\n## ")}


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


def test_data_counts_rows_twins_and_lists(spec, card):
    part = sections(card(spec))["Data"]
    assert "Protocol **clean**: no row of Training whose pixels also appear in another split." in part
    assert "Used: 28,006 Training, 3,589 PublicTest." in part
    assert "28,709 rows of Training, 703 were left out: 351 twins found by pixel hash, 352 by lists" in part
    assert "ab" * 32 in part


def test_rows_left_out_are_not_told_where_release_saw_other_data(spec, card):
    del spec["provenance"]["data_rows"], spec["provenance"]["num_twins"]
    assert "left out" not in card(spec)


def test_recipe_holds_the_config_of_each_step_as_yaml_that_loads(spec, card):
    part = sections(card(spec))["Recipe"]
    assert part.index("`net-1.yaml`, seed 3:") < part.index("`net-2.yaml`, seed 7:")
    blocks = [yaml.safe_load(block.split("```")[0]) for block in part.split("```yaml\n")[1:]]
    first, second = (config_from_dict(block, where="card") for block in blocks)
    assert first == TrainConfig(seed=3, num_epochs=22)
    assert second == TrainConfig(seed=7)  # init is a flag of the command, not somebody's path
    assert "measured again on 28,006 unaugmented training faces" in part


def test_retrain_lists_the_commands_of_all_steps(spec, card):
    part = sections(card(spec))["Retrain"]
    assert part.split("```")[1].strip().splitlines() == [
        "fer-train train --config net-1.yaml --data fer2013.csv --out runs/net-1",
        "fer-train train --config net-2.yaml --data fer2013.csv --init runs/net-1/best.safetensors --out runs/net-2",
        "fer-train release --checkpoint runs/net-2/best.safetensors --data fer2013.csv "
        "--recalibrate --out net.safetensors",
    ]
    assert "352 rows were left out by lists: add `--twin-rows` or `--exclude`" in part


TWINS = {"flag": "--twin-rows", "file": "private_twins.txt", "sha256": "12" * 32, "num_rows": 352}
EXCLUDED = {"flag": "--exclude", "file": "exclude.csv", "sha256": "34" * 32, "num_rows": 1200}


def test_recorded_lists_are_told_and_stand_in_the_commands_of_the_steps_that_used_them(spec, card):
    spec["provenance"] |= {"row_lists": [TWINS, EXCLUDED], "recalibrated_row_lists": [TWINS]}
    spec["provenance"]["init"]["row_lists"] = [TWINS]
    parts = sections(card(spec))
    assert f"`--twin-rows private_twins.txt` names 352 rows of Training; SHA-256 `{'12' * 32}`." in parts["Data"]
    assert f"`--exclude exclude.csv` names 1,200 rows of Training; SHA-256 `{'34' * 32}`." in parts["Data"]
    assert parts["Retrain"].split("```")[1].strip().splitlines() == [
        "fer-train train --config net-1.yaml --data fer2013.csv --twin-rows private_twins.txt --out runs/net-1",
        "fer-train train --config net-2.yaml --data fer2013.csv --init runs/net-1/best.safetensors "
        "--twin-rows private_twins.txt --exclude exclude.csv --out runs/net-2",
        "fer-train release --checkpoint runs/net-2/best.safetensors --data fer2013.csv --recalibrate "
        "--twin-rows private_twins.txt --out net.safetensors",
    ]
    assert "by lists: add" not in parts["Retrain"]


def test_lists_of_a_step_that_recorded_none_are_asked_for(spec, card):
    spec["provenance"]["row_lists"] = [TWINS]
    part = sections(card(spec))["Retrain"]
    assert part.count("--twin-rows private_twins.txt") == 1
    assert "add `--twin-rows` or `--exclude` with these lists to each command without one" in part


def test_recalibrated_ancestor_is_released_before_it_is_started_from(spec, card):
    spec["provenance"]["init"]["recalibrated_on"] = 28006
    commands = sections(card(spec))["Retrain"].split("```")[1].strip().splitlines()
    release = "--data fer2013.csv --recalibrate --out runs/net-1/release.safetensors"
    assert commands[1] == f"fer-train release --checkpoint runs/net-1/best.safetensors {release}"
    assert "--init runs/net-1/release.safetensors" in commands[2]


def test_one_step_from_teachers_and_votes(spec, card):
    config = TrainConfig(
        ferplus_share=0.5, distillation={"teachers": ["/big/a.safetensors", "/big/e.json"]}
    ).model_dump(mode="json")  # fmt: skip
    teacher = {"path": "a.safetensors", "sha256": "cd" * 32, "weight": 0.5, "architecture": "senet", "metrics": {}}
    spec["provenance"] |= {"config": config, "teachers": [teacher]}
    for key in ("init", "recalibrated_on", "data_rows"):
        del spec["provenance"][key]
    parts = sections(card(spec, WeightsFile("net.safetensors", 1, 1, "float32")))
    assert parts["Retrain"].split("```")[1].strip().splitlines() == [
        "fer-train distill --config net.yaml --data fer2013.csv --teacher a.safetensors --teacher e.json "
        "--ferplus fer2013new.csv --out runs/net",
        "fer-train release --checkpoint runs/net/best.safetensors --data fer2013.csv --fp32 --out net.safetensors",
    ]
    assert f"taught by `a.safetensors` (senet, weight 0.5), SHA-256 `{'cd' * 32}`" in parts["Provenance"]


def test_provenance_tells_versions_seeds_machines_and_where_weights_began(spec, card):
    spec["provenance"]["init"]["hardware"] = "Big GPU"
    part = sections(card(spec))["Provenance"]
    assert "- net-1: finished 2026-11-21T00:00:00+00:00, fer-train 0.1.0, torch 2.14.0, seed 3, on Big GPU" in part
    assert "weights from random numbers" in part
    assert "seed 7; weights from net-1" in part
    assert "in float32, on Fast CPU, 2 cores, torch 2.15.0" in part
    pretrained = copy.deepcopy(spec)
    pretrained["provenance"]["init"]["config"]["pretrained"] = "/disk/resnet18.pth"
    assert "weights from `resnet18.pth`, trained on other data by others" in card(pretrained)


def soup_of(spec, *, chosen_on=None):
    """Make the spec one of a soup: of the fixture's model and of a sister that started from the same release."""
    mine = copy.deepcopy(spec["provenance"])
    sister = copy.deepcopy(mine)
    sister["config"]["seed"] = 8
    del sister["recalibrated_on"]
    others = [{"path": "bad.safetensors", "sha256": "ef" * 32}] if chosen_on else []
    spec["provenance"] = {key: value for key, value in mine.items() if key not in ("init", "recalibrated_on")}
    spec["provenance"] |= {"row_lists": [TWINS], "soup": {
        "recalibrated_on": 28006, "chosen_on": chosen_on, "left_out": others,
        "ingredients": [
            {"path": "mine.safetensors", "sha256": "ab" * 32, "provenance": mine},
            {"path": "sister.safetensors", "sha256": "cd" * 32, "provenance": sister},
        ],
    }}  # fmt: skip
    return spec


def test_soup_tells_its_ingredients_and_the_release_that_they_share_once(spec, card):
    parts = sections(card(soup_of(spec)))
    assert (
        "`net-4`: mean of the weights of `mine.safetensors` (SHA-256 `abababababab`), `sister.safetensors` "
        "(SHA-256 `cdcdcdcdcdcd`); batch-norm statistics were measured again on 28,006 unaugmented training faces."
    ) in parts["Recipe"]
    assert "chose them" not in parts["Recipe"]
    names = [line.split("`")[1] for line in parts["Recipe"].splitlines() if line.startswith("`net-")]
    assert names == ["net-1.yaml", "net-2.yaml", "net-3.yaml", "net-4"]
    assert "seed 8; weights from net-1" in parts["Provenance"]
    assert "fer-train 0.1.0, torch 2.15.0; weights from the mean of net-2, net-3" in parts["Provenance"]
    assert parts["Retrain"].split("```")[1].strip().splitlines() == [
        "fer-train train --config net-1.yaml --data fer2013.csv --out runs/net-1",
        "fer-train train --config net-2.yaml --data fer2013.csv --init runs/net-1/best.safetensors --out runs/net-2",
        "fer-train release --checkpoint runs/net-2/best.safetensors --data fer2013.csv --recalibrate "
        "--out runs/net-2/release.safetensors",
        "fer-train train --config net-3.yaml --data fer2013.csv --init runs/net-1/best.safetensors --out runs/net-3",
        "fer-train soup --checkpoint runs/net-2/release.safetensors --checkpoint runs/net-3/best.safetensors "
        "--data fer2013.csv --twin-rows private_twins.txt --out runs/net-4/soup.safetensors",
        "fer-train release --checkpoint runs/net-4/soup.safetensors --data fer2013.csv --out net.safetensors",
    ]
    assert "PublicTest chose the epoch and was the" in parts["Measures, against FER2013's labels"]


def test_greedy_soup_says_which_split_chose_and_what_was_left_out(spec, card):
    parts = sections(card(soup_of(spec, chosen_on="PublicTest")))
    assert (
        "Accuracy on PublicTest chose them, the best first, from 3 models; left out: `bad.safetensors` "
        "(SHA-256 `efefefefefef`)."
    ) in parts["Recipe"]
    assert (
        "PublicTest chose epochs and the models averaged and was the validation split"
        in parts["Measures, against FER2013's labels"]
    )


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


def test_votes_of_an_earlier_step_are_named_too(card, spec):
    spec["provenance"]["init"]["config"]["ferplus_share"] = 0.3
    assert "ten taggers per face (`--ferplus`) have a share of 0.3" in sections(card(spec))["Data"]


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
