"""The budget of accuracy: the dearest layers go back first, and no more of them than it takes."""

import numpy as np
import pytest

from fer_deploy.engines.fake import FakeEngine
from fer_deploy.errors import VerificationError
from fer_deploy.export.faces import VerificationFaces
from fer_deploy.export.int8.accuracy_control import NUM_FACES, faces_for_costs, keep_budget, layer_costs
from fer_deploy.export.int8.scheme import Scheme
from fer_deploy.export.verify.compare import Reference, breaches_of_logits
from fer_deploy.export.verify.scores import Limits
from fer_deploy.export.verify.slice_agreement import faces_by_slice
from fer_deploy.export.verify.slices import Slice

HARM = {"a": 1, "b": 10, "c": 0, "d": 4, "e": 0, "f": 2}
"""Faces of a hundred that a layer in INT8 turns over; no two layers harm the same face."""
LAYERS = tuple(HARM)
WIDE = {"min_agreement": 0.0, "max_f1_drop": 100.0, "max_recall_drop": 100.0}
"""Limits that accuracy breaks first."""


class Damaged(FakeEngine):
    """Turns the faces over that the quantized layers harm; each face knows its number by its brightness."""

    def __init__(self, float_layers: tuple[str, ...], harm: dict[str, float]) -> None:
        super().__init__()
        ends = np.cumsum([int(count) for count in harm.values()])
        starts = [0, *ends[:-1]]
        self.harmed = {
            face
            for name, start, end in zip(harm, starts, ends, strict=True)
            if name not in float_layers
            for face in range(start, end)
        }

    def _run(self, images_nchw):
        logits = super()._run(images_nchw)
        turned = [int(image.flat[0]) in self.harmed for image in images_nchw]
        return np.where(np.array(turned)[:, None], -logits, logits).astype(np.float32)


@pytest.fixture
def reference() -> Reference:
    """A hundred dark faces, judged correctly."""
    images = np.broadcast_to(np.arange(100, dtype=np.uint8)[:, None, None, None], (100, 1, 48, 48)).copy()
    return Reference.of(FakeEngine(), VerificationFaces(images, np.zeros(100, dtype=np.int64), "levels"))


class Machine:
    """`make` and `open_graph` for a network of such layers; remembers what was made and closed."""

    def __init__(self, harm=HARM) -> None:
        self.harm, self.made, self.engines = harm, [], []

    def make(self, float_layers):
        self.made.append(float_layers)
        return float_layers

    def open_graph(self, float_layers):
        self.engines.append(Damaged(float_layers, self.harm))
        return self.engines[-1]

    def costs(self, reference):
        return layer_costs(reference, tuple(self.harm), self.make, self.open_graph, progress=lambda layer: None)

    def keep(self, reference, budget, costs=None, **limits):
        costs = costs or self.costs(reference)
        self.made.clear()
        limits = Limits(**WIDE | {"max_accuracy_drop": budget} | limits)
        return keep_budget(reference, costs, self.make, self.open_graph, limits=limits, scheme=Scheme.TENSORRT)


@pytest.fixture
def machine() -> Machine:
    return Machine()


class TestCosts:
    def test_dearest_first(self, machine, reference):
        costs = machine.costs(reference)
        assert [cost.layer for cost in costs[:4]] == ["b", "d", "f", "a"]
        assert [cost.accuracy_change for cost in costs[:4]] == pytest.approx([-10, -4, -2, -1])
        assert [cost.kl for cost in costs[4:]] == [0.0, 0.0]

    def test_each_layer_alone(self, machine, reference):
        machine.costs(reference)
        assert machine.made == [tuple(name for name in LAYERS if name != layer) for layer in LAYERS]
        assert all(engine.closed for engine in machine.engines)

    def test_order_is_by_divergence_and_not_by_accuracy(self):
        """Three faces near the border turn over at little cost; a clear one is what INT8 must not touch."""
        levels = np.array([0, 126, 126, 126, *[50] * 6], dtype=np.uint8)
        images = np.broadcast_to(levels[:, None, None, None], (10, 1, 48, 48)).copy()
        faces = Reference.of(FakeEngine(), VerificationFaces(images, np.zeros(10, dtype=np.int64), "levels"))

        def open_graph(float_layers):
            engine = Damaged((), HARM)
            engine.harmed = {level for name, level in (("border", 126), ("clear", 0)) if name not in float_layers}
            return engine

        costs = layer_costs(faces, ("border", "clear"), tuple, open_graph, progress=lambda layer: None)
        assert [(cost.layer, cost.accuracy_change) for cost in costs] == [("clear", -10), ("border", -30)]

    def test_without_labels(self, machine, reference):
        unlabelled = Reference.of(FakeEngine(), VerificationFaces(reference.faces.images_nchw, None, "levels"))
        costs = machine.costs(unlabelled)
        assert costs[0].layer == "b"
        assert {cost.accuracy_change for cost in costs} == {None}

    def test_progress_comes_before_each_layer(self, machine, reference):
        seen = []
        layer_costs(
            reference,
            LAYERS,
            machine.make,
            machine.open_graph,
            progress=lambda layer: seen.append((layer, len(machine.made))),
        )
        assert seen == [(layer, index) for index, layer in enumerate(LAYERS)]

    def test_half_of_them_on_degraded_faces(self):
        images = np.arange(100, dtype=np.uint8).repeat(12)[:, None, None, None] * np.ones((1, 1, 48, 48), np.uint8)
        faces = VerificationFaces(images, np.zeros(len(images), dtype=np.int64), "levels")
        video = VerificationFaces(images[:9], None, "faces of a clip")
        reference = Reference.of(FakeEngine(), faces, faces_by_slice(faces, 600, video))
        found = faces_for_costs(reference)
        assert (len(found.faces), found.faces.source) == (256 + 6 * 42, "levels, half degraded")
        assert np.array_equal(found.logits, FakeEngine().infer(found.faces.images_nchw))
        assert len(found.faces.labels) == len(found.faces)
        dim = found.faces.images_nchw[256:298]
        assert dim.max() == round(0.35 * 99)

    def test_a_share_of_many_faces(self, machine):
        images = np.zeros((2 * NUM_FACES, 1, 48, 48), dtype=np.uint8)
        many = Reference.of(FakeEngine(), VerificationFaces(images, None, "dark"))
        machine.costs(many)
        assert {sum(engine.batch_sizes) for engine in machine.engines} == {NUM_FACES}


