from fer_deploy.bench.machine.resources import rss_bytes


def test_the_memory_of_this_process():
    assert 10**7 < rss_bytes() < 10**11


def test_memory_is_unknown_without_proc(tmp_path):
    assert rss_bytes(tmp_path / "none") is None
