import pytest
from click.testing import CliRunner

from fer_deploy.cli import main
from fer_deploy.errors import ConfigError
from fer_deploy.files.yaml_file import read_yaml

HOSTILE = {
    "infinity": ("a: .inf", "'.inf' is not a finite number, in line 1, column 4"),
    "minus infinity": ("a: [1, -.INF]", "'-.INF' is not a finite number"),
    "no number": ("a: .nan", "'.nan' is not a finite number"),
    "an overflow": ("a: 1.0e+999", "'1.0e+999' is not a finite number"),
    "brackets": (f"a: {'[' * 5000}{']' * 5000}", "more than 50 nested lists and mappings, in line 1"),
    "open brackets": ("a: " + "[" * 5000, "more than 50 nested lists and mappings"),
    "mappings": ("a: " + "{b: " * 5000 + "}" * 5000, "more than 50 nested lists and mappings"),
    "digits": (f"a: {'9' * 6000}", "999: a number with too many digits, in line 1"),
    "digits in a key": (f"? {'9' * 6000}\n: 1", "cannot read '99999999999999999999999999999999999999"),
    "hexadecimal digits": (f"a: 0x{'F' * 6000}", "FFFF is too large, in line 1"),
    "the 31st of February": ("a: 2026-02-31", "cannot read '2026-02-31'"),
    "a key twice": ("a: 1\nb: 2\na: 3", "the key 'a' is given twice, in line 3, column 1"),
    "a key twice within": ("a: {b: 1, b: 1}", "the key 'b' is given twice"),
    "aliases of aliases": (
        "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
        + "\n".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 30)),
        "with its aliases it has more than 100,000 values",
    ),
    "an alias of itself": ("a: &a [*a]", "an alias refers to a value that contains it"),
    "a tag of Python": ("a: !!python/object/apply:os.system [ls]", "could not determine a constructor for the tag"),
    "a tag that the value does not fit": ('a: !!timestamp "abc"', "a value does not fit its tag (!!...). Fix: "),
    "another such tag": ("a: !!bool maybe", "a value does not fit its tag (!!...). Fix: "),
    "a control character": ("a: \x07", "special characters are not allowed"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files(tmp_path, name):
    text, problem = HOSTILE[name]
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_yaml(path, examples="configs/*.yaml")
    message = str(caught.value)
    assert message.startswith(f"{path} is not valid YAML: ")
    assert problem in message
    assert message.endswith(". Fix: that line; shipped configs: configs/*.yaml")
    assert "sys." not in message
    assert len(message) < 600


def test_a_file_that_is_no_text(tmp_path):
    (tmp_path / "c.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"c\.yaml: byte 0 is not UTF-8\. Fix: save it as UTF-8; shipped configs: co"):
        read_yaml(tmp_path / "c.yaml", examples="configs/*.yaml")


def test_a_file_that_is_too_large(tmp_path):
    (tmp_path / "c.yaml").write_text("a: 1\n" + "#" * 1_000_000)
    with pytest.raises(ConfigError, match=r"cannot read config .*: it has more than 1,000,000 bytes\. Fix: a config; "):
        read_yaml(tmp_path / "c.yaml", examples="configs/*.yaml")


def test_what_people_write(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("base: &base {a: 1, b: [x, 1.5, null]}\nother:\n  <<: *base\n  a: 2\nsame: *base\n")
    assert read_yaml(path, examples="") == {
        "base": {"a": 1, "b": ["x", 1.5, None]},
        "other": {"a": 2, "b": ["x", 1.5, None]},
        "same": {"a": 1, "b": ["x", 1.5, None]},
    }


def test_no_part_of_a_password_is_quoted(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(f"source: [rtsp://bob:{'x' * 60}geheim@cam/1, @]")
    with pytest.raises(ConfigError) as caught:
        read_yaml(path, examples="configs/*.yaml")
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["pipeline: {people: {smoothing_s: .inf}}", "source: " + "[" * 5000, "workers: 1\nworkers: 2"]
)
def test_the_command_ends_with_2(tmp_path, text):
    (tmp_path / "c.yaml").write_text(text)
    result = CliRunner().invoke(main, ["live", "--config", str(tmp_path / "c.yaml"), "--no-display"])
    assert result.exit_code == 2
    assert "Fix: that line" in result.stderr


def test_an_infinite_flag_ends_with_2():
    result = CliRunner().invoke(main, ["live", "--source", "synthetic", "--smoothing", "inf", "--no-display"])
    assert result.exit_code == 2
    assert "--smoothing: expected a finite number" in result.stderr
