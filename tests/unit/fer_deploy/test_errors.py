import pytest

from fer_deploy import errors


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("FerDeployError", 1),
        ("ConfigError", 2),
        ("MissingDependencyError", 3),
        ("ArtifactError", 4),
        ("ExportError", 5),
        ("VerificationError", 6),
        ("EngineError", 7),
        ("StreamError", 8),
        ("SinkError", 8),
        ("ReaderEndedError", 1),
    ],
)
def test_exit_codes_and_the_picture_in_the_docstring(name, code):
    kind = getattr(errors, name)
    assert issubclass(kind, errors.FerDeployError)
    assert kind.exit_code == code
    (line,) = [line for line in errors.__doc__.splitlines() if f" {name} " in f" {line.strip('│├└─ ')} "]
    assert str(code) in line.split()


@pytest.mark.parametrize(
    ("name", "value", "named", "flag"),
    [
        ("trust_plan", None, "trust_plan (--trust-plan)", "--trust-plan"),
        ("device", "cpu", 'device="cpu" (--device cpu)', "--device cpu"),
        (
            "detector_model",
            "/a b/c.onnx",
            'detector_model="/a b/c.onnx" (--detector-model /a b/c.onnx)',
            "--detector-model /a b/c.onnx",
        ),
    ],
)
def test_settings_have_both_names_and_at_the_command_line_one(name, value, named, flag):
    assert errors.argument(name, value) == named
    message = f"it failed (at once). Fix: {named}, or {named}"
    assert errors.with_flags_alone(message) == f"it failed (at once). Fix: {flag}, or {flag}"


def test_no_class_is_missing_here():
    assert sum(isinstance(value, type) for value in vars(errors).values()) == 10
