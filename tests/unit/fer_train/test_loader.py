import pytest
import torch
from unit.fer_train.synthetic_faces import NO_AUGMENT, make_faces, tiny_config

from fer_train.augment import normalize
from fer_train.data.loader import EpochBatches, epoch_seed

CPU = torch.device("cpu")


def batches(**changes):
    return EpochBatches(make_faces(Training=70), tiny_config(**changes), CPU)


def labels_of(loader, epoch):
    return torch.cat([labels for _, labels in loader.epoch(epoch)]).tolist()


def test_an_epoch_leaves_out_the_last_incomplete_batch():
    loader = batches(batch_size=16)
    shapes = [(tuple(images.shape), tuple(labels.shape)) for images, labels in loader.epoch(0)]
    assert shapes == [((16, 1, 16, 16), (16,))] * 4
    assert len(loader) == 4


def test_any_epoch_can_be_redone_by_another_loader():
    for (images, labels), (again, same) in zip(batches().epoch(3), batches().epoch(3), strict=True):
        assert torch.equal(images, again)
        assert torch.equal(labels, same)


@pytest.mark.parametrize("other", [(batches(seed=1), 3), (batches(), 4)])
def test_seed_and_epoch_change_the_order(other):
    assert labels_of(batches(), 3) != labels_of(*other)


def test_an_epoch_shows_each_face_once_with_its_label():
    faces = make_faces(Training=64)
    loader = EpochBatches(faces, tiny_config(augment=NO_AUGMENT, image_size=48), CPU)
    label_of = {image.tobytes(): label for image, label in zip(faces.images, faces.labels.tolist(), strict=True)}
    plain = normalize(torch.from_numpy(faces.images)).flatten(1)
    seen = []
    for images, labels in loader.epoch(0):
        nearest = torch.cdist(images.flatten(1), plain).argmin(1)
        seen += nearest.tolist()
        assert [label_of[faces.images[i].tobytes()] for i in nearest] == labels.tolist()
    assert sorted(seen) == list(range(64))


def test_image_size_follows_the_phases():
    loader = batches(size_phases=[{"until_epoch": 1, "image_size": 24}], image_size=32)
    assert [next(loader.epoch(epoch))[0].shape[-1] for epoch in (0, 1)] == [24, 32]


def test_epoch_seeds_of_neighbouring_runs_do_not_meet():
    seeds = {epoch_seed(seed, epoch) for seed in range(20) for epoch in range(500)}
    assert len(seeds) == 20 * 500