class TestBudget:
    @pytest.mark.parametrize(
        ("budget", "given_back", "changes"),
        [
            (17.0, (), [-17]),
            (16.9, ("b",), [-17, -7]),
            (7.0, ("b",), [-17, -7]),
            (6.0, ("b", "d"), [-17, -7, -3]),
            (1.0, ("b", "d", "f"), [-17, -7, -3, -1]),
        ],
    )
    def test_no_more_layers_than_it_takes(self, machine, reference, budget, given_back, changes):
        kept = machine.keep(reference, budget)
        assert kept.float_layers == given_back
        assert kept.accuracy_changes == pytest.approx(changes)
        assert kept.model == given_back
        assert machine.made[: len(changes)] == [("b", "d", "f")[:count] for count in range(len(changes))]
        assert all(engine.closed for engine in machine.engines)

    def test_a_layer_that_is_not_needed_is_quantized_again(self, machine, reference):
        """Its cost alone came first; with all others quantized it costs nothing."""
        wrong_order = sorted(machine.costs(reference), key=lambda cost: cost.layer)  # a b c d e f
        kept = machine.keep(reference, 7.0, tuple(wrong_order))
        assert kept.float_layers == ("b",)
        assert kept.model == ("b",)
        assert kept.accuracy_changes == pytest.approx([-17, -16, -6])
        assert machine.made == [(), ("a",), ("a", "b"), ("b",)]

    @pytest.mark.parametrize(
        ("limits", "given_back"),
        [
            ({"min_agreement": 0.95}, ("b", "d")),
            ({"max_recall_drop": 2.0}, ("b", "d", "f")),
            ({"max_kl": 0.02}, ("b", "d", "f")),
            ({}, ()),
        ],
    )
    def test_every_limit_is_kept(self, machine, reference, limits, given_back):
        """It looked at accuracy alone, and the export failed afterwards."""
        kept = machine.keep(reference, 100.0, **limits)
        assert kept.float_layers == given_back
        assert breaches_of_logits(reference, kept.logits, Limits(**WIDE | {"max_accuracy_drop": 100.0} | limits)) == ()

    def test_a_limit_on_a_slice_is_kept(self, machine, reference):
        """Clean faces hold in INT8; dim ones, which layer d alone harms, need it in float."""
        dim = Reference.of(FakeEngine(), reference.faces.at(np.arange(11, 15)))
        sliced = Reference(reference.faces, reference.labels, reference.logits, "fake", {Slice.DIM: dim})
        assert machine.keep(sliced, 100.0).float_layers == ()
        kept = machine.keep(sliced, 100.0, min_slice_agreement={Slice.DIM: 0.9})
        assert kept.float_layers == ("d",)
        assert kept.chosen_on == "all 100 faces of levels and their slices (dim)"

    def test_half_is_not_enough(self, machine, reference):
        with pytest.raises(VerificationError) as caught:
            machine.keep(reference, 0.5)
        text = str(caught.value)
        assert "INT8 for tensorrt loses 1.00 points of accuracy at best, with up to 3 of 6 layers in float" in text
        assert "0.5 are allowed. With the largest number in float: accuracy -1.00 points (allowed -0.5). Fix:" in text
        assert "quantization_aware: true" in text
        assert max(map(len, machine.made)) == 3

    def test_the_order_of_the_costs_decides(self, machine, reference):
        cheapest_first = machine.costs(reference)[::-1]
        with pytest.raises(VerificationError):
            machine.keep(reference, 7.0, cheapest_first)

    def test_a_gain_keeps_any_budget(self, reference):
        """INT8 may win a face by chance."""
        wrong = Reference(reference.faces, reference.labels, -reference.logits, "wrong about all")
        kept = Machine().keep(wrong, 0.1)
        assert kept.float_layers == ()
        assert kept.accuracy_changes[0] > 0

    def test_record(self, machine, reference):
        record = machine.keep(reference, 7.0).record()
        assert record["float_layers"] == ["b"]
        assert record["accuracy_changes"] == [-17.0, -7.0]
        assert record["chosen_on"] == "all 100 faces of levels"
        assert [cost["layer"] for cost in record["layer_costs"][:2]] == ["b", "d"]
        assert record["layer_costs"][0]["accuracy_change"] == pytest.approx(-10)
