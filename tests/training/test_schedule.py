"""When bundles are due: soon and often at first, then by the clock."""

from tray_agent.training.schedule import FIRST_UPDATES, BundleSchedule


def test_first_bundle_comes_soon() -> None:
    """Not before it can play at all, and then at once; where there is nothing more to learn, at once as well."""
    schedule = BundleSchedule(20.0)
    assert not schedule.is_due(FIRST_UPDATES - 1, 1000.0, is_saturated=False)
    assert schedule.is_due(FIRST_UPDATES, 0.5, is_saturated=False)
    assert schedule.is_due(3, 0.5, is_saturated=True)


def test_young_policies_are_replaced_often_and_old_ones_by_the_clock() -> None:
    """With 20 updates a second: each time three times as much is learned, until that takes longer than `every_s`."""
    schedule, due = BundleSchedule(20.0), []
    for second in range(1, 91):
        if schedule.is_due(20 * second, float(second), is_saturated=False):
            due.append(second)
            schedule.made(20 * second, float(second))
    assert due == [1, 3, 9, 27, 47, 67, 87]


def test_one_who_goes_on_from_a_checkpoint_is_not_hurried() -> None:
    """Its first bundle is due at once, the next by the clock."""
    schedule = BundleSchedule(20.0)
    assert schedule.is_due(3000, 5.0, is_saturated=False)
    schedule.made(3000, 5.0)
    assert not schedule.is_due(3400, 24.9, is_saturated=False)
    assert schedule.is_due(3400, 25.0, is_saturated=False)
