import json
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from fer_deploy.cli import doctor, main
from fer_deploy.cli.doctor import find_abilities, yunet_ability
from fer_deploy.environment import EXTRAS, Environment, Extra, Gpu, Host, missing_of_extra
from fer_deploy.flavors import Flavor

GPU = Gpu("NVIDIA GeForce RTX 3090", "8.6", 24 * 2**30)
ALL = Environment(
    host=Host("linux", "x86_64", {Flavor.TENSORRT: "11.4.0.106", Flavor.TENSORRT_RTX: "1.7.1.116"}, (GPU,)),
    platform="Linux-6.1",
    python="3.11.7",
    cpu="Xeon",
    num_cores=2,
    cpu_features=("avx512_vnni",),
    packages=dict.fromkeys(("cuda-bindings", "torch", "onnx", "safetensors", "openvino"), "1"),
    onnxruntime_providers=("CUDAExecutionProvider", "CPUExecutionProvider"),
    driver="580.65.06",
    cuda="13.0",
    cuda_visible_devices=None,
    telemetry="off",
    extras=(Extra("serve", "the web page of live --serve", ()), Extra("table", "Parquet files", ("pyarrow",))),
)
NAMES = [
    ".onnx on the CPU",
    ".onnx on CUDA",
    ".onnx in OpenVINO",
    ".plan of TensorRT",
    ".plan of TensorRT for RTX",
    "build of plans",
    "export of checkpoints",
]


def changed(*, host=None, **changes):
    return replace(ALL, **changes, host=replace(ALL.host, **(host or {})))


@pytest.mark.parametrize(("num_cores", "words"), [(1, "1 core"), (2, "2 cores")])
def test_cores_in_words(num_cores, words):
    assert changed(num_cores=num_cores).cores_in_words == words


def test_everything_works():
    abilities = find_abilities(ALL)
    assert [ability.name for ability in abilities] == NAMES
    assert all(ability.works and not ability.why + ability.fix for ability in abilities)


@pytest.mark.parametrize(
    ("environment", "failing", "why", "fix"),
    [
        (changed(host={"gpus": ()}), [NAMES[1], *NAMES[3:5]], "no NVIDIA GPU", "run it where nvidia-smi lists a GPU"),
        (changed(onnxruntime_providers=()), NAMES[:1], "ONNX Runtime is not installed", "'fer-toolchain[cpu]'"),
        (
            changed(onnxruntime_providers=()),
            NAMES[2:3],
            "ONNX Runtime, which checks the files, is not installed",
            "'fer-toolchain[cpu]'",
        ),
        (
            changed(packages={"torch": "1", "onnx": "1", "safetensors": "1", "cuda-bindings": "1"}),
            NAMES[2:3],
            "OpenVINO is not installed",
            "pip install 'fer-toolchain[openvino]'",
        ),
        (
            changed(onnxruntime_providers=("CPUExecutionProvider",)),
            NAMES[1:2],
            "ONNX Runtime offers CPUExecutionProvider",
            "pip install 'fer-toolchain[gpu]'",
        ),
        (
            changed(host={"tensorrt": {Flavor.TENSORRT_RTX: "1.7.1.116"}}),
            NAMES[3:4],
            "TensorRT not installed",
            "pip install 'fer-toolchain[tensorrt]'",
        ),
        (
            changed(packages={"torch": "1", "onnx": "1", "safetensors": "1"}),
            NAMES[3:5],
            "cuda-bindings not installed",
            "pip install 'fer-toolchain[tensorrt",
        ),
        (
            changed(host={"gpus": (replace(GPU, compute_capability="9.0"),)}),
            NAMES[4:5],
            "it does not support sm_90",
            "use TensorRT instead",
        ),
        (
            changed(host={"gpus": (), "tensorrt": {Flavor.TENSORRT: "11.4.0.106"}}),
            NAMES[5:6],
            "TensorRT builds on a GPU only",
            "'fer-toolchain[tensorrt-rtx]' builds without a GPU",
        ),
        (changed(host={"tensorrt": {}}), NAMES[5:6], "no TensorRT is installed", "'fer-toolchain[tensorrt-rtx]'"),
        (changed(packages={"torch": "1"}), NAMES[6:], "onnx, safetensors not installed", "'fer-toolchain[export,cpu]'"),
    ],
)
def test_what_does_not_work_says_why_and_what_changes_it(environment, failing, why, fix):
    found = {ability.name: ability for ability in find_abilities(environment)}
    for name in failing:
        assert not found[name].works
        assert why in found[name].why
        assert fix in found[name].fix
    assert all(bool(ability.works) is not bool(ability.fix) for ability in found.values())


def test_text_fits_80_columns(monkeypatch):
    environment = changed(host={"gpus": ()}, notes=("nvidia-smi is not there",), cuda_visible_devices="1")
    monkeypatch.setattr(doctor, "survey", lambda: environment)
    result = CliRunner().invoke(main, ["doctor"])
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 80
    for text in ("TensorRT for RTX 1.7.1.116", "avx512_vnni", "no NVIDIA GPU", "note: nvidia-smi is not there"):
        assert text in result.stdout


