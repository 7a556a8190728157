"""Doom scenarios of the vizdoom package, as an EnvGame (no threads of ours; vizdoom runs its own child process)."""

import contextlib
import os
import tempfile
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from tray_agent.core.controls import Controls
from tray_agent.core.events import Command
from tray_agent.core.media import Pixels, Samples
from tray_agent.errors import CaptureLost, PlatformUnavailable
from tray_agent.platforms.env.game import Facts, GameInfo, SeenObject

KEYS_OF_BUTTONS = {
    "MOVE_LEFT": "ArrowLeft",
    "MOVE_RIGHT": "ArrowRight",
    "TURN_LEFT": "ArrowLeft",
    "TURN_RIGHT": "ArrowRight",
    "MOVE_FORWARD": "ArrowUp",
    "MOVE_BACKWARD": "ArrowDown",
    "ATTACK": "Space",
}
"""Doom button -> key, where a scenario has no both of strafing and turning."""
STRAFE_KEYS = {"MOVE_LEFT": "KeyA", "MOVE_RIGHT": "KeyD"}
"""Keys for strafing in scenarios that turn with the arrows."""

WIDTH, HEIGHT = 160, 120
_START_S = 60.0
_LITTER = Path("_vizdoom")
"""An empty folder that the engine makes in the working folder and never uses."""
_FRAMES_PER_S = 35.0
_FRAMES_PER_TICK = 4
_SOUND_RATE_HZ = 22_050
_SOUND_PER_FRAME = 630
_MOST_HEARD = 350  # nobody listens: keep ten seconds at most


@dataclass(frozen=True)
class DoomScenario:
    """One scenario of the wheel.

    Attributes:
        name: name in the catalog.
        config: file under vizdoom's scenarios folder.
        buttons: Doom buttons in the order they are given to the engine.
        max_frames: the scenario's own time limit.
    """

    name: str
    config: str
    buttons: tuple[str, ...]
    max_frames: int


