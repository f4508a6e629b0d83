"""Triton's backend "onnxruntime", written in Python: the wheel that carries the server has none.

The server's Python knows only its own packages; FER_TEST_PACKAGES names the folders of onnxruntime and of NumPy 1, for
which the server was compiled: from an array of NumPy 2 it takes no bytes. FER_TEST_EXACT_SUMS is 1 where our own engine
asks for exact INT8 sums, else 0.
"""

import json
import os
import sys
from pathlib import Path

sys.path.extend(os.environ["FER_TEST_PACKAGES"].split(os.pathsep))

import numpy as np
import onnxruntime as ort
import triton_python_backend_utils as backend


class TritonPythonModel:
    """One instance of a model."""

    def initialize(self, args):
        """Load the model file."""
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.add_session_config_entry("session.x64quantprecision", os.environ["FER_TEST_EXACT_SUMS"])
        path = Path(args["model_repository"]) / args["model_version"] / "model.onnx"
        self._session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name
        self._outputs = [output.name for output in self._session.get_outputs()]
        self._has_batches = json.loads(args["model_config"])["max_batch_size"] > 0

    def execute(self, requests):
        """Run the requests that the server gathered into one batch; note its size."""
        images = [backend.get_input_tensor_by_name(request, self._input).as_numpy() for request in requests]
        if not self._has_batches:
            return [self._answer(self._run(one)) for one in images]
        batch = np.concatenate(images)
        with Path(os.environ["FER_TEST_BATCHES"]).open("a") as file:
            file.write(f"{len(requests)} {len(batch)}\n")
        borders = np.cumsum([len(one) for one in images])[:-1]
        parts = [np.split(output, borders) for output in self._run(batch)]
        return [self._answer(outputs) for outputs in zip(*parts)]  # noqa: B905 - as many as requests

    def _run(self, images):
        return self._session.run(self._outputs, {self._input: images})

    def _answer(self, outputs):
        return backend.InferenceResponse(
            [backend.Tensor(name, output) for name, output in zip(self._outputs, outputs)]  # noqa: B905
        )
