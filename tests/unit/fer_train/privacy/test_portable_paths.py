import json

import pytest
import torch
from unit.fer_train.synthetic_faces import make_faces, tiny_config

from fer_train.checkpoint import read_spec_json, save_release
from fer_train.privacy.portable_paths import file_name, shown_path, without_folders
from fer_train.spec import describe_model


@pytest.mark.parametrize(
    "path", ["/home/bob/a.pt", "C:\\Users\\bob\\a.pt", "C:/Users/bob/a.pt", "~/bob/a.pt", "\\\\host\\bob\\a.pt"]
)
def test_a_path_of_another_place_is_its_name(path):
    assert file_name(path) == shown_path(path) == "a.pt"


def test_other_paths_are_as_they_would_be_typed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert shown_path("../data/a.csv") == "../data/a.csv"
    assert shown_path(tmp_path / "runs" / "a.pt") == "runs/a.pt"


def test_a_provenance_keeps_everything_else():
    given = {
        "config": {"init": "runs/a/b.pt", "model": "net", "seed": 5},
        "row_lists": [{"file": "x/rows.txt"}],
        "n": None,
    }
    kept = {"config": {"init": "b.pt", "model": "net", "seed": 5}, "row_lists": [{"file": "rows.txt"}], "n": None}
    assert without_folders(given) == kept


def test_a_release_names_files_only_also_those_of_older_releases(tmp_path):
    older = {"config": {"init": "/home/bob/first.safetensors", "pretrained": None}}
    config = tiny_config(
        init="C:\\Users\\bob\\second.safetensors", distillation={"teachers": ["/home/bob/t.safetensors"]}
    )
    spec = describe_model(config, make_faces(), {}, ancestor=older)
    save_release(tmp_path / "a.safetensors", torch.nn.Linear(2, 2), spec)
    found = json.loads(read_spec_json(tmp_path / "a.safetensors"))["provenance"]
    assert found["config"]["init"] == "second.safetensors"
    assert found["config"]["distillation"]["teachers"] == ["t.safetensors"]
    assert found["init"]["config"]["init"] == "first.safetensors"
    assert "bob" not in json.dumps(found)
    assert spec["provenance"]["init"] is older, "the caller's own stays as it was"
