import hashlib
import json

import pytest
import torch
import torch.nn.functional as F
from unit.fer_train.synthetic_faces import make_faces, tiny_config

from fer_train.checkpoint import load_release, load_state, read_spec_json, save_release
from fer_train.data.augment import normalize
from fer_train.data.faces import labels_for
from fer_train.errors import CheckpointError, ConfigError
from fer_train.evaluation.ensemble import Ensemble
from fer_train.models import build_model
from fer_train.spec import describe_model
from fer_train.training.loop import fit
from fer_train.training.teachers import Teachers

pytestmark = pytest.mark.usefixtures("narrow_net")
CPU = torch.device("cpu")
FACES = make_faces()


def release(path, *, seed=0, image_size=16, num_classes=7, mean_std=None):
    """Write an untrained Net whose answers differ from face to face."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        model = build_model("net", num_classes=num_classes).train()
        for _ in range(3):
            model(torch.randn(16, 1, image_size, image_size))
        model.classifier.weight.mul_(10)
    config = tiny_config(image_size=image_size, num_classes=num_classes)
    spec = describe_model(config, make_faces(num_classes=num_classes), {"accuracy": 0.5})
    if mean_std is not None:
        spec["input"] |= {"mean": mean_std[0], "std": mean_std[1]}
    save_release(path, model.eval(), spec)
    return path


def teachers(*paths, num_classes=7, temperature=1.0):
    return Teachers(tuple(map(str, paths)), labels=labels_for(num_classes), temperature=temperature, device=CPU)


def pixels(image_size=16):
    return torch.from_numpy(FACES.resized(image_size).images)


def test_one_teacher_answers_with_its_probabilities_at_the_temperature(tmp_path):
    path = release(tmp_path / "a.safetensors")
    images = normalize(pixels())
    expected = F.softmax(load_release(path)[0](images) / 4, dim=1)
    torch.testing.assert_close(teachers(path, temperature=4.0)(images), expected)


def test_several_are_averaged_and_each_path_counts_the_same(tmp_path):
    paths = [release(tmp_path / f"{seed}.safetensors", seed=seed) for seed in range(3)]
    images = normalize(pixels())
    expected = torch.stack([teachers(path)(images) for path in paths]).mean(0)
    torch.testing.assert_close(teachers(*paths)(images), expected)


def test_an_ensemble_teaches_with_its_weights(tmp_path):
    paths = [release(tmp_path / f"{seed}.safetensors", seed=seed) for seed in range(2)]
    Ensemble.of(paths).save(tmp_path / "both.json", torch.tensor([0.75, 0.25]).numpy(), {})
    images = normalize(pixels())
    one, other = (teachers(path)(images) for path in paths)
    together = teachers(tmp_path / "both.json")
    torch.testing.assert_close(together(images), 0.75 * one + 0.25 * other)
    assert [row["weight"] for row in together.provenance()] == [0.75, 0.25]


def test_a_teacher_sees_faces_in_its_own_size_and_normalization(tmp_path):
    same = release(tmp_path / "same.safetensors", image_size=32)
    other = release(tmp_path / "other.safetensors", image_size=32, mean_std=(0.0, 255.0))
    faces = normalize(pixels(16))
    resized = F.interpolate(faces, (32, 32), mode="bilinear", align_corners=False)
    torch.testing.assert_close(teachers(same)(faces), load_release(same)[0](resized).softmax(1))
    of_pixels = F.interpolate(pixels(16).unsqueeze(1).float() / 255, (32, 32), mode="bilinear", align_corners=False)
    expected = load_release(other)[0](of_pixels).softmax(1)
    torch.testing.assert_close(teachers(other)(faces), expected, rtol=1e-3, atol=1e-4)


def test_asked_once_they_average_each_face_and_its_mirror_image(tmp_path, monkeypatch):
    monkeypatch.setattr("fer_train.training.teachers.BATCH_SIZE", 30)  # 85 faces: two full batches and a rest
    asked = teachers(release(tmp_path / "a.safetensors", image_size=48))
    images = normalize(pixels(48))
    torch.testing.assert_close(asked.predict(FACES), (asked(images) + asked(images.flip(3))) / 2)


def test_other_labels_are_refused(tmp_path):
    path = release(tmp_path / "few.safetensors", num_classes=3)
    with pytest.raises(ConfigError) as caught:
        teachers(path)
    assert str(caught.value) == (
        f"teacher {path} has the labels class_0, class_1, class_2; angry, disgust, fear, happy, sad, surprise, "
        "neutral are needed. Fix: another --teacher, or num_classes and labels as the teacher has them"
    )


@pytest.mark.parametrize("name", ["none.safetensors", "none.json"])
def test_absent_teacher(tmp_path, name):
    with pytest.raises(CheckpointError, match="none"):
        teachers(tmp_path / name)


@pytest.mark.parametrize("cached", [False, True])
def test_release_names_its_teachers(tmp_path, cached):
    path = release(tmp_path / "a.safetensors")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    config = tiny_config(num_epochs=1, distillation={"teachers": [str(path)], "cached": cached})
    # What stands there when the student is released is not what taught it.
    fit(config, FACES, tmp_path / "out", on_step=lambda *_: path.unlink(missing_ok=True))
    provenance = json.loads(read_spec_json(tmp_path / "out" / "best.safetensors"))["provenance"]
    assert provenance["teachers"] == [
        {
            "path": "a.safetensors",
            "sha256": digest,
            "weight": 1.0,
            "architecture": "net",
            "metrics": {"accuracy": 0.5},
        }
    ]


@pytest.mark.parametrize("cached", [False, True])
def test_a_student_moves_towards_its_teacher(tmp_path, cached):
    path = release(tmp_path / "a.safetensors", image_size=16)
    settings = {"teachers": [str(path)], "weight": 1.0, "temperature": 1.0, "cached": cached}
    config = tiny_config(num_epochs=8, dropout=0.0, ema_decay=0.0)
    images = normalize(pixels())
    wanted = teachers(path)(images)

    def distance(run):
        answers = F.log_softmax(run.model.eval()(images).detach(), dim=1)
        return float(F.kl_div(answers, wanted, reduction="batchmean"))

    taught = fit(config, FACES, tmp_path / "alone")
    config = tiny_config(num_epochs=8, dropout=0.0, ema_decay=0.0, distillation=settings)
    distilled = fit(config, FACES, tmp_path / "out")
    assert distance(distilled) < 0.8 * distance(taught)
    assert all(p.grad is None for member in distilled.teachers._members for p in member.model.parameters())


def test_teachers_are_asked_on_each_mixed_and_augmented_batch(tmp_path, monkeypatch):
    path = release(tmp_path / "a.safetensors")
    asked = []
    call = Teachers.__call__
    monkeypatch.setattr(Teachers, "__call__", lambda self, images: asked.append(images.shape) or call(self, images))
    settings = {"teachers": [str(path)]}
    fit(tiny_config(num_epochs=2, distillation=settings, mix={"mixup_alpha": 0.4}), FACES, tmp_path / "online")
    assert asked == [(16, 1, 16, 16)] * 8
    asked.clear()
    fit(tiny_config(num_epochs=2, distillation=settings | {"cached": True}), FACES, tmp_path / "cached")
    assert asked == [(64, 1, 48, 48)] * 2  # once: as they are and mirrored
    assert load_state(tmp_path / "cached" / "last.pt")["epoch"] == 2


def test_answers_are_kept_for_these_teachers_and_faces_only(tmp_path, monkeypatch):
    kept, asked = tmp_path / "run" / "teachers.safetensors", []
    ask = Teachers.predict
    monkeypatch.setattr(Teachers, "predict", lambda self, faces: asked.append(1) or ask(self, faces))
    first, faces = release(tmp_path / "a.safetensors"), make_faces(Training=8)
    answers = teachers(first).cached_probs(faces, kept)
    assert torch.equal(teachers(first).cached_probs(faces, kept), answers)
    assert len(asked) == 1
    teachers(first).cached_probs(make_faces(1, Training=8), kept)
    teachers(first, temperature=2.0).cached_probs(faces, kept)
    teachers(release(tmp_path / "b.safetensors", seed=1)).cached_probs(faces, kept)
    assert len(asked) == 4


def test_damaged_answers_are_asked_for_again(tmp_path):
    kept, faces = tmp_path / "teachers.safetensors", make_faces(Training=8)
    one = teachers(release(tmp_path / "a.safetensors"))
    answers = one.cached_probs(faces, kept)
    kept.write_bytes(kept.read_bytes()[:50])
    assert torch.equal(one.cached_probs(faces, kept), answers)
