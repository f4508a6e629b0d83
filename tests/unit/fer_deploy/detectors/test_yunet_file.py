"""The official file on first use: from a server of this test."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from fer_deploy.detectors import yunet_file as module
from fer_deploy.detectors.yunet_file import cache_file, require_official, yunet_file
from fer_deploy.errors import ArtifactError

CONTENT = bytes(range(256)) * 40


class Zoo:
    """A server on this machine; `content` is what it gives, `asked` counts the times."""

    def __init__(self) -> None:
        self.content, self.status, self.asked = CONTENT, 200, 0
        zoo = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                zoo.asked += 1
                self.send_response(zoo.status)
                self.end_headers()
                self.wfile.write(zoo.content)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/face_detection_yunet.onnx"


@pytest.fixture
def zoo(monkeypatch, tmp_path):
    zoo = Zoo()
    zoo.thread.start()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.delenv("FER_YUNET", raising=False)
    monkeypatch.setattr(module, "ADDRESS", zoo.address)
    monkeypatch.setattr(module, "NUM_BYTES", len(CONTENT))
    monkeypatch.setattr(module, "SHA256", hashlib.sha256(CONTENT).hexdigest())
    yield zoo
    zoo.server.shutdown()
    zoo.server.server_close()
    zoo.thread.join()


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_downloaded_once(zoo, tmp_path):
    path = yunet_file()
    assert path == cache_file() == tmp_path / "cache" / "fer-deploy" / "detectors" / "face_detection_yunet.onnx"
    assert path.read_bytes() == CONTENT
    assert yunet_file() == path
    assert zoo.asked == 1
    assert files(tmp_path) == ["face_detection_yunet.onnx"]


def test_a_damaged_cache_is_replaced(zoo):
    cache_file().parent.mkdir(parents=True)
    cache_file().write_bytes(CONTENT[:-1] + b"?")
    assert yunet_file().read_bytes() == CONTENT
    assert zoo.asked == 1


def test_home_without_a_cache_folder_of_its_own(zoo, monkeypatch, tmp_path):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert yunet_file() == tmp_path / "home" / ".cache" / "fer-deploy" / "detectors" / "face_detection_yunet.onnx"


def test_the_users_file_comes_first(zoo, monkeypatch, tmp_path):
    monkeypatch.setenv("FER_YUNET", "from_environment.onnx")
    assert yunet_file(Path("given.onnx")) == Path("given.onnx")
    assert yunet_file() == Path("from_environment.onnx")
    assert zoo.asked == 0
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    ("content", "size"), [(b"<html>sign in</html>", "20"), (CONTENT + b"x", "more than 10,240"), (b"", "0")]
)
def test_other_bytes_are_not_kept(zoo, tmp_path, content, size):
    zoo.content = content
    wanted = (
        rf"gave {size} bytes with SHA-256 \w+, expected 10,240 bytes with \w+; nothing was stored\. Fix: check whether"
    )
    with pytest.raises(ArtifactError, match=wanted):
        yunet_file()
    assert files(tmp_path) == []


def test_the_server_refuses(zoo):
    zoo.status = 404
    with pytest.raises(ArtifactError, match=r"cannot download YuNet from http://.*: Not Found\. Fix: curl "):
        yunet_file()


def test_no_network(zoo):
    zoo.server.shutdown()
    zoo.server.server_close()
    with pytest.raises(ArtifactError) as caught:
        yunet_file()
    text = str(caught.value)
    assert f"cannot download YuNet from {zoo.address}: [Errno 111] Connection refused" in text
    assert f"Fix: curl --create-dirs -L -o {cache_file()} {zoo.address} (without a network here: copy" in text
    assert 'detector_model="FILE" (--detector-model FILE), or FER_YUNET=FILE' in text


def test_a_cache_that_cannot_be_written(zoo, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(ArtifactError, match=r"cannot store YuNet at .*Fix: XDG_CACHE_HOME=FOLDER that can be written"):
        yunet_file()


def test_the_official_address_is_safe():
    assert module.ADDRESS.startswith("https://github.com/opencv/opencv_zoo/")


@pytest.mark.shared
def test_the_digest_is_that_of_the_real_file(shared_dir):
    path = shared_dir / "models" / "face_detection_yunet_2026may.onnx"
    assert path.name == module.ADDRESS.rpartition("/")[2]
    assert (path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest()) == (module.NUM_BYTES, module.SHA256)


def test_a_cache_that_others_can_write_is_replaced(zoo):
    yunet_file()
    cache_file().chmod(0o666)
    assert yunet_file().read_bytes() == CONTENT
    assert zoo.asked == 2
    assert cache_file().stat().st_mode & 0o777 == 0o600


def test_the_bytes_that_are_loaded_are_those_that_were_hashed(zoo, tmp_path):
    """A change of the file between the check and the load is noticed: the hash is of what was read."""
    path = yunet_file()
    assert require_official(CONTENT, path) == CONTENT
    with pytest.raises(
        ArtifactError, match=r"changed while it was opened: SHA-256 \w+, expected \w+\. Fix: find out who"
    ):
        require_official(CONTENT + b"x", path)
    assert require_official(b"mine", tmp_path / "mine.onnx") == b"mine", "a file of the user's own may be any"


def test_the_commands_name_the_file_of_the_variable(monkeypatch):
    monkeypatch.setenv("FER_YUNET", "/models/y.onnx")
    assert "fer-deploy triton --detector-model /models/y.onnx --out" in module.how_to_serve()
    assert "fer-deploy build --onnx /models/y.onnx --out y.plan " in module.how_to_build(Path("y.plan"))
