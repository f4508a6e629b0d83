"""An archive on S3: a moto server on this machine."""

import urllib.request

import pyarrow.parquet as pq
import pytest
import s3fs
from integration.archive_videos import (
    NUM_FRAMES,
    make_plan,
    make_run,
    make_videos,
    recipe_of,
    rows_of_analyze,
)
from integration.docs_blocks.workbench import free_port
from moto.server import ThreadedMotoServer

from fer_deploy.archive.dead_letters import dead_letters
from fer_deploy.archive.joining.join import join
from fer_deploy.archive.joining.verify import verify
from fer_deploy.archive.manifest import Manifest
from fer_deploy.archive.store import Store
from fer_deploy.errors import SinkError

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def bucket(monkeypatch):
    """Start a server and return the address of an empty bucket."""
    port = free_port()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port)
    server.start()
    settings = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    request = urllib.request.Request(f"http://127.0.0.1:{port}/moto-api/reset", method="POST")
    with urllib.request.urlopen(request, timeout=30):  # a server of this process has the buckets of the one before
        pass
    s3fs.S3FileSystem.clear_instance_cache()
    s3fs.S3FileSystem().mkdir("bucket")
    yield "s3://bucket"
    server.stop()
    s3fs.S3FileSystem.clear_instance_cache()


def test_videos_and_output_are_on_s3(bucket, tmp_path):
    videos, engine_file = make_videos(tmp_path / "people"), tmp_path / "engine.onnx"
    inputs = Store(f"{bucket}/people")
    for path in videos.glob("*.mp4"):
        inputs.send(path, path.name)
    store, manifest = make_plan([f"{bucket}/people"], f"{bucket}/out", engine_file)
    rows = {row.address: row for row in manifest.rows.values()}
    assert set(rows) == {f"{bucket}/people/{name}.mp4" for name in (*NUM_FRAMES, "broken")}
    assert rows[f"{bucket}/people/one.mp4"].digest.startswith("etag:")
    assert Manifest.load(store).rows == manifest.rows
    assert make_run(store, manifest, recipe_of(engine_file)).run() == (9, 0, 0)
    assert make_run(store, manifest, recipe_of(engine_file)).run() == (0, 0, 0)
    assert dead_letters(store) == {}
    assert len(join(store, manifest).videos) == 3
    assert verify(store, manifest).num_frames == sum(NUM_FRAMES.values())
    (part,) = store.list("tables/faces")
    assert store.fetch(part, tmp_path / "faces.parquet")
    rows_here = pq.read_table(tmp_path / "faces.parquet").to_pylist()
    faces, _ = rows_of_analyze(videos / "two.mp4", tmp_path / "analyzed")
    ours = ("video_id", "video", "video_complete", "run")
    found = [row for row in rows_here if row["video"].endswith("two.mp4")]
    assert [{key: value for key, value in row.items() if key not in ours} for row in found] == [
        {key: value for key, value in row.items() if key != "run"} for row in faces
    ]
    assert len({row["run"] for row in found} | {row["run"] for row in faces}) == 2  # an ETag is another digest
    inputs.send(videos / "three.mp4", "two.mp4")
    (row,) = (row for row in manifest.rows.values() if row.address.endswith("two.mp4"))
    store.remove(f"segments/{row.id}/000001.parquet")
    assert make_run(store, manifest, recipe_of(engine_file)).run() == (0, 1, 0)
    ((_, letter),) = dead_letters(store).items()
    assert letter.kind == "read"


def test_a_bucket_that_is_not_there(bucket):
    with pytest.raises(
        SinkError, match=r"^cannot write a in s3://absent/out: .*Fix: check rights and that its bucket exists, "
    ):
        Store("s3://absent/out").write("a", b"content")
