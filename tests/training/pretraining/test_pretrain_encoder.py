"""Making the shipped encoder: what it is shown, that it learns, that its file is always whole."""

import json
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open

from tray_agent.core.controls import Controls
from tray_agent.core.held_out import are_held_out
from tray_agent.core.policy import PolicySpec
from tray_agent.core.sample import TickFlag, TickSample
from tray_agent.errors import SessionError, TrayAgentError
from tray_agent.evaluation.suites import SUITES
from tray_agent.platforms.env.catalog import catalog
from tray_agent.sessions.layout import game_folder
from tray_agent.sessions.reader import SessionReader
from tray_agent.sessions.writer import SessionWriter
from tray_agent.training.encoders import bundled
from tray_agent.training.offline.recordings import open_recordings
from tray_agent.training.pretraining.contrast import Contrast, Dealer
from tray_agent.training.pretraining.encoder import EncoderPretraining, Recipe
from tray_agent.training.pretraining.plays import AHEAD, FRAMES, Play
from tray_agent.training.pretraining.random_play import EVALUATED, GAMES, HEIGHT, KEYS, WIDTH, played
from tray_agent.training.pretraining.recorded_play import STRETCH, recorded

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
    work = EncoderPretraining(Recipe(("a", "b"), batch=16, minutes=1.0), [made_up(0), made_up(1)])
    torch.manual_seed(0)
    before = work.weights()["stem.0.weight"]
    first: dict[str, float] = {}
    for share in work.updates():
        assert 0 <= share < 1
        first = first or dict(work.losses)
        if work.done == 40:
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


def test_killed_and_resumed_is_the_same_to_the_last_bit() -> None:
    """Weights, slow copy and losses after eight updates, and after four, a state taken and given, and four."""
    recipe = Recipe(("a", "b"), batch=16)
    whole, broken, again = (EncoderPretraining(recipe, [made_up(0), made_up(1)]) for _ in range(3))
    for made, count in ((whole, 8), (broken, 4)):
        torch.manual_seed(5)
        for _ in range(count):
            made._update()
    again.go_on(broken.state())
    for _ in range(4):
        again._update()
    mine, theirs = again._named(), whole._named()
    assert all(torch.equal(tensor, mine[name]) for name, tensor in theirs.items())
    assert (again.done, again.losses) == (whole.done, whole.losses)


def test_state_of_another_network_changes_nothing() -> None:
    """As when a game has come by since."""
    one, other = (EncoderPretraining(Recipe(("a",)), [made_up(n) for n in range(count)]) for count in (1, 2))
    before = other.weights()
    with pytest.raises(TrayAgentError, match="another network"):
        other.go_on(one.state())
    assert all(torch.equal(tensor, before[name]) for name, tensor in other.weights().items())


# -- recorded sessions -----------------------------------------------------------------------------------------------

PAD = PolicySpec(Controls(("KeyW",), ("MouseX",), ("PadLX",)), rate_hz=20, frame_width=30, frame_height=48, frames=2)


def write_pad(root: Path, count: int = 200) -> Path:
    """A session with a mouse and a stick, a gap at tick 50, and the agent at play from 60 to 69."""
    folder = game_folder(root, "pad") / "20260101T000000Z-pad"
    writer = SessionWriter(folder, PAD, "pad", (0.0,) * 8, threaded=False)
    writer.start()
    silence = np.zeros(PAD.audio_shape, np.float32)
    for tick in range(count):
        pixels = np.full((48, 30, 3), tick % 256, np.uint8)
        flags = TickFlag.AGENT if 60 <= tick < 70 else TickFlag.LEARN
        flags |= TickFlag.GAP if tick == 50 else TickFlag(0)
        action = np.array([tick % 2, [0, -3, 9][tick % 3], 0.5], np.float32)
        writer.add(TickSample(tick, tick * 50_000_000, pixels, silence, action, flags))
    writer.close()
    return folder


def nothing_skipped(name: str, why: str) -> None:
    raise AssertionError(f"{name}: {why}")


def test_sessions_become_play(tmp_path: Path) -> None:
    """Pictures as recorded; what was done as bits; nothing reaches over a gap, nothing is learned from the agent."""
    found = open_recordings([write_pad(tmp_path)], "pad", (), nothing_skipped)
    play = recorded(found, 1 << 30, nothing_skipped)
    assert play.planes.shape == (200, 3, 48, 30)
    assert play.planes[:, 0, 0, 0].tolist() == list(range(200))
    assert np.array_equal(play.held[:3], [[0, 0, 0, 0, 1], [1, 1, 0, 0, 1], [0, 0, 1, 0, 1]])
    assert np.unique(play.starts).tolist() == [0, 50, STRETCH]
    usable = set(range(50 - AHEAD)) | set(range(50, 60)) | set(range(70, STRETCH - AHEAD))
    assert set(play.usable.tolist()) == usable | set(range(STRETCH, 200 - AHEAD))


