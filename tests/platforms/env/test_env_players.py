"""The scripted players: their faults, and that each is worth learning from."""

from itertools import groupby
from typing import Any, cast

import numpy as np
import pytest

from tray_agent.core.controls import Controls
from tray_agent.core.events import Command
from tray_agent.platforms.env.catalog import entry, scripted_player
from tray_agent.platforms.env.game import EnvGame, GameInfo
from tray_agent.platforms.env.players.faults import ALL_FAULTS, Faults, with_faults
from tray_agent.platforms.env.players.player import IDLE, Player, holding
from tray_agent.platforms.env.scoring import play_episodes

KEYS = ("ArrowLeft", "ArrowRight", "Space")
RATE_HZ = 15.0
MINUTE = 900


class NoGame:
    """All that a fault asks of a game."""

    info = GameInfo("none", Controls(buttons=KEYS), 60.0, 4, 8, 8, max_ticks=MINUTE)


class Alternating:
    """Left for ten ticks, then right for ten, and so on."""

    def reset(self, seed: int) -> None:
        self.ticks = 0

    def decide(self, game: EnvGame) -> Command:
        self.ticks += 1
        return holding("ArrowLeft" if (self.ticks - 1) % 20 < 10 else "ArrowRight")


def a_minute(faults: Faults, seed: int) -> list[Command]:
    """What `Alternating` with `faults` holds in each of a minute's ticks."""
    player = with_faults(Alternating(), faults)
    player.reset(seed)
    game = cast("EnvGame", NoGame())
    return [player.decide(game) for _ in range(MINUTE)]


@pytest.mark.parametrize("fault", ["delay", "noise", "pauses"])
def test_faults_follow_the_seed(fault: str) -> None:
    """A fault changes what is held, the same way for the same seed, another way for another."""
    one: dict[str, Any] = {fault: True}
    faults = Faults(**one)
    assert a_minute(faults, 1) == a_minute(faults, 1)
    assert a_minute(faults, 1) != a_minute(Faults(), 1)
    assert len({tuple(map(str, a_minute(faults, seed))) for seed in range(12)}) > 1


def test_delay_is_a_reaction_time() -> None:
    """The decisions come whole and in order, 100 to 250 ms late."""
    on_time = a_minute(Faults(), 0)
    late = {next(n for n in range(9) if a_minute(Faults(delay=True), seed)[n:] == on_time[: MINUTE - n])
            for seed in range(20)}  # fmt: skip
    assert len(late) > 1
    assert all(0.1 <= ticks / RATE_HZ <= 0.25 for ticks in late)


def test_slips_are_rare_and_short() -> None:
    """A few percent of the time something else is held, and not for long."""
    slips = [a != b for a, b in zip(a_minute(Faults(noise=True), 5), a_minute(Faults(), 5), strict=True)]
    assert 0.01 < sum(slips) / MINUTE < 0.15
    assert max(len(list(run)) for slipped, run in groupby(slips) if slipped) <= RATE_HZ


def test_pauses_last_a_second_or_two() -> None:
    """Nothing is held for 1 to 2 s, a few times a minute."""
    runs = [len(list(run)) for held, run in groupby(a_minute(Faults(pauses=True), 2)) if held == IDLE]
    assert runs
    assert all(15 <= ticks <= 60 for ticks in runs)


def test_faults_change_the_score() -> None:
    """With all faults the scores of doom-basic are others than without, and repeat."""
    game = entry("doom-basic").make_game()
    game.start()
    try:
        first = play_episodes(game, scripted_player("doom-basic", ALL_FAULTS), 3, 7)
        assert first == play_episodes(game, scripted_player("doom-basic", ALL_FAULTS), 3, 7)
        assert first != play_episodes(game, scripted_player("doom-basic"), 3, 7)
    finally:
        game.close()


@pytest.mark.parametrize(
    ("name", "ticks", "at_least"),
    [
        ("space-invaders", 600, 400.0),
        ("ms-pacman", 600, 1000.0),
        ("demon-attack", 1500, 600.0),
        ("breakout", 900, 20.0),
        ("pong", 600, -6.0),
        ("airstriker", 900, 150.0),
        ("tone-test", 300, 100.0),
    ],
)
def test_player_is_worth_learning_from(name: str, ticks: int, at_least: float) -> None:
    """In so many ticks it has more points than random play and the best constant action average in an episode."""
    game = entry(name).make_game()
    if name == "airstriker":
        pytest.importorskip("stable_retro")
    game.start()
    try:
        assert score_of(game, scripted_player(name), ticks) >= at_least
    finally:
        game.close()


def score_of(game: EnvGame, player: Player, ticks: int) -> float:
    """Points after so many ticks of the episode with seed 40."""
    game.reset(40)
    player.reset(40)
    return sum(game.advance(player.decide(game), game.info.frames_per_tick) for _ in range(ticks))


def test_bombs_are_seen() -> None:
    """Space Invaders draws bombs and shot in every other frame: the picture of a tick shows both."""
    game = entry("space-invaders").make_game()
    game.start()
    seen = 0
    try:
        game.reset(1)
        for _ in range(200):
            game.advance(IDLE, game.info.frames_per_tick)
            seen += bool((game.pixels()[100:180, 30:130] == 142).all(axis=2).any())
    finally:
        game.close()
    assert seen > 20


def test_only_the_tone_tells() -> None:
    """Tones are heard at their pitch; the picture moves but is the same whatever is asked for."""
    game = entry("tone-test").make_game()
    pictures = []
    for seed in (1, 2):
        game.reset(seed)
        pitches = set()
        for _ in range(120):
            game.advance(IDLE, 4)
            sound = game.sound()
            assert sound.size in (1066, 1067)
            if np.abs(sound).max() > 0.1:
                pitches.add(round(int(np.abs(np.fft.rfft(sound)).argmax()) * 16_000 / sound.size, -2))
        pictures.append(game.pixels().tobytes())
        assert {400, 1800} <= pitches
    assert pictures[0] == pictures[1]
