"""One model for all games: what is learned together, what is kept, what is left alone."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tray_agent.core.controls import Controls
from tray_agent.core.policy import PolicySpec
from tray_agent.core.sample import TickFlag, TickSample
from tray_agent.errors import BundleError
from tray_agent.runtime import atomic_file
from tray_agent.sessions.layout import game_folder
from tray_agent.sessions.writer import SessionWriter
from tray_agent.settings.vectors import HIGHEST_ID, of_id
from tray_agent.training.export import Exporter, fill_from
from tray_agent.training.learner import Learner
from tray_agent.training.model import PolicyNet
from tray_agent.training.other_games import MOST, OtherGame, load_others, other_games
from tray_agent.training.replay import Replay, least_bytes
from tray_agent.training.shared import SharedLearner, nearest, network_in, start_from
from tray_agent.training.shared_file import GameParts, read_shared
from tray_agent.training.shared_parts import PLAYED

SPEC = PolicySpec(Controls(("ArrowLeft", "ArrowRight")), rate_hz=2, frame_width=40, frame_height=36)
WIDER = replace(SPEC, frame_width=48)
HERE = (1.0,) + (0.0,) * 7
THERE = (0.0, 1.0) + (0.0,) * 6
NEAR_THERE = (0.1, 0.9) + (0.0,) * 6
SILENCE = np.zeros(SPEC.audio_shape, np.float32)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """As the trainer runs."""
    torch.set_num_threads(1)


def ticks(spec: PolicySpec, count: int, swapped: bool = False) -> list[TickSample]:
    """A square left or right tells the key: its own side's, or the other's if `swapped`."""
    random = np.random.default_rng(4)
    made = []
    for tick in range(count):
        pixels = random.integers(0, 60, (spec.frame_height, spec.frame_width, 3), dtype=np.uint8)
        right = bool(random.integers(2))
        x, y = int(random.integers(0, 12)) + (spec.frame_width // 2 if right else 0), int(random.integers(0, 28))
        pixels[y : y + 8, x : x + 8] = 230
        key = right != swapped
        action = np.array([not key, key], np.float32)
        made.append(TickSample(tick, tick * 500_000_000, pixels, SILENCE, action, TickFlag.LEARN))
    return made


def replay(spec: PolicySpec = SPEC, swapped: bool = False, count: int = 600) -> Replay:
    filled = Replay(spec, 1 << 28)
    for one in ticks(spec, count, swapped):
        filled.add("s", one)
    return filled


def other(name: str, spec: PolicySpec = SPEC, held: Replay | None = None, vector: Any = THERE) -> OtherGame:
    return OtherGame(name, vector, spec, (), held or Replay(spec, 1 << 20))


def beginner(game: str = "a", others: tuple[OtherGame, ...] = (), **more: Any) -> SharedLearner:
    """A learner of a game that has nothing to learn from."""
    fields: dict[str, Any] = {"spec": SPEC, "vector": HERE, "replay": Replay(SPEC, 1 << 20)} | more
    return SharedLearner(game=game, others=others, **fields)


def weights(net: PolicyNet) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in net.state_dict().items()}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(tensor, b[name]) for name, tensor in a.items())


@pytest.fixture(scope="module")
def both() -> SharedLearner:
    """One that has learned two games whose keys are swapped; tests must not change it."""
    torch.set_num_threads(1)
    learner = beginner(replay=replay(), others=(other("b", WIDER, replay(WIDER, swapped=True)),))
    while learner.updates < 90:
        learner.update()
    return learner


@pytest.fixture
def saved(both: SharedLearner, tmp_path: Path) -> Path:
    """Its checkpoint."""
    path = tmp_path / "shared.safetensors"
    both.save_checkpoint(path)
    return path


def test_opposite_games_are_learned_in_one_model(both: SharedLearner) -> None:
    """The same square means the other key: both are known, through first layers of their own and the same last one."""
    b = both.others["b"]
    for learner in (both, b):
        assert learner.held_out()["balanced_accuracy"] > 0.9
    for name in PLAYED:
        assert b.net.get_submodule(name) is both.net.get_submodule(name)
        assert b.average.get_submodule(name) is both.average.get_submodule(name)
    for name in ("encoder.stem.0", "encoder.stem.3", "trunk.0", "held"):
        assert b.net.get_submodule(name) is not both.net.get_submodule(name)
    assert abs(both.updates - 3 * b.updates) <= 10  # a probe of the machine belongs to one alone


def test_sets_of_buttons_are_known_again_after_a_restart(saved: Path) -> None:
    """No checkpoint holds them: without them the buttons would be learned each on its own, and played together."""
    learner = beginner(replay=replay(), others=(other("b", WIDER, replay(WIDER, swapped=True)),))
    assert learner.load_checkpoint(saved)
    for _ in range(3):
        learner.update()
    for member in (learner, learner.others["b"]):
        assert len(member.together()) == len(member.replay.combinations()) > 1


def test_lanes_work_with_several_games() -> None:
    """Two gradients at a time, games in turn: both are learned."""
    learner = beginner(replay=replay(), others=(other("b", WIDER, replay(WIDER, swapped=True)),), lanes=2)
    while learner.updates < 96:
        learner.update()
    assert learner.held_out()["balanced_accuracy"] > 0.9
    assert learner.others["b"].held_out()["balanced_accuracy"] > 0.9
    learner.close()


def test_other_games_take_turns() -> None:
    """Two others have a third of what the current game gets in turn; one with nothing loaded yet is passed over."""
    others = (other("b", held=replay(count=80)), other("c", held=replay(count=80)), other("d"))
    learner = beginner(replay=replay(count=80), others=others)
    learner.update()
    before = learner.updates
    for _ in range(17):
        learner.update()
    assert learner.updates == before + 17
    counts = {name: member.updates for name, member in learner.others.items()}
    assert counts["d"] == 0
    assert counts["b"] == counts["c"] == 3


def test_games_with_other_history_are_one_model() -> None:
    """Two frames instead of four: the first layer has another shape, what is shared has not."""
    learner = beginner(others=(other("b", replace(SPEC, frames=2), replay(replace(SPEC, frames=2), count=80)),))
    b = learner.others["b"]
    assert all(b.net.get_submodule(name) is learner.net.get_submodule(name) for name in PLAYED)
    b.update()


def test_checkpoint_goes_on_with_every_game(both: SharedLearner, saved: Path) -> None:
    """Weights, averages and counts of both games come back, moments to bfloat16; whichever is watched next."""
    again = beginner("b", (other("a", vector=HERE),), spec=WIDER, vector=THERE, replay=Replay(WIDER, 1 << 20), seed=7)
    assert again.load_checkpoint(saved)
    a, b = again.others["a"], again
    for mine, theirs in ((a, both), (b, both.others["b"])):
        assert same(weights(mine.net), weights(theirs.net))
        assert same(weights(mine.average), weights(theirs.average))
        assert (mine.updates, mine.statistics_at) == (theirs.updates, theirs.statistics_at)
        for p, q in zip(mine.net.parameters(), theirs.net.parameters(), strict=True):
            state, expected = mine.optimizer.state.get(p), theirs.optimizer.state.get(q)
            assert bool(state) == bool(expected)
            if state and expected:
                assert int(state["step"]) == int(expected["step"])
                assert state.keys() == expected.keys()
                for name in state.keys() - {"step"}:
                    assert torch.allclose(state[name], expected[name], rtol=0.01)
    assert saved.stat().st_mode & 0o777 == 0o600


def test_checkpoint_gives_each_game_its_network(both: SharedLearner, saved: Path) -> None:
    """Shared and own parts put together again: what plays is the average."""
    model = read_shared(saved, both.architecture)
    assert model is not None
    for game, learner in (("a", both), ("b", both.others["b"])):
        assert same(weights(network_in(model, game)), weights(learner.average))


def test_new_game_leaves_the_others_own_parts_alone(both: SharedLearner, saved: Path) -> None:
    """A game learned without the others at hand: what they have of their own stays in the file, bit for bit."""
    before = read_shared(saved, both.architecture)
    learner = beginner("c", replay=replay(count=80), vector=NEAR_THERE)
    assert not learner.load_checkpoint(saved)
    for _ in range(5):
        learner.update()
    learner.save_checkpoint(saved)
    after = read_shared(saved, both.architecture)
    assert before is not None
    assert after is not None
    assert set(after.games) == {"a", "b", "c"}
    for name in ("a", "b"):
        assert same(after.games[name].tensors, before.games[name].tensors)
    assert not torch.equal(after.tensors["net.encoder_top_0.weight"], before.tensors["net.encoder_top_0.weight"])


def test_new_game_begins_as_its_nearest_neighbour(both: SharedLearner, saved: Path) -> None:
    """First layers, trunk and heads are those of the game with the nearest vector, the rest the shared ones."""
    for vector, neighbour in ((NEAR_THERE, both.others["b"]), (HERE, both)):
        learner = beginner("c", spec=neighbour.spec, vector=vector, replay=Replay(neighbour.spec, 1 << 20), seed=9)
        assert not learner.load_checkpoint(saved)
        assert learner.updates == 0
        for net, its in ((learner.net, neighbour.net), (learner.average, neighbour.average)):
            expected = weights(its)
            state = {k: v for k, v in weights(net).items() if "preprocess" not in k}
            used = [k for k in state if not k.startswith(("relative", "axes"))]
            assert all(torch.equal(state[name], expected[name]) for name in used)


def test_new_game_without_a_near_one_begins_as_any_does(both: SharedLearner, saved: Path) -> None:
    """Vectors of ids are far from each other: what other games have of their own would be worse than nothing."""
    learner, begun = (beginner("c", vector=(0.0, 0.0, 1.0) + (0.0,) * 5) for _ in range(2))
    assert not learner.load_checkpoint(saved)
    for name, parameter in learner.net.named_parameters():
        source = both if name.startswith(PLAYED) else begun
        assert torch.equal(parameter, source.net.get_parameter(name))


def test_nearest_of_none_and_of_far_ones_is_none() -> None:
    """The first game of all has no neighbour, nor have games that are told apart by ids alone."""
    parts = GameParts(THERE, SPEC, 0, 0, 0, {})
    assert nearest(HERE, {}) is None
    known = {str(i): replace(parts, vector=of_id(i)) for i in range(HIGHEST_ID + 1)}
    for name in list(known):
        own = known.pop(name)
        assert nearest(own.vector, known) is None
        known[name] = own
    assert nearest(NEAR_THERE, {"far": replace(parts, vector=HERE), "near": parts}) == "near"


@pytest.fixture(scope="module")
def moved() -> SharedLearner:
    """One of two games whose vectors are learned; tests must not change it."""
    torch.set_num_threads(1)
    others = (other("b", WIDER, replay(WIDER, swapped=True)),)
    learner = beginner(replay=replay(), others=others, lanes=2, learn_vectors=True)
    while learner.updates < 48:
        learner.update()
    return learner


def shift(net: PolicyNet) -> torch.Tensor:
    """How far a game's vector has moved."""
    assert net.vector_shift is not None
    return net.vector_shift.detach()


