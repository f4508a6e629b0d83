import pytest
import torch
from unit.fer_train.synthetic_faces import NO_AUGMENT, make_faces, tiny_config

from fer_train.data.augment import normalize
from fer_train.data.loader import EpochBatches, epoch_seed
from fer_train.data.targets import training_targets
from fer_train.distributed import World
from fer_train.errors import ConfigError

CPU = torch.device("cpu")
BOTH_MIXES = {"mixup_alpha": 0.4, "cutmix_alpha": 1.0, "probability": 0.7}
WEBCAM = {
    "fade_probability": 0.5,
    "blur_probability": 0.5,
    "downscale_probability": 0.5,
    "noise_probability": 0.5,
    "flip": "alternating",
}
KINDS = [{}, {"mix": BOTH_MIXES}, {"sampling": "balanced"}, {"augment": WEBCAM}]


def batches(**changes):
    return EpochBatches(make_faces(Training=70), tiny_config(**changes), CPU)


def labels_of(loader, epoch):
    return torch.cat([batch.labels for batch in loader.epoch(epoch)]).tolist()


def test_an_epoch_leaves_out_the_last_incomplete_batch():
    loader = batches(batch_size=16)
    shapes = [tuple(map(tuple, (b.images.shape, b.targets.shape, b.labels.shape))) for b in loader.epoch(0)]
    assert shapes == [((16, 1, 16, 16), (16, 7), (16,))] * 4
    assert len(loader) == 4


@pytest.mark.parametrize("changes", KINDS, ids=str)
def test_any_epoch_can_be_redone_by_another_loader(changes):
    for batch, again in zip(batches(**changes).epoch(3), batches(**changes).epoch(3), strict=True):
        for part, same in zip(batch[:3], again[:3], strict=True):
            assert torch.equal(part, same)


@pytest.mark.parametrize("other", [(batches(seed=1), 3), (batches(), 4)])
def test_seed_and_epoch_change_the_order(other):
    assert labels_of(batches(), 3) != labels_of(*other)


def test_an_epoch_shows_each_face_once_with_its_label_and_its_own_answers():
    faces = make_faces(Training=64)
    config = tiny_config(augment=NO_AUGMENT, image_size=48)
    answers = torch.arange(64.0).unsqueeze(1).expand(64, 7)
    plain = normalize(torch.from_numpy(faces.images)).flatten(1)
    targets = torch.from_numpy(training_targets(faces, config))
    seen = []
    for batch in EpochBatches(faces, config, CPU, teacher=answers).epoch(0):
        nearest = torch.cdist(batch.images.flatten(1), plain).argmin(1)
        seen += nearest.tolist()
        assert faces.labels[nearest].tolist() == batch.labels.tolist()
        assert torch.equal(batch.targets, targets[nearest])
        assert batch.teacher is not None
        assert batch.teacher[:, 0].tolist() == nearest.tolist()
    assert sorted(seen) == list(range(64))


def mirrored_faces(loader, faces, epoch):
    """Return (N,) bool: which faces an epoch without other augmentation shows mirrored."""
    plain = normalize(torch.from_numpy(faces.images)).flatten(1)
    flipped = normalize(torch.from_numpy(faces.images)).flip(3).flatten(1)
    images = torch.cat([batch.images.flatten(1) for batch in loader.epoch(epoch)])
    nearest = torch.cdist(images, torch.cat([plain, flipped])).argmin(1)
    assert sorted((nearest % len(faces)).tolist()) == list(range(len(faces)))
    mirrored = torch.zeros(len(faces), dtype=torch.bool)
    mirrored[nearest % len(faces)] = nearest >= len(faces)
    return mirrored


