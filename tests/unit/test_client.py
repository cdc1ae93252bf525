from bot.client import FirstTime, Pace


def test_an_id_is_new_once():
    first_time = FirstTime()
    assert [first_time(1), first_time(1), first_time(2)] == [True, False, True]
    assert 1 in first_time


def test_the_oldest_ids_are_forgotten_first():
    first_time = FirstTime(most=2)
    assert [first_time(number) for number in (1, 2, 3)] == [True, True, True]
    assert not first_time(3)
    assert not first_time(2)
    assert first_time(1)


def test_connections_wait_only_when_they_follow_each_other():
    pace = Pace(free=3)
    assert [pace(second) for second in (0, 1, 2)] == [0, 0, 0]
    assert pace(3) > 0
    assert pace(4) > 0
    assert pace(60) == 0
