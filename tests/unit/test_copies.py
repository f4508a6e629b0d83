"""Files that both packages have, since neither may import the other: what one says, the other says."""

import pytest

OWN_WORDS = (
    ("fer_deploy", "fer_train"),
    ("from fer_train.privacy.redaction import without_passwords\n", ""),
    ("without_passwords(_in_words(err))", "_in_words(err)"),
    ("sink_errors", "output_errors"),
    ("a SinkError", "an OutputError"),
    ("SinkError", "OutputError"),
    ("EngineError", "FerTrainError"),
    ("fer-deploy archive run URL", "fer-train sweep --plan PLAN --data DATA"),
    ("[cpu,ray]", "[train,ray]"),
    ("fer_train.archive.on_ray.folder", "fer_train.cluster.folder"),
)


@pytest.mark.parametrize(
    ("of_deploy", "of_train"),
    [
        ("files/yaml_file.py", "files/yaml_file.py"),
        ("cli/terminal/standard_output.py", "cli/standard_output.py"),
        ("files/value_faults.py", "files/value_faults.py"),
        ("files/zip_faults.py", "files/zip_faults.py"),
        ("archive/on_ray/cluster.py", "cluster/ray_cluster.py"),
        ("archive/on_ray/folder.py", "cluster/folder.py"),
    ],
)
def test_copies_differ_in_own_words_alone(repo_dir, of_deploy, of_train):
    text = (repo_dir / "fer_deploy" / of_deploy).read_text()
    for word, own in OWN_WORDS:
        text = text.replace(word, own)
    assert (repo_dir / "fer_train" / of_train).read_text() == text


@pytest.mark.parametrize("name", ["__init__", "variables", "logs", "ending", "suggestions"])
def test_the_interface_is_one_file(name, repo_dir):
    of_deploy, of_train = (repo_dir / package / "cli" / "interface" for package in ("fer_deploy", "fer_train"))
    assert (of_deploy / f"{name}.py").read_bytes() == (of_train / f"{name}.py").read_bytes()
