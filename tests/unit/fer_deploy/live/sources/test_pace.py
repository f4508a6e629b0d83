from fer_deploy.live.capture.stream_reader import AHEAD_S, LATE_S, Pace


def test_a_burst_is_spread_over_its_time():
    pace = Pace()
    assert [pace.wait_s(100 + i / 4, 5.0) for i in range(4)] == [0, 0.25, 0.5, 0.75]


def test_what_is_late_does_not_wait():
    pace = Pace()
    pace.wait_s(0.0, 5.0)
    assert pace.wait_s(1.0, 6.0 + LATE_S / 2) == 0
    assert pace.wait_s(2.0, 6.5) == 0.5  # the schedule is still that of the first


def test_after_a_gap_or_a_jump_of_the_clock_the_schedule_begins_anew():
    pace = Pace()
    pace.wait_s(0.0, 5.0)
    assert pace.wait_s(1.0, 9.0) == 0
    assert pace.wait_s(1.5, 9.0) == 0.5
    assert pace.wait_s(1.5 + 2 * AHEAD_S, 9.0) == 0
    assert pace.wait_s(0.0, 9.0) == 0
    assert pace.wait_s(0.25, 9.0) == 0.25
