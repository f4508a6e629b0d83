import numpy as np

from fer_train.data.consensus import vote_shares
from fer_train.data.faces import EMOTIONS
from fer_train.data.readers.ferplus import VOTES
from fer_train.data.votes import translated_votes


def votes_of(**counts):
    return [counts.get(name, 0) for name in VOTES]


def test_vote_columns_are_those_of_the_labels():
    names = {"angry": "anger", "happy": "happiness", "sad": "sadness"}
    for label, emotion in enumerate(EMOTIONS):
        shares = vote_shares(np.array([votes_of(**{names.get(emotion, emotion): 3})], dtype=np.uint8))
        assert shares.argmax() == label
        assert shares.max() == 1


def test_votes_for_what_is_no_label_do_not_count():
    shares = vote_shares(np.array([votes_of(anger=3, fear=1, contempt=4, unknown=1, NF=1)], dtype=np.uint8), 7)
    np.testing.assert_allclose(shares[0], [0.75, 0, 0.25, 0, 0, 0, 0])


def test_translation_learns_what_the_labels_say_of_such_votes():
    votes = np.array([votes_of(fear=8, surprise=2)] * 60 + [votes_of(happiness=10)] * 60, dtype=np.uint8)
    labels = np.array([5] * 45 + [2] * 15 + [3] * 60)  # three in four that the taggers call fear are labelled surprise
    found = translated_votes(votes, labels)
    np.testing.assert_allclose(found[0, [2, 5]], [0.25, 0.75], atol=0.05)
    assert found[-1, 3] > 0.9
    np.testing.assert_array_equal(found[:, [0, 1, 4, 6]], 0)  # classes without a row


def test_face_without_any_vote_has_no_share():
    votes = np.array([votes_of()] + [votes_of(fear=5)] * 5 + [votes_of(anger=5)] * 5, dtype=np.uint8)
    found = translated_votes(votes, np.array([0] + [2] * 5 + [0] * 5))
    np.testing.assert_array_equal(found[0], 0)
    assert (found[1:].sum(1) > 0.99).all()


def test_one_class_alone_needs_no_regression():
    votes = np.array([votes_of(fear=5), votes_of()], dtype=np.uint8)
    np.testing.assert_array_equal(
        translated_votes(votes, np.array([4, 4])), np.eye(7, dtype=np.float32)[[4, 4]] * [[1], [0]]
    )
