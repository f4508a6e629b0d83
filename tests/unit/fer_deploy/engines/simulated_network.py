"""A network of named tensors in simulated TensorRT, and the manifest that its plan would have."""

import ctypes

import numpy as np
from unit.fer_deploy.engines.tensorrt.plan_files import CONTENT, manifest_of, write_plan
from unit.fer_deploy.engines.tensorrt.simulated_tensorrt import DataType, Engine, TensorIOMode

from fer_deploy.engines.network import open_network
from fer_deploy.manifest import NetworkContract, NetworkManifest

FIX = "get the right file"
DTYPES = {"float32": DataType.FLOAT, "uint8": DataType.UINT8, "int64": DataType.INT64}
PAIR = NetworkContract.model_validate(
    {
        "precision": "fp32",
        "inputs": {
            "a": {"dtype": "float32", "min": [1, 2], "opt": [2, 2], "max": [6, 2]},
            "b": {"dtype": "uint8", "min": [1, 2], "opt": [2, 2], "max": [6, 2]},
        },
        "outputs": {"sum": {"dtype": "float32", "shape": [None, 2]}, "count": {"dtype": "int64", "shape": [1]}},
    }
)
"""Rows of two numbers: their sums, and how many rows there are."""


def pair_of(tensors):
    """What the network of `PAIR` computes."""
    return {"sum": tensors["a"] + tensors["b"], "count": np.array([len(tensors["a"])], dtype=np.int64)}


def network_manifest(contract=PAIR, content=CONTENT, **changes) -> NetworkManifest:
    """Manifest of a network's plan, on the machine of `plan_files`."""
    facts = manifest_of(content, **changes).model_dump(exclude={"spec", "profile", "report"})
    return NetworkManifest.model_validate({**facts, "network": contract, "source_onnx": "yunet.onnx"})


class NetworkContext:
    def __init__(self, engine):
        self.engine, self.shapes, self.addresses, self.num_runs = engine, {}, {}, 0

    def set_input_shape(self, name, shape):
        wanted = self.engine.contract.inputs[name]
        self.shapes[name] = shape
        return all(a <= b <= c for a, b, c in zip(wanted.min, shape, wanted.max, strict=True))

    def set_tensor_address(self, name, address):
        self.addresses[name] = address
        return name in self.engine.tensors

    def get_tensor_shape(self, name):
        zeros = {n: np.zeros(s, dtype=self.engine.contract.inputs[n].dtype) for n, s in self.shapes.items()}
        return self.engine.shape_of(name, self.engine.compute(zeros)[name].shape)

    def execute_async_v3(self, handle):
        trt = self.engine.trt
        if trt.refuse(self):
            trt.log("enqueueV3: refused for a reason")
            return False
        assert self.addresses.keys() == self.engine.tensors.keys()
        self.num_runs += 1
        shapes = dict(self.shapes)
        trt.cudart.streams[handle].add(lambda: self.run(shapes))
        return True

    def run(self, shapes):
        cudart, contract = self.engine.trt.cudart, self.engine.contract
        inputs = {}
        for name, shape in shapes.items():
            dtype = np.dtype(contract.inputs[name].dtype)
            read = cudart.span(self.addresses[name], int(np.prod(shape)) * dtype.itemsize, "device")
            inputs[name] = np.frombuffer(read, dtype=dtype).reshape(shape)
        for name, output in self.engine.compute(inputs).items():
            written = cudart.span(self.addresses[name], output.nbytes, "device")
            ctypes.memmove(written, output.tobytes(), output.nbytes)
        self.engine.trt.batches.append(shapes)


class NetworkEngine(Engine):
    """Keeps `contract`, but for what a test puts into `tensors`, `profiles` or `shape_of`."""

    def __init__(self, trt, contract=PAIR, compute=pair_of):
        self.trt, self.contract, self.compute = trt, contract, compute
        self.shape_of = lambda name, shape: shape
        self.profiles = {name: (wanted.min, wanted.opt, wanted.max) for name, wanted in contract.inputs.items()}
        sides = ((TensorIOMode.INPUT, contract.inputs), (TensorIOMode.OUTPUT, contract.outputs))
        self.tensors = {
            name: (mode, DTYPES[wanted.dtype], tuple(-1 if size is None else size for size in wanted.shape))
            for mode, tensors in sides
            for name, wanted in tensors.items()
        }

    def get_tensor_profile_shape(self, name, index):
        assert index == 0
        return [list(shape) for shape in self.profiles[name]]

    def create_execution_context(self, config=None):
        if self.trt.has_no_memory:
            self.trt.log("out of device memory")
            return None
        return NetworkContext(self)


def open_plan(machine, manifest=None, **options):
    path = write_plan(machine.folder, manifest=manifest or network_manifest())
    return open_network(path, fix=FIX, **{"device": "cuda", **options})


def rows(num, value=0):
    """Return inputs for `PAIR` of so many rows."""
    noise = np.random.default_rng(num)
    return {
        "a": noise.random((num, 2), dtype=np.float32) + value,
        "b": noise.integers(0, 9, (num, 2), dtype=np.uint8),
    }
