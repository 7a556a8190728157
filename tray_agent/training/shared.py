"""One model for all games: the learner of the game that is watched, which learns on those watched before (torch).

Three of four updates are the current game's; the others have the rest in turn, so that the shared parts do not forget
them (decisions/0008-shared-model.md).
"""

import logging
import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from torch import Tensor, nn

from tray_agent.core.policy import PolicySpec
from tray_agent.training.adversarial import NONE
from tray_agent.training.encoders.source import SCRATCH_SOURCE, EncoderSource, make_or_fall_back
from tray_agent.training.handover import Handover
from tray_agent.training.learner import Learner
from tray_agent.training.model import AXIS_BINS, RELATIVE_BINS, PolicyNet
from tray_agent.training.muon import kept_in, kept_of, state_from
from tray_agent.training.other_games import OtherGame
from tray_agent.training.reaction import AT_ONCE
from tray_agent.training.replay import Replay
from tray_agent.training.shared_file import GameParts, SharedCheckpoint, Tensors, read_shared, write_shared
from tray_agent.training.shared_parts import PLAYED, TYPICAL, SharedParts, key

_log = logging.getLogger(__name__)
_OWN_UPDATES = 3
"""Of the current game, to one of another's."""
_NEAR = 0.15
"""Of the length of the longer vector; no two ids are as near (the least is 0.16)."""
_SHIFT = "vector_shift"
_SAVED_BYTES_PER_S = 2e6  # the file grows with the games: a larger one is written more seldom
_HEADS = {"held": 1, "relative": len(RELATIVE_BINS), "axes": len(AXIS_BINS)}
"""Rows of each head that belong to one control."""


