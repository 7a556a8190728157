"""Making the shipped encoder: what it is shown, that it learns, that its file is always whole."""

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from tray_agent.core.controls import Controls
from tray_agent.core.policy import PolicySpec
from tray_agent.evaluation.suites import SUITES
from tray_agent.platforms.env.catalog import catalog
from tray_agent.training import pretrain
from tray_agent.training.contrast import Dealer
from tray_agent.training.encoders import bundled
from tray_agent.training.pretrain import Pretraining, Recipe
from tray_agent.training.pretrain_data import AHEAD, EVALUATED, FRAMES, GAMES, HEIGHT, KEYS, WIDTH, Play, played

SPEC = PolicySpec(Controls(("ArrowLeft",)), rate_hz=15, frame_width=WIDTH, frame_height=HEIGHT)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """As the command runs."""
    torch.set_num_threads(1)


def made_up(seed: int, ticks: int = 60) -> Play:
    """A square that runs over noise, in two episodes."""
    random = np.random.default_rng(seed)
    planes = random.integers(100, 110, (ticks, 3, HEIGHT, WIDTH)).astype(np.uint8)
    held = np.zeros((ticks, len(KEYS)), np.float32)
    x = y = 30
    for tick in range(ticks):
        planes[tick, 0, y : y + 12, x : x + 12] = 250
        held[tick, 0] = tick // 5 % 2
        x, y = (x + (3 if held[tick, 0] else -3)) % 60, (y + 5 + seed) % 90
    return Play(f"made-up-{seed}", planes, held, np.where(np.arange(ticks) < 25, 0, 25))


def test_evaluated_games_are_never_shown() -> None:
    """A gain in play would prove nothing otherwise: no game of a suite or with a profile is among those played."""
    assert len(GAMES) == len(set(GAMES)) == 40
    assert not EVALUATED & set(GAMES)
    asked = {"pong", "breakout", "skiing", "ms_pacman", "pacman", "space_invaders", "boxing", "demon_attack"}
    atari = {name.replace("-", "_") for suite in SUITES.values() for name in suite if name in catalog()}
    assert asked <= EVALUATED
    assert not atari & set(GAMES)
    with pytest.raises(ValueError, match="evaluated"):
        played("pong", 20, 0)


def test_all_games_are_in_the_package() -> None:
    """The ROMs come with ale-py."""
    roms = pytest.importorskip("ale_py.roms")
    assert set(GAMES) <= set(roms.get_all_rom_ids())


def test_random_play_is_recorded_as_a_person_holds_keys() -> None:
    """Keys stay for two decisions at least; the same seed plays the same; the picture moves."""
    pytest.importorskip("ale_py")
    play, again = played("tennis", 80, 3), played("tennis", 80, 3)
    assert play.planes.shape == (80, 3, HEIGHT, WIDTH)
    assert np.array_equal(play.planes, again.planes)
    assert np.array_equal(play.held, again.held)
    changes = np.flatnonzero((play.held[1:] != play.held[:-1]).any(1)) + 1
    assert len(changes) > 5
    assert np.diff(changes).min() >= 2
    assert (play.planes[1:] != play.planes[:-1]).any()


def test_pairs_never_reach_over_an_episode() -> None:
    """Stacks repeat an episode's first frame, and positives are of the same one."""
    play = made_up(0)
    assert set(play.usable.tolist()) == set(range(25 - AHEAD)) | set(range(25, 60 - AHEAD))
    stack = np.empty((FRAMES + 2, HEIGHT, WIDTH), np.uint8)
    play.stack(26, stack)
    for place, tick in enumerate((25, 25, 25, 26)):
        assert np.array_equal(stack[place], play.planes[tick, 0])
    assert np.array_equal(stack[FRAMES:], play.planes[26, 1:])


def test_half_of_a_batch_is_of_one_game() -> None:
    """Else telling games apart would be enough."""
    plays = [made_up(seed, 40) for seed in range(6)]
    batch = Dealer(plays, 1).deal(16)
    assert batch.now.shape == batch.after.shape == batch.later.shape == (16, FRAMES + 2, HEIGHT, WIDTH)
    assert batch.held.shape == (16, len(KEYS))
    assert int(torch.bincount(batch.game).max()) >= 8
    assert not torch.equal(batch.now, batch.after)


def test_it_learns_what_belongs_together(tmp_path: Path) -> None:
    """Both losses fall, the weights move, and the program takes the file."""
    work = Pretraining(Recipe(("a", "b"), batch=16, minutes=1.0), [made_up(0), made_up(1)])
    torch.manual_seed(0)
    before = work.weights()["stem.0.weight"]
    first: dict[str, float] = {}
    for count in work.updates():
        first = first or dict(work.losses)
        if count == 40:
            break
    assert work.losses["contrast"] < first["contrast"]
    assert work.losses["inverse"] < first["inverse"]
    assert not torch.equal(before, work.weights()["stem.0.weight"])
    path = tmp_path / "encoder.safetensors"
    path.write_bytes(work.content())
    bundled.loader(path, SPEC)
    with safe_open(path, framework="pt") as file:
        about = json.loads(file.metadata()["about"])
    assert about["updates"] == 40
    assert about["recipe"]["games"] == ["a", "b"]
    assert set(about["losses"]) == {"contrast", "inverse"}
    assert about["licence"] == "Apache-2.0"


def test_command_writes_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From games to a file that the program takes."""
    monkeypatch.setattr(pretrain, "played", lambda rom, ticks, seed: made_up(len(rom), ticks))
    out = tmp_path / "encoder.safetensors"
    arguments = ["--out", str(out), "--minutes", "0.005", "--games", "alien", "qbert", "--ticks", "40"]
    assert pretrain.main(arguments) == 0
    bundled.loader(out, SPEC)


def test_interrupt_keeps_the_last_whole_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends with code 130, and what was there stays."""
    out = tmp_path / "encoder.safetensors"
    out.write_bytes(b"before")

    def interrupted(rom: str, ticks: int, seed: int) -> Play:
        raise KeyboardInterrupt

    monkeypatch.setattr(pretrain, "played", interrupted)
    assert pretrain.main(["--out", str(out), "--games", "alien"]) == 130
    assert out.read_bytes() == b"before"
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


@pytest.mark.parametrize(
    "wrong", [["--games", "breakout"], ["--minutes", "0"], ["--ticks", "3"], ["--out", "/no/such/folder/x"], []]
)
def test_wrong_arguments_are_told(wrong: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is played."""
    arguments = ["--out", str(tmp_path / "x"), *wrong] if wrong else []
    with pytest.raises(SystemExit) as ended:
        pretrain.main(arguments)
    assert ended.value.code == 2
    assert "error" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:Rom no_such_rom")
def test_missing_game_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A ROM that the package does not have ends the command with a sentence."""
    pytest.importorskip("ale_py")
    assert pretrain.main(["--out", str(tmp_path / "x"), "--games", "no_such_rom"]) == 1
    assert "no_such_rom" in capsys.readouterr().err


def test_build_packs_the_weights() -> None:
    """They go where an installed program looks for them."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    packed = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert packed[f"models/{bundled.NAME}"] == f"tray_agent/_models/{bundled.NAME}"
