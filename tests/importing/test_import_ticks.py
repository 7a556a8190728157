"""Steps of any rate become samples at the game's, with the meaning that watching gives them."""

from itertools import pairwise

import numpy as np
import pytest
from foreign import picture, profile
from hypothesis import given
from hypothesis import strategies as st

from tray_agent.core.media import AUDIO_RATE_HZ, AudioChunk
from tray_agent.core.sample import TickFlag
from tray_agent.errors import ImportFailed
from tray_agent.importing.action_names import ActionNames
from tray_agent.importing.item import Step, at_rate
from tray_agent.importing.ticks import HOLE_NS, ticks

GAME = profile(20, controls={"mouse": {"motion": True}, "pad": {"axes": ["PadLX"]}})
LEFT, RIGHT, SPACE, MOUSE_X, MOUSE_Y, PAD_X = range(6)


def made(steps, game=GAME, sound=()):
    """The ticks of some steps."""
    return list(ticks(steps, game.spec(), ActionNames(game.controls, {}, {}), iter(sound)))


def at(rate_hz, *actions, pixels=picture):
    """Steps at a rate, each with its picture."""
    return [Step(at_rate(i, rate_hz), one, pixels(i)) for i, one in enumerate(actions)]


def shown(found):
    """Numbers of the pictures."""
    return [int(tick.sample.pixels[0, 0, 0]) // 8 for tick in found]


def column(found, index):
    """One control over all ticks."""
    return [float(tick.sample.action[index]) for tick in found]


@pytest.mark.parametrize("rate_hz", [8.75, 15, 16, 20, 30, 60])
def test_equal_rates_keep_pairs(rate_hz):
    """Picture i stays with action i, whatever the rate's rounding, also where times are rounded to milliseconds."""
    game = profile(rate_hz)
    steps = [Step(round(i * 1000 / rate_hz) * 1_000_000, {"left": float(i % 3 == 0)}, picture(i)) for i in range(20)]
    found = made(steps, game)
    assert shown(found) == list(range(20))
    assert column(found, LEFT) == [float(i % 3 == 0) for i in range(20)]
    assert [tick.sample.flags for tick in found] == [TickFlag.LEARN | TickFlag.GAP] + [TickFlag.LEARN] * 19


def test_tap_between_two_ticks_is_kept():
    """A button down for less than a tick counts in the tick in which it was pressed."""
    taps = [{"space": float(i == 5)} for i in range(12)]
    found = made(at(60, *taps))
    assert column(found, SPACE) == [0, 1, 0, 0]
    assert shown(found) == [0, 3, 6, 9]


def test_slower_recordings_are_repeated():
    """A picture is shown again, what is held stays held, what was moved is spread evenly."""
    found = made(at(10, {"left": 1, "MouseX": 6}, {"MouseX": -2}))
    assert shown(found) == [0, 0, 1, 1]
    assert column(found, LEFT) == [1, 1, 0, 0]
    assert column(found, MOUSE_X) == [3, 3, -1, -1]


def test_faster_recordings_add_up_and_keep_the_last_position():
    """Counts of all steps of a tick add up; of an axis its last position counts, never beyond its ends."""
    found = made(at(60, *[{"MouseY": 2, "PadLX": value} for value in (0.1, 0.2, 0.3, 5, -5, -7)]))
    assert column(found, MOUSE_Y) == [6, 6]
    assert column(found, PAD_X) == pytest.approx([0.3, -1])


@given(st.floats(3, 240), st.floats(5, 60), st.lists(st.integers(-50, 50), min_size=2, max_size=40))
def test_nothing_moved_is_lost(theirs_hz, ours_hz, counts):
    """Whatever the rates: all counts that lie in whole ticks are there, and nothing is pressed that was not."""
    game = profile(ours_hz, controls={"mouse": {"motion": True}})
    steps = [Step(at_rate(i, theirs_hz), {"MouseX": c}, picture(0)) for i, c in enumerate(counts)]
    still = [Step(at_rate(len(counts) + i, theirs_hz), {}, None) for i in range(200)]
    found = made(steps + still, game)
    assert sum(column(found, 3)) == pytest.approx(sum(counts), abs=1e-2)
    assert not any(tick.sample.action[:3].any() for tick in found)
    assert all(later.sample.t_ns > before.sample.t_ns for before, later in pairwise(found))


def test_hole_is_left_out_and_marked():
    """Where no picture came for long, there are no ticks, and the next one is a new beginning."""
    late = [Step(20 * HOLE_NS + at_rate(i, 20), {"left": 1}, picture(9)) for i in range(3)]
    found = made(at(20, {}, {}, {}) + late)
    assert shown(found)[-3:] == [9, 9, 9]
    assert [bool(t.sample.flags & TickFlag.GAP) for t in found[-3:]] == [True, False, False]
    assert len(found) < 3 + 3 + HOLE_NS * 20 / 1e9 + 2
    assert [t.sample.tick for t in found] == list(range(len(found)))


def test_actions_between_pictures():
    """Steps without a picture change the actions only; what is tapped before the first picture is forgotten."""
    steps = [Step(0, {"space": 1}), Step(10, {}), Step(100, {"right": 1}, picture(1)), Step(60_000_100, {}),
             Step(120_000_100, {}, picture(2)), Step(200_000_100, {}, picture(3))]  # fmt: skip
    found = made(steps)
    assert column(found, SPACE) == [0] * len(found)
    assert column(found, RIGHT)[:3] == [1, 0, 0]
    assert [(e.control, e.value) for tick in found for e in tick.events] == [("ArrowRight", 1), ("ArrowRight", 0)]


def test_sound_is_heard_by_the_products_own_arithmetic():
    """A tone in the second half of a recording is heard there; where there is no sound the tick says so."""
    game = profile(20, audio=True)
    tone = np.sin(np.arange(AUDIO_RATE_HZ) * 2 * np.pi * 440 / AUDIO_RATE_HZ).astype(np.float32)
    sound = [AudioChunk(1_000_000_000, tone)]
    found = made(at(20, *[{"left": 1}] * 40), game, sound)
    loud = [float(tick.sample.audio.max()) for tick in found]
    assert max(loud[:20]) == 0
    assert min(loud[22:40]) > 0.5
    assert found[5].sample.flags & TickFlag.AUDIO_GAP
    assert not found[30].sample.flags & TickFlag.AUDIO_GAP
    assert sum(len(tick.chunks) for tick in found) == 1


def test_time_that_goes_back_is_refused():
    """Steps out of order are damage, not data."""
    with pytest.raises(ImportFailed, match="after 1"):
        made([Step(1_000_000_000, {}, picture(0)), Step(5, {}, picture(1))])


def test_numbers_that_are_none_are_refused():
    """A NaN never reaches a session."""
    with pytest.raises(ValueError, match="finite"):
        made(at(20, {"MouseX": float("nan")}, {}))


def test_names_of_actions():
    """Defaults, names of ours, the user's own, chords; what is lost is counted with its reason."""
    names = ActionNames(GAME.controls, {"JUMPLEFT": "up+left", "FIRE": "space"}, {"go": "right", "FIRE": ""})
    assert names.values({"JUMPLEFT": 1, "go": 1, "FIRE": 1, "KeyA": 1, "what": 1, "idle": 0}) == {
        "ArrowLeft": 1,
        "ArrowRight": 1,
    }
    assert names.lost["JUMPLEFT"] == (1, "ArrowUp: not among the game's controls")
    assert names.lost["KeyA"][1] == "KeyA: not among the game's controls"
    assert names.lost["what"][1] == "stands for no control"
    assert set(names.lost) == {"JUMPLEFT", "KeyA", "what"}


def test_user_names_a_control_the_game_does_not_have():
    """A mistyped --map is said at once, with what the game has."""
    with pytest.raises(ImportFailed, match="MouseY"):
        ActionNames(GAME.controls, {}, {"x": "KeyQ"})


def test_pictures_of_other_sizes_are_reduced():
    """Any size becomes the game's, also a smaller one."""
    found = made(at(20, {"left": 1}, {}, pixels=lambda i: picture(i, 17, 11)))
    assert {tick.sample.pixels.shape for tick in found} == {(32, 48, 3)}
