"""Is there room for the files of a run? It is asked before the first step."""

import shutil
from types import SimpleNamespace

import pytest
from unit.fer_train.synthetic_faces import make_faces, tiny_config

from fer_train.errors import CheckpointError
from fer_train.files.durable import require_space
from fer_train.training.loop import fit


@pytest.fixture
def faces():
    return make_faces()


@pytest.fixture
def leave_free(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)

    def leave(num_bytes):
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=num_bytes))

    return leave


@pytest.mark.parametrize(("optimizer", "ema_decay"), [("SGD", 0.0), ("SGD", 0.9), ("AdamW", 0.9), ("Muon", 0.9)])
def test_sizes_are_those_of_the_files_of_the_real_net(tmp_path, faces, optimizer, ema_decay):
    run = fit(tiny_config(optimizer=optimizer, ema_decay=ema_decay, num_epochs=1), faces, tmp_path)
    assert run.num_bytes_of_state == pytest.approx((tmp_path / "last.pt").stat().st_size, rel=0.02)
    assert run.num_bytes_of_weights == pytest.approx((tmp_path / "final.safetensors").stat().st_size, rel=0.02)


@pytest.mark.usefixtures("narrow_net")
class TestRoom:
    @pytest.fixture
    def needed(self, tmp_path, faces):
        run = fit(tiny_config(num_epochs=1), faces, tmp_path / "measured")
        return 2 * (run.num_bytes_of_state + run.num_bytes_of_weights)

    def test_no_run_begins_where_its_files_do_not_fit(self, tmp_path, faces, needed, leave_free):
        leave_free(needed - 1)
        with pytest.raises(CheckpointError, match=r"needs about \d.* MB, and \d.* MB are free\. Fix: free space"):
            fit(tiny_config(num_epochs=1), faces, tmp_path / "run")
        assert not list((tmp_path / "run").glob("*.*"))
        leave_free(needed)
        fit(tiny_config(num_epochs=1), faces, tmp_path / "run")

    def test_one_that_goes_on_has_some_of_them_and_a_finished_one_needs_none(self, tmp_path, faces, needed, leave_free):
        out, config = tmp_path / "run", tiny_config(num_epochs=2)

        def stop(row):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fit(config, faces, out, on_epoch=stop)
        left = needed - sum((out / name).stat().st_size for name in ("last.pt", "best.safetensors"))
        leave_free(left - 1)
        with pytest.raises(CheckpointError, match="MB are free"):
            fit(config, faces, out, resume=True)
        leave_free(left)
        assert fit(config, faces, out, resume=True).epoch == 2
        leave_free(0)
        fit(config, faces, out, resume=True)

    def test_the_teachers_do_not_answer_first(self, tmp_path, faces, leave_free):
        teacher = tmp_path / "teacher"
        fit(tiny_config(num_epochs=1), faces, teacher)
        taught = {"teachers": [str(teacher / "final.safetensors")], "cached": True}
        leave_free(0)
        with pytest.raises(CheckpointError, match="MB are free"):
            fit(tiny_config(num_epochs=1, distillation=taught), faces, tmp_path / "run")
        assert not list((tmp_path / "run").iterdir())


def test_a_disk_that_does_not_tell_its_size_is_used(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(total=0, used=0, free=0))
    require_space(tmp_path, 1)


def test_a_folder_that_cannot_be_asked_is_left_to_the_first_write(tmp_path):
    require_space(tmp_path / "absent", 10**18)
