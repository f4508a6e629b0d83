"""What a card says of the steps of a training, and of the data lists that they used."""

import copy

import yaml
from unit.fer_train.release.card_cases import sections

from fer_train.config import TrainConfig
from fer_train.config_file import config_from_dict
from fer_train.release.card import WeightsFile


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
    ).model_dump(mode="json")
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


def test_different_teachers_with_one_file_name_get_names_of_their_own(spec, card):
    def taught_by(*paths_and_digests):
        config = TrainConfig(distillation={"teachers": [path for path, _ in paths_and_digests]}).model_dump(mode="json")
        members = [
            {"path": path.rpartition("/")[2], "sha256": digest * 32, "weight": 0.5, "architecture": "senet"}
            for path, digest in paths_and_digests
        ]
        return {"config": config, "teachers": members}

    spec["provenance"]["init"] |= taught_by(("/w/senet.safetensors", "ab"), ("/r/face.safetensors", "ee"))
    spec["provenance"] |= taught_by(("/x/senet.safetensors", "cd"), ("/y/senet.safetensors", "ef"))
    parts = sections(card(spec))
    assert "--teacher senet-abababab.safetensors --teacher face.safetensors" in parts["Retrain"]
    assert "--teacher senet-cdcdcdcd.safetensors --teacher senet-efefefef.safetensors" in parts["Retrain"]
    assert "  - senet-cdcdcdcd.safetensors\n  - senet-efefefef.safetensors" in parts["Recipe"]
    spec["provenance"]["config"]["distillation"]["teachers"] = ["/x/both.json", "/y/senet.safetensors"]
    assert "--teacher both.json --teacher senet.safetensors" in card(spec)  # which member is whose is not recorded


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
    spec["provenance"] |= {
        "row_lists": [TWINS],
        "soup": {
            "recalibrated_on": 28006,
            "chosen_on": chosen_on,
            "left_out": others,
            "ingredients": [
                {"path": "mine.safetensors", "sha256": "ab" * 32, "provenance": mine},
                {"path": "sister.safetensors", "sha256": "cd" * 32, "provenance": sister},
            ],
        },
    }
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


def test_the_mean_of_last_epochs_did_not_let_the_split_choose_an_epoch(spec, card):
    averaged = soup_of(spec, chosen_on=None)
    for ingredient in averaged["provenance"]["soup"]["ingredients"]:
        ingredient["provenance"]["kept"] = "final"
    part = sections(card(averaged))["Measures, against FER2013's labels"]
    assert "PublicTest helped to choose the recipe and was the validation split" in part


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
