"""Snake, played live: its picture is read right, its player plans well, and eats on the real game."""

import importlib.util
import json
import random
import time
from pathlib import Path

import numpy as np
import pytest
from x11_desktop import need

from tray_agent.clients.cli.exit_codes import ExitCode
from tray_agent.clients.cli.main import main
from tray_agent.errors import PlatformUnavailable, TrayAgentError
from tray_agent.evaluation.cell import REFERENCES, Cell
from tray_agent.evaluation.live import scene as live_scene
from tray_agent.evaluation.live.board import HIGH, LOW, PICTURE, Board, read_board
from tray_agent.evaluation.live.cell import take_live
from tray_agent.evaluation.live.plain import RandomTaps, constants
from tray_agent.evaluation.live.scene import SnakeScene, score_of
from tray_agent.evaluation.live.snake import DOWN, KEYS, LEFT, RIGHT, UP, SnakePlayer, next_aim
from tray_agent.settings.snapshot import load_settings

BLACK, GREEN, RED = (0, 0, 0), (0, 128, 0), (255, 0, 0)
LOOK_S, MOVE_S = 0.03, 0.1


def drawn(*squares: tuple[int, int, tuple[int, int, int]]) -> np.ndarray:
    """A window as the game draws it: white with a dark edge, ten pixels a square."""
    pixels = np.full((PICTURE[1], PICTURE[0], 3), 255, np.uint8)
    pixels[[0, 1, -2, -1]] = pixels[:, [0, 1, -2, -1]] = 0
    for x, y, colour in squares:
        pixels[203 - 10 * y : 213 - 10 * y, 212 + 10 * x : 222 + 10 * x] = colour
    return pixels


def test_drawn_grid_is_read() -> None:
    """Body, food and death, in the middle and in the corners, those outside of the field too."""
    body = [(1, 0), (1, -1), (LOW, LOW), (HIGH, HIGH), (LOW, HIGH)]
    squares = [(*cell, BLACK) for cell in body]
    assert read_board(drawn(*squares, (-15, 14, GREEN))) == Board(frozenset(body), (-15, 14), dead=False)
    assert read_board(drawn(*squares, (0, 0, GREEN), (HIGH + 1, 3, RED))).dead
    assert read_board(drawn(*squares, (0, 0, GREEN), (3, LOW - 1, RED))).dead
    assert read_board(drawn()) == Board(frozenset(), None, dead=False)


class SlowSnake:
    """The game's rules: it moves every 100 ms, and turns when a key is let go."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.snake, self.food, self.aim, self.dead, self.eaten = [(1, 0)], (0, 0), DOWN, False, 0
        self.held: frozenset[str] = frozenset()

    def hold(self, keys: frozenset[str]) -> None:
        for key in self.held - keys:
            self.aim = next(aim for aim, name in KEYS.items() if name == key)
        self.held = keys

    def move(self) -> None:
        head = (self.snake[-1][0] + self.aim[0], self.snake[-1][1] + self.aim[1])
        self.dead = head in self.snake or not all(LOW <= part <= HIGH for part in head)
        if self.dead:
            return
        self.snake.append(head)
        if head == self.food:
            self.eaten += 1
            self.food = (self.dice.randrange(-15, 15), self.dice.randrange(-15, 15))
        else:
            self.snake.pop(0)

    def board(self) -> Board:
        return Board(frozenset(self.snake) - {self.food}, self.food, self.dead)


def played(seed: int, seconds: float, look_s: float) -> tuple[SlowSnake, list[float]]:
    """The player on the rules alone; for how long it held each tap."""
    game, player, now, next_move, taps, pressed_at = SlowSnake(seed), SnakePlayer(), 0.0, MOVE_S, [], 0.0
    while now < seconds and not game.dead:
        while next_move <= now:
            game.move()
            next_move += MOVE_S
        keys = player.decide(game.board(), now)
        if keys != game.held:
            taps += [now - pressed_at] if game.held else []
            pressed_at = now
        game.hold(keys)
        now += look_s
    return game, taps


@pytest.mark.parametrize("seed", range(3))
def test_player_eats_well_and_taps_like_a_person(seed: int) -> None:
    """A minute of play: far more than the eight that are asked for; no tap is shorter than a person's."""
    game, taps = played(seed, 60.0, LOOK_S)
    assert game.eaten >= 15
    assert not game.dead
    assert min(taps) >= 0.133
    assert max(taps) < 0.3


def test_player_lives_with_late_looks() -> None:
    """At eight looks a second it misses squares and is too late for the food, but not for the walls."""
    assert not played(1, 40.0, 0.12)[0].dead


