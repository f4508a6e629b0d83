"""CUDA in host memory: streams that run when waited for, graphs that replay.

It is strict where the real one is undefined: a copy outside of an allocation, a use after free or a wait during a
capture is an AssertionError, and what is not waited for has not happened.
"""

import ctypes
import time
from enum import IntEnum
from types import SimpleNamespace

import numpy as np


class cudaError_t(IntEnum):
    cudaSuccess = 0
    cudaErrorMemoryAllocation = 2
    cudaErrorInsufficientDriver = 35
    cudaErrorIllegalAddress = 700
    cudaErrorStreamCaptureInvalidated = 901


class Stream:
    def __init__(self, handle: int):
        self.handle, self.queue, self.graph = handle, [], None

    def __int__(self):
        return self.handle

    def add(self, step):
        (self.queue if self.graph is None else self.graph).append(step)


class SimulatedCudart:
    """What `Cuda` calls of `cuda.bindings.runtime`. `fail[name] = (status, n)`: calls of that name fail from n on."""

    cudaStreamNonBlocking = 1
    cudaHostAllocDefault = 0
    cudaMemcpyKind = SimpleNamespace(cudaMemcpyHostToDevice=1, cudaMemcpyDeviceToHost=2)
    cudaStreamCaptureMode = SimpleNamespace(cudaStreamCaptureModeGlobal=0, cudaStreamCaptureModeThreadLocal=1)

    def __init__(self, *, name="Simulated 3090", capability=(8, 6)):
        self.name, self.capability = name, capability
        self.memory = {}  # address -> (kind, buffer)
        self.streams, self.graphs, self.instances = {}, [], []
        self.fail, self.counts, self.calls = {}, {}, []
        self.capture_modes = []
        self.pause_s = 0.0  # before the work that is waited for: time for another thread to meddle

    def __getattribute__(self, name):
        value = object.__getattribute__(self, name)
        if not (name.startswith("cuda") and callable(value)) or name == "cudaGetErrorString":
            return value

        def call(*args):
            number = self.counts[name] = self.counts.get(name, -1) + 1
            self.calls.append(name)
            status, failing_number = self.fail.get(name, (None, None))
            if status is not None and number >= failing_number:
                if name == "cudaStreamEndCapture":
                    args[0].graph = None  # a capture that failed is over all the same
                return (status, None)
            result = value(*args)
            return (cudaError_t.cudaSuccess,) if result is None else (cudaError_t.cudaSuccess, result)

        return call

    @property
    def num_live(self):
        return len(self.memory) + len(self.streams) + len(self.graphs) + len(self.instances)

    def span(self, address, num_bytes, kind):
        for start, (found, buffer) in self.memory.items():
            if start <= address and address + num_bytes <= start + len(buffer):
                assert found == kind, f"{found} memory where {kind} memory is needed"
                return (ctypes.c_uint8 * num_bytes).from_address(address)
        raise AssertionError(f"{num_bytes} bytes at {address} are not allocated")

    def allocate(self, kind, num_bytes):
        buffer = np.full(num_bytes, 0xA5, dtype=np.uint8)
        self.memory[buffer.ctypes.data] = (kind, buffer)
        return buffer.ctypes.data

    def free(self, kind, address):
        assert self.memory.pop(address)[0] == kind

    def cudaSetDevice(self, device):
        assert device == 0

    def cudaGetDeviceProperties(self, device):
        major, minor = self.capability
        return SimpleNamespace(name=self.name.encode(), major=major, minor=minor, totalGlobalMem=24 * 2**30)

    def cudaGetErrorString(self, status):
        return cudaError_t.cudaSuccess, f"meaning of {int(status)}".encode()

    def cudaStreamCreateWithFlags(self, flags):
        assert flags == self.cudaStreamNonBlocking
        stream = Stream(1000 + len(self.streams))
        self.streams[int(stream)] = stream
        return stream

    def cudaStreamDestroy(self, stream):
        del self.streams[int(stream)]

    def cudaMalloc(self, num_bytes):
        return self.allocate("device", num_bytes)

    def cudaFree(self, address):
        self.free("device", address)

    def cudaHostAlloc(self, num_bytes, flags):
        return self.allocate("pinned", num_bytes)

    def cudaFreeHost(self, address):
        self.free("pinned", address)

    def cudaMemcpyAsync(self, target, source, num_bytes, kind, stream):
        kinds = ("device", "pinned") if kind == self.cudaMemcpyKind.cudaMemcpyHostToDevice else ("pinned", "device")

        def copy():
            ctypes.memmove(self.span(target, num_bytes, kinds[0]), self.span(source, num_bytes, kinds[1]), num_bytes)

        stream.add(copy)

    def cudaMemsetAsync(self, address, byte, num_bytes, stream):
        stream.add(lambda: ctypes.memset(self.span(address, num_bytes, "device"), byte, num_bytes))

    def cudaStreamSynchronize(self, stream):
        assert int(stream) in self.streams, "use after free"
        assert stream.graph is None, "a wait during a capture"
        time.sleep(self.pause_s)
        while stream.queue:
            stream.queue.pop(0)()

    def cudaStreamBeginCapture(self, stream, mode):
        self.capture_modes.append(mode)
        stream.graph = []

    def cudaStreamEndCapture(self, stream):
        graph, stream.graph = stream.graph, None
        self.graphs.append(id(graph))
        return graph

    def cudaGraphInstantiate(self, graph, flags):
        instance = SimpleNamespace(steps=list(graph))
        self.instances.append(id(instance))
        return instance

    def cudaGraphDestroy(self, graph):
        self.graphs.remove(id(graph))

    def cudaGraphLaunch(self, instance, stream):
        assert id(instance) in self.instances, "use after free"
        for step in instance.steps:
            stream.add(step)

    def cudaGraphExecDestroy(self, instance):
        self.instances.remove(id(instance))
