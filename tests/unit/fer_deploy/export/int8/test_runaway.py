"""Layers whose activations leave their calibrated range on degraded faces are named."""

import numpy as np
from integration.export_models import patterns

from fer_deploy.export.faces import VerificationFaces
from fer_deploy.export.graph.layers import layers_of
from fer_deploy.export.int8.runaway import runaway_layers
from fer_deploy.export.verify.slices import Slice


def test_layers_far_beyond_their_range(small_graph, small_spec, small_calibration):
    clean = VerificationFaces(patterns(20, seed=8)[0][:, None], None, "patterns")
    assert runaway_layers(small_graph, small_spec.input.name, small_calibration.ranges, {Slice.CLEAN: clean}) == ()
    tensors = {layer.name: layer.node.input[0] for layer in layers_of(small_graph)}
    ranges = dict(small_calibration.ranges)
    ranges[tensors["classifier"]] /= 10
    ranges[tensors["blocks.1.branch.3"]] /= 100
    found = runaway_layers(small_graph, small_spec.input.name, ranges, {Slice.CLEAN: clean})
    assert [one.layer for one in found] == ["blocks.1.branch.3", "classifier"]
    assert found[0].factor > 10 * found[1].factor / 2 > 5
    assert {one.slice for one in found} == {Slice.CLEAN}


def test_the_slice_that_goes_furthest(small_graph, small_spec, small_calibration):
    clean = VerificationFaces(patterns(20, seed=8)[0][:, None], None, "patterns")
    black = VerificationFaces(np.zeros((4, 1, 48, 48), dtype=np.uint8), None, "black")
    ranges = {name: limit / 50 for name, limit in small_calibration.ranges.items()}
    slices = {Slice.NOISE: clean, Slice.DIM: black}
    found = {one.layer: one for one in runaway_layers(small_graph, small_spec.input.name, ranges, slices)}
    alone = {
        kind: {
            one.layer: one.factor for one in runaway_layers(small_graph, small_spec.input.name, ranges, {kind: part})
        }
        for kind, part in slices.items()
    }
    for layer, one in found.items():
        assert one.factor == max(part.get(layer, 0.0) for part in alone.values())
        assert alone[one.slice][layer] == one.factor


def test_a_graph_without_ranges(small_graph, small_spec):
    assert runaway_layers(small_graph, small_spec.input.name, {}, {}) == ()
