"""What the shipped encoder is taught without any score: which pictures belong together, and what was held (torch).

Temporal contrast as in ATC (Stooke et al. 2021, arXiv 2009.08319, section 3 and algorithm 1): a picture and one of the
next few of the same game are a pair; each is shifted at random; the later one goes through a slow copy of the encoder;
InfoNCE with bilinear similarity tells it from the others of the batch. Beside it inverse dynamics (Pathak et al. 2017,
arXiv 1705.05363, eq. 2-3): what was held between two stacks is told from both, by a head for each game, because the
same key does other things in other games.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from tray_agent.core.controls import Controls
from tray_agent.core.policy import PolicySpec
from tray_agent.training.augment import shifted
from tray_agent.training.encoders.convolutional import ConvEncoder
from tray_agent.training.encoders.preprocess import Preprocess
from tray_agent.training.planes import PLANES
from tray_agent.training.pretrain_data import AHEAD, FRAMES, HEIGHT, KEYS, WIDTH, Play

BATCH = 128
LEARNING_RATE = 1e-3
SHIFT = 4
"""Pixels a picture is moved by at most, each way."""
LATENT = 128
MOMENTUM = 0.99
_STATISTICS_FRAMES = 512
_PER_STACK = FRAMES + PLANES - 1
SPEC = PolicySpec(Controls(KEYS), rate_hz=15, frame_width=WIDTH, frame_height=HEIGHT, frames=FRAMES)


@dataclass
class Pairs:
    """A batch of n, sorted by game; half of it or more is of one.

    Attributes:
        now, after, later: normalised stacks, float (n, FRAMES + 2, HEIGHT, WIDTH): of a tick, the next one, and one 1
            to AHEAD ticks later.
        held: float (n, len(KEYS)), between `now` and `after`; game: int64 (n,).
    """

    now: Tensor
    after: Tensor
    later: Tensor
    held: Tensor
    game: Tensor


class Dealer:
    """Deals batches out of random play, normalised by each game's own statistics. One thread."""

    def __init__(self, plays: Sequence[Play], seed: int) -> None:
        self._plays = plays
        self._random = np.random.default_rng(seed)
        self._preprocess = [_fitted(play) for play in plays]

    def deal(self, n: int = BATCH) -> Pairs:
        """A random batch."""
        first = int(self._random.integers(len(self._plays)))
        games = np.sort(np.r_[np.full(n // 2, first), self._random.integers(len(self._plays), size=n - n // 2)])
        parts = [self._of_game(int(game), int((games == game).sum())) for game in np.unique(games)]
        pairs, laters, held = zip(*parts, strict=True)
        now, after = torch.cat(pairs).chunk(2, dim=1)
        return Pairs(now, after, torch.cat(laters), torch.from_numpy(np.concatenate(held)), torch.from_numpy(games))

    def _of_game(self, game: int, n: int) -> tuple[Tensor, Tensor, npt.NDArray[np.float32]]:
        """Stacks of n ticks and of the next ones, moved alike, shape (n, 2 * PER_STACK, H, W); later ones; keys."""
        play, normalise = self._plays[game], self._preprocess[game]
        ticks = self._random.choice(play.usable, n)
        stacks = np.empty((n, 3 * _PER_STACK, HEIGHT, WIDTH), np.uint8)
        for row, tick in zip(stacks, ticks.tolist(), strict=True):
            for place, ahead in enumerate((0, 1, int(self._random.integers(1, AHEAD + 1)))):
                play.stack(tick + ahead, row[place * _PER_STACK :][:_PER_STACK])
        whole = torch.from_numpy(stacks)
        pair = shifted(whole[:, : 2 * _PER_STACK], lambda x: torch.cat([normalise(y) for y in x.chunk(2, 1)], 1), SHIFT)
        return pair, shifted(whole[:, 2 * _PER_STACK :], normalise, SHIFT), play.held[ticks]


def _fitted(play: Play) -> Preprocess:
    preprocess = Preprocess(SPEC)
    every = max(1, len(play.planes) // _STATISTICS_FRAMES)
    preprocess.fit(torch.from_numpy(play.planes[::every]))
    return preprocess


class Contrast(nn.Module):
    """Encoder, its slow copy, and what only pretraining needs.

    Args:
        games: how many there are.
    """

    def __init__(self, games: int) -> None:
        super().__init__()
        encoder = ConvEncoder(SPEC)
        for module in (*encoder.stem, *encoder.top):
            if isinstance(module, nn.Conv2d):
                nn.init.orthogonal_(module.weight, 2**0.5)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]
                module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.features = nn.Sequential(encoder.stem, nn.ReLU(), encoder.top)
        self.latent = nn.Linear(encoder.size, LATENT)
        self.slow = copy.deepcopy(nn.Sequential(self.features, self.latent)).requires_grad_(False)
        self.predict = nn.Sequential(nn.Linear(LATENT, 256), nn.ReLU(), nn.Linear(256, LATENT))
        self.similarity = nn.Linear(LATENT, LATENT, bias=False)
        self.acts = nn.Linear(encoder.size, LATENT)
        self.held = nn.Parameter(torch.randn(games, 2 * LATENT, len(KEYS)) * 0.01)
        self._encoder = [encoder]  # in a list: its unused parts are none of this module's

    def losses(self, batch: Pairs) -> tuple[Tensor, Tensor]:
        """InfoNCE over the batch, nats (chance: log n), and cross-entropy of the keys held (chance: about 0.5)."""
        both = self.features(torch.cat([batch.now, batch.after]).contiguous(memory_format=torch.channels_last))
        now, after = both.chunk(2)
        anchor = self.latent(now)
        anchor = anchor + self.predict(anchor)
        with torch.no_grad():
            positive = self.slow(batch.later.contiguous(memory_format=torch.channels_last))
        logits = (self.similarity(anchor) @ positive.T).float()
        contrast = functional.cross_entropy(logits, torch.arange(len(logits)))
        pair = torch.relu(torch.cat([self.acts(now), self.acts(after)], dim=1)).float()
        said = torch.einsum("nf,nfk->nk", pair, self.held[batch.game])
        return contrast, functional.binary_cross_entropy_with_logits(said, batch.held)

    def follow(self) -> None:
        """The slow copy moves a little towards the encoder."""
        quick = [*self.features.parameters(), *self.latent.parameters()]
        with torch.no_grad():
            torch._foreach_lerp_(list(self.slow.parameters()), [p.detach() for p in quick], 1.0 - MOMENTUM)

    def weights(self) -> dict[str, Tensor]:
        """What is shipped: stem and top."""
        state = self._encoder[0].state_dict()
        return {k: v.detach().contiguous().clone() for k, v in state.items() if k.startswith(("stem.", "top."))}
