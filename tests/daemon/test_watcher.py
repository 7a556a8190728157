"""Watching: what becomes a sample, what is left out, and how a takeover is marked. Session on disk and feed alike."""

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from fake_game import SECOND, SPEC, TICK_NS, FakeGame

from tray_agent.core.sample import TickFlag, TickSample
from tray_agent.daemon.watcher import CORRECTION_S, STILL_PAUSE_S, STRAYED_S, Watcher
from tray_agent.sessions.reader import SessionReader
from tray_agent.sessions.writer import SessionWriter
from tray_agent.training.worker import TrainingWorker

LEFT = np.array([1, 0], np.float32)
RIGHT = np.array([0, 1], np.float32)


class Fed:
    """Takes what the trainer would be fed."""

    def __init__(self) -> None:
        self.samples: list[TickSample] = []
        self.marks: list[tuple[int, int, TickFlag]] = []

    def feed(self, session: str, samples: list[TickSample]) -> None:
        self.samples += samples

    def mark(self, session: str, first: int, last: int, flags: TickFlag) -> None:
        self.marks.append((first, last, flags))


class Watch:
    """A watcher over the fake game."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.game = FakeGame(**options)
        self.game.observer.start()
        self.fed = Fed()
        self.writer = SessionWriter(folder, self.game.spec, "toy", [0.0] * 8, clock=self.game.clock, threaded=False)
        self.writer.start()
        self.watcher = Watcher(self.game.spec, self.writer, cast("TrainingWorker", self.fed), idle_after_s=3.0)

    def tick(self, n: int = 1, agent: np.ndarray | None = None) -> None:
        for _ in range(n):
            self.watcher.on_tick(self.game.look(), agent)

    def tap(self, key: str = "ArrowLeft") -> None:
        """Down and up within a millisecond."""
        for down in (True, False):
            self.game.clock.advance_ns(500_000)
            self.game.fake.inputs.press(key, down)

    def press(self, key: str, down: bool = True) -> None:
        self.game.clock.advance_ns(500_000)
        self.game.fake.inputs.press(key, down)

    def flags(self) -> list[TickFlag]:
        return [s.flags for s in self.fed.samples]

    def stored(self) -> SessionReader:
        self.watcher.close()
        return SessionReader(self.writer.folder)


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    return Watch(tmp_path / "session")


def test_sample_pairs_a_frame_with_what_was_held_after_it(watch: Watch) -> None:
    """A key pressed after frame 2 belongs to frame 2's sample; frame, time and number fit, on disk as well."""
    watch.tick(3)
    watch.press("ArrowRight")
    watch.tick(2)
    watch.press("ArrowRight", down=False)
    watch.tick(3)
    actions = [s.action.tolist() for s in watch.fed.samples]
    assert actions == [[0, 0], [0, 0], [0, 1], [0, 1], [0, 0], [0, 0], [0, 0]]
    assert [s.tick for s in watch.fed.samples] == list(range(7))
    assert watch.fed.samples[1].t_ns == SECOND + 2 * TICK_NS
    stored = watch.stored()
    assert stored.ticks.actions.tolist() == actions
    assert stored.ticks.flags.tolist() == [int(f) for f in watch.flags()]
    assert [e.control for e in stored.events] == ["ArrowRight", "ArrowRight"]


def test_tap_shorter_than_a_tick_counts(watch: Watch) -> None:
    """Down and up between two looks is held for that tick; two taps in one tick are still one."""
    watch.tick(2)
    watch.tap("ArrowLeft")
    watch.tap("ArrowLeft")
    watch.tick(2)
    assert [s.action.tolist() for s in watch.fed.samples] == [[0, 0], [1, 0], [0, 0]]
    assert watch.watcher.status.actions == 1


def test_first_tick_is_a_gap_and_the_rest_is_for_learning(watch: Watch) -> None:
    """Nothing may be joined with what was before watching began."""
    watch.tick(4)
    assert watch.flags() == [TickFlag.LEARN | TickFlag.GAP, TickFlag.LEARN, TickFlag.LEARN]
    status = watch.watcher.status
    assert (status.ticks, status.learned, status.seconds) == (3, 3, 0.15)


def test_idle_pauses_and_a_press_goes_on_after_a_gap(watch: Watch) -> None:
    """Nobody presses anything for as long as the profile says: no samples, visibly; the next press ends it."""
    watch.tap()
    watch.tick(62)
    assert watch.watcher.status.paused == "nobody has pressed anything for 3 s"
    taken = len(watch.fed.samples)
    watch.tick(100)
    assert len(watch.fed.samples) == taken
    watch.press("ArrowLeft")
    watch.tick(5)
    assert watch.watcher.status.paused == ""
    new = watch.fed.samples[taken:]
    assert new[0].flags & TickFlag.GAP
    assert all(s.action.tolist() == [1, 0] for s in new)
    assert [s.tick for s in watch.fed.samples] == list(range(len(watch.fed.samples)))


def test_held_key_is_not_idle(watch: Watch) -> None:
    """Who holds a key for long is playing, though no event comes."""
    watch.press("ArrowLeft")
    watch.tick(200)
    assert watch.watcher.status.paused == ""
    assert len(watch.fed.samples) == 199


def test_still_picture_pauses(watch: Watch) -> None:
    """A menu or pause is not learned from, even if keys are pressed."""
    watch.tick(5)
    watch.game.fake.screen.frozen = True
    for _ in range(int(STILL_PAUSE_S * SPEC.rate_hz) + 5):
        watch.tap()
        watch.tick()
    assert "stands still" in watch.watcher.status.paused
    taken = len(watch.fed.samples)
    watch.game.fake.screen.frozen = False
    watch.tick(4)
    assert watch.watcher.status.paused == ""
    assert len(watch.fed.samples) > taken
    assert watch.fed.samples[taken].flags & TickFlag.GAP