def test_alternating_flip_shows_the_other_side_in_every_second_epoch():
    faces = make_faces(Training=64)
    changes = {"augment": NO_AUGMENT | {"flip_probability": 0.5, "flip": "alternating"}, "image_size": 48}
    loader = EpochBatches(faces, tiny_config(**changes), CPU)
    first = mirrored_faces(loader, faces, 0)
    assert 16 <= int(first.sum()) <= 48
    for epoch in (1, 2, 3):
        assert torch.equal(mirrored_faces(loader, faces, epoch), first ^ bool(epoch % 2))
    assert torch.equal(mirrored_faces(EpochBatches(faces, tiny_config(**changes), CPU), faces, 3), ~first)
    other = EpochBatches(faces, tiny_config(seed=6, **changes), CPU)
    assert not torch.equal(mirrored_faces(other, faces, 0), first)


def test_without_cached_answers_a_batch_has_none():
    assert next(batches().epoch(0)).teacher is None


def test_image_size_follows_the_phases():
    loader = batches(size_phases=[{"until_epoch": 1, "image_size": 24}], image_size=32)
    assert [next(loader.epoch(epoch)).images.shape[-1] for epoch in (0, 1)] == [24, 32]


def test_channels_last_is_the_layout_of_the_batches():
    def is_dense(batch):
        return batch.images.is_contiguous(memory_format=torch.channels_last)

    assert all(map(is_dense, batches().epoch(0)))
    assert all(batch.images.is_contiguous() for batch in batches(channels_last=False).epoch(0))


def test_balanced_sampling_shows_each_class_as_often():
    faces = make_faces(Training=1400)
    faces.labels[faces.labels > 1] = 0  # six of seven faces are of class 0
    loader = EpochBatches(faces, tiny_config(sampling="balanced", image_size=16, batch_size=140), CPU)
    share = sum(labels_of(loader, 0)) / 1400
    assert share == pytest.approx(0.5, abs=0.06)  # 4.5 standard deviations of 1400 draws


def test_shuffling_keeps_the_classes_as_they_are():
    faces = make_faces(Training=1400)
    faces.labels[faces.labels > 1] = 0
    assert sum(labels_of(EpochBatches(faces, tiny_config(batch_size=140), CPU), 0)) == 200


@pytest.mark.parametrize("size", [2, 4])
@pytest.mark.parametrize("changes", KINDS, ids=str)
def test_the_shares_of_all_processes_are_the_batch_of_one(size, changes):
    faces, config = make_faces(Training=70), tiny_config(**changes)
    answers = torch.rand(70, 7, generator=torch.Generator().manual_seed(0))
    alone = EpochBatches(faces, config, CPU, teacher=answers)
    shared = [EpochBatches(faces, config, CPU, teacher=answers, world=World(rank, size)) for rank in range(size)]
    for whole, *parts in zip(alone.epoch(1), *(loader.epoch(1) for loader in shared), strict=True):
        for part in range(4):
            torch.testing.assert_close(torch.cat([p[part] for p in parts]), whole[part], rtol=0, atol=1e-6)


def test_batch_that_cannot_be_shared_out_evenly():
    with pytest.raises(ConfigError, match=r"evenly among 3 processes\. Fix: a batch_size that is a multiple of 3"):
        EpochBatches(make_faces(), tiny_config(), CPU, world=World(0, 3))


def test_mixed_batch_counts_the_label_of_the_larger_share_whatever_the_classes_weigh():
    faces = make_faces(Training=640)
    faces.labels[:] = 0
    faces.labels[:32] = 1  # weighs 19 times as much
    changes = {"mix": {"mixup_alpha": 2.0, "probability": 1.0}, "augment": NO_AUGMENT, "label_smoothing": 0.0}
    weighted = EpochBatches(faces, tiny_config(class_weights="balanced", **changes), CPU)
    plain = EpochBatches(faces, tiny_config(**changes), CPU)
    assert labels_of(weighted, 0) == labels_of(plain, 0)
    assert 1 in labels_of(plain, 0)


def test_epoch_seeds_of_neighbouring_runs_do_not_meet():
    seeds = {epoch_seed(seed, epoch) for seed in range(20) for epoch in range(500)}
    assert len(seeds) == 20 * 500
