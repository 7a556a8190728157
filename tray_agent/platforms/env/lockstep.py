"""A packaged game as a desktop without real time: one game tick at a time, nothing sleeps (caller's thread)."""

from collections import deque
from dataclasses import dataclass

from tray_agent.core.clock import ManualClock
from tray_agent.core.events import Command, InputEvent, WindowInfo
from tray_agent.core.media import AUDIO_RATE_HZ, AudioChunk, Frame
from tray_agent.core.reduce import reduce
from tray_agent.platforms.env.game import EnvGame
from tray_agent.platforms.env.hands import AGENT_DEVICE, PLAYER_DEVICE, Hand, merge
from tray_agent.platforms.env.picture import crop
from tray_agent.platforms.env.players.player import Player
from tray_agent.platforms.env.resampler import Resampler

_QUEUE = 4096


@dataclass(frozen=True)
class TickOutcome:
    """What one tick brought.

    Attributes:
        reward: reward of the tick's frames.
        finished: score of the episode that ended in this tick; None while it goes on.
    """

    reward: float
    finished: float | None = None


class LockstepDesktop:
    """The five ports over one game, on a virtual clock. Not thread-safe: one owner.

    A tick: the scripted player (if any) decides on what `screen` shows; its presses appear in `inputs`; the game
    plays `frames_per_tick` frames with those and with what was last given to `sink`; the clock moves on.
    After an episode's end the next begins by itself with the next seed.
    """

    def __init__(
        self,
        game: EnvGame,
        clock: ManualClock,
        frame_width: int,
        frame_height: int,
        player: Player | None = None,
        seed: int = 0,
    ) -> None:
        self.game = game
        self.clock = clock
        self.player = player
        self.screen = LockstepScreen(game, clock, frame_width, frame_height)
        self.audio = LockstepAudio()
        self.inputs = LockstepInputs()
        self.sink = LockstepSink(clock, self.inputs)
        self.window = LockstepWindow(game)
        self._hand = Hand(PLAYER_DEVICE, own=False)
        self._seed = seed
        self._score = 0.0
        self._ticks = 0
        self._resampler = Resampler(max(game.info.sound_rate_hz, 1), AUDIO_RATE_HZ)

    def start(self) -> None:
        """Load the game and begin the first episode. Raises PlatformUnavailable."""
        self.game.start()
        self._begin()

    def tick(self) -> TickOutcome:
        """Play one tick."""
        wanted = self.player.decide(self.game) if self.player else Command()
        self.inputs.put(self._hand.take(wanted, self.clock.now_ns()))
        info = self.game.info
        reward = self.game.advance(merge(wanted, self.sink.hand.command), info.frames_per_tick)
        self._hand.moved()
        self.sink.hand.moved()
        self._hear()
        self.clock.advance_ns(info.frame_ns * info.frames_per_tick)
        self._score += reward
        self._ticks += 1
        if not self.game.over and self._ticks < info.max_ticks:
            return TickOutcome(reward)
        finished = self._score
        self._seed += 1
        self._begin()
        return TickOutcome(reward, finished)

    def close(self) -> None:
        """Unload the game; idempotent."""
        self.game.close()

    def _begin(self) -> None:
        self.game.reset(self._seed)
        if self.player:
            self.player.reset(self._seed)
        self._score, self._ticks = 0.0, 0

    def _hear(self) -> None:
        if self.game.info.sound_rate_hz:
            samples = self._resampler.push(self.game.sound())
            if samples.size:
                self.audio.put(AudioChunk(self.clock.now_ns(), samples))


class LockstepScreen:
    """ScreenSource: the picture before the next tick."""

    def __init__(self, game: EnvGame, clock: ManualClock, frame_width: int, frame_height: int) -> None:
        self._game = game
        self._clock = clock
        self._size = (frame_width, frame_height)
        self._rect: tuple[int, int, int, int] | None = None

    def start(self) -> None:
        """Nothing to acquire: the desktop owns the game."""

    def grab(self) -> Frame:
        return Frame(self._clock.now_ns(), reduce(crop(self._game.pixels(), self._rect), self._size))

    def set_region(self, rect: tuple[int, int, int, int] | None) -> None:
        self._rect = rect

    def close(self) -> None:
        """Nothing to release."""


class LockstepAudio:
    """AudioSource: the sound of the ticks played."""

    def __init__(self) -> None:
        self.problem = ""
        self._chunks: deque[AudioChunk] = deque(maxlen=_QUEUE)

    def start(self) -> None:
        """Nothing to acquire."""

    def put(self, chunk: AudioChunk) -> None:
        """Called by the desktop."""
        self._chunks.append(chunk)

    def read(self) -> list[AudioChunk]:
        chunks = list(self._chunks)
        self._chunks.clear()
        return chunks

    def close(self) -> None:
        """Nothing to release."""


class LockstepInputs:
    """InputSource: what player and agent pressed. Never waits: time only moves with ticks."""

    def __init__(self) -> None:
        self._events: deque[InputEvent] = deque(maxlen=_QUEUE)

    def start(self) -> None:
        """Nothing to acquire."""

    def put(self, events: list[InputEvent]) -> None:
        """Called by the desktop and its sink."""
        self._events.extend(events)

    def read(self, timeout_s: float) -> list[InputEvent]:  # noqa: ARG002 - the port's signature
        events = list(self._events)
        self._events.clear()
        return events

    def close(self) -> None:
        """Nothing to release."""


class LockstepSink:
    """InputSink: the agent's hand."""

    def __init__(self, clock: ManualClock, inputs: LockstepInputs) -> None:
        self.hand = Hand(AGENT_DEVICE, own=True)
        self._clock = clock
        self._inputs = inputs

    def start(self) -> None:
        """Nothing to acquire."""

    def apply(self, command: Command) -> None:
        self._inputs.put(self.hand.take(command, self._clock.now_ns()))

    def release_all(self) -> None:
        self.apply(Command())

    def close(self) -> None:
        self.release_all()


class LockstepWindow:
    """WindowProbe: the game is always in front."""

    def __init__(self, game: EnvGame) -> None:
        info = game.info
        self._info = WindowInfo(1, "tray-agent-env", info.name, (0, 0, info.width, info.height))

    def start(self) -> None:
        """Nothing to acquire."""

    def active(self) -> WindowInfo | None:
        return self._info

    def close(self) -> None:
        """Nothing to release."""