@pytest.mark.parametrize(
    ("aim", "food", "wanted"),
    [(DOWN, (0, -9), DOWN), (DOWN, (5, 0), RIGHT), (DOWN, (-5, 0), LEFT), (RIGHT, (3, 4), RIGHT), (RIGHT, (0, 4), UP)],
)
def test_greedy_way(aim: tuple[int, int], food: tuple[int, int], wanted: tuple[int, int]) -> None:
    """Straight on until the food is abreast, then there."""
    before = (-aim[0], -aim[1])
    assert next_aim((0, 0), aim, 2, food, [before]) == wanted


def test_no_way_into_body_or_wall() -> None:
    """A wall of body before the food is gone round; at the field's edge it turns, with or without food."""
    wall = [(x, 3) for x in range(-4, 5)] + [(5, 3), (5, 2), (5, 1), (5, 0), (4, 0), (3, 0), (2, 0), (1, 0)]
    assert next_aim((0, 0), LEFT, 2, (0, 6), wall) in {LEFT, DOWN, UP}
    assert next_aim((0, 2), UP, 2, (0, 6), [*wall, (0, 1)]) != UP
    for food in (None, (0, 0)):
        assert next_aim((HIGH, 0), RIGHT, 2, food, [(HIGH - 1, 0)]) in {UP, DOWN}
        assert next_aim((HIGH, HIGH), RIGHT, 2, food, [(HIGH - 1, HIGH)]) == DOWN


def test_hand_is_not_quicker_than_a_person() -> None:
    """One square after a turn there is no other."""
    assert next_aim((0, 0), DOWN, 1, (5, 0), [(0, 1)]) == DOWN


def test_players_without_skill() -> None:
    """Nothing, four held, four tapped; random ones press all four and rest."""
    keys = tuple(KEYS.values())
    blank = Board(frozenset(), None, dead=False)
    assert len(constants(keys)) == 9
    pressed = {name: {one.decide(blank, t / 50) for t in range(50)} for name, one in constants(keys).items()}
    assert pressed["nothing"] == {frozenset()}
    assert pressed["ArrowUp"] == {frozenset({"ArrowUp"})}
    assert pressed["ArrowUp tapped"] == {frozenset({"ArrowUp"}), frozenset()}
    dice = RandomTaps(keys, 3)
    assert {dice.decide(blank, t / 30) for t in range(1500)} == {frozenset(), *(frozenset({key}) for key in keys)}


def test_score_is_what_the_game_says() -> None:
    """The last length, less the square it began with."""
    assert score_of(b"") == 0.0
    assert score_of(b"noise\nSnake: 2\nSnake: 3\n") == 2.0


def test_missing_package_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the remedy, before anything is started; what a live game has not is refused."""
    profile = load_settings().game("x11-snake")
    cell = Cell("x11-snake", REFERENCES)
    for name, remedy in (("freegames", "pip install"), ("_tkinter", "python3-tk")):
        monkeypatch.setattr(live_scene.importlib.util, "find_spec", lambda asked, name=name: asked != name or None)
        with pytest.raises(PlatformUnavailable, match=remedy):
            take_live(cell, profile, tmp_path, lambda *_: None)
    with pytest.raises(TrayAgentError, match="without faults"):
        take_live(Cell("x11-snake", REFERENCES, faults=True), profile, tmp_path, lambda *_: None)


def test_only_ours_is_run_on_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Peers and corrections leave it out."""
    asked = ["evaluate", "x11-snake", "--peers", "--corrections", "--only-kept", "--json"]
    assert main([*asked, "--folder", str(tmp_path)]) == ExitCode.OK
    assert json.loads(capsys.readouterr().out)["missing"] == ["x11-snake: references", "x11-snake: ours, seed 0"]


@pytest.mark.x11
@pytest.mark.slow
@pytest.mark.timeout(60)
def test_player_eats_on_the_real_game(tmp_path: Path) -> None:
    """A real window, a keyboard around it, pixels read back: at least one meal. A busy machine gets a few tries."""
    for program in ("Xvfb", "Xephyr", "openbox"):
        need(program)
    for package in ("freegames", "_tkinter"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    scene = SnakeScene(tmp_path)
    try:
        scene.start()
        ends = time.monotonic() + 45.0
        eaten = 0.0
        while not eaten and time.monotonic() < ends:
            eaten = scene.play(SnakePlayer(), min(ends, time.monotonic() + 12.0))
    finally:
        scene.close()
    assert eaten >= 1
