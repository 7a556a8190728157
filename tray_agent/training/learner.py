"""The learning itself: replay in, better network out (torch; one thread, and the lanes it starts).

Muon and AdamW with a constant rate, and an exponential moving average of the weights, which is what plays. There is no
schedule because there is no end: watching goes on as long as the player likes.
"""

import copy
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from statistics import fmean

import torch
from torch import Tensor, nn

from tray_agent.core.policy import PolicySpec
from tray_agent.training.adversarial import NONE, Drawn, make_adversary
from tray_agent.training.checkpoint import Counts, Kept, read_checkpoint, write_checkpoint
from tray_agent.training.encoders.source import SCRATCH_SOURCE, EncoderSource
from tray_agent.training.handover import Handover
from tray_agent.training.job import BATCH
from tray_agent.training.model import ARCHITECTURE, FROZEN, PolicyNet
from tray_agent.training.muon import is_matrix
from tray_agent.training.objective import Objective, Outputs
from tray_agent.training.reaction import AT_ONCE, LOOKED_AT, Held, make_foresight
from tray_agent.training.readiness import Facts
from tray_agent.training.replay import Batch, Replay
from tray_agent.training.retrieval import MEMORY, Retrieval
from tray_agent.training.shared_parts import SharedParts, new_optimizer
from tray_agent.training.together import Together

EMA = 0.995
MIN_TICKS = 64
_STATISTICS_FRAMES = 1024
_PROBE_STEPS = 3
_BATCHES_A_ROUND = 4
_MOST_NORM = 1.0  # of a gradient
_STILL_STD = 0.5  # grey levels
_STILL_FRAMES = 256
_TOLERANCE = 0.03
_STUCK_SHARE = 0.5
_LEAST_FLOOR = 0.04  # less may be noise of the codec in recorded pictures: 0.06 where Doom stands still
_HABITS = 48
_NOTHING_TO_JUDGE_ON = (
    "the policy in use was not learned here, and nothing is held out yet (every sixth ten seconds are) on which the "
    "newest one could be compared with it, so it stays"
)

Policy = PolicyNet | Retrieval