def test_json_holds_all_of_it(monkeypatch):
    monkeypatch.setattr(doctor, "survey", lambda: ALL)
    content = json.loads(CliRunner().invoke(main, ["doctor", "--json"]).stdout)
    assert content["host"]["gpus"] == [
        {"name": "NVIDIA GeForce RTX 3090", "compute_capability": "8.6", "memory_bytes": 24 * 2**30}
    ]
    assert content["host"]["tensorrt"] == {"tensorrt": "11.4.0.106", "tensorrt_rtx": "1.7.1.116"}
    assert [one["name"] for one in content["abilities"]] == [*NAMES, "turned and small faces", "a window"]
    assert content["extras"][1] == {"name": "table", "brings": "Parquet files", "missing": ["pyarrow"]}


@pytest.fixture
def no_yunet(monkeypatch, tmp_path):
    monkeypatch.delenv("FER_YUNET", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def printed(monkeypatch) -> str:
    monkeypatch.setattr(doctor, "survey", lambda: ALL)
    result = CliRunner().invoke(main, ["doctor"])
    assert result.exit_code == 0
    return result.stdout


@pytest.mark.usefixtures("no_yunet")
def test_without_yunet_it_says_how_to_get_it(monkeypatch):
    ability = yunet_ability(doctor.find_yunet())
    assert (ability.works, ability.why) == (False, "YuNet's file is not here, and Haar finds frontal faces only")
    assert ability.fix == "fer-deploy live --detector yunet fetches it once, 230 kB; or FER_YUNET=FILE"
    assert " face detector Haar, for frontal faces " in " ".join(printed(monkeypatch).split())


@pytest.mark.usefixtures("no_yunet")
def test_yunet_is_shown_where_it_was_found(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    path = Path("yunet.onnx")
    monkeypatch.setenv("FER_YUNET", str(path))
    absent = yunet_ability(doctor.find_yunet())
    assert (absent.works, absent.why) == (False, f"FER_YUNET names no file: {path}")
    path.write_bytes(b"a network")
    assert yunet_ability(doctor.find_yunet()).works
    assert "face detector YuNet (yunet.onnx) " in " ".join(printed(monkeypatch).split())


def test_the_window_needs_a_screen(monkeypatch):
    monkeypatch.setattr("fer_deploy.live.sinks.window.why_no_screen", lambda: "there is no screen (DISPLAY is not set)")
    ability = doctor.window_ability()
    assert (ability.works, ability.why) == (False, "there is no screen (DISPLAY is not set)")
    assert ability.fix == "fer-deploy live --serve 8080 shows the picture in a browser"
    monkeypatch.setattr("fer_deploy.live.sinks.window.why_no_screen", lambda: None)
    assert doctor.window_ability() == doctor.Ability("a window", True)


def test_opencv_that_cannot_be_imported_is_no_crash(monkeypatch):
    monkeypatch.delitem(sys.modules, "fer_deploy.live.sinks.window", raising=False)
    monkeypatch.setitem(sys.modules, "cv2", None)
    ability = doctor.window_ability()
    assert not ability.works
    assert ability.why.startswith("OpenCV cannot be imported: import of cv2 halted")
    assert "apt-get install libgl1" in ability.fix


def test_extras_are_listed_with_what_they_bring(monkeypatch):
    lines = [line.strip("│").split("│") for line in printed(monkeypatch).splitlines()]
    rows = {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in lines if len(cells) == 3}
    assert rows["serve"] == ["yes", "the web page of live --serve"]
    assert rows["table"] == ["no", "Parquet files"]
    assert "to install an extra: pip install 'fer-toolchain[NAME]'" in printed(monkeypatch)


def test_extras_are_those_of_the_package():
    extras = tomllib.loads((Path(__file__).parents[4] / "pyproject.toml").read_text())["project"]
    assert set(EXTRAS) == set(extras["optional-dependencies"])


def test_missing_packages_of_an_extra_and_of_those_that_it_includes():
    requirements = [
        "numpy>=1.26",
        'no-such-parquet>=18; extra == "table"',
        "fer-toolchain[cpu,table]; extra == 'analyze'",
        'click>=8; extra == "analyze"',
        'no-such-runtime[fast]<3,>=2; extra == "cpu"',
    ]
    assert missing_of_extra("table", requirements) == ("no-such-parquet",)
    assert missing_of_extra("analyze", requirements) == ("no-such-parquet", "no-such-runtime")
    assert missing_of_extra("serve", requirements) == ()


BASE_INSTALL = """
import sys
for name in ("onnxruntime", "torch", "onnx", "safetensors", "cuda", "tensorrt", "tensorrt_rtx"):
    sys.modules[name] = None  # importing it raises ModuleNotFoundError
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if sys.modules.get(name, 0) is None else found(name, package)
from fer_deploy.cli import main
main(["doctor", *sys.argv[1:]])
"""


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_on_this_machine_with_the_base_install(flags):
    done = subprocess.run([sys.executable, "-c", BASE_INSTALL, *flags], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "ONNX Runtime is not installed" in done.stdout
    assert "fer-toolchain[cpu]" in done.stdout
