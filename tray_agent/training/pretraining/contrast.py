"""What an encoder is taught without any score: which pictures belong together, and what was held (torch).

Temporal contrast as in ATC (Stooke et al. 2021, arXiv 2009.08319, section 3 and algorithm 1): a picture and one of the
next few of the same game are a pair; each is shifted at random; the later one goes through a slow copy of the encoder;
InfoNCE with bilinear similarity tells it from the others of the batch. Beside it inverse dynamics (Pathak et al. 2017,
arXiv 1705.05363, eq. 2-3): what was held between two stacks is told from both, by a head for each game, because the
same key does other things in other games.

Convolutions fit pictures of any size; what follows them here does not, so there is one such layer for each size, and a
batch is of games with pictures of one size.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from tray_agent.core.controls import Controls
from tray_agent.core.planes import PLANES
from tray_agent.core.policy import PolicySpec
from tray_agent.training.augment import shifted
from tray_agent.training.encoders.convolutional import ConvEncoder
from tray_agent.training.encoders.preprocess import Preprocess
from tray_agent.training.pretraining.plays import AHEAD, FRAMES, Play

BATCH = 128
LEARNING_RATE = 1e-3
SHIFT = 4
"""Pixels a picture is moved by at most, each way."""
LATENT = 128
MOMENTUM = 0.99
_STATISTICS_FRAMES = 512
_PER_STACK = FRAMES + PLANES - 1


@dataclass
class Pairs:
    """A batch of n, sorted by game; half of it or more is of one. Pictures are W wide and H high.

    Attributes:
        now, after, later: normalised stacks, float (n, FRAMES + 2, H, W): of a tick, the next one, and one 1 to AHEAD
            ticks later.
        held: float (n, bits), between `now` and `after`; games with fewer bits are filled up with zeros.
        game: int64 (n,).
    """

    now: Tensor
    after: Tensor
    later: Tensor
    held: Tensor
    game: Tensor


class Dealer:
    """Deals batches out of play, normalised by each game's own statistics. One thread."""

    def __init__(self, plays: Sequence[Play], seed: int) -> None:
        self._plays = plays
        self.random = np.random.default_rng(seed)
        self._normalise = [_fitted(play).normaliser() for play in plays]
        self._alike = [np.flatnonzero([other.size == play.size for other in plays]) for play in plays]
        self._bits = _most_bits(plays)

    def deal(self, n: int = BATCH) -> Pairs:
        """A random batch."""
        first = int(self.random.integers(len(self._plays)))
        games = np.sort(np.r_[np.full(n // 2, first), self.random.choice(self._alike[first], size=n - n // 2)])
        parts = [self._of_game(int(game), int((games == game).sum())) for game in np.unique(games)]
        pairs, laters, held = zip(*parts, strict=True)
        now, after = torch.cat(pairs).chunk(2, dim=1)
        return Pairs(now, after, torch.cat(laters), torch.from_numpy(np.concatenate(held)), torch.from_numpy(games))

    def _of_game(self, game: int, n: int) -> tuple[Tensor, Tensor, npt.NDArray[np.float32]]:
        """Stacks of n ticks and of the next ones, moved alike, shape (n, 2 * PER_STACK, H, W); later ones; keys."""
        play, normalise = self._plays[game], self._normalise[game]
        ticks = self.random.choice(play.usable, n)
        stacks = np.empty((n, 3 * _PER_STACK, *play.planes.shape[2:]), np.uint8)
        for row, tick in zip(stacks, ticks.tolist(), strict=True):
            for place, ahead in enumerate((0, 1, int(self.random.integers(1, AHEAD + 1)))):
                play.stack(tick + ahead, row[place * _PER_STACK :][:_PER_STACK])
        whole = torch.from_numpy(stacks)
        pair = shifted(whole[:, : 2 * _PER_STACK], lambda x: torch.cat([normalise(y) for y in x.chunk(2, 1)], 1), SHIFT)
        held = np.zeros((n, self._bits), np.float32)
        held[:, : play.held.shape[1]] = play.held[ticks]
        return pair, shifted(whole[:, 2 * _PER_STACK :], normalise, SHIFT), held


def _spec(size: tuple[int, int]) -> PolicySpec:
    """All that encoders and statistics of a size depend on; controls are none of it."""
    return PolicySpec(Controls(("Space",)), rate_hz=15, frame_width=size[0], frame_height=size[1], frames=FRAMES)


def _fitted(play: Play) -> Preprocess:
    preprocess = Preprocess(_spec(play.size))
    every = max(1, len(play.planes) // _STATISTICS_FRAMES)
    preprocess.fit(torch.from_numpy(play.planes[::every]))
    return preprocess


def _most_bits(plays: Sequence[Play]) -> int:
    return max(1, *(int(play.held.shape[1]) for play in plays))


class Contrast(nn.Module):
    """Encoder, its slow copy, and what only pretraining needs.

    Args:
        plays: what will be learned from; their sizes of pictures and numbers of bits count.
    """

    used: Tensor

    def __init__(self, plays: Sequence[Play]) -> None:
        super().__init__()
        encoders = {size: ConvEncoder(_spec(size)) for size in sorted({play.size for play in plays})}
        encoder = next(iter(encoders.values()))
        for module in (*encoder.stem, *encoder.top):
            if isinstance(module, nn.Conv2d):
                nn.init.orthogonal_(module.weight, 2**0.5)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]
                module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.features = nn.Sequential(encoder.stem, nn.ReLU(), encoder.top)
        self.latent = _layers(encoders)
        self.slow = copy.deepcopy(nn.ModuleList([self.features, self.latent])).requires_grad_(False)
        self.predict = nn.Sequential(nn.Linear(LATENT, 256), nn.ReLU(), nn.Linear(256, LATENT))
        self.similarity = nn.Linear(LATENT, LATENT, bias=False)
        self.acts = _layers(encoders)
        bits = _most_bits(plays)
        self.held = nn.Parameter(torch.randn(len(plays), 2 * LATENT, bits) * 0.01)
        counts = torch.tensor([[play.held.shape[1]] for play in plays])
        self.register_buffer("used", torch.arange(bits) < counts)
        self._margins = {_key(size): own.margin for size, own in encoders.items()}

    def losses(self, batch: Pairs) -> tuple[Tensor, Tensor]:
        """InfoNCE over the batch, nats (chance: log n), and cross-entropy of what was held (chance: about 0.5)."""
        key = _key((batch.now.shape[3], batch.now.shape[2]))
        both = self.features(self._padded(torch.cat([batch.now, batch.after]), key))
        now, after = both.chunk(2)
        anchor = self.latent[key](now)
        anchor = anchor + self.predict(anchor)
        with torch.no_grad():
            features, latent = self.slow
            positive = cast("nn.ModuleDict", latent)[key](features(self._padded(batch.later, key)))
        logits = (self.similarity(anchor) @ positive.T).float()
        contrast = functional.cross_entropy(logits, torch.arange(len(logits)))
        pair = torch.relu(torch.cat([self.acts[key](now), self.acts[key](after)], dim=1)).float()
        said = torch.einsum("nf,nfk->nk", pair, self.held[batch.game])
        used = self.used[batch.game].float()
        wrong = functional.binary_cross_entropy_with_logits(said, batch.held, used, reduction="sum")
        return contrast, wrong / used.sum().clamp(min=1.0)

    def _padded(self, stacks: Tensor, key: str) -> Tensor:
        """As the encoder pads pictures that are too small."""
        margin = self._margins[key]
        padded = functional.pad(stacks, margin) if any(margin) else stacks
        return padded.contiguous(memory_format=torch.channels_last)

    def follow(self) -> None:
        """The slow copy moves a little towards the encoder."""
        quick = [*self.features.parameters(), *self.latent.parameters()]
        with torch.no_grad():
            torch._foreach_lerp_(list(self.slow.parameters()), [p.detach() for p in quick], 1.0 - MOMENTUM)

    def weights(self) -> dict[str, Tensor]:
        """What an encoder's file holds: stem and top."""
        stem, _, top = self.features
        named = [*stem.state_dict(prefix="stem.").items(), *top.state_dict(prefix="top.").items()]
        return {name: tensor.detach().contiguous().clone() for name, tensor in named}


def _key(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def _layers(encoders: dict[tuple[int, int], ConvEncoder]) -> nn.ModuleDict:
    """From each size's features to as many numbers."""
    return nn.ModuleDict({_key(size): nn.Linear(encoder.size, LATENT) for size, encoder in encoders.items()})
