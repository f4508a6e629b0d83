"""docs/api.md against the code: every public name, signature, field and method, and nothing else."""

import dataclasses
import inspect
import re

import pydantic
import pytest

import fer_deploy

TAKEN_BY_OTHERS = {"model_config"}  # pydantic's


@pytest.fixture(scope="module")
def sections(repo_dir):
    """The text of each section, by its heading."""
    parts = re.split(r"^## (.*)$", (repo_dir / "docs/api.md").read_text(), flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def signature_of(function) -> str:
    """Return "(a, *, b=None)" without annotations and self."""
    parameters = inspect.signature(function).parameters.values()
    plain = [one.replace(annotation=inspect.Parameter.empty) for one in parameters if one.name != "self"]
    return str(inspect.Signature(plain))


def members_of(kind):
    """Yield fields, properties and methods as the page writes them."""
    if dataclasses.is_dataclass(kind):
        yield from (field.name for field in dataclasses.fields(kind))
    if issubclass(kind, pydantic.BaseModel):
        yield from kind.model_fields
    for name, value in vars(kind).items():
        if name.startswith("_") or name in TAKEN_BY_OTHERS:
            continue
        is_method = inspect.isfunction(value) or isinstance(value, classmethod)
        yield name + (signature_of(getattr(kind, name)) if is_method else "")


def test_a_section_for_each_name(sections):
    assert set(sections) == {f"`{name}`" for name in fer_deploy.__all__}


@pytest.mark.parametrize("name", sorted(fer_deploy.__all__))
def test_signatures_and_members(sections, name):
    value = getattr(fer_deploy, name)
    section = sections[f"`{name}`"]
    is_class = inspect.isclass(value)
    if not is_class or name in ("Recognizer", "LivePipeline"):  # others are not made by callers
        assert f"`{name}{signature_of(value.__init__ if is_class else value)}`" in section
    for member in members_of(value) if is_class else ():
        assert f"`{member}`" in section, member
