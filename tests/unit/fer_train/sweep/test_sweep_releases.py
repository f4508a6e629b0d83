"""Which releases a sweep makes, and how: labels, votes, batch norm."""

from unit.fer_train.sweep.sweep_cases import FERPLUS, short


def test_runs_of_ferplus_labels_are_released_against_the_votes_and_keep_their_batch_norm(tmp_path, plan, run, calls):
    result = run(plan(seeds=(2, 4), student=FERPLUS, **FERPLUS), "--ferplus", "votes.csv")
    done = calls()
    assert {words[0] for words in done} == {"train", "release", "ensemble"}
    for words in done:
        assert words[words.index("--ferplus") + 1] == "votes.csv"
        assert "--recalibrate" not in words
    assert {row["labels"] for row in result["runs"]} == {"ferplus"}
    assert "| other | 2 | FER+ majority | 2 |" in result["told"]


def test_runs_of_fer2013_labels_are_released_with_new_batch_norm_and_without_votes(plan, run, calls):
    run(plan(ferplus_share=0.3, student=FERPLUS), "--ferplus", "votes.csv")
    for words in calls():
        if words[0] == "release":
            is_of_ferplus = "student-9" in words[2]
            assert ("--recalibrate" in words, "--ferplus" in words) == (not is_of_ferplus, is_of_ferplus)


def test_quantization_aware_runs_are_released_with_their_own_batch_norm(plan, run, calls):
    run(plan(quantization_aware=True))
    released = [words for words in calls() if words[0] == "release"]
    assert [("--recalibrate" in words) for words in sorted(released, key=lambda w: w[2])] == [True, True, False, True]


def test_trained_run_of_ferplus_labels_needs_the_votes_for_its_release(tmp_path, plan, run, calls, monkeypatch):
    path = plan(seeds=(2, 4), **FERPLUS)
    monkeypatch.setenv("FAKE_FAILS", "release")
    run(path, "--ferplus", "votes.csv", code=1)
    calls()
    monkeypatch.delenv("FAKE_FAILS")
    left_out = ["other-2 (needs --ferplus)", "more-4 (needs --ferplus)", "the ensemble (needs --ferplus)"]
    assert run(path)["left_out"] == [*left_out, "student-9 (needs the ensemble)"]
    assert calls() == []
    run(path, "--ferplus", "votes.csv")
    *releases, ensemble, train, release = short(calls())
    assert sorted(releases) == ["release more-4", "release other-2"]  # at the same time
    assert (ensemble, train, release) == ("ensemble", "train student-9", "release student-9")
