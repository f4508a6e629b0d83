"""The survey against made-up machines: an nvidia-smi of our own on the PATH, and packages that are not there."""

import ctypes
import importlib.metadata
import platform
import subprocess
import sys
from types import SimpleNamespace

import pytest

from fer_deploy import environment
from fer_deploy.environment import Gpu, read_host, survey
from fer_deploy.flavors import Flavor

FOUR = "NVIDIA H100 80GB HBM3, 9.0, 81559, 580.65.06"


@pytest.fixture
def smi(tmp_path, monkeypatch):
    """Return a function that puts a script called nvidia-smi on the PATH, and nothing else."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def write(script):
        path = tmp_path / "nvidia-smi"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    return write


class TestGpus:
    def test_two(self, smi):
        smi(f"echo '{FOUR}'; echo 'NVIDIA GeForce RTX 3090, 8.6, 24576, 580.65.06'")
        found = survey()
        assert found.host.gpus == (
            Gpu("NVIDIA H100 80GB HBM3", "9.0", 81559 * 2**20),
            Gpu("NVIDIA GeForce RTX 3090", "8.6", 24576 * 2**20),
        )
        assert found.driver == "580.65.06"
        assert found.notes == ()

    def test_it_is_asked_for_these_columns(self, smi):
        smi(f'test "$*" = "{" ".join(environment._SMI[1:])}" && echo "{FOUR}"')
        assert survey().host.gpus[0].compute_capability == "9.0"

    def test_memory_that_is_not_told(self, smi):
        smi("echo 'Orin (nvgpu), 8.7, [N/A], 540.4.0'")
        assert survey().host.gpus == (Gpu("Orin (nvgpu)", "8.7", 0),)

    def test_none(self, smi):
        found = survey()
        assert (found.host.gpus, found.driver) == ((), None)
        assert found.notes == (
            "nvidia-smi is not there: no NVIDIA driver, or a container started without the driver's tools",
        )

    @pytest.mark.parametrize(
        ("script", "note"),
        [
            ("echo 'NVIDIA-SMI has failed because it could not communicate'; exit 9", "(exit code 9): NVIDIA-SMI has"),
            ("exit 0", "lists no GPU (exit code 0): no output"),
            ("echo gibberish", "answered 'gibberish', expected name"),
            ("printf '\\377\\376'", "nvidia-smi failed: "),
        ],
    )
    def test_one_that_fails(self, smi, script, note):
        smi(script)
        found = survey()
        assert found.host.gpus == ()
        assert note in found.notes[0]

    def test_one_that_hangs(self, smi, monkeypatch):
        monkeypatch.setattr(environment, "_SMI_SECONDS", 0.2)
        smi("while :; do :; done")
        assert "nvidia-smi failed: " in survey().notes[0]

    def test_one_that_cannot_be_run(self, smi, tmp_path):
        smi("echo")
        (tmp_path / "nvidia-smi").write_text("no script")
        assert "nvidia-smi failed: " in survey().notes[0]


class TestCudaOfTheDriver:
    @pytest.mark.parametrize(("status", "number", "expected"), [(0, 13050, "13.5"), (0, 12060, "12.6"), (3, 0, None)])
    def test_version(self, monkeypatch, status, number, expected):
        def version(pointer):
            pointer._obj.value = number
            return status

        monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace(cuDriverGetVersion=version))
        assert survey().cuda == expected

    def test_no_driver(self, monkeypatch):
        def missing(name):
            assert name == "libcuda.so.1"
            raise OSError("cannot open shared object file")

        monkeypatch.setattr(ctypes, "CDLL", missing)
        assert survey().cuda is None


class TestPackages:
    def test_versions(self):
        found = survey()
        assert found.packages["numpy"] == importlib.metadata.version("numpy")
        assert found.python == platform.python_version()
        assert found.num_cores >= 1

    def test_tensorrt_is_not_imported(self):
        code = "import sys; from fer_deploy.environment import read_host; h = read_host(); print(dict(h.tensorrt)); "
        code += "assert not {'tensorrt_rtx', 'tensorrt', 'onnxruntime', 'cuda'} & set(sys.modules)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        version = importlib.metadata.version("tensorrt-rtx")
        assert f"'tensorrt_rtx'>: '{version}'" in done.stdout

    def test_real_version_is_the_module_s(self):
        """The manifest holds the one, the judgement compares it with the other."""
        import tensorrt_rtx  # noqa: PLC0415

        assert read_host().tensorrt[Flavor.TENSORRT_RTX] == tensorrt_rtx.__version__

    def test_a_system_package_without_metadata(self, monkeypatch):
        monkeypatch.setattr(environment, "_DISTRIBUTIONS", dict.fromkeys(Flavor, ("not-installed",)))
        import tensorrt_rtx  # noqa: PLC0415

        assert read_host().tensorrt == {Flavor.TENSORRT_RTX: tensorrt_rtx.__version__}

    def test_one_whose_import_fails(self, monkeypatch):
        def fail(name):
            raise OSError("libnvinfer.so.11: cannot open shared object file")

        monkeypatch.setattr(environment, "_DISTRIBUTIONS", dict.fromkeys(Flavor, ("not-installed",)))
        monkeypatch.setattr(environment, "import_module", fail)
        found = survey()
        assert found.host.tensorrt == {}
        assert "onnxruntime is installed, and its import fails: libnvinfer" in found.notes[-1]

    def test_nothing_is_installed(self, monkeypatch):
        monkeypatch.setattr(environment, "find_spec", lambda name: None)
        monkeypatch.setattr(environment, "_version", lambda name: None)
        found = survey()
        assert (found.packages, found.host.tensorrt, found.onnxruntime_providers) == ({}, {}, ())


class TestCpu:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            (
                "processor\t: 0\nmodel name\t: Intel(R) Xeon(R)\nflags\t\t: fpu avx2 avx512_vnni amx_int8\n\n"
                "processor\t: 1\nmodel name\t: another\nflags\t: none\n",
                ("Intel(R) Xeon(R)", ("avx2", "avx512_vnni", "amx_int8")),
            ),
            ("processor\t: 0\nFeatures\t: fp asimd asimddp i8mm\n", ("", ("asimddp", "i8mm"))),
            ("", ("", ())),
        ],
    )
    def test_cpuinfo(self, tmp_path, text, expected):
        path = tmp_path / "cpuinfo"
        path.write_text(text)
        assert environment._read_cpuinfo(path) == expected

    def test_a_system_without_it(self, tmp_path):
        assert environment._read_cpuinfo(tmp_path / "none") == ("", ())
