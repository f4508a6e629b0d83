import json
from dataclasses import replace

import pytest
from unit.fer_train.synthetic_faces import make_faces, tiny_config

import fer_train
from fer_train.config_file import config_from_dict
from fer_train.data.faces import EMOTIONS, RowList
from fer_train.normalization import PIXEL_MEAN, PIXEL_STD
from fer_train.spec import describe_model


@pytest.fixture
def spec():
    return describe_model(tiny_config(), make_faces(Training=5, PublicTest=2), {"accuracy": 0.5})


def test_input_is_what_the_network_was_trained_on(spec):
    assert spec["architecture"] == "net"
    assert spec["labels"] == list(EMOTIONS)
    assert spec["input"] == {
        "name": "images",
        "height": 16,
        "width": 16,
        "channels": 1,
        "dtype": "uint8",
        "color": "gray",
        "mean": PIXEL_MEAN,
        "std": PIXEL_STD,
    }


def test_provenance_tells_data_config_and_versions(spec):
    provenance = spec["provenance"]
    assert provenance["num_faces"] == {"Training": 5, "PublicTest": 2}
    assert provenance["data_sha256"] == make_faces().source_sha256
    assert provenance["fer_train"] == fer_train.__version__
    assert config_from_dict(provenance["config"], where="spec") == tiny_config()


def test_spec_is_plain_json(spec):
    assert json.loads(json.dumps(spec)) == spec


def test_other_numbers_of_classes_get_numbered_labels():
    spec = describe_model(tiny_config(num_classes=3), make_faces(num_classes=3), {})
    assert spec["labels"] == ["class_0", "class_1", "class_2"]


def test_what_did_not_happen_is_not_in_the_spec(spec):
    assert "quantization" not in spec
    assert not {"init", "teachers"} & set(spec["provenance"])


def test_files_by_which_rows_were_left_out_are_kept(spec):
    assert spec["provenance"]["row_lists"] == []
    row_list = RowList("--exclude", "exclude.csv", "ef" * 32, 12)
    listed = replace(make_faces(), row_lists=(row_list,))
    some = listed.select(listed.rows > 3).resized(24)
    assert describe_model(tiny_config(), some, {})["provenance"]["row_lists"] == [
        {"flag": "--exclude", "file": "exclude.csv", "sha256": "ef" * 32, "num_rows": 12},
    ]
    assert listed.digest() == make_faces().digest()


def test_ancestor_teachers_and_ranges_are_kept():
    ancestor, teachers, ranges = {"torch": "2.0"}, [{"path": "a.safetensors", "weight": 1.0}], {"classifier": 2.5}
    spec = describe_model(tiny_config(), make_faces(), {}, ancestor=ancestor, teachers=teachers, quantization=ranges)
    assert spec["provenance"]["init"] == ancestor
    assert spec["provenance"]["teachers"] == teachers
    assert spec["quantization"] == ranges
