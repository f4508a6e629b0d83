"""Every TensorRT name that the project uses exists in the bindings of both flavors, and in the oldest one it promises.

One flavor is installed, the other is not: its libraries take gigabytes and a GPU. What its bindings offer stands in
tests/data, listed from NVIDIA's wheels by tests/data/list_tensorrt_names.py.
"""

import ast
from pathlib import Path

import pytest
import tensorrt_rtx

PACKAGE = Path(__file__).parents[2] / "fer_deploy"
LISTS = Path(__file__).parents[1] / "data"

CLASSES = {
    "builder": "Builder",
    "builder_config": "IBuilderConfig",
    "network": "INetworkDefinition",
    "parser": "OnnxParser",
    "fault": "ParserError",
    "optimization": "IOptimizationProfile",
    "timing_cache": "ITimingCache",
    "layer": "ILayer",
    "tensor": "ITensor",
    "runtime": "Runtime",
    "engine": "ICudaEngine",
    "context": "IExecutionContext",
    "contexts[]": "IExecutionContext",
    "inspector": "EngineInspector",
}
"""What a variable of this name holds in a module that uses TensorRT; a leading underscore does not count."""
CLASSES_IN = {"runtime_cache.py": {"config": "IRuntimeConfig", "cache": "IRuntimeCache"}}
HANDED_TENSORRT_OBJECTS = {"runner.py", "network_runner.py"}
"""Modules that never see the module `trt`, only its objects."""

ONLY_IN_RTX = {
    "BuilderFlag.REQUIRE_USER_ALLOCATION",
    "ComputeCapability",
    "IBuilderConfig.num_compute_capabilities",
    "IBuilderConfig.set_compute_capability",
    "DynamicShapesKernelSpecializationStrategy",
    "DynamicShapesKernelSpecializationStrategy.EAGER",
    "IRuntimeConfig.create_runtime_cache",
    "IRuntimeConfig.set_runtime_cache",
    "IRuntimeConfig.dynamic_shapes_kernel_specialization_strategy",
    "IRuntimeCache.serialize",
    "IRuntimeCache.deserialize",
    "IExecutionContext.is_stream_capturable",
}
"""Used behind a check of the flavor, or of the attribute itself."""


def modules() -> list[Path]:
    def uses_tensorrt(path: Path) -> bool:
        nodes = list(ast.walk(ast.parse(path.read_text())))
        names = {node.id for node in nodes if isinstance(node, ast.Name)}
        return "trt" in names or path.name in HANDED_TENSORRT_OBJECTS

    return [path for path in sorted(PACKAGE.rglob("*.py")) if uses_tensorrt(path)]


def used_names(path: Path) -> set[str]:
    """Names such as "Builder" and "Builder.create_network" that the code of a module speaks of."""
    classes = CLASSES | CLASSES_IN.get(path.name, {})
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Attribute(value=ast.Name(id="trt"), attr=name):
                found.add(name)
            case ast.Attribute(value=ast.Attribute(value=ast.Name(id="trt"), attr=owner), attr=name):
                found.add(f"{owner}.{name}")
            case ast.Attribute(value=value, attr=name) if (owner := classes.get(variable(value))) is not None:
                found.add(f"{owner}.{name}")
            case ast.Call(func=ast.Name(id="getattr"), args=[value, ast.Constant(value=str(name)), *_]):
                if (owner := classes.get(variable(value))) is not None:
                    found.add(f"{owner}.{name}")
    return {name for name in found if "__" not in name}


def variable(node: ast.expr) -> str:
    """Return `engine` of engine.x, `contexts` of self._contexts[0].x."""
    match node:
        case ast.Name(id=name):
            return name.lstrip("_")
        case ast.Attribute(value=ast.Name(id="self"), attr=name):
            return name.lstrip("_")
        case ast.Subscript(value=value):
            return variable(value) + "[]"
    return ""


def listed(file: str) -> set[str]:
    return set((LISTS / file).read_text().splitlines()[1:])


ALL = {path.relative_to(PACKAGE).as_posix(): used_names(path) for path in modules()}


def test_both_sides_are_looked_at():
    assert {f"export/plan/{name}.py" for name in ("builder", "build", "precision_proof", "log")} <= set(ALL)
    assert any(name.startswith("engines/") for name in ALL)
    names = set().union(*ALL.values())
    assert {"Builder.build_serialized_network", "Runtime.deserialize_cuda_engine", "BuilderFlag.TF32"} <= names
    assert {"ILayer.get_output", "ParserError.node_name", "ITimingCache.serialize"} <= names
    assert {"DataType.INT64", "ICudaEngine.get_tensor_profile_shape"} <= ALL["engines/tensorrt/network.py"]
    assert {"IExecutionContext.get_tensor_shape", "IExecutionContext.execute_async_v3"} <= ALL[
        "engines/tensorrt/network_runner.py"
    ]
    assert len(names) > 40


@pytest.mark.parametrize("module", ALL)
def test_installed_flavor(module):
    def exists(name: str) -> bool:
        owner, _, attribute = name.partition(".")
        holder = getattr(tensorrt_rtx, owner, None)
        return holder is not None and (not attribute or hasattr(holder, attribute))

    assert {name for name in ALL[module] if not exists(name)} == set()


@pytest.mark.parametrize("file", ["tensorrt_11_4_names.txt", "tensorrt_10_12_names.txt"])
@pytest.mark.parametrize("module", ALL)
def test_full_tensorrt(module, file):
    assert ALL[module] - listed(file) - ONLY_IN_RTX == set()


@pytest.mark.parametrize("file", ["tensorrt_11_4_names.txt", "tensorrt_10_12_names.txt"])
def test_what_is_declared_to_be_missing_is_used_and_missing(file):
    assert set().union(*ALL.values()) - listed(file) == ONLY_IN_RTX


@pytest.mark.parametrize(
    ("file", "version", "has", "lacks"),
    [
        ("tensorrt_11_4_names.txt", "11.4.0.106", "Builder.build_engine_with_config", "BuilderFlag.FP16"),
        ("tensorrt_10_12_names.txt", "10.12.0.36", "BuilderFlag.FP16", "IKVCacheUpdateLayer"),
    ],
)
def test_lists_are_of_the_versions_they_claim(file, version, has, lacks):
    assert (LISTS / file).read_text().startswith(f"# {version}\n")
    assert has in listed(file)
    assert lacks not in listed(file)


def test_a_name_that_went_away_would_be_found(tmp_path):
    path = tmp_path / "plan_builder.py"
    path.write_text("def f(trt, builder):\n    builder.platform_has_fast_fp16\n    return trt.BuilderFlag.FP16\n")
    assert used_names(path) - listed("tensorrt_11_4_names.txt") == {
        "Builder.platform_has_fast_fp16",
        "BuilderFlag.FP16",
    }