def test_learned_vectors_move_each_its_own_way(moved: SharedLearner) -> None:
    """They begin where the games' vectors are; what each game's error says of them moves them from there."""
    a, b = (shift(learner.average) for learner in (moved, moved.others["b"]))
    assert a.abs().max() > 1e-3
    assert b.abs().max() > 1e-3
    assert not torch.allclose(a, b, atol=1e-4)
    assert shift(beginner(learn_vectors=True).net).abs().max() == 0.0


def test_learned_vectors_are_kept_and_in_the_bundle(moved: SharedLearner, tmp_path: Path) -> None:
    """Checkpoint and graph hold them; the graph is fed with the game's vector as ever and gives them back."""
    path = tmp_path / "shared.safetensors"
    moved.save_checkpoint(path)
    again = beginner("b", (other("a", vector=HERE),), spec=WIDER, vector=THERE, learn_vectors=True)
    assert again.load_checkpoint(path)
    assert torch.equal(shift(again.net), shift(moved.others["b"].net))
    assert torch.equal(shift(again.others["a"].average), shift(moved.average))
    model = read_shared(path, moved.architecture)
    assert model is not None
    assert same(weights(network_in(model, "a")), weights(moved.average))
    onnx, _ = Exporter(SPEC).export(moved.average)
    taken = PolicyNet(SPEC)
    taken.learn_vector()
    fill_from(taken, onnx)
    assert torch.equal(shift(taken), shift(moved.average))
    with pytest.raises(BundleError, match="vector was learned"):
        fill_from(PolicyNet(SPEC), onnx)


