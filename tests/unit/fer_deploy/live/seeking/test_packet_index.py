import numpy as np
import pytest
from unit.fer_deploy.live.seeking.films import FILMS, NUM, SIZE, read_file

from fer_deploy.live.seeking.packet_index import PacketIndex, index_of_file


@pytest.mark.parametrize("name", ["open GOP", "edit list"])
def test_saved_and_loaded(name, tmp_path):
    path = FILMS[name](tmp_path)
    index, first = index_of_file(path), read_file(path).positions[0]
    index.save(tmp_path / "packets.npz")
    loaded = PacketIndex.load(tmp_path / "packets.npz")
    assert (loaded.num_frames, loaded.num_keyframes) == (index.num_frames, index.num_keyframes)
    assert loaded.ahead(first, 20, size=SIZE) == index.ahead(first, 20, size=SIZE) is not None
    pts = loaded.ahead(first, 20, size=SIZE).pts
    assert list(loaded.keyframes_before(pts)) == list(index.keyframes_before(pts))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive", None])
def test_damaged_or_missing(content, tmp_path):
    path = tmp_path / "packets.npz"
    if content is not None:
        path.write_bytes(content)
    assert PacketIndex.load(path) is None


def test_a_changed_byte_gives_the_same_index_or_none(tmp_path):
    """Of the bytes, most are compressed: zlib notices some changes, the checksums of the entries the others."""
    index, path = index_of_file(FILMS["open GOP"](tmp_path)), tmp_path / "packets.npz"
    index.save(path)
    content, num_none = path.read_bytes(), 0
    for place in range(0, len(content), 3):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x41]) + content[place + 1 :])
        loaded = PacketIndex.load(path)
        num_none += loaded is None
        assert loaded is None or list(loaded.keyframes_before(0)) == list(index.keyframes_before(0))
    assert num_none > len(content) / 6


def test_of_another_version(tmp_path):
    np.savez(tmp_path / "packets.npz", version=0)
    assert PacketIndex.load(tmp_path / "packets.npz") is None


def test_keyframes(tmp_path):
    path = FILMS["open GOP"](tmp_path)
    index, positions = index_of_file(path), read_file(path).positions
    assert (index.num_frames, index.num_keyframes) == (NUM, 4)
    for number in (0, 9, 10, 11, 29, 39):
        frames = [index.num_frames_before(packet) for packet in index.keyframes_before(positions[number].pts)]
        assert frames == list(range(number // 10 * 10, -1, -10))
    assert list(index.keyframes_before(positions[35].pts + 1)) == []


@pytest.mark.parametrize("name", ["open GOP", "edit list"])
def test_frames_before_a_time(name, tmp_path):
    path = FILMS[name](tmp_path)
    index, film = index_of_file(path), read_file(path)
    times = [frame.time_s for frame in film.frames]
    for number in (0, 1, 17, len(times) - 1):
        until = index.until(film.positions[0], times[number])
        assert until == (number, times[max(0, number - 1)], False)
    assert index.until(film.positions[0], times[-1] + 0.001) == (len(times), times[-1], True)
    assert index.until(film.positions[10], times[17]).num_frames == 7


def test_damage_before_a_time_must_be_decoded(tmp_path):
    index, film = index_of_file(FILMS["open GOP"](tmp_path)), read_file(FILMS["open GOP"](tmp_path))
    times = [frame.time_s for frame in film.frames]
    index._packets.is_corrupt[20] = True
    assert index.until(film.positions[0], times[10]) is not None
    assert index.until(film.positions[0], times[30]) is None


def test_damage_reaches_beyond_the_next_keyframe(tmp_path):
    path = FILMS["open GOP"](tmp_path)
    index, positions = index_of_file(path), read_file(path).positions
    frames = [index.num_frames_before(packet) for packet in index.keyframes_before(positions[35].pts, damaged_until=5)]
    assert frames == [30, 20]


def test_hidden_packets_are_no_frames(tmp_path):
    path = FILMS["edit list"](tmp_path)
    index = index_of_file(path)
    assert index.num_frames == len(read_file(path).frames) == NUM - 4
    assert index.num_hidden_before(NUM) == 4


def test_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr("fer_deploy.live.seeking.packet_index._ASK_EVERY", 10)
    assert index_of_file(FILMS["open GOP"](tmp_path), goes_on=lambda: False) is None
