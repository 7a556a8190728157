"""The packaged games, their bindings and their scripted players."""

import importlib.util
import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tray_agent.core.controls import Controls
from tray_agent.core.events import Command
from tray_agent.errors import PlatformUnavailable
from tray_agent.platforms.env.airstriker import by_keys as striker_keys
from tray_agent.platforms.env.atari import STICK_ACTIONS, stick_action
from tray_agent.platforms.env.car_racing import by_keys, by_pad
from tray_agent.platforms.env.catalog import catalog, entry, scripted_player
from tray_agent.platforms.env.game import EnvGame
from tray_agent.platforms.env.hands import Hand, merge
from tray_agent.platforms.env.players.player import IDLE, ConstantPlayer, RandomPlayer, holding, sensible_commands
from tray_agent.platforms.env.resampler import Resampler
from tray_agent.platforms.env.scoring import constant_scores, play_episodes

PACKAGES = {"car-racing": "Box2D", "car-racing-pad": "Box2D", "airstriker": "stable_retro"}


@pytest.fixture(params=sorted(catalog()))
def game(request: pytest.FixtureRequest) -> Iterator[EnvGame]:
    """Each game, started."""
    package = PACKAGES.get(request.param)
    if package and importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed (extra 'games')")
    started = entry(request.param).make_game()
    started.start()
    yield started
    started.close()
    started.close()


def test_every_game_runs_and_is_what_it_says(game: EnvGame) -> None:
    """Size, sound and seed agree with the info; the picture answers; a seed repeats the first ticks."""
    pictures = []
    for _ in range(2):
        game.reset(3)
        player = RandomPlayer(game.info.controls)
        player.reset(3)
        for _ in range(12):
            game.advance(player.decide(game), game.info.frames_per_tick)
        heard = game.sound()
        pixels = game.pixels()
        assert pixels.shape == (game.info.height, game.info.width, 3)
        assert pixels.dtype == np.uint8
        pictures.append(pixels.copy())
        if not game.over:
            seconds = 12 / game.info.rate_hz
            assert abs(heard.size - seconds * game.info.sound_rate_hz) <= game.info.sound_rate_hz / 60 + 1
    assert pictures[0].tobytes() == pictures[1].tobytes()
    assert pictures[0].std() > 1


@pytest.mark.parametrize(
    ("name", "at_least"),
    [("doom-basic", 50.0), ("doom-health", 2000.0), ("doom-center", 6.0), ("skiing", -4500.0), ("breakout", 5.0)],
)
def test_scripted_player_beats_chance(name: str, at_least: float) -> None:
    """The player with a human hand scores well, and far better than random presses."""
    game = entry(name).make_game()
    game.start()
    try:
        good = np.mean(play_episodes(game, scripted_player(name), 2, 40))
        chance = np.mean(play_episodes(game, RandomPlayer(game.info.controls), 2, 40))
    finally:
        game.close()
    assert good >= at_least
    assert good > chance


def test_no_constant_wins_the_demo_game() -> None:
    """Holding any key, or two, or none, stays far below the player in doom-health: watching is needed."""
    game = entry("doom-health").make_game()
    game.start()
    try:
        best = constant_scores(game, 3, 40)[0]
        (player,) = play_episodes(game, scripted_player("doom-health"), 1, 40)
    finally:
        game.close()
    assert best.mean < 0.4 * player


def test_scores_repeat() -> None:
    """A score is a function of the seed."""
    game = entry("doom-basic").make_game()
    game.start()
    try:
        player = RandomPlayer(game.info.controls)
        assert play_episodes(game, player, 4, 9) == play_episodes(game, player, 4, 9)
    finally:
        game.close()