def test_learning_vectors_may_be_switched_on_and_off(both: SharedLearner, moved: SharedLearner, tmp_path: Path) -> None:
    """A checkpoint of the one way is gone on from in the other; a bundle without them says that nothing has moved."""
    for learner, on in ((both, True), (moved, False)):
        path = tmp_path / f"{on}.safetensors"
        learner.save_checkpoint(path)
        again = beginner("a", learn_vectors=on)
        assert again.load_checkpoint(path)
        assert again.updates == learner.updates
        assert torch.equal(again.net.trunk[0].weight, learner.net.trunk[0].weight)
        assert (again.net.vector_shift is not None) is on
    onnx, _ = Exporter(SPEC).export(both.average)
    taken = PolicyNet(SPEC)
    taken.learn_vector()
    shift(taken).fill_(1.0)
    fill_from(taken, onnx)
    assert shift(taken).abs().max() == 0.0


def test_heads_are_taken_over_control_by_control() -> None:
    """A control is known by its name, wherever it stands; those that the other game lacks begin as ever."""
    theirs, mine = (
        replace(SPEC, controls=Controls(("ArrowLeft", "Space"), ("MouseX",), ("PadLX", "PadLY"))),
        replace(SPEC, controls=Controls(("KeyA", "Space", "ArrowLeft"), (), ("PadLY",)), frame_width=64),
    )
    known, net = PolicyNet(theirs), PolicyNet(mine)
    before = weights(net)
    tensors = weights(known)
    start_from(net, theirs, tensors)
    assert torch.equal(net.held.weight[0], before["held.weight"][0])
    assert torch.equal(net.held.weight[1], tensors["held.weight"][1])
    assert torch.equal(net.held.weight[2], tensors["held.weight"][0])
    assert torch.equal(net.axes.weight, tensors["axes.weight"][11:])
    assert torch.equal(net.relative.weight, before["relative.weight"])
    assert torch.equal(net.trunk[0].weight, before["trunk.0.weight"])  # another picture, another size
    assert torch.equal(net.trunk[1].weight, tensors["trunk.1.weight"])