class Learner:
    """Owns network, average, optimiser, and the threads that compute gradients beside each other.

    Each of those threads ("lanes") takes batches of its own and torch's own threads are off: beside a busy game two of
    torch's threads wait for each other at every layer, and are slower than one (measured: 1.4 updates a second instead
    of 18). Lanes hardly wait at all: each copies the weights, finds a gradient, and applies it (two lanes 40 updates a
    second; when they met after every batch it was 30; one lane 23).
    """

    def __init__(
        self,
        spec: PolicySpec,
        vector: tuple[float, ...],
        replay: Replay,
        seed: int = 0,
        lanes: int = 1,
        source: EncoderSource = SCRATCH_SOURCE,
        shared: SharedParts | None = None,
        adversarial: str = NONE,
        reaction: str = AT_ONCE,
    ) -> None:
        torch.manual_seed(seed)
        self.spec = spec
        self.replay = replay
        self.source = source
        self.architecture = ARCHITECTURE + source.architecture
        """What checkpoints must agree in."""
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.net = PolicyNet(spec, source.make(spec))
        source.begin(self.net)
        self.average = copy.deepcopy(self.net)  # made anew it would take a second for weights nobody needs
        if shared is not None:
            shared.join(self.net, self.average)
        self.net.to(self.device)
        self._parameters = _learned(self.net)
        self.optimizer = (shared.optimizer_for if shared is not None else new_optimizer)(self._parameters)
        self._lanes = lanes if self.device.type == "cpu" else 1
        self._lane_nets: list[PolicyNet] = []
        self._one_at_a_time = threading.Lock()  # replay, network, average and counts, while lanes are at work
        self._pool = ThreadPoolExecutor(max(1, lanes), "learner-lane")  # its threads start when they are needed
        self.updates = 0
        self.loss = float("nan")
        self._vector = torch.tensor(vector, dtype=torch.float32)
        self.statistics_at = 0
        """Ticks held when mean and deviation per pixel were taken; 0: never."""
        self._sets_at = 0
        """The same of the sets of buttons, which no checkpoint holds."""
        self.bf16: bool | None = None
        """Whether it computes in bfloat16; None: not tried out yet."""
        self.agree: Callable[[tuple[Tensor | None, ...]], tuple[Tensor | None, ...] | None] | None = None
        """Takes a gradient; what several processes found together, or None as yet. For learners of one lane."""
        self.objective = Objective(spec)
        self._promoted: Policy | None = None
        self.judged_by_another = False
        """Whether what plays (`remember`) was made by another learner."""
        self.handover = Handover()
        self._memory = Retrieval(self.average, self.handover.share)
        self._adversary = make_adversary(adversarial, self.net, replay, self._inputs, seed)
        self._foresight = make_foresight(reaction, self.net, replay)

    def can_learn(self) -> bool:
        """Whether there is enough to draw batches from."""
        return self.replay.learnable() >= MIN_TICKS

    def update(self) -> float:
        """Some batches in each lane (one if there is but one lane), a step of the optimiser for each; the mean loss."""
        self._refresh_statistics()
        before = self.updates
        if self.bf16 is None:
            self.bf16 = self._bf16_is_faster()
        work = partial(self._work, self.bf16)
        if self._lanes == 1:
            loss = work(self.net, 1)
        else:
            self._lane_nets = self._lane_nets or [_lane_of(self.net, self.bf16) for _ in range(self._lanes)]
            loss = fmean(self._pool.map(work, self._lane_nets, [_BATCHES_A_ROUND] * self._lanes))
        self._follow(self.updates - before)
        return loss

    def take_probe(self, other: "Learner") -> None:
        """What it found out about this machine need not be found out again."""
        self.bf16 = other.bf16

    def begin_again(self, begin: Callable[[PolicyNet], None]) -> None:
        """As a new game is begun; what is known of the picture and of this machine stays. For learners of one lane.

        Args:
            begin: puts weights into the network; those it leaves alone stay as learned, heads and FiLM excepted.
        """
        self.net.renew()
        begin(self.net)
        _copy_weights(self.net, self.average)
        self.optimizer.state.clear()
        self.updates, self.loss = 0, float("nan")

    def close(self) -> None:
        """End the lanes."""
        self._pool.shutdown()

    def _work(self, bf16: bool, net: PolicyNet, batches: int) -> float:
        """So many batches with a lane's network, on any thread; the mean loss.

        Other lanes go on meanwhile, so a gradient may be a step or two old when it is applied; with so few lanes that
        does no harm.
        """
        total = 0.0
        for _ in range(batches):
            with self._one_at_a_time:
                net.train()
                if net is not self.net:
                    _copy_weights(self.net, net)
                batch = self.replay.draw(BATCH)
                drawn = self._adversary.draw() if self._adversary is not None else None
                foresight = self._foresight
                around = self.replay.around(batch.ticks, foresight.ahead) if foresight is not None else None
            value, gradient = self._gradient(net, bf16, batch, drawn, around)
            with self._one_at_a_time:
                self._apply(gradient)
                self.updates += 1
                self.loss = value if math.isnan(self.loss) else 0.98 * self.loss + 0.02 * value
            total += value
        return total / batches

    def _gradient(
        self, net: PolicyNet, bf16: bool, batch: Batch, drawn: Drawn | None,
        around: tuple[Held, Held] | None,
    ) -> tuple[float, tuple[Tensor | None, ...]]:  # fmt: skip
        """Loss of a batch, and the gradient of that, of the adversary's and of what foretelling lacks."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=bf16):
            hidden = net.hidden(*self._inputs(batch))
            outputs = net.heads(hidden)
            more = None
            if self._adversary is not None and drawn is not None:
                more = self._adversary.loss(net, drawn, self.objective.together)
        loss = self.objective.loss(outputs, torch.from_numpy(batch.actions).to(self.device))
        total = loss if more is None else loss + more
        if self._foresight is not None and around is not None:
            total = total + self._foresight.loss(hidden, around)
        return float(loss.detach()), torch.autograd.grad(total, _learned(net), allow_unused=True)

    def _apply(self, gradient: tuple[Tensor | None, ...]) -> None:
        if self.agree is not None:
            agreed = self.agree(gradient)
            if agreed is None:
                return
            gradient = agreed
        found = {mine: own for mine, own in zip(self._parameters, gradient, strict=True) if own is not None}
        norm = float(torch.nn.utils.get_total_norm(found.values()))
        if math.isfinite(norm):  # one broken batch must not spoil all weights for good
            if norm > _MOST_NORM:
                torch._foreach_mul_([*found.values()], _MOST_NORM / norm)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=bool(self.bf16)):
                self.optimizer.step(found)

    def _bf16_is_faster(self) -> bool:
        """bfloat16 is 2x faster on some CPUs and 20x slower on others, so it is tried."""
        seconds = {}
        on_cpu = self.device.type == "cpu"
        for bf16 in (False, True):
            self._work(bf16, self.net, 1)
            start = time.thread_time() if on_cpu else time.perf_counter()  # on a CPU whatever else is running
            self._work(bf16, self.net, _PROBE_STEPS)
            seconds[bf16] = (time.thread_time() if on_cpu else time.perf_counter()) - start
        return seconds[True] < 0.9 * seconds[False]

    def _follow(self, updates: int) -> None:
        """The average comes after so many updates: once for all of a round, because it reads and writes all weights."""
        decay = min(EMA, (1 + self.updates) / (10 + self.updates)) ** updates
        mine: list[Tensor] = [*_learned(self.average)]
        with torch.no_grad():
            torch._foreach_lerp_(mine, [p.detach().to(mine[0].device) for p in self._parameters], 1.0 - decay)

    def _refresh_statistics(self) -> None:
        """Mean and deviation per pixel, again each time the data has doubled (the weights follow small changes).

        So are the sets of buttons, which are also found anew after a checkpoint was read.
        """
        if self.replay.total >= 2 * self._sets_at:
            self._renew_sets()
        if self.replay.total >= 2 * self.statistics_at or self.statistics_at == 0:
            self.statistics_at = self.replay.total
            frames = torch.from_numpy(self.replay.some_frames(_STATISTICS_FRAMES))
            for net in (self.net, self.average):
                net.preprocess.fit(frames.to(net.preprocess.mean.device))
            self.source.fit((self.net.encoder, self.average.encoder), self.replay)

    def _renew_sets(self) -> None:
        self._sets_at = self.replay.total
        self.objective.together = Together(self.replay.combinations())

    def _inputs(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        n = len(batch.actions)
        parts = (torch.from_numpy(batch.frames), torch.from_numpy(batch.audio), self._vector.expand(n, -1))
        frames, audio, vector = (p.to(self.device) for p in parts)
        return frames, audio, vector

    @property
    def policy(self) -> Policy:
        """What bundles are made of: the average and, until the handover is done, a memory beside it."""
        return self.average if self.handover.done else self._memory

    def playing(self) -> tuple[Policy, dict[str, float]]:
        """`policy`, with its memory filled anew, and its measures on held-out stretches; may hand over."""
        self._find_reaction()
        self._renew_sets()  # what was pressed for the first time can be played now
        alone = self.held_out()
        if not self.handover.done:
            ticks, weights = self.replay.spread(MEMORY)
            self._memory.remember(ticks, torch.from_numpy(weights).float(), self._vector, bool(self.bf16))
            both = self.held_out(self._memory)
            if "skill" in alone:
                self.handover.take(alone["skill"], both["skill"])
            if not self.handover.done:
                return self._memory, both
        return self.average, alone

    def held_out(self, net: Policy | None = None) -> dict[str, float]:
        """Measures on stretches never learned from, each beside its do-nothing baseline; {} while there are none.

        `loss`, as in learning; `baseline_loss` = that of the best constant prediction; `blind_loss` = that without
        picture and sound; `balanced_accuracy` = mean over buttons of the mean recall of held and released (0.5 = knows
        nothing), only with buttons; `skill` = mean over the controls that vary, 0 a constant guess, 1 perfect.

        Args:
            net: whose measures; the average's by default.
        """
        batch = self.replay.held_out()
        if batch is None:
            return {}
        policy = net or self.average
        outputs = self._outputs(policy, batch)
        return self.objective.measures(outputs, self._blind_outputs(policy, len(batch.actions)), batch.actions)

    def _find_reaction(self) -> None:
        """How late the player answers, if that is asked for and it is time to look."""
        if self._foresight is None or not self._foresight.is_due():
            return
        batch = self.replay.held_out(LOOKED_AT)
        if batch is not None:
            self.average.eval()
            (hidden,) = self._in_parts(lambda *seen: (self.average.hidden(*seen),), batch)
            self._foresight.look(hidden, batch)

    def _outputs(self, net: Policy, batch: Batch) -> Outputs:
        """What a network says."""
        net.eval()
        held, relative, axes = self._in_parts(net.from_planes, batch)
        return held, relative, axes

    def _in_parts(self, say: Callable[..., tuple[Tensor, ...]], batch: Batch) -> list[Tensor]:
        """What is said of a batch, on the lanes and a part at a time: all at once takes four times as long."""

        def part(start: int) -> tuple[Tensor, ...]:
            frames, audio = (torch.from_numpy(a[start : start + BATCH]) for a in (batch.frames, batch.audio))
            with torch.no_grad():
                return say(frames, audio, self._vector.expand(len(frames), -1))

        parts = self._pool.map(part, range(0, len(batch.actions), BATCH))
        return [torch.cat(outputs) for outputs in zip(*parts, strict=True)]

    def _blind_outputs(self, net: Policy, n: int) -> Outputs:
        """What it says n times without picture and sound."""
        sound = torch.zeros(1, *self.spec.audio_shape)
        with torch.no_grad():
            said = net.from_planes(net.encoder.nothing(), sound, self._vector[None])
        held, relative, axes = (output.expand(n, *output.shape[1:]) for output in said)
        return held, relative, axes

    def facts(self, measures: dict[str, float]) -> Facts:
        """What `readiness.judge` needs to know, with `held_out`'s measures."""
        used, held = self.replay.use_of_controls()
        return Facts(
            seconds=self.replay.learnable() / self.spec.rate_hz,
            passes=self.updates * BATCH / max(1, self.replay.learnable()),
            used=used,
            held=held,
            picture_changes=bool((self.replay.some_frames(_STILL_FRAMES).std(0) > _STILL_STD).any()),
            hears=self.spec.audio,
            skill=measures.get("skill"),
            loss=measures.get("loss", 0.0),
            blind_loss=measures.get("blind_loss", 0.0),
            baseline_loss=measures.get("baseline_loss", 0.0),
        )

    def stuck_below(self) -> float:
        """Motion of the picture that the player never saw so little of, grey levels; 0 where it often stood still."""
        floor = _STUCK_SHARE * self.replay.least_motion()
        return floor if floor >= _LEAST_FLOOR else 0.0

    def together(self) -> tuple[tuple[int, ...], ...]:
        """Sets of buttons that the player held together, 0 or 1 each; () where each is on its own."""
        return self.objective.together.sets

    def habits(self) -> tuple[tuple[float, ...], ...]:
        """Actions of the player, rare ones as well."""
        return tuple(tuple(map(float, action)) for action in self.replay.some_actions(_HABITS))

    def remember(self, policy: Policy | None = None, of_another: bool = False) -> None:
        """That policy as it is now (the average if not said) is what plays: `is_worse` compares with it.

        Args:
            policy: it.
            of_another: another learner made it.
        """
        self._promoted, self.judged_by_another = copy.deepcopy(policy or self.average), of_another

    @property
    def knows_what_plays(self) -> bool:
        """Whether there is something to compare with."""
        return self._promoted is not None

    def is_worse(self, measures: dict[str, float]) -> str:
        """Why a policy with these measures must not replace what plays, "" when it may: it does worse where held out.

        Skill counts, not the loss: with minutes of data the loss of a good policy rises while it learns to play better
        (too sure where it errs), see decisions/0005-policy.md.
        """
        if self._promoted is None:
            return ""
        batch = self.replay.held_out()
        if batch is None or "skill" not in measures:
            return _NOTHING_TO_JUDGE_ON if self.judged_by_another else ""
        before = self.objective.skill(self._outputs(self._promoted, batch), batch.actions) or 0.0
        if measures["skill"] >= before - _TOLERANCE:
            return ""
        return (
            f"the newest policy does worse on play it has not learned from ({measures['skill']:.2f}) than the one in "
            f"use ({before:.2f}), which stays"
        )

    def save_checkpoint(self, path: Path) -> None:
        """Write network, average, optimiser and counts.

        Raises:
            OSError: disk full or not writable; the old checkpoint stays.
        """
        write_checkpoint(path, self.kept(), self.architecture, self.counts())

    def load_checkpoint(self, path: Path) -> bool:
        """Continue from a checkpoint; False (and nothing changed) if there is none that fits."""
        counts = read_checkpoint(path, self.kept(), self.architecture)
        if counts is None:
            return False
        self.updates, self.statistics_at, self.handover = counts.updates, counts.statistics_at, counts.handover
        self._renew_sets()
        return True

    def counts(self) -> Counts:
        """What checkpoints tell in numbers."""
        return Counts(self.updates, self.statistics_at, self.handover)

    def kept(self) -> Kept:
        """What checkpoints hold the tensors of."""
        return Kept(self.net, self.average, self._parameters, self.optimizer)

    def checkpoint_due(self) -> bool:
        """Whether it is time to save beside a new bundle."""
        return True


def _lane_of(net: PolicyNet, bf16: bool) -> PolicyNet:
    """A copy for a lane; where it computes in bfloat16 its matrices are, and so are their gradients: half to move."""
    lane = copy.deepcopy(net)
    for parameter in _learned(lane):
        if bf16 and is_matrix(parameter):
            parameter.data = parameter.data.bfloat16()
    return lane


def _copy_weights(source: PolicyNet, target: PolicyNet) -> None:
    """Weights and statistics."""
    with torch.no_grad():
        torch._foreach_copy_(_changing(target), _changing(source))


def _learned(net: PolicyNet) -> list[nn.Parameter]:
    return [parameter for parameter in net.parameters() if parameter.requires_grad]


def _changing(net: PolicyNet) -> list[Tensor]:
    named = [*net.named_parameters(), *net.named_buffers()]
    return [tensor for name, tensor in named if not name.startswith(FROZEN)]
