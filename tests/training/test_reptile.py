"""Weights to begin a game with: how they are made of other games, what takes them, and what is told otherwise."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from tray_agent.core.controls import Controls
from tray_agent.core.policy import PolicySpec
from tray_agent.core.sample import TickFlag, TickSample
from tray_agent.errors import PlatformUnavailable, TrayAgentError
from tray_agent.sessions.layout import game_folder
from tray_agent.sessions.writer import SessionWriter
from tray_agent.training import reptile
from tray_agent.training.encoders import bundled
from tray_agent.training.encoders.source import make_encoder, make_or_fall_back
from tray_agent.training.encoders.start import COMMON, parts, put
from tray_agent.training.learner import Learner
from tray_agent.training.model import PolicyNet
from tray_agent.training.other_games import OtherGame
from tray_agent.training.replay import Replay
from tray_agent.training.reptile import Recipe, Reptile, read_games
from tray_agent.training.shared import SharedLearner
from tray_agent.training.shared_parts import NAMES

SPEC = PolicySpec(Controls(("ArrowLeft", "ArrowRight")), rate_hz=2, frame_width=40, frame_height=36)
WIDER = replace(SPEC, frame_width=56)
VECTOR = (1.0,) + (0.0,) * 7
SILENCE = np.zeros(SPEC.audio_shape, np.float32)
RECIPE = Recipe(("a", "b"), inner=3, begun_with="scratch")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """As the command runs."""
    torch.set_num_threads(1)


def ticks(spec: PolicySpec, count: int) -> list[TickSample]:
    """A square left or right tells the key."""
    random = np.random.default_rng(4)
    made = []
    for tick in range(count):
        pixels = random.integers(0, 60, (spec.frame_height, spec.frame_width, 3), dtype=np.uint8)
        right = bool(random.integers(2))
        x, y = int(random.integers(0, 12)) + (spec.frame_width // 2 if right else 0), int(random.integers(0, 28))
        pixels[y : y + 8, x : x + 8] = 230
        action = np.array([not right, right], np.float32)
        made.append(TickSample(tick, tick * 500_000_000, pixels, SILENCE, action, TickFlag.LEARN))
    return made


def game(name: str, spec: PolicySpec = SPEC, count: int = 120) -> OtherGame:
    replay = Replay(spec, 1 << 28)
    for one in ticks(spec, count):
        replay.add("s", one)
    return OtherGame(name, VECTOR, spec, (), replay)


def write(root: Path, name: str, count: int = 80, spec: PolicySpec = SPEC) -> Path:
    """A recorded session of a game."""
    folder = game_folder(root, name) / f"20260101T000000Z-{name}"
    writer = SessionWriter(folder, spec, name, VECTOR, threaded=False)
    writer.start()
    for one in ticks(spec, count):
        writer.add(one)
    writer.close()
    return root


@pytest.fixture(scope="module")
def work() -> Reptile:
    """Three visits to two games of other sizes; tests must not change it."""
    torch.set_num_threads(1)
    made = Reptile(RECIPE, [game("a"), game("b", WIDER)])
    for name in ("a", "b", "a"):
        made.visit(name, 0.5)
    return made


@pytest.fixture
def file(work: Reptile, tmp_path: Path) -> Path:
    """What it writes."""
    path = tmp_path / "start.safetensors"
    path.write_bytes(work.content())
    return path


# -- the making ------------------------------------------------------------------------------------------------------


def test_a_visit_moves_the_weights_part_of_the_way() -> None:
    """w + step * (w' - w), for what is common and for the trunk of the game's size; the other trunk stays."""
    made = Reptile(RECIPE, [game("a"), game("b", WIDER)])
    before = {name: tensor.clone() for name, tensor in made.weights.items()}
    made.visit("a", 0.25)
    net = made._learners["a"].net
    learned = parts(net)
    for name, tensor in made.weights.items():
        expected = before[name].lerp(learned[name], 0.25) if name in learned else before[name]
        assert torch.equal(tensor, expected), name
    for name in ("encoder.stem.0.weight", "encoder.top.0.weight", f"trunk.{net.encoder.size}.0.weight"):
        assert not torch.equal(made.weights[name], before[name])
    assert (made.done, made.visits) == (3, {"a": 1, "b": 0})


def test_a_step_of_nothing_changes_nothing() -> None:
    """As at the end of a run."""
    made = Reptile(RECIPE, [game("a"), game("b")])
    before = {name: tensor.clone() for name, tensor in made.weights.items()}
    made.visit("b", 0.0)
    assert all(torch.equal(tensor, before[name]) for name, tensor in made.weights.items())


def test_a_visit_begins_as_a_new_game_does(work: Reptile) -> None:
    """The weights, other heads and FiLM than those learned at the last visit, and an optimiser that knows nothing."""
    learner = Learner(SPEC, VECTOR, game("a").replay, seed=3)
    for _ in range(3):
        learner.update()
    heads = {name: tensor.clone() for name, tensor in learner.net.state_dict().items() if name.startswith("held.")}
    statistics = learner.net.preprocess.mean.clone()
    learner.begin_again(lambda net: put(net, work.weights))
    state = learner.net.state_dict()
    assert all(torch.equal(tensor, work.weights[name]) for name, tensor in parts(learner.net).items())
    assert not any(torch.equal(state[name], tensor) for name, tensor in heads.items())
    assert float(state["encoder.film.bias"].abs().sum()) == 0.0
    assert not learner.optimizer.state
    assert learner.updates == 0
    assert torch.equal(learner.net.preprocess.mean, statistics)
    assert all(torch.equal(tensor, state[name]) for name, tensor in learner.average.state_dict().items())


def test_a_new_game_is_learned_sooner_with_it() -> None:
    """What it is for: a game that was never visited loses less in its first updates."""
    made = Reptile(replace(RECIPE, inner=8), [game("a"), game("b")])
    nothing = {name: tensor.clone() for name, tensor in made.weights.items()}
    for number in range(14):
        made.visit("ab"[number % 2], 0.5)
    new = Learner(SPEC, VECTOR, game("c").replay, seed=9)
    new.take_probe(made._learners["a"])
    losses = []
    for weights in (nothing, made.weights):
        new.begin_again(lambda net, weights=weights: put(net, weights))
        losses.append(np.mean([new.update() for _ in range(8)]))
    assert losses[1] < losses[0] - 0.1


def test_all_that_games_share_is_made_but_film() -> None:
    """A part added to the network's common ones must be thought of here too."""
    shared = {name for name in NAMES if name != "encoder.film"}
    assert all(f"{name}.".startswith(COMMON) for name in shared)
    net = PolicyNet(SPEC)
    held = {name.rpartition(".")[0] for name in parts(net) if not name.startswith("trunk.")}
    assert held == shared


def test_game_of_other_history_keeps_its_own_first_convolution() -> None:
    """Two frames instead of four: the rest is learned from it all the same."""
    made = Reptile(RECIPE, [game("a"), game("b", replace(SPEC, frames=2))])
    before = {name: tensor.clone() for name, tensor in made.weights.items()}
    made.visit("b", 1.0)
    assert torch.equal(made.weights["encoder.stem.0.weight"], before["encoder.stem.0.weight"])
    assert not torch.equal(made.weights["encoder.stem.3.weight"], before["encoder.stem.3.weight"])


def test_it_begins_with_the_shipped_encoder_or_with_nothing() -> None:
    """As asked."""
    shipped = load_file(bundled.shipped_weights())["top.0.weight"]
    games = [game("a", count=70), game("b", count=70)]
    made = {begun: Reptile(replace(RECIPE, begun_with=begun), games) for begun in ("bundled", "scratch")}
    assert torch.equal(made["bundled"].weights["encoder.top.0.weight"], shipped)
    assert not torch.equal(made["scratch"].weights["encoder.top.0.weight"], shipped)


def test_file_says_how_it_was_made(file: Path) -> None:
    """Recipe, games, visits, losses."""
    with safe_open(file, framework="pt") as opened:
        about = json.loads(opened.metadata()["about"])
    assert about["recipe"]["games"] == ["a", "b"]
    assert about["recipe"]["inner"] == 3
    assert about["visits"] == {"a": 2, "b": 1}
    assert about["updates"] == 9
    assert set(about["losses"]) == {"a", "b"}


# -- what takes it ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", [SPEC, WIDER])
def test_a_game_begins_with_the_file(work: Reptile, file: Path, spec: PolicySpec) -> None:
    """Network and average have its weights and the trunk of their size; all else is as without it."""
    source = make_encoder(f"start:{file}", spec)
    learner = Learner(spec, VECTOR, Replay(spec, 1 << 20), seed=5, source=source)
    without = Learner(spec, VECTOR, Replay(spec, 1 << 20), seed=5).net.state_dict()
    own = {"trunk." + name.split(".", 2)[2] if name.startswith("trunk.") else name: tensor
           for name, tensor in work.weights.items()
           if not name.startswith("trunk.") or name.startswith(f"trunk.{learner.net.encoder.size}.")}  # fmt: skip
    assert "trunk.0.weight" in own
    for net in (learner.net, learner.average):
        for name, tensor in net.state_dict().items():
            assert torch.equal(tensor, own.get(name, without[name])), name
    assert source.about == "begun with start.safetensors"


def test_picture_of_another_size_takes_all_but_a_trunk(work: Reptile, file: Path) -> None:
    """There is none for it."""
    spec = replace(SPEC, frame_width=90, frame_height=80)
    net = Learner(spec, VECTOR, Replay(spec, 1 << 20), source=make_encoder(f"start:{file}", spec)).net
    without = Learner(spec, VECTOR, Replay(spec, 1 << 20)).net
    assert torch.equal(net.encoder.get_submodule("top.0").weight, work.weights["encoder.top.0.weight"])
    assert torch.equal(net.trunk[0].weight, without.trunk[0].weight)


def test_other_numbers_of_frames_take_it(work: Reptile, file: Path) -> None:
    """Luma, newest difference and colours keep their weights."""
    spec = replace(SPEC, frames=2)
    net = Learner(spec, VECTOR, Replay(spec, 1 << 20), source=make_encoder(f"start:{file}", spec)).net
    wide = work.weights["encoder.stem.0.weight"]
    assert torch.equal(net.encoder.get_submodule("stem.0").weight, wide[:, [0, 3, 4, 5]])


def test_shared_model_begins_with_it_too(work: Reptile, file: Path) -> None:
    """Its shared parts, and what the game has of its own."""
    source = make_encoder(f"start:{file}", SPEC)
    learner = SharedLearner("c", SPEC, VECTOR, Replay(SPEC, 1 << 20), (), source=source)
    assert all(torch.equal(tensor, work.weights[name]) for name, tensor in parts(learner.net).items())


def damaged(path: Path, how: str) -> Path:
    tensors = load_file(path)
    match how:
        case "missing":
            return path.with_name("no-such-file")
        case "garbage":
            path.write_bytes(b"\xff" * 99)
        case "the shipped encoder":
            return bundled.shipped_weights()
        case "a part missing":
            del tensors["sound.1.bias"]
            save_file(tensors, path)
        case "another shape":
            save_file(tensors | {"encoder.stem.0.weight": torch.zeros(6)}, path)
        case "not finite":
            save_file(tensors | {"encoder.top.0.bias": torch.full((64,), float("nan"))}, path)
    return path


@pytest.mark.parametrize(
    "how", ["missing", "garbage", "the shipped encoder", "a part missing", "another shape", "not finite"]
)
def test_file_that_cannot_be_used_is_told_and_replaced(file: Path, how: str) -> None:
    """One error that names the file and says what to do; a trainer learns on with what there is, and says why."""
    choice = f"start:{damaged(file, how)}"
    with pytest.raises(PlatformUnavailable, match=r"learning can't begin with it.*training\.reptile"):
        make_encoder(choice, SPEC)
    source = make_or_fall_back(choice, SPEC)
    assert source.choice == "bundled"
    assert choice.removeprefix("start:") in source.note


# -- the command -----------------------------------------------------------------------------------------------------


def test_command_makes_a_file_of_recorded_games(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From sessions under two roots, without the game that is left out; the program takes it."""
    roots = [write(tmp_path / "x", "a"), write(tmp_path / "y", "b")]
    for root, name in zip(roots, ("c", "d"), strict=True):
        write(root, name, spec=WIDER)
    out = tmp_path / "start.safetensors"
    arguments = ["--sessions", *map(str, roots), "--out", str(out), "--without", "c", "--inner", "1"]
    assert reptile.main([*arguments, "--minutes", "0.005", "--from-nothing"]) == 0
    with safe_open(out, framework="pt") as opened:
        about = json.loads(opened.metadata()["about"])
    assert sorted(about["recipe"]["games"]) == ["a", "b", "d"]
    assert about["recipe"]["without"] == ["c"]
    assert about["recipe"]["begun_with"] == "scratch"
    assert about["updates"] == sum(about["visits"].values()) > 0
    make_encoder(f"start:{out}", SPEC)
    assert f"{out}: " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("names", "without", "said"),
    [((), (), "no sessions under"), (("a",), (), "it takes two"), (("a", "b"), ("b",), "it takes two"),
     (("a", "b"), ("pong",), "there are a, b")],
)  # fmt: skip
def test_too_few_games_are_told(tmp_path: Path, names: Any, without: Any, said: str) -> None:
    """With what there is."""
    for name in names:
        write(tmp_path, name, 2)
    with pytest.raises(TrayAgentError, match=said):
        read_games([tmp_path], without)


def test_game_with_hardly_a_tick_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And named."""
    for name, count in (("a", 80), ("b", 80), ("c", 5)):
        write(tmp_path, name, count)
    assert {one.name for one in read_games([tmp_path], ())} == {"a", "b"}
    assert "left out: c: fewer than" in capsys.readouterr().err


def test_reasons_end_the_command_with_code_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A sentence, not a traceback."""
    out = tmp_path / "start.safetensors"
    assert reptile.main(["--sessions", str(tmp_path), "--out", str(out)]) == 1
    assert "reptile: no sessions under" in capsys.readouterr().err
    assert not out.exists()


def test_interrupt_keeps_the_last_whole_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while it learns ends with code 130, and what was there stays."""

    def interrupted(self: Reptile, name: str, step: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Reptile, "visit", interrupted)
    root = tmp_path / "sessions"
    for name in "ab":
        write(root, name)
    out = tmp_path / "start.safetensors"
    out.write_bytes(b"before")
    assert reptile.main(["--sessions", str(root), "--out", str(out), "--from-nothing"]) == 130
    assert out.read_bytes() == b"before"


@pytest.mark.parametrize(
    "wrong", [["--minutes", "0"], ["--inner", "0"], ["--out", "/no/such/folder/x"], ["--sessions", "/no/such"]]
)
def test_wrong_arguments_are_told(wrong: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is read."""
    with pytest.raises(SystemExit) as ended:
        reptile.main(["--sessions", str(tmp_path), "--out", str(tmp_path / "x"), *wrong])
    assert ended.value.code == 2
    assert "error" in capsys.readouterr().err
