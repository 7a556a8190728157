"""Who plays? A small network that tells the player's stretches of actions from others', on the same pictures (torch).

Its features of the pictures are the policy's own, which it does not change.
"""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from tray_agent.core.controls import Controls
from tray_agent.training.model import AXIS_BINS, RELATIVE_BINS
from tray_agent.training.together import Together

_SEEN = 32
_TICK = 64
_WIDTH = 128
_LEARNING_RATE = 1e-3
_R1 = 0.1
_LEAK = 0.2

Outputs = tuple[Tensor, Tensor, Tensor]
"""As `PolicyNet` gives them."""


class ActionCode:
    """Actions as rows of numbers: a bit for each button, then a one of each relative control's and axis' bins.

    Recorded counts and places are put into the policy's bins as well, so that their exact values betray nobody.
    """

    def __init__(self, controls: Controls) -> None:
        self._controls = controls
        self.size = (
            len(controls.buttons) + len(controls.relative) * len(RELATIVE_BINS) + len(controls.axes) * len(AXIS_BINS)
        )
        """Numbers in a row."""

    def of(self, actions: Tensor) -> Tensor:
        """Action vectors (n, controls.size) -> rows (n, size)."""
        held, relative, axes = self._controls.split(actions)  # type: ignore[arg-type]
        parts = [(torch.as_tensor(held) >= 0.5).float()]
        for values, bins in ((relative, RELATIVE_BINS), (axes, AXIS_BINS)):
            nearest = (torch.as_tensor(values)[..., None] - torch.tensor(bins, device=actions.device)).abs().argmin(-1)
            parts.append(functional.one_hot(nearest, len(bins)).float().flatten(1))
        return torch.cat(parts, dim=1)

    def sampled(self, outputs: Outputs, together: Together) -> Tensor:
        """What the policy would do, by chance as at temperature 1: rows (n, size), with a gradient to its logits.

        Straight-through, as `Together.sampled`; bins by Gumbel-softmax.
        """
        held, relative, axes = (output.float() for output in outputs)
        parts = [together.sampled(held)] if held.shape[1] else []
        parts += [functional.gumbel_softmax(logits, hard=True).flatten(1) for logits in (relative, axes)]
        return torch.cat(parts, dim=1)

    def surprise(self, outputs: Outputs, rows: Tensor, together: Together) -> Tensor:
        """Cross-entropy of each tick, shape (n,): means over buttons, relative controls and axes, added up."""
        total = torch.zeros(len(rows), device=rows.device)
        for logits, wanted in zip(outputs, self._parts(rows), strict=True):
            if not wanted.shape[1]:
                continue
            if wanted.dim() == 2:
                total = total + together.each(logits.float(), wanted)
            else:
                total = total - (logits.float().log_softmax(-1) * wanted).sum(-1).mean(1)
        return total

    def _parts(self, rows: Tensor) -> Iterator[Tensor]:
        """Rows cut up as the policy's outputs are."""
        n, controls = len(rows), self._controls
        sizes = [len(controls.buttons), len(controls.relative) * len(RELATIVE_BINS)]
        held, relative, axes = rows.tensor_split([sizes[0], sum(sizes)], dim=1)
        yield held
        yield relative.reshape(n, len(controls.relative), len(RELATIVE_BINS))
        yield axes.reshape(n, len(controls.axes), len(AXIS_BINS))


@dataclass(frozen=True)
class Played:
    """Stretches of play: `seen` float (stretches, ticks, features), `done` rows of actions (stretches, ticks, size)."""

    seen: Tensor
    done: Tensor


class Discriminator(nn.Module):
    """Stretches -> logit that the player played them, shape (stretches,).

    Args:
        features: of a tick's picture and sound.
        size: of a row of actions.
        length: ticks of a stretch.
    """

    def __init__(self, features: int, size: int, length: int) -> None:
        super().__init__()
        self.seen = nn.Linear(features, _SEEN)
        self.tick = nn.Linear(_SEEN + size, _TICK)
        self.stretch = nn.Linear(length * _TICK, _WIDTH)
        self.player = nn.Linear(_WIDTH, 1)

    def forward(self, played: Played) -> Tensor:
        seen = functional.leaky_relu(self.seen(played.seen), _LEAK)
        ticks = functional.leaky_relu(self.tick(torch.cat([seen, played.done], dim=2)), _LEAK)
        said: Tensor = self.player(functional.leaky_relu(self.stretch(ticks.flatten(1)), _LEAK))[:, 0]
        return said


class Judge:
    """A discriminator that learns. Any thread may ask it: each call is one piece of work under its own lock.

    It learns to say 1 of the player's stretches and 0 of others': max over D of E_player[log D] + E_other[log(1 - D)],
    the inner problem of GAIL's saddle point (Ho & Ermon 2016, arXiv 1606.03476, section 5 and algorithm 1; there with
    the labels the other way round). So that its slope stays gentle where the player is, half of _R1 times the squared
    slope by the player's actions is added (R1, Mescheder et al. 2018, arXiv 1801.04406, section 4.1).

    Args:
        net: what learns.
    """

    def __init__(self, net: Discriminator) -> None:
        self._net = net
        self._optimizer = torch.optim.AdamW(net.parameters(), _LEARNING_RATE, betas=(0.5, 0.99), weight_decay=1e-2)
        self._lock = threading.Lock()
        self.steps = 0
        """How often it has learned."""

    def learn(self, player: Played, other: Played) -> None:
        """One step."""
        with self._alone(), torch.enable_grad():
            done = player.done.detach().requires_grad_()
            right = self._net(Played(player.seen, done))
            (slope,) = torch.autograd.grad(right.sum(), done, create_graph=True)
            penalty = 0.5 * _R1 * slope.square().sum((1, 2)).mean()
            loss = functional.softplus(-right).mean() + functional.softplus(self._net(other)).mean() + penalty
            self._optimizer.zero_grad()
            torch.autograd.backward(loss)
            if torch.isfinite(nn.utils.clip_grad_norm_(self._net.parameters(), 1.0)):
                self._optimizer.step()
            self.steps += 1

    def says(self, played: Played) -> Tensor:
        """Logits that the player played these, shape (stretches,); no gradient."""
        with self._alone(), torch.no_grad():
            said: Tensor = self._net(played)
        return said

    def slope(self, other: Played) -> Tensor:
        """Gradient of the other side's loss by its actions, of their shape.

        The loss is -log D, the non-saturating one (Goodfellow et al. 2014, arXiv 1406.2661, section 3), mean over
        stretches. Given as a gradient, not as a loss, because another thread may let the judge learn before that
        would be propagated back.
        """
        with self._alone(), torch.enable_grad():
            done = other.done.detach().requires_grad_()
            loss = functional.softplus(-self._net(Played(other.seen, done))).mean()
            (slope,) = torch.autograd.grad(loss, done)
        return slope

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """No other thread at work, and whole precision whatever the policy learns in."""
        with self._lock, torch.autocast(self._net.player.weight.device.type, enabled=False):
            yield
