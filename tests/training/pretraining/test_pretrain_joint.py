"""One network learned on many games at once: what they share, what the file holds, what a new game has of it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from recorded_games import SPEC, opened, vector_of, write
from safetensors import safe_open

from tray_agent.errors import TrayAgentError
from tray_agent.training.encoders.source import make_encoder
from tray_agent.training.encoders.start import parts, put
from tray_agent.training.learner import Learner
from tray_agent.training.model import PolicyNet
from tray_agent.training.pretraining.joint import Joint
from tray_agent.training.pretraining.policy_recipe import Recipe
from tray_agent.training.replay import Replay

RECIPE = Recipe(("a", "b", "c", "d"), begun_with="scratch")
SPECS = {"a": SPEC, "b": replace(SPEC, frame_width=56), "c": SPEC, "d": replace(SPEC, frames=2)}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """As the command runs."""
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sessions of five games; b has wider pictures, d sees fewer of them."""
    folder = tmp_path_factory.mktemp("sessions")
    for name, spec in (*SPECS.items(), ("e", SPEC)):
        write(folder, name, 120, spec)
    return folder


def begun(root: Path, names: str = "abcd") -> Joint:
    """Exactly repeatable."""
    made = Joint(replace(RECIPE, games=tuple(names)), opened(root, names))
    for learner in made._learners.values():
        learner.bf16 = False
    return made


@pytest.fixture(scope="module")
def work(root: Path) -> Joint:
    """Some updates of each; tests must not change it."""
    torch.set_num_threads(1)
    made = begun(root)
    for name in "abcd" * 3:
        made.learn(name)
    return made


def test_games_share_what_fits(work: Joint) -> None:
    """Convolutions, FiLM and sound are the same objects in all, the trunk in those of a size; heads in none."""
    a, b, c, d = (work._learners[name].net for name in "abcd")
    for other in (b, c, d):
        assert other.encoder.film is a.encoder.film
        assert other.get_submodule("encoder.top.0") is a.get_submodule("encoder.top.0")
        assert other.get_submodule("sound.1") is a.get_submodule("sound.1")
        assert other.held is not a.held
    assert (c.trunk is a.trunk, d.trunk is a.trunk, b.trunk is a.trunk) == (True, True, False)
    assert d.get_submodule("encoder.stem.0") is not a.get_submodule("encoder.stem.0")
    averages = [work._learners[name].average for name in "ac"]
    assert averages[0].trunk is averages[1].trunk
    assert averages[0].trunk is not a.trunk


def test_a_games_update_leaves_what_is_others_alone(root: Path) -> None:
    """Its own and the common parts move; the other's heads and trunk stay, although one optimiser has them all."""
    made = begun(root, "ab")
    made.learn("b")
    before = {name: tensor.detach().clone() for name, tensor in made._named().items()}
    made.learn("a")
    moved = {name for name, tensor in made._named().items() if not torch.equal(tensor, before[name])}
    assert {
        "a/net.held.weight",
        "a/net.trunk.0.weight",
        "a/net.encoder.top.0.weight",
        "a/average.sound.1.bias",
    } <= moved | {"a/average.sound.1.bias"}
    assert not {name for name in moved if name.startswith("b/")}


def test_file_holds_what_a_new_game_takes(work: Joint, tmp_path: Path) -> None:
    """The averages; a trunk for each size; the program begins a game with it."""
    weights = work.weights()
    sizes = {work._learners[name].net.encoder.size for name in "abcd"}
    assert {name.split(".")[1] for name in weights if name.startswith("trunk.")} == {str(size) for size in sizes}
    for name in "ab":
        for part, tensor in parts(work._learners[name].average).items():
            if not part.startswith("encoder.stem.4."):
                assert torch.equal(weights[part], tensor), part
    path = tmp_path / "start.safetensors"
    path.write_bytes(work.content())
    source = make_encoder(f"start:{path}", SPEC)
    net = Learner(SPEC, vector_of("e"), Replay(SPEC, 1 << 20), source=source).net
    assert all(torch.equal(tensor, weights[name]) for name, tensor in parts(net).items())
    with safe_open(path, framework="pt") as file:
        about = json.loads(file.metadata()["about"])
    assert about["recipe"]["games"] == ["a", "b", "c", "d"]
    assert about["recipe"]["method"] == "joint"
    assert about["updates"] == 12
    assert set(about["losses"]) == set("abcd")


def test_mean_film_goes_into_the_norm(work: Joint, root: Path) -> None:
    """A network without FiLM that is begun with the file sees what games with their mean FiLM did."""
    game = work._games["a"]
    with torch.no_grad():
        said = [work._learners[n].average.encoder.film(torch.tensor([vector_of(n)])) for n in "abcd"]
    assert float(torch.stack(said).std(0).max()) > 0
    average = work._learners["a"].average.eval()
    new = PolicyNet(SPEC).eval()
    new.preprocess.load_state_dict(average.preprocess.state_dict())
    put(new, work.weights())
    frames = torch.from_numpy(game.replay.draw(8).frames)
    vector = torch.tensor([vector_of("e")]).expand(8, -1)
    normal = average.preprocess(frames)
    with torch.no_grad():
        scale, shift = torch.stack(said).mean(0)[:, :, None, None].chunk(2, dim=1)
        expected = average.encoder.top(torch.relu(average.encoder.stem(normal) * (1 + scale) + shift))
        new.encoder.film.weight.zero_()
        got = new.encoder(frames, vector)
    assert torch.allclose(got, expected, atol=1e-5)
    assert not torch.allclose(got, average.encoder.top(torch.relu(average.encoder.stem(normal))), atol=1e-5)


def test_a_new_game_is_learned_sooner_with_it(root: Path) -> None:
    """What it is for: a game that it has not seen loses less in its first updates."""
    made = begun(root, "ac")
    nothing = made.weights()
    for number in range(60):
        made.learn("ac"[number % 2])
    new = Learner(SPEC, vector_of("e"), opened(root, "e")[0].replay, seed=9)
    new.bf16 = False
    losses = []
    for weights in (nothing, made.weights()):
        new.begin_again(lambda net, weights=weights: put(net, weights))
        losses.append(np.mean([new.update() for _ in range(8)]))
    assert losses[1] < losses[0] - 0.1


def test_killed_and_resumed_is_the_same_to_the_last_bit(root: Path) -> None:
    """All tensors after nine updates, and after five, a state taken and given, and four."""
    order = "abcadbcab"
    whole, broken, again = (begun(root) for _ in range(3))
    for made, until in ((whole, 9), (broken, 5)):
        torch.manual_seed(5)
        for name in order[:until]:
            made.learn(name)
    again.go_on(broken.state())
    for name in order[5:]:
        again.learn(name)
    mine, theirs = again._named(), whole._named()
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(tensor, mine[name]) for name, tensor in theirs.items())
    assert (again.done, again.losses) == (whole.done, whole.losses)


def test_state_of_other_games_is_refused(work: Joint, root: Path) -> None:
    """With what to do."""
    with pytest.raises(TrayAgentError, match="another network; begin without --resume"):
        begun(root, "ac").go_on(work.state())


def test_it_measures_at_the_end(root: Path) -> None:
    """Skill of each game on its stretches that nobody learns from, once the minutes are over."""
    made = Joint(replace(RECIPE, games=("a", "b"), minutes=1e-9), opened(root, "ab"))
    made.learn("a")
    assert list(made.updates()) == []
    assert set(made.skill) == {"a", "b"}
    made.close()
