"""Behavioural cloning as the `imitation` library does it (Gleave et al. 2022), on Stable-Baselines3's `CnnPolicy`.

The library's own `BC` with its defaults (batch 32, Adam at 1e-3, entropy weight 1e-3, no L2), NatureCNN over four
grey frames of 84 x 84. Its environments have one action space each, so the controls become `Discrete` over the
combinations of buttons that the player used, or, where there are other controls, a `Box` over the whole action vector
with buttons held from 0.5 on. Actions are drawn (`predict(deterministic=False)`), the default of the policy's
`predict` and of the library's rollouts.
"""

import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from tray_agent.core.controls import FloatVector
from tray_agent.core.media import Pixels
from tray_agent.core.sample import AudioFeatures
from tray_agent.errors import PlatformUnavailable
from tray_agent.evaluation.peers.actions import ActionCode, Floats
from tray_agent.evaluation.peers.history import RecentFrames, Windows, grey, grey_frame
from tray_agent.evaluation.peers.peer import LearnReport, Recording, check
from tray_agent.evaluation.peers.training import Fit, batches, prepare

try:
    from gymnasium import spaces
    from imitation.algorithms import bc
    from imitation.util.logger import HierarchicalLogger
    from stable_baselines3.common.logger import Logger
    from stable_baselines3.common.policies import ActorCriticCnnPolicy
except ImportError as error:
    raise PlatformUnavailable(
        f"the peer 'imitation' can't be used ({error})",
        "Install it: pip install 'tray-agent[evaluate]', then: pip install --no-deps imitation==1.0.1",
    ) from error

FRAMES = 4
BATCH = 32
_NEVER = 1 << 30

_Batch = dict[str, npt.NDArray[Any]]


class TimedBatches:
    """The library's data loader: shuffled batches (the last, incomplete one of a pass left out) until a deadline.

    One pass over it is one "epoch" of the library, so that a training has exactly the time there is.
    """

    def __init__(self, draw: Callable[[npt.NDArray[np.int64]], _Batch], n: int, seed: int) -> None:
        self._draw = draw
        self._n = n
        self._seed = seed
        self.deadline = 0.0
        self.drawn = 0

    def __iter__(self) -> Iterator[_Batch]:
        before, step_s = time.monotonic(), 0.0
        self.drawn = 0
        for rows in batches(self._n, BATCH, self._seed):
            # the first always comes: the library refuses a loader without batches
            if self.drawn and before + step_s > self.deadline:
                return
            self.drawn += 1
            # a recording smaller than a batch is taken as often as fills one
            yield self._draw(np.resize(rows, BATCH))
            step_s, before = time.monotonic() - before, time.monotonic()


class ImitationPeer:
    """See the module.

    Args:
        deterministic: take the most likely action instead of drawing one.
    """

    frame_size = (84, 84)

    def __init__(self, deterministic: bool = False) -> None:
        self._deterministic = deterministic
        self._recent = RecentFrames(FRAMES)
        self._policy: Any = None
        self._code: ActionCode | None = None

    @property
    def parameters(self) -> int:
        """Numbers in the network that has learned; 0 before."""
        return sum(p.numel() for p in self._policy.parameters()) if self._policy is not None else 0

    def learn(self, data: Recording, seconds: float, threads: int, seed: int) -> LearnReport:
        """See Peer."""
        began = time.monotonic()
        check(data, self.frame_size)
        prepare(threads, seed)
        code = ActionCode.of(data.spec.controls, data.actions)
        targets = _targets(code, data.actions)
        frames, windows = grey(data.frames), Windows(len(data), data.starts, FRAMES)
        loader = TimedBatches(lambda rows: {"obs": frames[windows.rows(rows)], "acts": targets[rows]}, len(data), seed)
        trainer = _trainer(code, loader, self.frame_size, seed)
        loader.deadline = began + seconds
        training = time.monotonic()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the library logs losses in a way that torch warns of
            trainer.train(n_epochs=1, progress_bar=False, log_interval=_NEVER)
        done = Fit(loader.drawn, loader.drawn * BATCH, time.monotonic() - training)
        policy = trainer.policy.to("cpu")
        policy.set_training_mode(False)
        # it keeps its last distribution, and one that hangs on the gradients of the training can't be pickled
        policy.predict(frames[windows.rows(np.zeros(1, np.int64))][0])
        self._policy, self._code = policy, code
        return done.report(began)

    def reset(self) -> None:
        """See Peer."""
        self._recent.reset()

    def act(self, pixels: Pixels, audio: AudioFeatures) -> FloatVector:  # noqa: ARG002 - it is deaf
        """See Peer."""
        if self._policy is None or self._code is None:
            raise RuntimeError("the peer has not learned yet")
        window = self._recent.push(grey_frame(pixels))
        action = self._policy.predict(window, deterministic=self._deterministic)[0]
        code = self._code
        if not len(code.scale):
            return code.action(code.combinations[int(action)], code.scale)
        return code.action(action[: code.buttons], action[code.buttons :])


def _targets(code: ActionCode, actions: Floats) -> npt.NDArray[Any]:
    if not len(code.scale):
        return code.classes(actions)
    return np.concatenate([code.held(actions), code.others(actions)], axis=1)


def _trainer(code: ActionCode, loader: TimedBatches, frame_size: tuple[int, int], seed: int) -> bc.BC:
    width, height = frame_size
    seen = spaces.Box(0, 255, (FRAMES, height, width), np.uint8)
    done = _action_space(code)
    demonstrations: Any = loader  # the library's types ask for more than it does
    return bc.BC(
        observation_space=seen,
        action_space=done,
        rng=np.random.default_rng(seed),
        # the rate is of an optimiser that BC does not use: it makes its own
        policy=ActorCriticCnnPolicy(seen, done, _no_rate),
        demonstrations=demonstrations,
        batch_size=BATCH,
        custom_logger=HierarchicalLogger(Logger(folder=None, output_formats=[]), []),
    )


def _action_space(code: ActionCode) -> "spaces.Space[Any]":
    if not len(code.scale):
        return spaces.Discrete(len(code.combinations))
    none, all_ = np.zeros(code.buttons, np.float32), np.ones(code.buttons, np.float32)
    margin = np.float32(1e-3)  # a control that never moved still needs a range
    return spaces.Box(
        np.concatenate([none, code.lowest / code.scale - margin]),
        np.concatenate([all_, code.highest / code.scale + margin]),
    )


def _no_rate(_: float) -> float:
    """Module level, so that the policy can be pickled."""
    return 0.0
