"""Ask FER+'s taggers about the faces that a model of FER2013's labels gets wrong: is it the model or the label?

FER2013's label is one answer; the votes of FER+ are those of ten people about the same face. Where their majority
contradicts the label, a model can only be right by repeating the error. The higher the accuracy there, the more of the
first labellers' habits it has learned.
"""

from dataclasses import asdict, dataclass

from fer_train.data.consensus import NO_MAJORITY, majority_labels
from fer_train.data.faces import FERPLUS_EMOTIONS
from fer_train.evaluation.evaluate import Evaluation


@dataclass(frozen=True)
class SecondOpinion:
    """Right and wrong answers of a model by what FER+'s majority says; all but the accuracies are numbers of faces.

    Attributes:
        confirmed: the majority gives the face its label.
        confirmed_accuracy: share of these that the model gets right, 0 to 1; None without such faces.
        contradicted: the majority gives the face another label.
        contradicted_accuracy: share of these in which the model gives the face its label; None without such faces.
        errors: the model gives the face another label than the data; the sum of the next four.
        model_right: the majority says what the model says.
        label_right: the majority says what the label says.
        neither: the majority says something else.
        undecided: there is no majority.
    """

    confirmed: int
    confirmed_accuracy: float | None
    contradicted: int
    contradicted_accuracy: float | None
    errors: int
    model_right: int
    label_right: int
    neither: int
    undecided: int

    @property
    def in_words(self) -> str:
        """Return two sentences for a table's foot."""
        parts = [
            f"{share:.1%} of the {number:,} faces whose label FER+'s majority {verb}"
            for share, number, verb in (
                (self.confirmed_accuracy, self.confirmed, "confirms"),
                (self.contradicted_accuracy, self.contradicted, "contradicts"),
            )
            if share is not None
        ]
        return (
            f"accuracy: {', '.join(parts) or 'no face has a majority'}. Of the {self.errors:,} errors the majority "
            f"says what the model says in {self.model_right:,}, what the label says in {self.label_right:,}, something "
            f"else in {self.neither:,}; {self.undecided:,} have no majority"
        )

    def to_dict(self) -> dict[str, int | float | None]:
        """Return the attributes as plain values."""
        return asdict(self)


def second_opinion(measured: Evaluation, view: str = "plain") -> SecondOpinion | None:
    """Return what FER+'s majority says; None if the measurement is not against FER2013's labels or has no votes."""
    faces = measured.faces
    if measured.label_set != "fer2013" or faces.votes is None or not set(measured.names) <= set(FERPLUS_EMOTIONS):
        return None
    number_of = [FERPLUS_EMOTIONS.index(name) for name in measured.names]
    predicted, labels = (
        [number_of[one] for one in column] for column in (measured.logits[view].argmax(axis=1), faces.labels)
    )
    confirmed: list[bool] = []
    contradicted: list[bool] = []
    model_right = label_right = neither = undecided = 0
    for answer, label, majority in zip(predicted, labels, majority_labels(faces.votes).tolist(), strict=True):
        if majority != NO_MAJORITY:
            (confirmed if majority == label else contradicted).append(answer == label)
        if answer == label:
            continue
        undecided += majority == NO_MAJORITY
        model_right += majority == answer
        label_right += majority == label
        neither += majority not in (answer, label, NO_MAJORITY)
    return SecondOpinion(
        confirmed=len(confirmed),
        confirmed_accuracy=sum(confirmed) / len(confirmed) if confirmed else None,
        contradicted=len(contradicted),
        contradicted_accuracy=sum(contradicted) / len(contradicted) if contradicted else None,
        errors=model_right + label_right + neither + undecided,
        model_right=model_right,
        label_right=label_right,
        neither=neither,
        undecided=undecided,
    )