def test_little_memory_takes_stretches_from_everywhere(tmp_path: Path) -> None:
    """The first and the last of them where there is room for two."""
    found = open_recordings([write_pad(tmp_path, 3 * STRETCH)], "pad", (), nothing_skipped)
    play = recorded(found, 2 * STRETCH * 3 * 48 * 30, nothing_skipped)
    luma = play.planes[:, 0, 0, 0]
    assert len(luma) == 2 * STRETCH
    assert luma[0] == 0
    assert luma[-1] == (3 * STRETCH - 1) % 256


def test_stretches_that_nobody_learns_from_are_left_alone(tmp_path: Path) -> None:
    """Pictures of them are seen by no encoder either."""
    slow = replace(PAD, rate_hz=2)
    folder = write_pad(tmp_path)
    found = open_recordings([folder], "pad", (), nothing_skipped)
    reader = found.readers[folder.name]
    reader.info = replace(reader.info, spec=slow)
    play = recorded(replace(found, spec=slow), 1 << 30, nothing_skipped)
    assert not are_held_out(play.usable, 2).any()
    assert are_held_out(np.arange(200), 2).any()


def test_pictures_that_cannot_be_read_are_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest of the session is used; a session without any is an error."""
    found = open_recordings([write_pad(tmp_path, 3 * STRETCH)], "pad", (), nothing_skipped)
    read = SessionReader.frames

    def some(reader: SessionReader, start: int, stop: int) -> Any:
        if start < 2 * STRETCH:
            raise SessionError("scratched")
        return read(reader, start, stop)

    told: list[str] = []
    monkeypatch.setattr(SessionReader, "frames", some)
    play = recorded(found, 1 << 30, lambda name, why: told.append(why))
    assert len(play.planes) == len(play.held) == len(play.starts) == STRETCH
    assert play.starts[0] == 0
    assert told == ["a part of it: scratched"]
    monkeypatch.setattr(SessionReader, "frames", lambda *_: some(found.readers[next(iter(found.readers))], 0, 1))
    with pytest.raises(SessionError, match="no picture"):
        recorded(found, 1 << 30, lambda *_: None)


def test_sizes_and_controls_may_differ(tmp_path: Path) -> None:
    """A batch has pictures of one size; each size is learned, small ones padded; unused bits cost nothing."""
    small = recorded(open_recordings([write_pad(tmp_path)], "pad", (), nothing_skipped), 1 << 30, nothing_skipped)
    plays = [made_up(0), small, made_up(1)]
    dealer = Dealer(plays, 0)
    batches = [dealer.deal(8) for _ in range(12)]
    assert {batch.now.shape[2:] for batch in batches} == {(HEIGHT, WIDTH), (48, 30)}
    for batch in batches:
        assert (batch.game == 1).all() == (batch.now.shape[2:] == (48, 30))
        assert batch.held.shape == (8, 5)
    net = Contrast(plays)
    of_pad = next(batch for batch in batches if batch.now.shape[3] == 30)
    of_atari = next(batch for batch in batches if batch.now.shape[3] == WIDTH)
    for batch in (of_pad, of_atari):
        pair, inverse = net.losses(batch)
        net.zero_grad()
        (pair + inverse).backward()
        assert float(net.features[0][0].weight.grad.abs().sum()) > 0
        moved = {name for name, layer in net.acts.items() if layer.weight.grad is not None}
        assert moved == {f"{batch.now.shape[3]}x{batch.now.shape[2]}"}
    work = EncoderPretraining(Recipe(("a", "pad", "b"), batch=8), plays)
    for _ in range(3):
        work._update()
    path = tmp_path / "encoder.safetensors"
    path.write_bytes(work.content())
    bundled.loader(path, SPEC)
    bundled.loader(path, PAD)
    with safe_open(path, framework="pt") as file:
        about = json.loads(file.metadata()["about"])
    assert about["played"]["pad"] == {"decisions": 200, "picture": [30, 48]}


def test_build_packs_the_weights() -> None:
    """They go where an installed program looks for them."""
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())
    packed = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert packed[f"models/{bundled.NAME}"] == f"tray_agent/_models/{bundled.NAME}"
