"""Parts of the network that games have in common (torch).

A game's network stays an ordinary `PolicyNet`; these modules in it are the same objects as in the other games'. Its own
are always the statistics of its picture and the heads (its controls), and where games go on being played also the first
layers and the trunk.
"""

from collections.abc import Sequence

import torch
from torch import nn

from tray_agent.core.controls import Controls
from tray_agent.core.policy import PolicySpec
from tray_agent.training.encoders.source import EncoderSource
from tray_agent.training.model import PolicyNet
from tray_agent.training.muon import Muon

PLAYED = ("encoder.film", "encoder.top.0", "encoder.top.1", "sound.1")
"""Of one model that plays all its games. A new game that begins with first layers that others have made theirs plays
much worse after as many updates (decisions/0008-shared-model.md)."""
NAMES = ("encoder.stem.0", "encoder.stem.1", "encoder.stem.3", "encoder.stem.4", *PLAYED)
"""Of what new games begin with."""
TYPICAL = PolicySpec(Controls(("Space",)), rate_hz=15, frame_width=36, frame_height=36)
"""What shared modules are made for. A game with another number of frames has a first convolution of its own."""
_LEARNING_RATE = 1e-3


def new_optimizer(parameters: Sequence[nn.Parameter]) -> Muon:
    """What learns these parameters."""
    return Muon(parameters, _LEARNING_RATE, weight_decay=1e-2, fused=True)


class SharedParts:
    """Modules by name, those that learn and their average, and the one optimiser of all games.

    Args:
        source: makes encoders of TYPICAL.
        seed: of the first weights.
        names: of the modules.
        learn_vectors: whether each game's vector is learned as well.
    """

    def __init__(
        self, source: EncoderSource, seed: int = 0, names: Sequence[str] = NAMES, learn_vectors: bool = False
    ) -> None:
        torch.manual_seed(seed)
        net = PolicyNet(TYPICAL, source.make(TYPICAL))
        source.begin(net)
        average = PolicyNet(TYPICAL, source.make(TYPICAL))
        average.load_state_dict(net.state_dict())
        self.net = nn.ModuleDict({key(name): net.get_submodule(name) for name in names})
        self.average = nn.ModuleDict({key(name): average.get_submodule(name) for name in names})
        self._names = tuple(names)
        self._learn_vectors = learn_vectors
        self._optimizer: Muon | None = None

    def join(self, net: PolicyNet, average: PolicyNet) -> None:
        """Put the shared modules into a game's network and its average, wherever the shapes agree."""
        for target, parts in ((net, self.net), (average, self.average)):
            if self._learn_vectors:
                target.learn_vector()
            for name in self._names:
                own, common = target.get_submodule(name), parts[key(name)]
                if _shapes(own) == _shapes(common):
                    parent, _, last = name.rpartition(".")
                    setattr(target.get_submodule(parent), last, common)

    def optimizer_for(self, parameters: Sequence[nn.Parameter]) -> Muon:
        """The optimiser, which from now on learns a network's own parameters as well."""
        if self._optimizer is None:
            self._optimizer = new_optimizer(list(self.net.parameters()))
        known = {id(p) for group in self._optimizer.param_groups for p in group["params"]}
        self._optimizer.add_param_group({"params": [p for p in parameters if id(p) not in known]})
        return self._optimizer

    @property
    def optimizer(self) -> Muon:
        """The one optimiser; there is one once a network has joined."""
        assert self._optimizer is not None  # noqa: S101 - asked for by those that have joined
        return self._optimizer

    def holds(self, net: PolicyNet) -> frozenset[str]:
        """Names of a network's parameters that are shared."""
        shared = {id(p) for parts in (self.net, self.average) for p in parts.parameters()}
        return frozenset(name for name, parameter in net.named_parameters() if id(parameter) in shared)


def key(name: str) -> str:
    """Name of a shared module in its dict (and the checkpoint), which may have no dots."""
    return name.replace(".", "_")


def _shapes(module: nn.Module) -> list[torch.Size]:
    return [parameter.shape for parameter in module.parameters()]
