"""install.py: what it installs, and how its sizes add up. No package is installed here."""

import install
from click.testing import CliRunner


def test_the_copy_has_what_a_wheel_is_made_of(tmp_path):
    source = install.copy_of_sources(tmp_path)
    assert {path.name for path in source.iterdir()} == set(install.SOURCES)
    assert (source / "fer_deploy" / "models" / "senet-ferplus-int8-cpu.onnx").is_file()
    assert not list(source.rglob("__pycache__"))


def test_sizes_are_by_package_and_links_do_not_count(tmp_path):
    site = tmp_path / "lib" / "python3.11" / "site-packages"
    for name, size in (("small", 10), ("large", 1000)):
        about = site / f"{name}-1.0.dist-info"
        about.mkdir(parents=True)
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (site / f"{name}.py").write_bytes(b"#" * size)
        (about / "RECORD").write_text(f"{name}.py,,\ngone.py,,\n")
    (tmp_path / "lib64").symlink_to("lib")
    found = install.bytes_by_package(tmp_path)
    assert list(found.items()) == [("large", 1000), ("small", 10)]
    assert install.bytes_of(tmp_path) == sum(path.stat().st_size for path in site.rglob("*") if path.is_file())


def test_two_environments_are_made_and_only_the_second_has_a_filled_cache(monkeypatch, tmp_path):
    ran, out = [], tmp_path / "install.md"

    def run(*command, cache):
        ran.append(([str(word) for word in command][-1].rpartition("/")[2], cache.is_dir()))
        cache.mkdir(exist_ok=True)
        return 2.0

    monkeypatch.setattr(install, "run", run)
    monkeypatch.setattr(install, "bytes_of", lambda place: 400_000_000)
    monkeypatch.setattr(install, "bytes_by_package", lambda place: {f"package {n}": 10_000_000 for n in range(12)})
    done = CliRunner().invoke(install.main, ["--out", str(out)])
    assert done.exit_code == 0, done.output
    assert ran == [("downloaded", False), ("source[cpu]", True), ("cached", True), ("source[cpu]", True)]
    text = out.read_text()
    assert "400 MB with pip. Environment and install take 4 s with every package downloaded, and 4 s from" in text
    assert "| 4 others | 40.0 |" in text
