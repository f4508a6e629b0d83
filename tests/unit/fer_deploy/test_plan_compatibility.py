from pathlib import Path

import pytest
from unit.fer_deploy.engines.tensorrt.plan_files import CONTENT, manifest_of

from fer_deploy.environment import Gpu, Host
from fer_deploy.errors import ArtifactError
from fer_deploy.flavors import Flavor
from fer_deploy.plan_compatibility import (
    Mismatch,
    describe_mismatches,
    find_mismatches,
    identity_fault,
    read_trusted_plan,
)

GPU = Gpu("Simulated 3090", "8.6", 24 * 2**30)


def host(*gpus, version="11.4.0.106", flavor=Flavor.TENSORRT, os="linux", machine="x86_64"):
    return Host(os, machine, {flavor: version} if version else {}, gpus or (GPU,))


def gpu(capability, name="Simulated 3090"):
    return Gpu(name, capability, 2**30)


def test_the_machine_that_built_it():
    assert find_mismatches(manifest_of(), host()) == []


@pytest.mark.parametrize(
    ("built", "here", "compatible", "fits"),
    [
        ("11.4.0.106", "11.4.0.106", False, True),
        ("11.4.0.106", "11.4.0.107", False, False),
        ("11.4.0.106", "11.4.1.2", False, False),
        ("11.4.0.106", "11.4.1.2", True, True),
        ("11.4.0.106", "11.10.0.1", True, True),  # 10 > 4: numbers, not text
        ("11.10.0.1", "11.4.0.106", True, False),
        ("10.13.0.35", "11.4.0.106", True, True),
        ("8.6.1", "10.3.0", True, False),
        ("11.4.0.106", "10.13.0.35", True, False),
    ],
)
def test_version(built, here, compatible, fits):
    manifest = manifest_of(version=built, version_compatible=compatible)
    expected = [] if fits else [Mismatch(f"with TensorRT {built}", f"TensorRT {here}")]
    assert find_mismatches(manifest, host(version=here)) == expected


@pytest.mark.parametrize(
    ("capabilities", "compatibility", "capability", "fits"),
    [
        (["8.6"], "none", "8.6", True),
        (["8.6"], "none", "8.9", False),
        (["7.5", "8.6", "8.9"], "none", "8.9", True),
        (["8.6"], "same_compute_capability", "8.6", True),
        (["8.6"], "same_compute_capability", "8.0", False),
        (["8.0"], "ampere_plus", "8.0", True),
        (["8.0"], "ampere_plus", "12.0", True),
        (["8.0"], "ampere_plus", "7.5", False),
    ],
)
def test_compute_capability(capabilities, compatibility, capability, fits):
    target = {"compute_capabilities": capabilities, "hardware_compatibility": compatibility}
    found = find_mismatches(manifest_of(target=target), host(gpu(capability)))
    assert bool(found) is not fits
    if found:
        assert found[0].here == f"sm_{capability.replace('.', '')}"


@pytest.mark.parametrize(
    ("flavor", "compatibility", "built_on", "fits"),
    [
        ("tensorrt", "none", "NVIDIA A10", False),
        ("tensorrt", "none", None, True),
        ("tensorrt", "same_compute_capability", "NVIDIA A10", True),
        ("tensorrt_rtx", "none", "NVIDIA A10", True),
    ],
)
def test_gpu_model(flavor, compatibility, built_on, fits):
    manifest = manifest_of(flavor=flavor, target={"gpu": built_on, "hardware_compatibility": compatibility})
    found = find_mismatches(manifest, host(flavor=Flavor(flavor)))
    assert found == ([] if fits else [Mismatch("for NVIDIA A10", "Simulated 3090")])


def test_one_gpu_that_fits_is_enough():
    assert find_mismatches(manifest_of(), host(gpu("9.0", "NVIDIA H100"), GPU)) == []
    assert find_mismatches(manifest_of(), host(gpu("9.0"), gpu("7.5"))) == [Mismatch("for sm_86", "sm_90, sm_75")]


@pytest.mark.parametrize(
    ("system", "machine", "fits"),
    [("linux", "x86_64", True), ("any", "any", True), ("windows", "any", False), ("any", "aarch64", False)],
)
def test_system(system, machine, fits):
    found = find_mismatches(manifest_of(target={"os": system, "machine": machine}), host())
    assert found == ([] if fits else [Mismatch(f"on {system} {machine}", "linux x86_64")])


def test_the_mend_names_the_flavor_to_build_with():
    manifest = manifest_of(version="1.4.0", flavor="tensorrt_rtx")
    here = host(gpu("9.0"), version="1.7.1", flavor=Flavor.TENSORRT_RTX)
    text = describe_mismatches(Path("net.plan"), manifest, find_mismatches(manifest, here))
    assert text.endswith("--out net.plan --flavor tensorrt-rtx")


def test_the_message_of_the_design():
    manifest = manifest_of(version="10.3.0")
    mismatches = find_mismatches(manifest, host(gpu("9.0"), version="11.4.0"))
    assert f"cannot load net-int8.plan: {describe_mismatches(Path('net-int8.plan'), manifest, mismatches)}" == (
        "cannot load net-int8.plan: built with TensorRT 10.3.0 for sm_86; this machine has TensorRT 11.4.0 and sm_90.\n"
        "    Fix: fer-deploy build --onnx net-int8.onnx --out net-int8.plan"
    )


@pytest.mark.parametrize(
    ("there", "mend"),
    [
        (Host("linux", "x86_64", {}, (GPU,)), "pip install 'fer-toolchain[tensorrt]', or fer-deploy build"),
        (Host("linux", "x86_64", {Flavor.TENSORRT: "11.4.0.106"}, ()), "run it where nvidia-smi lists a GPU, or give"),
        (Host("linux", "x86_64", {}, ()), "run it where nvidia-smi lists a GPU, or give"),
    ],
)
def test_mend_of_what_is_missing(there, mend):
    text = describe_mismatches(Path("a.plan"), manifest_of(), find_mismatches(manifest_of(), there))
    assert text.splitlines()[1].startswith(f"    Fix: {mend}")


@pytest.mark.parametrize(
    ("content", "fault"),
    [(CONTENT, None), (CONTENT[:-1], "it has 38 bytes, expected 39"), (b"x" + CONTENT[1:], "its SHA-256 is ")],
)
def test_identity(content, fault):
    found = identity_fault(content, manifest_of())
    assert found is None if fault is None else found.startswith(fault)


def test_an_unreadable_plan(tmp_path):
    with pytest.raises(ArtifactError, match=r"cannot read .*a\.plan: No such file"):
        read_trusted_plan(tmp_path / "a.plan", manifest_of())
