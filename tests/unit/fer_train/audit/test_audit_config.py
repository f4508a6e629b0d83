import pytest

from fer_train.audit.config import AuditConfig, audit_config_from_flags
from fer_train.audit.findings import KINDS, REASONS
from fer_train.errors import ConfigError


def test_flags_that_were_not_given_keep_their_defaults():
    config = audit_config_from_flags({"near_threshold": 0.97, "train_split": None, "exclude_reasons": None})
    assert config == AuditConfig(near_threshold=0.97)


def test_low_contrast_is_left_out_only_when_asked_for():
    default = AuditConfig().exclude_reasons
    assert default == ("contradictory", "leaked", "near_leaked", "redundant", "non_face", "label_error")
    assert audit_config_from_flags({"exclude_reasons": "low_contrast, leaked"}).exclude_reasons == (
        "leaked",
        "low_contrast",
    )


def test_none_stands_for_no_reason():
    assert audit_config_from_flags({"exclude_reasons": "none"}).exclude_reasons == ()


@pytest.mark.parametrize("text", ["", " , "])
def test_empty_list_of_reasons_is_refused(text):
    with pytest.raises(ConfigError, match=r"--exclude-reasons is empty. Fix: name some of contradictory, leaked"):
        audit_config_from_flags({"exclude_reasons": text})


def test_unknown_reason_gets_the_nearest_and_all():
    with pytest.raises(ConfigError) as caught:
        audit_config_from_flags({"exclude_reasons": "leaked,non_faces"})
    assert "unknown reason 'non_faces'; did you mean 'non_face'? Known: contradictory, leaked" in str(caught.value)


def test_duplicates_as_such_are_no_reason_because_that_would_drop_every_copy():
    assert not {"exact_duplicate", "near_duplicate"} & set(REASONS)
    assert set(REASONS) < set(KINDS)
    with pytest.raises(ConfigError, match="unknown reason 'exact_duplicate'"):
        audit_config_from_flags({"exclude_reasons": "exact_duplicate"})


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"near_threshold": 1.5}, "--near-threshold: expected at most 1 (got 1.5)"),
        ({"near_threshold": float("nan")}, "--near-threshold: expected a finite number (got nan)"),
        ({"contrast_range": 256}, "--contrast-range: expected at most 255 (got 256)"),
        ({"min_accuracy": 50.0}, "--min-accuracy: expected at most 1 (got 50.0)"),
        ({"max_flagged": -1.0}, "--max-flagged: expected at least 0 (got -1.0)"),
        ({"label_filter": "best"}, "--label-filter: expected 'low_normalized_margin'"),
    ],
)
def test_value_out_of_range_names_its_flag(flags, words):
    with pytest.raises(ConfigError) as caught:
        audit_config_from_flags(flags)
    assert words in str(caught.value)