def test_interruption_throws_the_half_tick_away_and_forgets_held_keys(watch: Watch) -> None:
    """Not in front: the pending frame is dropped, a release missed meanwhile leaves no key stuck, GAP comes after."""
    watch.tick(2)
    watch.press("ArrowLeft")
    watch.tick(2)
    taken = len(watch.fed.samples)
    watch.watcher.interrupt("the game is not in front")
    watch.watcher.interrupt("the game is not in front")
    assert watch.watcher.status.paused == "the game is not in front"
    watch.game.clock.advance_ns(SECOND)
    watch.tick(3)
    new = watch.fed.samples[taken:]
    assert [s.action.tolist() for s in new] == [[0, 0], [0, 0]]
    assert [bool(s.flags & TickFlag.GAP) for s in new] == [True, False]
    assert watch.watcher.status.paused == ""


def test_agents_ticks_are_kept_but_not_to_learn_from(watch: Watch) -> None:
    """While the agent plays, its action is stored and flagged; its own key events are not."""
    watch.tick(2)
    watch.tick(3, agent=RIGHT)
    watch.tick(2)
    agents = [bool(f & TickFlag.AGENT) for f in watch.flags()]
    assert agents == [False, False, True, True, True, False]
    assert [bool(f & TickFlag.LEARN) for f in watch.flags()] == [not a for a in agents]
    assert [s.action.tolist() for s in watch.fed.samples[2:5]] == [[0, 1]] * 3
    assert watch.watcher.status.learned == 3


def test_agent_playing_is_not_idle(watch: Watch) -> None:
    """The player's hands rest while the agent plays; that is no reason to pause."""
    watch.tick(100, agent=LEFT)
    assert watch.watcher.status.paused == ""
    assert len(watch.fed.samples) == 99


def test_takeover_marks_what_strayed_and_what_corrects(watch: Watch) -> None:
    """The agent's last two seconds are STRAYED, up to the tick of the takeover; the player's next ten CORRECTION."""
    watch.tick(2)
    watch.tick(60, agent=RIGHT)
    watch.press("ArrowLeft")
    watch.watcher.on_takeover(watch.game.clock.now_ns())
    watch.tick(int(CORRECTION_S * SPEC.rate_hz) + 20)
    strayed = int(STRAYED_S * SPEC.rate_hz)
    assert watch.fed.marks == [(62 - strayed, 60, TickFlag.STRAYED)]
    assert watch.fed.samples[61].flags == TickFlag.AGENT | TickFlag.STRAYED
    corrections = [bool(f & TickFlag.CORRECTION) for f in watch.flags()]
    assert corrections == [62 <= i < 61 + CORRECTION_S * SPEC.rate_hz for i in range(len(corrections))]
    flags = watch.stored().ticks.flags
    assert [bool(f & TickFlag.STRAYED) for f in flags] == [62 - strayed <= i <= 61 for i in range(len(flags))]


def test_players_ticks_between_two_plays_never_stray(watch: Watch) -> None:
    """A second takeover marks only the second play, not what the player did between."""
    watch.tick(5, agent=RIGHT)
    watch.tick(10)
    watch.tick(4, agent=RIGHT)
    watch.watcher.on_takeover(watch.game.clock.now_ns())
    watch.tick(5)
    flags = watch.flags()
    first, last, _ = watch.fed.marks[0]
    assert all(f & TickFlag.AGENT for f in flags[first : last + 1])
    assert (first, last) == (15, 17)
    assert flags[18] & TickFlag.STRAYED


def test_takeover_by_leaving_the_game_marks_no_tick_of_the_player(watch: Watch) -> None:
    """The tick that was half done is thrown away; the next one with its number is the player's."""
    watch.tick(4, agent=RIGHT)
    watch.watcher.on_takeover(watch.game.clock.now_ns())
    watch.watcher.interrupt("the game is not in front")
    watch.tick(4)
    flags = watch.stored().ticks.flags
    assert [bool(f & TickFlag.STRAYED) for f in flags] == [bool(f & TickFlag.AGENT) for f in flags]
    assert not flags[3] & TickFlag.AGENT


def test_takeover_without_a_play_marks_nothing(watch: Watch) -> None:
    """Only the correction begins."""
    watch.tick(5)
    watch.watcher.on_takeover(watch.game.clock.now_ns())
    watch.tick(2)
    assert watch.fed.marks == []


def test_sound_gap_is_flagged(tmp_path: Path) -> None:
    """Ticks without sound say so, those with sound carry it."""
    watch = Watch(tmp_path / "session", audio=True)
    watch.tick(10)
    watch.game.fake.audio.fail_with = "gone"
    watch.tick(10)
    assert watch.fed.samples[8].audio.max() > 0.3
    assert not watch.fed.samples[8].flags & TickFlag.AUDIO_GAP
    assert watch.fed.samples[-1].flags & TickFlag.AUDIO_GAP


def test_spec_of_samples_is_the_sessions(watch: Watch) -> None:
    """What is fed could be written anywhere else with the same spec."""
    watch.tick(2)
    one = watch.fed.samples[0]
    assert one.pixels.shape == (SPEC.frame_height, SPEC.frame_width, 3)
    assert one.audio.shape == SPEC.audio_shape
    assert replace(one, tick=5).action.shape == (SPEC.controls.size,)