class SharedLearner(Learner):
    """Learner of the current game, with learners of other games that hold the same shared parts.

    Only the current game's part of it is exported; bundles of other games stay as they are.
    """

    def __init__(
        self,
        game: str,
        spec: PolicySpec,
        vector: tuple[float, ...],
        replay: Replay,
        others: Sequence[OtherGame],
        seed: int = 0,
        lanes: int = 1,
        source: EncoderSource = SCRATCH_SOURCE,
        adversarial: str = NONE,
        reaction: str = AT_ONCE,
        learn_vectors: bool = False,
    ) -> None:
        self._parts = SharedParts(make_or_fall_back(source.choice, TYPICAL), seed, PLAYED, learn_vectors)
        super().__init__(spec, vector, replay, seed, lanes, source, self._parts, adversarial, reaction)
        self._vectors = {game: vector} | {other.name: other.vector for other in others}
        self._members: dict[str, Learner] = {game: self}
        for other in others:
            its_source = make_or_fall_back(source.choice, other.spec)
            self._members[other.name] = Learner(
                other.spec, other.vector, other.replay, seed, lanes, its_source, self._parts
            )
        self._known: dict[str, GameParts] = {}
        self._turn = 0
        self._save_at = 0.0

    @property
    def others(self) -> dict[str, Learner]:
        """Learners of the other games."""
        return {name: member for name, member in self._members.items() if member is not self}

    def update(self) -> float:
        """As `Learner.update`, and every third time as much for the game whose turn it is; the current one's loss."""
        loss = super().update()
        self._turn += 1
        ready = [other for other in self.others.values() if other.can_learn()]
        if ready and self._turn % _OWN_UPDATES == 0:
            other = ready[self._turn // _OWN_UPDATES % len(ready)]
            other.take_probe(self)
            other.update()
        return loss

    def close(self) -> None:
        """End all lanes."""
        for other in self.others.values():
            other.close()
        super().close()

    def checkpoint_due(self) -> bool:
        """Whether enough time has passed for another file of its size."""
        return time.monotonic() >= self._save_at

    def save_checkpoint(self, path: Path) -> None:
        """Write shared parts and all games' own; those of games not at hand as they were read.

        Raises:
            OSError: disk full or not writable; the old checkpoint stays.
        """
        games = self._known | {name: self._own_parts(name) for name in self._members}
        shared = dict(self._shared_tensors())
        checkpoint = SharedCheckpoint(self.architecture, _steps_of(self, self._a_shared_parameter()), shared, games)
        size = write_shared(path, checkpoint)
        self._save_at = time.monotonic() + size / _SAVED_BYTES_PER_S

    def load_checkpoint(self, path: Path) -> bool:
        """Continue from a checkpoint; whether the current game was in it.

        A game that is new to it takes the shared parts, and for its own those of its nearest neighbour if one is near.
        """
        checkpoint = read_shared(path, self.architecture)
        if checkpoint is None or not self._take_shared(checkpoint):
            return False
        self._known = checkpoint.games
        taken = {name: self._take_own(name) for name in self._members}
        return taken[next(name for name, member in self._members.items() if member is self)]

    def _take_shared(self, checkpoint: SharedCheckpoint) -> bool:
        modules = (("net.", self._parts.net), ("average.", self._parts.average))
        wanted = {p + name: tensor.shape for p, module in modules for name, tensor in module.state_dict().items()}
        weights = {name: tensor for name, tensor in checkpoint.tensors.items() if not name.startswith(("m.", "v."))}
        if {name: tensor.shape for name, tensor in weights.items()} != wanted:
            _log.warning("the shared model has other tensors than the network; learning begins anew")
            return False
        for prefix, module in modules:
            module.load_state_dict(_under(weights, prefix))
        named = dict(self._parts.net.named_parameters())
        self._take_moments(named, checkpoint.tensors, checkpoint.steps)
        return True

    def _take_own(self, name: str) -> bool:
        """A game's own parts from the checkpoint, or a neighbour's; whether they were its own."""
        member, known = self._members[name], self._known.get(name)
        if known is not None and known.spec.digest == member.spec.digest and self._continue(member, known):
            return True
        neighbour = nearest(self._vectors[name], self._known)
        if neighbour is not None:
            began = self._known[neighbour]
            for net, prefix in ((member.net, "net."), (member.average, "average.")):
                start_from(net, began.spec, _under(began.tensors, prefix))
            _log.info("%s is new to the shared model and begins as %s", name, neighbour)
        return False

    def _continue(self, member: Learner, known: GameParts) -> bool:
        nets = ((member.net, "net."), (member.average, "average."))
        shared = self._parts.holds(member.net)
        for net, prefix in nets:
            wanted = {name: tensor.shape for name, tensor in net.state_dict().items() if name not in shared}
            found = {name: tensor.shape for name, tensor in _under(known.tensors, prefix).items()}
            for shapes in (wanted, found):
                shapes.pop(_SHIFT, None)  # a setting: it may have been changed since
            if found != wanted:
                return False
        for net, prefix in nets:
            net.load_state_dict(_under(known.tensors, prefix), strict=False)
        own = {name: p for name, p in member.net.named_parameters() if name not in shared}
        self._take_moments(own, known.tensors, known.steps)
        member.updates, member.statistics_at = known.updates, known.statistics_at
        member.handover = Handover(0.0)  # a memory helps in a game's first minute only
        return True

    def _take_moments(self, named: dict[str, nn.Parameter], tensors: Tensors, steps: int) -> None:
        for name, parameter in named.items():
            moments = kept_in(tensors, name)
            fit = all(tensor.shape == parameter.shape for tensor in moments.values())
            if fit and (state := state_from(parameter, moments, steps)):
                self.optimizer.state[parameter] = state

    def _shared_tensors(self) -> Iterator[tuple[str, Tensor]]:
        for prefix, module in (("net.", self._parts.net), ("average.", self._parts.average)):
            for name, tensor in module.state_dict().items():
                yield prefix + name, tensor
        yield from _moments_of(self, dict(self._parts.net.named_parameters()))

    def _own_parts(self, name: str) -> GameParts:
        member = self._members[name]
        shared = self._parts.holds(member.net)
        tensors: Tensors = {}
        for net, prefix in ((member.net, "net."), (member.average, "average.")):
            tensors |= {prefix + part: tensor for part, tensor in net.state_dict().items() if part not in shared}
        own = {part: parameter for part, parameter in member.net.named_parameters() if part not in shared}
        tensors |= dict(_moments_of(self, own))
        steps = _steps_of(self, own["trunk.0.weight"])
        counts = (member.updates, member.statistics_at, steps)
        return GameParts(self._vectors[name], member.spec, *counts, tensors)

    def _a_shared_parameter(self) -> nn.Parameter:
        return next(iter(self._parts.net.parameters()))


def network_in(checkpoint: SharedCheckpoint, game: str) -> PolicyNet:
    """What a game would be played with as the checkpoint is: the average.

    Raises:
        KeyError: the game is not in it.
        RuntimeError: it does not hold all of a network.
    """
    known = checkpoint.games[game]
    net = PolicyNet(known.spec)
    if f"average.{_SHIFT}" in known.tensors:
        net.learn_vector()
    common = _under(checkpoint.tensors, "average.")
    state = {f"{name}.{part}": t for name in PLAYED for part, t in _under(common, f"{key(name)}.").items()}
    net.load_state_dict(state | _under(known.tensors, "average."))
    return net


def nearest(vector: tuple[float, ...], known: dict[str, GameParts]) -> str | None:
    """Name of the known game whose vector is the nearest (Euclidean), None if none is near.

    Near are vectors that a player has made so: those of ids are far from each other, and what another game has of its
    own is then worse than a beginning (decisions/0008-shared-model.md).
    """
    name = min(known, key=lambda name: math.dist(vector, known[name].vector), default=None)
    if name is None:
        return None
    longer = max(math.hypot(*vector), math.hypot(*known[name].vector))
    return name if math.dist(vector, known[name].vector) <= _NEAR * longer else None


def start_from(net: PolicyNet, spec: PolicySpec, tensors: Tensors) -> None:
    """Begin first layers and trunk with another game's where shapes agree, and heads control by control.

    Args:
        net: of the new game.
        spec: of the other game.
        tensors: its own parts, names as in a network.
    """
    state = net.state_dict()
    for name, tensor in tensors.items():
        if name.startswith(("encoder.stem.", "trunk.")) and name in state and state[name].shape == tensor.shape:
            state[name].copy_(tensor)
    controls = {"held": "buttons", "relative": "relative", "axes": "axes"}
    if state["held.weight"].shape[1:] != tensors["held.weight"].shape[1:]:
        return
    for head, rows in _HEADS.items():
        mine, theirs = getattr(net.spec.controls, controls[head]), getattr(spec.controls, controls[head])
        for control in set(mine) & set(theirs):
            to, source = rows * mine.index(control), rows * theirs.index(control)
            for part in (f"{head}.weight", f"{head}.bias"):
                state[part][to : to + rows].copy_(tensors[part][source : source + rows])


def _under(tensors: Tensors, prefix: str) -> Tensors:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _moments_of(learner: Learner, named: dict[str, nn.Parameter]) -> Iterator[tuple[str, Tensor]]:
    for name, parameter in named.items():
        if state := learner.optimizer.state.get(parameter):
            for letter, tensor in kept_of(state):
                yield f"{letter}.{name}", tensor


def _steps_of(learner: Learner, parameter: nn.Parameter) -> int:
    state = learner.optimizer.state.get(parameter)
    return int(state["step"]) if state else 0
