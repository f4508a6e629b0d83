import pytest
import yaml

from fer_deploy.errors import ConfigError
from fer_deploy.export.config import ExportConfig
from fer_deploy.live.config import LiveConfig
from fer_deploy.settings import load_settings


@pytest.fixture
def write_yaml(tmp_path):
    def write(text: str):
        path = tmp_path / "c.yaml"
        path.write_text(text)
        return path

    return write


def keys_of(values: dict, prefix: str = "") -> set[str]:
    """Every key, those of groups with their group before them."""
    groups = {f"{prefix}{name}": value for name, value in values.items() if isinstance(value, dict)}
    inner = (keys_of(value, f"{name}.") for name, value in groups.items())
    return {f"{prefix}{name}" for name in values}.union(*inner)


@pytest.mark.parametrize(("kind", "name"), [(LiveConfig, "live.yaml"), (ExportConfig, "export.yaml")])
class TestShippedConfigs:
    def test_is_complete_and_loads(self, repo_dir, kind, name):
        path = repo_dir / "configs" / name
        found = yaml.safe_load(path.read_text().replace("\n# model: ", "\nmodel: "))  # a comment: it excludes --engine
        if kind is LiveConfig:
            assert keys_of(found) == keys_of(LiveConfig().model_dump())
        assert set(found) == set(kind.model_fields)
        load_settings(kind, path, {})

    def test_holds_the_defaults(self, repo_dir, kind, name):
        loaded = load_settings(kind, repo_dir / "configs" / name, {})
        required = {key: getattr(loaded, key) for key, field in kind.model_fields.items() if field.is_required()}
        assert loaded == kind(**required)


def test_defaults_below_yaml_below_flags(write_yaml):
    path = write_yaml("source: a.mp4\npipeline: {max_frames: 5, workers: 2}\n")
    config = load_settings(
        LiveConfig, path, {"pipeline": {"max_frames": 9}, "realtime": None, "output": {"display": False}}
    )
    assert (config.source, config.pipeline.max_frames, config.pipeline.workers) == (("a.mp4",), 9, 2)
    assert (config.realtime, config.output.display) == (False, False)
    assert config.device == "auto"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sorce: a.mp4", "c.yaml: unknown key 'sorce'; did you mean 'source'?"),
        ("output: {recrod: a.mp4}", "c.yaml: unknown key 'output.recrod'; did you mean 'output.record'?"),
        ("zzz: 3", "c.yaml: unknown key 'zzz'; known keys: model, engine, device, trust_plan"),
        (
            "pipeline: {max_frames: 0}",
            "c.yaml: pipeline.max_frames: expected at least 1 (got",
        ),
        (
            "device: gpu",
            "c.yaml: device: expected 'auto', 'cpu', 'cuda', 'tensorrt', 'tensorrt-rtx' or 'openvino' (got 'gpu')",
        ),
        ("source: []", "c.yaml: source: expected a length of at least 1"),
        ("pipeline: {detect_every: 0}", "detect_every is 0, expected 1 to 100 or auto"),
        ("- a\n- b", "c.yaml must hold key: value pairs, found list. Fix: lines as in the shipped configs"),
        ("", "c.yaml must hold key: value pairs, found NoneType"),
        ("a: [", "c.yaml is not valid YAML"),
        ("output: {record: a.avi, jsonl: ./a.avi}", "record and jsonl are the same file, a.avi"),
        ("source: a.avi\noutput: {record: ./a.avi}", "a.avi is both source and output; it would be overwritten"),
        ("source: [b.avi, a.avi]\noutput: {csv: a.avi}", "a.avi is both source and output; it would be overwritten"),
    ],
)
def test_bad_yaml(write_yaml, text, message):
    with pytest.raises(ConfigError) as caught:
        load_settings(LiveConfig, write_yaml(text), {})
    assert message in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("calibration: {num_face: 3}", "unknown key 'calibration.num_face'; did you mean 'calibration.num_faces'?"),
        ("calibration: {zzz: 3}", "unknown key 'calibration.zzz'; known keys of calibration: split, num_faces, method"),
        ("build: {flavour: tensorrt}", "unknown key 'build.flavour'; did you mean 'build.flavor'?"),
        ("build: {profile: {maximum: 8}}", "unknown key 'build.profile.maximum'; did you mean 'build.profile.max'?"),
        ("limits: {fp16: {max_kll: 1}}", "unknown key 'limits.fp16.max_kll'; did you mean 'limits.fp16.max_kl'?"),
        ("limits: {fp16: {checkpoint: 1}}", "unknown key 'limits.fp16.checkpoint'; known keys of limits.fp16: max_abs"),
    ],
)
def test_a_nested_key_is_looked_up_in_its_group(write_yaml, text, message):
    with pytest.raises(ConfigError) as caught:
        load_settings(ExportConfig, write_yaml(f"checkpoint: a\nout: b\n{text}"), {})
    assert f"c.yaml: {message}" in str(caught.value)


def test_the_model_is_not_overwritten_either():
    with pytest.raises(ConfigError, match="overwritten"):
        load_settings(LiveConfig, None, {"engine": "net.onnx", "output": {"jsonl": "net.onnx"}})


def test_every_fault_has_a_line(write_yaml):
    with pytest.raises(ConfigError) as caught:
        load_settings(LiveConfig, write_yaml("pipeline: {max_frames: 0}\ndevise: cpu"), {})
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_unreadable(tmp_path, content):
    path = tmp_path / "c.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"cannot read config .*c\.yaml.*Fix: .*; shipped configs: configs/\*\.yaml"):
        load_settings(LiveConfig, path, {})


def test_bad_flag_is_laid_to_the_command_line(write_yaml):
    with pytest.raises(ConfigError, match=r"^command line: pipeline\.max_frames"):
        load_settings(LiveConfig, write_yaml("source: a.mp4"), {"pipeline": {"max_frames": 0}})


def test_bad_value_of_the_file_is_laid_to_the_file_although_a_flag_is_in_its_group(write_yaml):
    path = write_yaml("pipeline: {max_frames: 0}")
    with pytest.raises(ConfigError) as caught:
        load_settings(LiveConfig, path, {"pipeline": {"workers": 2}})
    assert str(caught.value).startswith(f"{path}: pipeline.max_frames")


def test_missing_setting_is_named():
    with pytest.raises(
        ConfigError, match=r"command line: checkpoint \(--checkpoint\) is missing\. Fix: give checkpoint"
    ):
        load_settings(ExportConfig, None, {"out": "a"})


def test_settings_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        LiveConfig().source = "1"


def test_faults_of_the_whole_name_no_key_and_quote_nothing(write_yaml):
    path = write_yaml("output: {record: a.avi, jsonl: a.avi}")
    with pytest.raises(ConfigError) as caught:
        load_settings(LiveConfig, path, {})
    assert str(caught.value) == f"{path}: record and jsonl are the same file, a.avi. Fix: another --jsonl"
