from fer_deploy.bench.plans import BRIEF, USUAL, Plans
from fer_deploy.bench.windows import WindowPlan


def test_a_brief_plan_says_what_it_leaves_out():
    assert BRIEF.left_out(USUAL) == (
        "windows of 0.4 s: they last 0.1 s",
        "answers on 256 faces: they are compared on 128",
        "batches between 1, 4, 16, ...",
        "pairs of all that are close: 9 of the best 3, not 15",
        "threads that wait in a busy loop",
        "arrivals at random times",
        "share of the roof",
    )


def test_the_usual_plan_leaves_nothing_out():
    assert USUAL.left_out(USUAL) == ()


def test_only_what_differs_is_told():
    plans = Plans(WindowPlan(), WindowPlan(), WindowPlan(), has_roofs=False)
    assert plans.left_out(USUAL) == ("share of the roof",)