def test_doom_leaves_nothing_in_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine writes neither settings nor folders where it was started."""
    monkeypatch.chdir(tmp_path)
    game = entry("doom-basic").make_game()
    game.start()
    play_episodes(game, ConstantPlayer(IDLE), 1, 0)
    game.close()
    assert list(tmp_path.iterdir()) == []


def test_any_discrete_gymnasium_env_is_a_game() -> None:
    """CartPole runs under its id with one key; unknown ids and continuous actions are refused with a reason."""
    game = entry("gym:CartPole-v1").make_game()
    assert game.info.controls.buttons == ("Digit1",)
    game.start()
    try:
        game.reset(1)
        assert game.advance(holding("Digit1"), 5) == 5.0
        assert game.pixels().shape == (game.info.height, game.info.width, 3)
        while not game.over:
            game.advance(IDLE, 1)
    finally:
        game.close()
    with pytest.raises(PlatformUnavailable, match="Nowhere"):
        entry("gym:Nowhere-v0").make_game()
    with pytest.raises(PlatformUnavailable, match="discrete"):
        entry("gym:Pendulum-v1").make_game()


def test_stick_actions_are_the_emulators() -> None:
    """Every set of contacts gives the action of that name; opposite ones cancel."""
    ale_py = pytest.importorskip("ale_py")
    assert [ale_py.Action(i).name for i in range(18)] == list(STICK_ACTIONS)
    assert STICK_ACTIONS[stick_action({"UP", "LEFT", "FIRE"})] == "UPLEFTFIRE"
    assert STICK_ACTIONS[stick_action({"UP", "DOWN", "RIGHT"})] == "RIGHT"
    assert STICK_ACTIONS[stick_action(set())] == "NOOP"


def test_car_and_striker_bindings() -> None:
    """Keys and pad become what the environments take; out-of-range positions are cut."""
    assert by_keys(Command(frozenset({"ArrowRight", "ArrowUp"})))[0] > 0 < by_keys(Command(frozenset({"ArrowUp"})))[1]
    assert by_keys(Command(frozenset({"ArrowRight", "ArrowLeft"})))[0] == 0
    assert by_pad(Command(axes={"PadLX": -3.0, "PadRT": 0.25})).tolist() == [-1.0, 0.25, 0.0]
    assert striker_keys(Command(frozenset({"Space", "ArrowLeft", "KeyQ"}))).tolist() == [
        1,
        0,
        0,
        0,
        0,
        0,
        1,
        0,
        0,
        0,
        0,
        0,
    ]


def test_sensible_commands_have_no_opposites() -> None:
    """All single buttons, both ends of a stick, one of a trigger, and pairs but left with right."""
    commands = sensible_commands(Controls(("ArrowLeft", "ArrowRight", "Space"), (), ("PadLX", "PadRT")))
    held = [command.held for command in commands]
    assert frozenset({"ArrowLeft", "ArrowRight"}) not in held
    assert {frozenset({"ArrowLeft", "Space"}), frozenset({"Space"}), frozenset()} <= set(held)
    assert [c.axes for c in commands if c.axes] == [{"PadLX": -1.0}, {"PadLX": 1.0}, {"PadRT": 1.0}]


@given(
    held=st.lists(st.frozensets(st.sampled_from(["KeyA", "KeyB", "Space"])), max_size=10),
    places=st.lists(st.floats(-1, 1), min_size=10, max_size=10),
)
def test_hands_events_replay_to_what_it_holds(held: list[frozenset[str]], places: list[float]) -> None:
    """Applying all events in order gives exactly what the hand holds at the end."""
    hand, down, axis = Hand("player", own=False), set(), 0.0
    for i, keys in enumerate(held):
        for event in hand.take(Command(keys, {}, {"PadLX": places[i]}), i):
            if event.kind == "axis":
                axis = event.value
            else:
                (down.add if event.value else down.remove)(event.control)
    assert down == set(hand.command.held)
    assert axis == hand.command.axes.get("PadLX", 0.0)


def test_merge_is_or() -> None:
    """Keys are down if anyone holds them, moves add up, the farther axis wins."""
    both = merge(
        Command(frozenset({"KeyA"}), {"MouseX": 3}, {"PadLX": -0.5}),
        Command(frozenset({"KeyB"}), {"MouseX": -1}, {"PadLX": 0.2}),
    )
    assert both == Command(frozenset({"KeyA", "KeyB"}), {"MouseX": 2.0}, {"PadLX": -0.5})


@given(cuts=st.lists(st.integers(0, 2000), max_size=12))
def test_resampling_has_no_seams(cuts: list[int]) -> None:
    """However the stream is cut into pieces, the output is that of the whole stream."""
    sound = np.sin(np.arange(6000) / 40).astype(np.float32)
    whole = Resampler(30_720, 16_000).push(sound)
    pieces = Resampler(30_720, 16_000)
    places = [0, *sorted(cuts), 6000]
    out = np.concatenate([pieces.push(sound[a:b]) for a, b in itertools.pairwise(places)])
    assert out.shape == whole.shape
    assert np.allclose(out, whole, atol=1e-4)