class DoomGame:
    """A scenario at 160x120 without HUD. One tick is 4 of its 35 frames a second."""

    def __init__(self, scenario: DoomScenario) -> None:
        self._scenario = scenario
        self._keys = keys_of(scenario.buttons)
        self.info = GameInfo(
            name=scenario.name,
            controls=Controls(buttons=tuple(self._keys)),
            frames_per_s=_FRAMES_PER_S,
            frames_per_tick=_FRAMES_PER_TICK,
            width=WIDTH,
            height=HEIGHT,
            max_ticks=-(-scenario.max_frames // _FRAMES_PER_TICK) + 1,
            sound_rate_hz=_SOUND_RATE_HZ,
        )
        self._engine: Any = None
        self._died: type[Exception] = RuntimeError
        self._refused: type[Exception] = RuntimeError
        self._pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        self._heard: deque[Samples] = deque(maxlen=_MOST_HEARD)

    def start(self) -> None:
        try:
            import vizdoom
        except ImportError as error:
            raise PlatformUnavailable(f"vizdoom can't be loaded: {error}", "Run: pip install vizdoom") from error
        self._died = vizdoom.ViZDoomUnexpectedExitException
        self._refused = vizdoom.FileDoesNotExistException
        # one engine at a time: two that start together in one folder may wait for ever (seen with two processes)
        try:
            with FileLock(_start_lock(), timeout=_START_S):
                self._start_engine(vizdoom)
        except Timeout as error:
            raise PlatformUnavailable(
                f"Doom ({self._scenario.name}) does not start: another one has been starting for {_START_S:.0f} s",
                "End the programs called vizdoom, then try again",
            ) from error

    def _start_engine(self, vizdoom: Any) -> None:
        littered = _LITTER.exists()
        try:
            self._engine = self._running(vizdoom)
        except (vizdoom.ViZDoomErrorException, self._died, vizdoom.FileDoesNotExistException) as error:
            raise PlatformUnavailable(f"Doom ({self._scenario.name}) does not start: {error}") from error
        finally:
            if not littered:
                with contextlib.suppress(OSError):
                    _LITTER.rmdir()

    def _running(self, vizdoom: Any) -> Any:
        engine = self._configured(vizdoom)
        try:
            engine.init()
        except vizdoom.ViZDoomNoOpenALSoundException:  # a machine without the OpenAL library: the game goes on silent
            engine = self._configured(vizdoom)
            engine.set_audio_buffer_enabled(False)
            engine.init()
        return engine

    def _configured(self, vizdoom: Any) -> Any:
        engine = vizdoom.DoomGame()
        if not engine.load_config(str(Path(vizdoom.scenarios_path) / self._scenario.config)):
            raise PlatformUnavailable(f"this vizdoom has no scenario {self._scenario.config}", "Update vizdoom")
        engine.set_available_buttons([getattr(vizdoom.Button, name) for name in self._scenario.buttons])
        engine.set_doom_config_path(os.devnull)  # else the engine leaves its settings in the working folder
        engine.set_screen_resolution(vizdoom.ScreenResolution.RES_160X120)
        engine.set_screen_format(vizdoom.ScreenFormat.RGB24)
        engine.set_labels_buffer_enabled(True)
        engine.set_audio_buffer_enabled(True)
        engine.set_audio_sampling_rate(vizdoom.SamplingRate.SR_22050)
        engine.set_audio_buffer_size(_FRAMES_PER_TICK)
        engine.add_game_args("+snd_efx 0")  # with effects the engine aborts where there is no sound device
        engine.set_window_visible(False)
        engine.set_mode(vizdoom.Mode.PLAYER)
        for name in ("HEALTH", "POSITION_X", "POSITION_Y"):
            engine.add_available_game_variable(getattr(vizdoom.GameVariable, name))
        return engine

    def reset(self, seed: int) -> None:
        self._engine.set_seed(seed % 2**31)
        self._engine.new_episode()
        self._heard.clear()

    def advance(self, command: Command, frames: int) -> float:
        if self.over:
            return 0.0
        pressed = [1.0 if key in command.held else 0.0 for key in self._keys]
        reward = 0.0
        for first in range(0, frames, _FRAMES_PER_TICK):  # the engine keeps one tick's sound
            now = min(_FRAMES_PER_TICK, frames - first)
            try:
                reward += float(self._engine.make_action(pressed, now))
            except self._died as error:
                raise CaptureLost(f"the Doom engine has ended: {error}; start the game again") from error
            self._hear(now)
        return reward

    def replay(self, demo: Path) -> Iterator[tuple[Pixels, dict[str, float]]]:
        """Play a recorded demo (.lmp) back; it must have been recorded in this scenario.

        Yields:
            Of each of its frames the picture, and what every Doom button did from then to the next.

        Raises:
            CaptureLost: the engine does not take it, or has ended.
        """
        try:
            self._engine.replay_episode(str(demo.absolute()))
            while not self.over:
                pixels = self.pixels().copy()
                self._engine.advance_action()
                yield pixels, dict(zip(self._scenario.buttons, self._engine.get_last_action(), strict=True))
        except (self._died, self._refused) as error:
            raise CaptureLost(f"the Doom engine does not play {demo.name} back: {error}") from error

    def _hear(self, frames: int) -> None:
        state = self._engine.get_state()
        if state is None or state.audio_buffer is None:
            self._heard.append(np.zeros(frames * _SOUND_PER_FRAME, np.float32))
            return
        stereo = state.audio_buffer[-frames * _SOUND_PER_FRAME :]
        self._heard.append(stereo.astype(np.float32).mean(axis=1) / 32_768)

    @property
    def over(self) -> bool:
        return bool(self._engine.is_episode_finished())

    def pixels(self) -> Pixels:
        # after the last frame of an episode the engine has no picture: the one before it stays on screen
        state = self._engine.get_state()
        if state is not None:
            self._pixels = state.screen_buffer
        return self._pixels

    def sound(self) -> Samples:
        heard = np.concatenate([np.zeros(0, np.float32), *self._heard])
        self._heard.clear()
        return heard

    def facts(self) -> Facts:
        state = self._engine.get_state()
        if state is None:
            return Facts()
        seen = tuple(
            SeenObject(label.object_name, label.x, label.y, label.width, label.height) for label in state.labels
        )
        names = [variable.name.lower() for variable in self._engine.get_available_game_variables()]
        return Facts(objects=seen, numbers=dict(zip(names, map(float, state.game_variables), strict=True)))

    def close(self) -> None:
        engine, self._engine = self._engine, None
        if engine is not None:
            with contextlib.suppress(Exception):  # a dead engine is as closed as it can be
                engine.close()


def keys_of(buttons: tuple[str, ...]) -> tuple[str, ...]:
    """The key of each Doom button, in order."""
    turns = "TURN_LEFT" in buttons
    return tuple(STRAFE_KEYS[b] if turns and b in STRAFE_KEYS else KEYS_OF_BUTTONS[b] for b in buttons)


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        DoomScenario("doom-basic", "basic.cfg", ("MOVE_LEFT", "MOVE_RIGHT", "ATTACK"), 300),
        DoomScenario("doom-health", "health_gathering.cfg", ("TURN_LEFT", "TURN_RIGHT", "MOVE_FORWARD"), 2100),
        DoomScenario("doom-center", "defend_the_center.cfg", ("TURN_LEFT", "TURN_RIGHT", "ATTACK"), 2100),
        DoomScenario("doom-cover", "take_cover.cfg", ("MOVE_LEFT", "MOVE_RIGHT"), 2100),
        DoomScenario("doom-line", "defend_the_line.cfg", ("TURN_LEFT", "TURN_RIGHT", "ATTACK"), 2100),
        DoomScenario(
            "doom-corridor",
            "deadly_corridor.cfg",
            ("MOVE_LEFT", "MOVE_RIGHT", "ATTACK", "MOVE_FORWARD", "TURN_LEFT", "TURN_RIGHT"),
            2100,
        ),
    )
}


def _start_lock() -> Path:
    user = os.environ.get("USER") or os.environ.get("USERNAME") or "user"
    return Path(tempfile.gettempdir()) / f"tray-agent-doom-{user}.lock"
