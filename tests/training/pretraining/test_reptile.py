"""Weights to begin a game with: how they are made of other games, what takes them, and what is told otherwise."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from recorded_games import SPEC, opened, vector_of, write
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from tray_agent.core.policy import PolicySpec
from tray_agent.errors import PlatformUnavailable
from tray_agent.training.encoders import bundled
from tray_agent.training.encoders.source import make_encoder, make_or_fall_back
from tray_agent.training.encoders.start import COMMON, parts, put
from tray_agent.training.learner import Learner
from tray_agent.training.model import PolicyNet
from tray_agent.training.pretraining.policy_recipe import ReptileRecipe
from tray_agent.training.pretraining.reptile import Reptile
from tray_agent.training.replay import Replay
from tray_agent.training.shared import SharedLearner
from tray_agent.training.shared_parts import NAMES

WIDER = replace(SPEC, frame_width=56)
FEWER = replace(SPEC, frames=2)
VECTOR = vector_of("a")
RECIPE = ReptileRecipe(("a", "b"), inner=3, begun_with="scratch")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """As the command runs."""
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sessions of four games; b has wider pictures, d sees fewer of them."""
    folder = tmp_path_factory.mktemp("sessions")
    for name, spec in (("a", SPEC), ("b", WIDER), ("c", SPEC), ("d", FEWER)):
        write(folder, name, 120, spec)
    return folder


@pytest.fixture(scope="module")
def work(root: Path) -> Reptile:
    """Three visits to two games of other sizes; tests must not change it."""
    torch.set_num_threads(1)
    made = Reptile(RECIPE, opened(root, "ab"))
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


def test_a_visit_moves_the_weights_part_of_the_way(root: Path) -> None:
    """w + step * (w' - w), for what is common and for the trunk of the game's size; the other trunk stays."""
    made = Reptile(RECIPE, opened(root, "ab"))
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


def test_a_step_of_nothing_changes_nothing(root: Path) -> None:
    """As at the end of a run."""
    made = Reptile(RECIPE, opened(root, "ab"))
    before = {name: tensor.clone() for name, tensor in made.weights.items()}
    made.visit("b", 0.0)
    assert all(torch.equal(tensor, before[name]) for name, tensor in made.weights.items())


def test_a_visit_begins_as_a_new_game_does(work: Reptile, root: Path) -> None:
    """The weights, other heads and FiLM than those learned at the last visit, and an optimiser that knows nothing."""
    learner = Learner(SPEC, VECTOR, opened(root, "a")[0].replay, seed=3)
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


def test_a_new_game_is_learned_sooner_with_it(root: Path) -> None:
    """What it is for: a game that was never visited loses less in its first updates."""
    made = Reptile(replace(RECIPE, inner=8), opened(root, "ab"))
    nothing = {name: tensor.clone() for name, tensor in made.weights.items()}
    for number in range(14):
        made.visit("ab"[number % 2], 0.5)
    new = Learner(SPEC, VECTOR, opened(root, "c")[0].replay, seed=9)
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


def test_game_of_other_history_keeps_its_own_first_convolution(root: Path) -> None:
    """Two frames instead of four: the rest is learned from it all the same."""
    made = Reptile(replace(RECIPE, games=("a", "d")), opened(root, "ad"))
    before = {name: tensor.clone() for name, tensor in made.weights.items()}
    made.visit("d", 1.0)
    assert torch.equal(made.weights["encoder.stem.0.weight"], before["encoder.stem.0.weight"])
    assert not torch.equal(made.weights["encoder.stem.3.weight"], before["encoder.stem.3.weight"])


def test_it_begins_with_the_shipped_encoder_or_with_nothing(root: Path) -> None:
    """As asked."""
    shipped = load_file(bundled.shipped_weights())["top.0.weight"]
    games = opened(root, "ac")
    made = {begun: Reptile(replace(RECIPE, begun_with=begun), games) for begun in ("bundled", "scratch")}
    assert torch.equal(made["bundled"].weights["encoder.top.0.weight"], shipped)
    assert not torch.equal(made["scratch"].weights["encoder.top.0.weight"], shipped)


def test_killed_and_resumed_visits_are_the_same(root: Path) -> None:
    """To the last bit: weights after three visits, and after one, a state taken and given, and two."""
    whole, broken, again = (Reptile(RECIPE, opened(root, "ab")) for _ in range(3))
    for made in (whole, broken):
        torch.manual_seed(3)
        for learner in made._learners.values():
            learner.bf16 = False
        made.visit("a", 0.5)
        if made is whole:
            made.visit("b", 0.5)
            made.visit("a", 0.25)
    again.go_on(broken.state())
    again.visit("b", 0.5)
    again.visit("a", 0.25)
    assert (again.done, again.visits, again.losses) == (whole.done, whole.visits, whole.losses)
    assert all(torch.equal(tensor, again.weights[name]) for name, tensor in whole.weights.items())


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


def test_encoder_alone_is_taken_too(tmp_path: Path) -> None:
    """A file of `pretrain encoder`: convolutions are the file's, sound branch and trunk as without it."""
    shipped = bundled.shipped_weights()
    net = Learner(SPEC, VECTOR, Replay(SPEC, 1 << 20), source=make_encoder(f"start:{shipped}", SPEC)).net
    without = Learner(SPEC, VECTOR, Replay(SPEC, 1 << 20)).net.state_dict()
    weights = {f"encoder.{name}": tensor for name, tensor in load_file(shipped).items()}
    assert "encoder.top.0.weight" in weights
    assert all(torch.equal(tensor, weights.get(name, without[name])) for name, tensor in net.state_dict().items())


def damaged(path: Path, how: str) -> Path:
    tensors = load_file(path)
    match how:
        case "missing":
            return path.with_name("no-such-file")
        case "garbage":
            path.write_bytes(b"\xff" * 99)
        case "a part missing":
            del tensors["sound.1.bias"]
            save_file(tensors, path)
        case "another shape":
            save_file(tensors | {"encoder.stem.0.weight": torch.zeros(6)}, path)
        case "not finite":
            save_file(tensors | {"encoder.top.0.bias": torch.full((64,), float("nan"))}, path)
    return path


@pytest.mark.parametrize("how", ["missing", "garbage", "a part missing", "another shape", "not finite"])
def test_file_that_cannot_be_used_is_told_and_replaced(file: Path, how: str) -> None:
    """One error that names the file and says what to do; a trainer learns on with what there is, and says why."""
    choice = f"start:{damaged(file, how)}"
    with pytest.raises(PlatformUnavailable, match=r"learning can't begin with it.*tray-agent pretrain"):
        make_encoder(choice, SPEC)
    source = make_or_fall_back(choice, SPEC)
    assert source.choice == "bundled"
    assert choice.removeprefix("start:") in source.note
