"""Training on two nodes: the weights of one process, also when a node dies, comes back, or stays away for a while.

The time goes into the seconds until a dead node is known.
"""

import json
from pathlib import Path

import pytest
import torch
import yaml
from integration.two_nodes import Node, two_nodes, until, why_not
from unit.fer_train.synthetic_faces import NARROW_CHANNELS, make_faces, tiny_config, write_csv

from fer_train.checkpoint import load_state
from fer_train.training.loop import fit

pytestmark = pytest.mark.slow
ROUNDING = 1e-4
"""As in test_distributed.py: sums in another order."""


@pytest.fixture(scope="module", autouse=True)
def namespaces():
    if reason := why_not():
        pytest.skip(reason)


@pytest.fixture(scope="module")
def narrow():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fer_train.models.net.STAGE_CHANNELS", NARROW_CHANNELS)
        yield


@pytest.fixture(scope="module")
def files(tmp_path_factory, narrow):
    """The config, the data, and the state at the end of a run in one process."""
    folder = tmp_path_factory.mktemp("alone")
    config = tiny_config(dropout=0.0)
    (folder / "config.yaml").write_text(yaml.safe_dump(config.model_dump(mode="json")))
    write_csv(folder / "fer2013.csv", make_faces())
    fit(config, make_faces(), folder / "out")
    return folder


@pytest.fixture
def nodes(tmp_path, training_server):
    with two_nodes(tmp_path, training_server) as pair:
        yield pair


def assert_as_alone(out: Path, files: Path) -> None:
    ended, expected = (load_state(folder / "last.pt") for folder in (out, files / "out"))
    assert [row["epoch"] for row in ended["history"]] == [0, 1, 2]
    for part in ("model", "ema"):
        for name, value in expected[part].items():
            torch.testing.assert_close(ended[part][name], value, rtol=0, atol=ROUNDING, msg=f"{part} {name}")


def flags(files: Path, out: Path) -> list[object]:
    return ["--config", files / "config.yaml", "--data", files / "fer2013.csv", "--out", out, "--no-tensorboard"]


def unwrapped(text: str) -> str:
    """Return the text as one line: messages are wrapped where they are long."""
    return " ".join(text.split())


def assert_ended(*nodes: Node) -> None:
    for node in nodes:
        assert node.wait() == 0, "\n".join(each.printed[-4000:] for each in nodes)


def test_a_node_that_is_killed_and_comes_back_without_a_shared_folder(nodes, files, tmp_path):
    first, second = nodes
    marker = tmp_path / "second-is-in-epoch-1"
    pauses = {"FER_TEST_PAUSES": json.dumps([{"epoch": 1, "rank": 1, "size": 2, "marker": str(marker)}])}
    first.torchrun("2", first, flags(files, tmp_path / "out"), pauses)
    second.torchrun("2", first, flags(files, tmp_path / "out-of-second"), pauses)
    until(marker.exists)
    second.kill()
    second.torchrun("2", first, flags(files, tmp_path / "out-of-second"), pauses)
    assert_ended(first, second)
    assert unwrapped(first.printed).count("after epoch 1 of 3") == 1
    assert unwrapped(first.printed).count("best PublicTest accuracy") == 1
    assert not (tmp_path / "out-of-second").exists()
    assert_as_alone(tmp_path / "out", files)


def test_one_node_goes_on_alone_until_the_other_is_back(nodes, files, tmp_path):
    first, second = nodes
    both, alone = tmp_path / "both-are-in-epoch-1", tmp_path / "first-is-alone-in-epoch-2"
    pauses = [
        {"epoch": 0, "rank": 0, "size": 1, "marker": str(tmp_path / "second-is-slow")},
        {"epoch": 1, "rank": 1, "size": 2, "marker": str(both)},
        {"epoch": 2, "rank": 0, "size": 1, "marker": str(alone)},
    ]
    environment = {"FER_TEST_PAUSES": json.dumps(pauses)}
    for node in nodes:
        node.torchrun("1:2", first, flags(files, tmp_path / "out"), environment)
    until(both.exists)
    second.kill()
    until(alone.exists)
    second.torchrun("1:2", first, flags(files, tmp_path / "out"), environment)
    assert_ended(first, second)
    assert [unwrapped(first.printed).count(f"after epoch {epoch} of 3") for epoch in (1, 2)] == [1, 1]
    assert_as_alone(tmp_path / "out", files)
