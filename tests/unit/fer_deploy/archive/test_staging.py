"""What is said of a remote video: its address, not the path of a copy that is gone by then."""

from pathlib import Path

from integration.archive_videos import make_plan

from fer_deploy.archive.manifest import VideoRow
from fer_deploy.archive.staging import Staged, failure_of
from fer_deploy.archive.store import Store
from fer_deploy.errors import StreamError


def test_a_file_that_is_no_video_is_named_by_its_address(tmp_path):
    (tmp_path / "broken.mp4").write_bytes(b"\0" * 1000)
    Store(f"memory://{tmp_path.name}").send(tmp_path / "broken.mp4", "broken.mp4")
    _, manifest = make_plan([f"memory://{tmp_path.name}"], str(tmp_path / "out"), tmp_path / "engine.onnx")
    (row,) = manifest.rows.values()
    assert row.reason.startswith(f"cannot open the file as a video {row.address}: ")


def test_a_failed_segment_names_the_address_of_its_video():
    scratch = Path("/scratch/fer-archive-x")
    staged = Staged(scratch / "1-2/a.mp4", None)
    failed = StreamError("/scratch/fer-archive-x/1-2/a.mp4 ends early. Fix: copy it again")
    row = VideoRow(id="1", address="s3://key:secret@bucket/people/a.mp4")
    said = str(failure_of(failed, staged, row, scratch))
    assert said == "s3://***@bucket/people/a.mp4 ends early. Fix: copy it again"
    local = StreamError("/videos/a.mp4 ends early")
    row = VideoRow(id="1", address="/videos/a.mp4")
    assert str(failure_of(local, Staged(Path("/videos/a.mp4"), None), row, scratch)) == "/videos/a.mp4 ends early"
