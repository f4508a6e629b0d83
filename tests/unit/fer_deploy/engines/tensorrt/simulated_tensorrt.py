"""TensorRT over simulated CUDA: plans of any content hold one network, whose logits `logits_of` gives."""

import ctypes
from dataclasses import dataclass, field
from enum import Enum
from types import SimpleNamespace

import numpy as np
from unit.fer_deploy.engines.simulated_cuda import SimulatedCudart


class Severity(Enum):
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)


class ILogger:
    Severity = Severity


class DataType(Enum):
    FLOAT, HALF, UINT8, INT32, INT64 = range(5)


class TensorIOMode(Enum):
    NONE, INPUT, OUTPUT = range(3)


def logits_of(images, num_labels):
    """What the simulated network computes: each label looks at a weighting of its own of the pixels."""
    weights = np.sin(np.arange(num_labels * images[0].size) + 1).reshape(num_labels, -1).astype(np.float32)
    return images.reshape(len(images), -1).astype(np.float32) / 255 @ weights.T


class Context:
    def __init__(self, engine):
        self.engine, self.shapes, self.addresses, self.num_runs = engine, {}, {}, 0

    def set_input_shape(self, name, shape):
        smallest, _, largest = engine_profile(self.engine)
        self.shapes[name] = shape
        return smallest <= shape[0] <= largest

    def set_tensor_address(self, name, address):
        self.addresses[name] = address
        return name in self.engine.tensors

    def execute_async_v3(self, handle):
        trt, cudart = self.engine.trt, self.engine.trt.cudart
        stream = cudart.streams[handle]
        if trt.refuse(self):
            trt.log("enqueueV3: refused for a reason")
            return False
        if stream.graph is not None and self.num_runs == 0:
            trt.log("a first run allocates, which a capture does not allow")
            return False
        self.num_runs += 1
        if stream.graph is None or not trt.loses_the_network_in_a_capture:
            stream.add(self.run)
        return True

    def run(self):
        spec, cudart = self.engine.spec, self.engine.trt.cudart
        shape = self.shapes[spec.input.name]
        read = cudart.span(self.addresses[spec.input.name], int(np.prod(shape)), "device")
        images = np.frombuffer(read, dtype=np.uint8).reshape(shape)
        logits = logits_of(images, len(spec.labels))
        written = cudart.span(self.addresses["logits"], logits.nbytes, "device")
        ctypes.memmove(written, logits.tobytes(), logits.nbytes)
        self.engine.trt.batches.append(len(images))


def engine_profile(engine):
    return engine.trt.profile


class Engine:
    def __init__(self, trt, spec):
        self.trt, self.spec = trt, spec
        sides = (spec.input.channels, spec.input.height, spec.input.width)
        self.tensors = {
            spec.input.name: (TensorIOMode.INPUT, DataType.UINT8, (-1, *sides)),
            "logits": (TensorIOMode.OUTPUT, DataType.FLOAT, (-1, len(spec.labels))),
        } | trt.other_tensors

    @property
    def num_io_tensors(self):
        return len(self.tensors)

    def get_tensor_name(self, index):
        return list(self.tensors)[index]

    def get_tensor_mode(self, name):
        return self.tensors[name][0]

    def get_tensor_dtype(self, name):
        return self.tensors[name][1]

    def get_tensor_shape(self, name):
        return self.tensors[name][2]

    def get_tensor_profile_shape(self, name, index):
        assert index == 0
        return [(size, *self.tensors[name][2][1:]) for size in self.trt.profile]

    def create_execution_context(self, config=None):
        if self.trt.has_no_memory:
            self.trt.log("out of device memory")
            return None
        if config is not None:
            config.num_contexts += 1
        context = Context(self)
        if self.trt.capturable is not None:
            context.is_stream_capturable = lambda handle: self.trt.capturable
        return context

    def create_runtime_config(self):
        config = SimpleNamespace(num_contexts=0, cache=None)
        config.create_runtime_cache = lambda: RuntimeCache(self.trt)
        config.set_runtime_cache = lambda cache: setattr(config, "cache", cache)
        self.trt.configs.append(config)
        return config


class RuntimeCache:
    def __init__(self, trt):
        self.trt = trt

    def deserialize(self, blob):
        self.trt.cache_blobs.append(blob)
        return blob.startswith(b"kernels")

    def serialize(self):
        return memoryview(b"kernels of " + ", ".join(map(str, self.trt.batches)).encode())


@dataclass
class SimulatedTensorRT:
    """Stands in for the module `tensorrt` or `tensorrt_rtx`; `loaded` holds what was deserialized."""

    cudart: SimulatedCudart
    spec: object
    profile: tuple = (1, 4, 64)
    __version__: str = "11.4.0.106"
    other_tensors: dict = field(default_factory=dict)
    refuses_plan: bool = False
    has_no_memory: bool = False
    loses_the_network_in_a_capture: bool = False
    capturable: bool | None = None
    make_engine: object = None
    refuse: object = staticmethod(lambda context: False)
    loaded: list = field(default_factory=list)
    batches: list = field(default_factory=list)
    configs: list = field(default_factory=list)
    cache_blobs: list = field(default_factory=list)
    host_code_allowed: list = field(default_factory=list)
    ILogger = ILogger
    DataType = DataType
    TensorIOMode = TensorIOMode
    DynamicShapesKernelSpecializationStrategy = SimpleNamespace(LAZY="lazy", EAGER="eager")

    def __post_init__(self):
        self.__name__ = "tensorrt"

    def log(self, text):
        self.logger.log(Severity.INFO, "noise")
        self.logger.log(Severity.ERROR, text)
        self.logger.log(Severity.ERROR, "a consequence")

    def Runtime(self, logger):
        self.logger = logger
        runtime = SimpleNamespace(engine_host_code_allowed=False)

        def deserialize_cuda_engine(content):
            self.loaded.append(bytes(content))
            self.host_code_allowed.append(runtime.engine_host_code_allowed)
            if self.refuses_plan:
                self.log("the magic tag is another one")
                return None
            return self.make_engine(self) if self.make_engine else Engine(self, self.spec)

        runtime.deserialize_cuda_engine = deserialize_cuda_engine
        return runtime