@pytest.mark.parametrize("at", ["fsync", "rename"])
def test_kill_while_writing_keeps_the_old_checkpoint(
    both: SharedLearner, saved: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """Dying before or at the rename: the file is the old one, and is taken."""

    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    before = saved.read_bytes()
    monkeypatch.setattr(*((os, "fsync") if at == "fsync" else (atomic_file, "_replace")), die)
    learner = beginner("c")
    with pytest.raises(Killed):
        learner.save_checkpoint(saved)
    assert saved.read_bytes() == before
    assert read_shared(saved, both.architecture) is not None


@pytest.mark.parametrize("how", ["truncated", "garbage", "empty", "other architecture"])
def test_unusable_checkpoint_is_put_aside(both: SharedLearner, saved: Path, how: str) -> None:
    """Learning begins anew with untouched weights, and the next file does not destroy the one that was there."""
    data = saved.read_bytes()
    damaged = {
        "truncated": data[: len(data) // 2], "garbage": b"\xff" * 4096, "empty": b"",
        "other architecture": data.replace(b"shared-2 ", b"shared-1 "),
    }[how]  # fmt: skip
    saved.write_bytes(damaged)
    learner, untouched = beginner(seed=5), beginner(seed=5)
    assert not learner.load_checkpoint(saved)
    assert same(weights(learner.net), weights(untouched.net))
    assert not saved.exists()
    assert saved.with_name(saved.name + ".unusable").read_bytes() == damaged


def test_full_disk_keeps_the_old_checkpoint(both: SharedLearner, small_disk: Path) -> None:
    """A checkpoint that does not fit is an OSError; the one before stays whole."""
    path = small_disk / "shared.safetensors"
    path.write_bytes(b"old")
    with pytest.raises(OSError, match="No space left"):
        both.save_checkpoint(path)
    assert path.read_bytes() == b"old"


def write(root: Path, game: str, name: str, count: int = 80, spec: PolicySpec = SPEC, vector: Any = THERE) -> Path:
    """A session on disk."""
    folder = game_folder(root, game) / name
    writer = SessionWriter(folder, spec, game, vector, threaded=False)
    writer.start()
    for one in ticks(spec, count):
        writer.add(one)
    writer.close()
    return folder


class Told:
    """What was left out."""

    def __init__(self) -> None:
        self.skipped: dict[str, str] = {}

    def __call__(self, what: str, why: str) -> None:
        self.skipped[what] = why


def loaded(root: Path, told: Told, max_bytes: int = 1 << 28) -> dict[str, OtherGame]:
    others = other_games(root, "a", max_bytes, 0, told)
    for _ in load_others(others, told):
        pass
    return {one.name: one for one in others}


def test_other_games_are_found_and_loaded(tmp_path: Path) -> None:
    """All but the current one; the newest session says what the game is like, and older ones of another kind do not."""
    write(tmp_path, "a", "20260101T000000Z-a")
    write(tmp_path, "b", "20260101T000000Z-b", spec=WIDER)
    write(tmp_path, "b", "20260102T000000Z-b", vector=HERE)
    write(tmp_path, "c", "20260103T000000Z-c", spec=WIDER)
    told = Told()
    others = loaded(tmp_path, told)
    assert list(others) == ["c", "b"]  # newest first
    assert (others["b"].spec, others["b"].vector) == (SPEC, HERE)
    assert (others["b"].replay.total, others["c"].replay.total) == (80, 80)
    assert told.skipped == {"20260101T000000Z-b": "recorded with other controls, rate or picture"}


def test_damaged_session_of_another_game_is_skipped_with_a_word(tmp_path: Path) -> None:
    """Metadata or pixels broken: it is named, and the rest is learned from. The current game's are named elsewhere."""
    write(tmp_path, "b", "20260101T000000Z-good")
    (write(tmp_path, "b", "20260102T000000Z-json") / "session.json").write_text("{")
    (write(tmp_path, "b", "20260103T000000Z-video") / "video.mkv").write_bytes(b"\0" * 5000)
    (write(tmp_path, "a", "20260104T000000Z-mine") / "session.json").write_text("{")
    told = Told()
    others = loaded(tmp_path, told)
    assert others["b"].replay.total == 80
    assert set(told.skipped) <= {"20260102T000000Z-json", "20260103T000000Z-video"}
    assert "session.json" in told.skipped["20260102T000000Z-json"]


def test_memory_of_other_games_is_bounded(tmp_path: Path) -> None:
    """Together they never take more than they may; who has no room is named, the longest unwatched first."""
    for number, game in enumerate("bcd"):
        write(tmp_path, game, f"2026010{number + 1}T000000Z-{game}", count=1200)
    told = Told()
    room = 2 * least_bytes(SPEC) + least_bytes(SPEC) // 2
    others = loaded(tmp_path, told, room)
    assert list(others) == ["d", "c"]
    assert sum(one.replay.frame_bytes for one in others.values()) <= room
    assert all(one.replay.total >= 500 for one in others.values())
    assert told.skipped == {"b": "games watched later fill the memory set aside for other games"}


def test_no_more_than_so_many_games_are_learned_along(tmp_path: Path) -> None:
    """Weights take memory as well."""
    for number in range(MOST + 2):
        write(tmp_path, f"game{number:02d}", f"202601{number + 1:02d}T000000Z-x", count=1)
    told = Told()
    others = other_games(tmp_path, "a", 1 << 30, 0, told)
    assert len(others) == MOST
    assert set(told.skipped) == {"game00", "game01"}


def test_weights_come_back_out_of_a_bundle(both: SharedLearner) -> None:
    """What plays can be compared with what was learned since: the graph gives its weights back."""
    onnx, _ = Exporter(SPEC).export(both.average)
    net = PolicyNet(SPEC)
    fill_from(net, onnx)
    learner = Learner(SPEC, HERE, both.replay)
    assert learner.held_out(net) == learner.held_out(both.average)
    with pytest.raises(BundleError, match="does not hold"):
        fill_from(PolicyNet(WIDER), onnx)
    with pytest.raises(BundleError, match="does not hold"):
        fill_from(net, b"no graph")


def test_without_other_games_the_shared_learner_is_the_learner() -> None:
    """Alone, a game is learned exactly as without sharing."""
    alone, shared = Learner(SPEC, HERE, replay(count=80), seed=3), beginner(replay=replay(count=80), seed=3)
    shared.net.load_state_dict(alone.net.state_dict())
    shared.average.load_state_dict(alone.average.state_dict())
    losses: list[list[float]] = []
    for learner in (alone, shared):
        learner.bf16 = False  # which of the two is faster is another day's question
        torch.manual_seed(1)
        losses.append([learner.update() for _ in range(4)])
    assert losses[0] == losses[1]
