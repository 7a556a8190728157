"""What a tick shows: events of its stretch, still pictures, sound that comes and goes, a screen that is lost."""

import numpy as np
import pytest
from fake_game import SECOND, TICK_NS, FakeGame

from tray_agent.errors import CaptureLost, PlatformUnavailable


def started(**options: bool) -> FakeGame:
    game = FakeGame(**options)
    game.observer.start()
    return game


def test_events_are_those_since_the_last_look() -> None:
    """A tap between two looks belongs to the later one; the ring remembers it."""
    game = started()
    game.look()
    game.clock.advance_ns(1000)
    game.fake.inputs.press("ArrowLeft", down=True)
    game.clock.advance_ns(1000)
    game.fake.inputs.press("ArrowLeft", down=False)
    assert [e.value for e in game.look().events] == [1.0, 0.0]
    assert game.look().events == []
    assert len(game.observer.events) == 2


def test_still_picture_is_timed_and_movement_ends_it() -> None:
    """A picture that stands still counts up; the smallest visible change starts anew; so does a pause."""
    game = started()
    game.fake.screen.frozen = True
    game.look()
    stills = [game.look().still_s for _ in range(40)]
    assert stills == pytest.approx([0.05 * (i + 1) for i in range(40)])
    game.fake.screen.frozen = False
    game.clock.advance_ns(SECOND)
    assert game.look().still_s == 0.0
    game.fake.screen.frozen = True
    for _ in range(10):
        game.look()
    game.observer.resume()
    assert game.look().still_s == 0.0


def test_frames_are_remembered_and_a_pause_is_no_loss() -> None:
    """The ring holds what was seen, counts lost frames, and does not count a pause as such."""
    game = started()
    for _ in range(5):
        seen = game.look()
    recent = game.observer.frames.latest(5)
    assert recent is not None
    assert np.array_equal(recent[0][-1], seen.frame.pixels)
    game.clock.advance_ns(4 * TICK_NS)
    game.look()
    assert game.observer.frames.counts().dropped == 4
    game.observer.resume()
    assert game.observer.began_ns == seen.t_ns + 5 * TICK_NS
    game.clock.advance_ns(60 * SECOND)
    game.look()
    assert game.observer.frames.counts().dropped == 4


def test_lost_screen_is_an_error_and_comes_back() -> None:
    """CaptureLost goes to the caller; after close and start it is seen again; not open is CaptureLost, too."""
    game = started()
    game.look()
    game.fake.screen.fail_with = "display gone"
    with pytest.raises(CaptureLost, match="display gone"):
        game.look()
    game.observer.close()
    game.observer.close()
    game.fake.screen.fail_with = ""
    with pytest.raises(CaptureLost, match="not open"):
        game.look()
    game.observer.start()
    assert game.look().frame.pixels.any()


def test_screen_that_does_not_start_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that fails in the middle of starting is closed again, and nothing counts as open."""
    game = FakeGame()
    closed = []

    def fail() -> None:
        raise PlatformUnavailable("no display", "Start one")

    monkeypatch.setattr(game.fake.screen, "start", fail)
    monkeypatch.setattr(game.fake.screen, "close", lambda: closed.append(True))
    with pytest.raises(PlatformUnavailable, match="no display"):
        game.observer.start()
    assert closed == [True]
    with pytest.raises(CaptureLost, match="not open"):
        game.observer.observe()


def test_sound_is_heard_in_its_tick() -> None:
    """With audio each tick has features of the tone and the chunks they were made of; without it none."""
    game = started(audio=True)
    for _ in range(10):
        seen = game.look()
    assert seen.audio.max() > 0.3
    assert not seen.audio_gap
    assert sum(c.samples.size for c in seen.chunks) == 800
    silent = started()
    for _ in range(10):
        seen = silent.look()
    assert not seen.audio.any()
    assert seen.chunks == []


def test_vanished_sound_leaves_a_marked_gap_and_is_tried_again() -> None:
    """Watching goes on without sound, the gap is flagged, and two seconds later it is back."""
    game = started(audio=True)
    for _ in range(10):
        game.look()
    game.fake.audio.fail_with = "device unplugged"
    for _ in range(10):
        seen = game.look()
    assert game.observer.audio_problem == "device unplugged"
    assert seen.audio_gap
    assert not seen.audio.any()
    game.fake.audio.fail_with = ""
    for _ in range(45):
        seen = game.look()
    assert game.observer.audio_problem == ""
    assert not seen.audio_gap
    assert seen.audio.max() > 0.3


def test_sound_that_can_not_start_is_no_obstacle(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sound device that is not there is told, and the picture is seen all the same."""
    game = FakeGame(audio=True)
    closed = []

    def fail() -> None:
        raise PlatformUnavailable("no sound server", "Start PulseAudio")

    monkeypatch.setattr(game.fake.audio, "start", fail)
    monkeypatch.setattr(game.fake.audio, "close", lambda: closed.append(True))
    game.observer.start()
    assert "no sound server" in game.observer.audio_problem
    assert closed == [True]
    assert game.look().frame.pixels.any()
