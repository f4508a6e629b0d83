import pytest

from fer_deploy.engines.cpu_flags import adds_exactly, cpu_flags
from fer_deploy.engines.onnxruntime import session
from fer_deploy.engines.onnxruntime.session import SessionRequest


@pytest.mark.parametrize(
    ("flags", "is_exact"),
    [
        ("fpu avx2", False),
        ("avx512f avx512_vnni", True),
        ("avx2 avx_vnni", True),
        ("amx_tile amx_int8", True),
        ("", False),
    ],
)
def test_vnni_and_amx_add_exactly(tmp_path, flags, is_exact):
    path = tmp_path / "cpuinfo"
    path.write_text(f"processor : 0\nflags\t\t: {flags}\nbugs : none\n")
    assert cpu_flags(path) == frozenset(flags.split())
    assert adds_exactly(path) == is_exact


def test_unknown_flags_are_not_trusted(tmp_path):
    assert not adds_exactly(tmp_path / "absent")


@pytest.mark.parametrize("is_exact", [False, True])
def test_exact_sums_are_asked_for_where_the_cpu_needs_it_alone(monkeypatch, is_exact):
    """With VNNI or AMX the option takes two thirds of the speed and changes no logit."""
    monkeypatch.setattr(session, "adds_exactly", lambda: is_exact)
    options = session._session_options("cpu", 1, SessionRequest())
    assert options.get_session_config_entry("session.x64quantprecision") == str(int(not is_exact))
