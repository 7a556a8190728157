"""Packaged games as desktops without real time."""

import numpy as np
import pytest

from tray_agent.core.clock import ManualClock
from tray_agent.core.events import Command
from tray_agent.errors import UnknownGame
from tray_agent.platforms.env.catalog import entry, scripted_player
from tray_agent.platforms.env.lockstep import LockstepDesktop
from tray_agent.platforms.env.players.player import HandOf, RandomPlayer, holding


def history(name: str, seed: int, ticks: int) -> tuple[list[bytes], list[float], list[tuple[object, ...]]]:
    """Pictures, rewards and input events of a random player's first ticks."""
    game = entry(name).make_game()
    player = RandomPlayer(game.info.controls)
    player.reset(seed)
    desktop = LockstepDesktop(game, ManualClock(), 40, 30, player, seed=seed)
    desktop.start()
    try:
        pictures, rewards = [], []
        for _ in range(ticks):
            pictures.append(desktop.screen.grab().pixels.tobytes())
            rewards.append(desktop.tick().reward)
        events = [(e.t_ns, e.control, e.value, e.own) for e in desktop.inputs.read(0)]
    finally:
        desktop.close()
    return pictures, rewards, events


@pytest.mark.parametrize("name", ["doom-basic", "skiing"])
def test_same_seed_same_history(name: str) -> None:
    """Two runs with one seed agree in every picture, reward and event; another seed does not."""
    first, again, other = history(name, 5, 60), history(name, 5, 60), history(name, 6, 60)
    assert first == again
    assert first[0] != other[0]


def test_clock_moves_by_ticks_only() -> None:
    """One tick is four frames of game time and nothing else moves the clock."""
    clock = ManualClock()
    desktop = LockstepDesktop(entry("skiing").make_game(), clock, 40, 30)
    desktop.start()
    try:
        desktop.screen.grab()
        assert clock.now_ns() == 0
        desktop.tick()
        assert clock.now_ns() == 4 * desktop.game.info.frame_ns
    finally:
        desktop.close()


def test_agents_presses_reach_the_game_and_are_its_own() -> None:
    """What the sink holds moves the skier, and its events are marked; letting go ends it."""
    desktop = LockstepDesktop(entry("skiing").make_game(), ManualClock(), 40, 30)
    desktop.start()
    try:
        before = int(desktop.game.facts().ram[15])
        desktop.sink.apply(Command(frozenset({"ArrowLeft"})))
        for _ in range(8):
            desktop.tick()
        assert int(desktop.game.facts().ram[15]) < before
        desktop.sink.release_all()
        events = desktop.inputs.read(0)
        assert [(e.control, e.value, e.own) for e in events] == [("ArrowLeft", 1.0, True), ("ArrowLeft", 0.0, True)]
    finally:
        desktop.close()


@pytest.mark.parametrize("name", ["breakout", "doom-line"])
def test_sound_arrives_at_the_products_rate(name: str) -> None:
    """Two seconds of shooting give two seconds of sound, 32000 samples that are not silence, in order."""
    desktop = LockstepDesktop(entry(name).make_game(), ManualClock(), 40, 30)
    desktop.start()
    desktop.sink.apply(Command(frozenset({"Space", "ArrowRight"})))
    ticks = round(2 * desktop.game.info.rate_hz)
    try:
        for _ in range(ticks):
            desktop.tick()
        chunks = desktop.audio.read()
        expected = ticks / desktop.game.info.rate_hz * 16_000
        assert abs(sum(chunk.samples.size for chunk in chunks) - expected) <= 2
        assert max(float(abs(chunk.samples).max()) for chunk in chunks) > 0.01
        assert [c.t_ns for c in chunks] == sorted(c.t_ns for c in chunks)
        assert desktop.audio.read() == []
    finally:
        desktop.close()


def test_region_is_cut_before_the_reduction() -> None:
    """A region of the picture fills the whole frame."""
    desktop = LockstepDesktop(entry("skiing").make_game(), ManualClock(), 16, 10)
    desktop.start()
    try:
        desktop.screen.set_region((32, 50, 16, 10))
        native = desktop.game.pixels()[50:60, 32:48]
        assert np.array_equal(desktop.screen.grab().pixels, native)
    finally:
        desktop.close()


def test_hand_holds_keys_as_long_as_people_do() -> None:
    """A player that taps for one tick holds for 133 ms; one that holds on is not cut short."""

    class Tapper:
        ticks = 0

        def reset(self, seed: int) -> None:
            self.ticks = 0

        def decide(self, game: object) -> Command:
            self.ticks += 1
            return holding("ArrowLeft") if self.ticks == 1 else Command()

    game = entry("skiing").make_game()
    hand = HandOf(Tapper())
    hand.reset(0)
    assert [bool(hand.decide(game).held) for _ in range(4)] == [True, True, False, False]


def test_unknown_game_names_those_there_are() -> None:
    """The error of a wrong name helps on."""
    with pytest.raises(UnknownGame, match="doom-health"):
        entry("doom-helth")


def test_episode_end_reports_the_score_and_goes_on() -> None:
    """The scripted player wins a Doom episode; its score comes with the tick and the next episode begins."""
    desktop = LockstepDesktop(entry("doom-basic").make_game(), ManualClock(), 40, 30, scripted_player("doom-basic"))
    desktop.start()
    try:
        outcomes = [desktop.tick() for _ in range(150)]
    finally:
        desktop.close()
    scores = [outcome.finished for outcome in outcomes if outcome.finished is not None]
    assert len(scores) >= 3
    assert min(scores) > 0
    assert np.isclose(
        sum(o.reward for o in outcomes[: outcomes.index(next(o for o in outcomes if o.finished)) + 1]), scores[0]
    )
