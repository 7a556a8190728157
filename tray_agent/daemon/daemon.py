"""The daemon: one main loop that owns every decision; threads and processes around it do the work.

`run()` is the main loop (the caller's thread). Requests from the control socket, hotkeys from the guard and bundles
from the trainer all become calls on this one thread; the tick thread is reached by orders only.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
from pydantic import ValidationError

from tray_agent.capture.input_pump import InputPump
from tray_agent.capture.observer import Observer
from tray_agent.core import keys
from tray_agent.core.desktop import Desktop
from tray_agent.core.events import WindowInfo
from tray_agent.core.policy import PolicySpec
from tray_agent.daemon.control import ControlServer, Message
from tray_agent.daemon.guarding import Guarding
from tray_agent.daemon.jobs import Answer, Jobs
from tray_agent.daemon.learning import Learning
from tray_agent.daemon.state import Mode, Status, StopRecord
from tray_agent.daemon.tick_loop import TickLoop
from tray_agent.daemon.watcher import NoTrainer, Watcher
from tray_agent.errors import SessionError
from tray_agent.guard.protocol import Armed, Failed, Game, GuardEvent, Hotkey, Lost, Refused, Revoked
from tray_agent.play.player import Player, PlayStatus
from tray_agent.sessions.layout import new_folder
from tray_agent.sessions.quota import Quota
from tray_agent.sessions.writer import SessionWriter
from tray_agent.settings.games import GameProfile, Region
from tray_agent.settings.match import match
from tray_agent.settings.reload import SettingsWatcher

_log = logging.getLogger(__name__)
_LOOP_S = 0.05
_SLOW_S = 0.25
_CLOSED_S = 2.0
_MAX_LEASE_MS = 240
_MOST_MINUTES = 24 * 60


@dataclass(frozen=True)
class Folders:
    """Where things are kept."""

    sessions: Path
    models: Path
    checkpoints: Path
    socket: Path


@dataclass(frozen=True)
class Recording:
    """Watching without learning.

    Attributes:
        end_s: when it ends by itself, on the monotonic clock; infinite if it does not.
        region: where it looks instead of where the game's profile says; None: there.
    """

    end_s: float
    region: Region | None = None


class Daemon:
    """Watches, learns, plays. `start()`, `run()` until told to quit, `close()`."""

    def __init__(self, desktop: Desktop, settings: SettingsWatcher, folders: Folders, game: str = "") -> None:
        """Store.

        Args:
            desktop: where the game is.
            settings: started by the caller.
            folders: where sessions, bundles, checkpoints and the control socket lie.
            game: name of the one game to care for; "" lets the window in front decide.
        """
        self._desktop = desktop
        self._settings = settings
        self._folders = folders
        self._fixed_game = game
        app = settings.settings.app
        self._guard = Guarding(desktop, app.hotkeys.as_dict(), app.lease_ms)
        self._inputs = InputPump(desktop.inputs)
        self._ticks = TickLoop(desktop.clock)
        self._control = ControlServer(folders.socket, self._handle_request)
        self._window = desktop.window()
        self._learning = Learning(
            folders.sessions, folders.models, folders.checkpoints,
            lambda folder: self._jobs.put(lambda: self._take_bundle(folder)),
        )  # fmt: skip
        self._jobs = Jobs()
        self._profile: GameProfile | None = None
        self._spec: PolicySpec | None = None
        self._front: WindowInfo | None = None
        self._watching: Watcher | None = None
        self._recording: Recording | None = None
        self._quota = Quota(folders.sessions)
        self._player: Player | None = None
        self._last_play = PlayStatus()
        self._last_stop: StopRecord | None = None
        self._stopped_by_safety = False
        self._detail = ""
        self._fault = ""
        self._guarded = False
        self._play_answer: Answer | None = None
        self._quit = False
        self._slow_at = 0.0
        self._process = psutil.Process()
        self.status = Status()

    # -- life --------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start guard first, then everything else.

        Raises:
            PlatformUnavailable: windows can't be seen on this desktop.
            OSError: the control socket can't be made.
        """
        self._guard.start()
        self._window.start()
        self._inputs.start()
        self._ticks.start()
        self._look_around()
        self.status = self._snapshot()  # whoever asks first is told the truth
        self._control.start()

    def run(self) -> None:
        """The main loop; returns after "quit" or `request_quit()`."""
        while not self._quit:
            self._jobs.run_waiting(_LOOP_S)
            for event in self._guard.poll():
                self._hear(event)
            if time.monotonic() >= self._slow_at:
                self._slow_at = time.monotonic() + _SLOW_S
                self._look_around()
            self.status = self._snapshot()

    def request_quit(self) -> None:
        """End the main loop soon; any thread, signal handlers too."""
        self._quit = True

    def close(self) -> None:
        """Let go of every key, then stop all parts in order; says who was late."""
        self._guard.revoke("the daemon is closing")
        late = []
        for part in (self._guard, self._ticks, self._inputs, self._learning, self._control):
            part.request_stop()
            if not part.join(20.0 if part is self._learning else 5.0):
                late.append(type(part).__name__)
        self._window.close()
        if late:
            _log.error("did not stop in time: %s", ", ".join(late))

    # -- requests (control thread) -----------------------------------------------------------------------------------

    def _handle_request(self, message: Message) -> Message:
        match message.get("op"):
            case "status":
                return {"ok": True, "status": self.status.to_json()}
            case "quit":
                self.request_quit()
                return {"ok": True}
            case "stop":
                return self._stop_and_close()
        # operations of their own: a daemon that does not know one of them must not press instead
        ways_to_play: dict[object, Callable[[Answer], None]] = {
            "play": self.play,
            "play_log": self.play_into_log,
            "play_keys": lambda answer: self.play_only(answer, pad=False),
            "play_pad": lambda answer: self.play_only(answer, pad=True),
        }
        if (way := ways_to_play.get(message.get("op"))) is not None:
            return self._jobs.ask(way)
        requests: dict[object, Callable[[], str]] = {
            "watch": lambda: self.watch(message.get("on")),
            "record": lambda: self.record(str(message.get("game", "")), message.get("minutes"), message.get("region")),
            "game": lambda: self._fix_game(str(message.get("name", ""))),
        }
        request = requests.get(message.get("op"))
        if request is None:
            return {"ok": False, "code": "bad_request", "error": f"unknown operation {message.get('op')!r}"}
        return self._jobs.ask(lambda answer: answer(request()))

    def _stop_and_close(self) -> Message:
        """Stop; the answer waits a little for the session to be closed, so that whoever looks next finds all of it."""
        ended = threading.Event()
        watching = self._watching

        def stop(answer: Answer) -> None:
            answer(self.stop())
            self._ticks.order(lambda _: ended.set())

        told = self._jobs.ask(stop)
        if ended.wait(_CLOSED_S) and watching is not None:
            watching.writer.join(_CLOSED_S)
        return told

    # -- what a person asks for (main thread) ------------------------------------------------------------------------

    def record(self, game: str, minutes: object = None, rect: object = None) -> str:
        """Watch the game without learning, for so long if minutes are given, there if a region is; "" or why not."""
        self._take_settings()
        if self._profile is None or self._name() != game:
            return f"{game} is not in front" + (f", {self._name()} is" if self._name() else "")
        if self._watching is not None:
            return "it is watching already. End that first: tray-agent stop"
        if minutes is not None and not (isinstance(minutes, int | float) and 0 < minutes <= _MOST_MINUTES):
            return f"minutes must be a number above 0 and at most {_MOST_MINUTES}"
        try:
            region = Region(rect=rect) if rect is not None else None  # type: ignore[arg-type]  # this is what checks it
        except ValidationError:
            return f"{rect!r:.100} is no region: left, top, width, height in the window, the last two at least 16"
        end_s = time.monotonic() + 60 * minutes if isinstance(minutes, int | float) else float("inf")
        return self._begin_watch(Recording(end_s, region))

    def watch(self, on: object = None) -> str:
        """Begin or end watching (None: the other way round); "" or why not."""
        wanted = self._watching is None if on is None else bool(on)
        if not wanted:
            self._end_watch("watching ended")
            return ""
        if self._recording is not None:
            return "it is recording without learning. End that first: tray-agent stop"
        self._take_settings()
        return "" if self._watching is not None else self._begin_watch(None)

    def _take_settings(self) -> None:
        """What the verb that asks has just written counts already: a change is taken when two looks see it alike."""
        self._look_around()
        self._look_around()

    def _begin_watch(self, recording: Recording | None) -> str:
        if self._profile is None or self._spec is None:
            return self._no_game()
        app = self._settings.settings.app
        limits = app.limits
        if full := self._quota.make_room(limits.disk_gb, limits.when_full == "delete_oldest"):
            return full
        folder = new_folder(self._folders.sessions, self._profile.name)
        writer = SessionWriter(
            folder, self._spec, self._profile.name, self._profile.vector8, clock=self._desktop.clock,
            quality=app.recording.quality,
            on_failure=lambda error: self._jobs.put(lambda: self._lose_session(folder, str(error))),
            on_growth=self._quota.grown, extra=_made_by(recording),
        )  # fmt: skip
        try:
            writer.start()
        except SessionError as error:
            self._note(str(error))
            return str(error)
        learns = recording is None
        training = self._learning.begin(app.trainer) if learns else NoTrainer()
        watcher = Watcher(self._spec, writer, training, self._profile.idle_after_s)
        self._watching, self._recording = watcher, recording
        self._stopped_by_safety, self._fault = False, ""
        self._detail = ""
        self._look_there()
        self._ticks.order(lambda loop: loop.begin_watch(watcher))
        return ""

    def play(self, answer: Answer) -> None:
        """Hand the game to the agent; `answer` is told "" once it plays, or why not."""
        if refused := self._why_not_play() or self._guard.ask_permit():
            answer(refused)
        else:
            self._play_answer = answer

    def play_into_log(self, answer: Answer) -> None:
        """The same, unless anything would really be pressed."""
        if self._guard.presses:
            answer(
                "this daemon presses keys: its guard was given them when it started. "
                "End it by: tray-agent quit - and start it by: tray-agent run --output log"
            )
        else:
            self.play(answer)

    def play_only(self, answer: Answer, *, pad: bool) -> None:
        """The same, unless anything would be pressed beside a pad (`pad`), or beside keyboard and mouse."""
        names = self._spec.controls.names if self._spec is not None else ()
        others = [name for name in names if (name in keys.PAD) != pad]
        if others:
            on = "keyboard and mouse" if pad else "a pad"
            answer(
                f"{self._name()} is played with {on} ({', '.join(others)}): a game's controls are what is pressed. "
                "Leave --output out, or change the controls in games.yaml and watch again"
            )
        else:
            self.play(answer)

    def stop(self) -> str:
        """End playing and watching."""
        self._guard.revoke("stopped by the user")
        self._end_watch("stopped")
        self._stopped_by_safety = False
        return ""

    def _lose_session(self, folder: Path, problem: str) -> None:
        self._note(problem)
        if self._watching is not None and self._watching.writer.folder == folder:
            self._end_watch(problem)

    def _end_watch(self, why: str) -> None:
        if self._watching is not None:
            self._ticks.order(TickLoop.end_watch)
            self._watching = self._recording = None
            self._look_there()
            self._learning.watching_ended()
            self._detail = why

    def _fix_game(self, name: str) -> str:
        if name and name not in self._settings.settings.games:
            return f"there is no game {name!r}"
        self._fixed_game = name
        self._look_around()
        return ""

    def _no_game(self) -> str:
        if self._fixed_game:
            return (
                f"{self._fixed_game} can't be watched: its profile has mistakes or is gone. Run: tray-agent games check"
            )
        return ("no configured game is in front. Bring the game to the front, or add it with: "
                "tray-agent games add NAME --pick")  # fmt: skip

    def _why_not_play(self) -> str:
        if self._profile is None or self._spec is None:
            return self._no_game()
        if self._learning.policy is None:
            return self._learning.problem or self._nothing_learned(self._profile.name)
        if self._learning.cannot:
            return f"what was learned for {self._profile.name} can't play: {self._learning.cannot}"
        if self._front is None:
            return f"{self._profile.name} is not in front"
        return self._guard.problem

    def _nothing_learned(self, game: str) -> str:
        what_to_do = "play on, a first policy takes some seconds" if self._learning.active else "watch first"
        return f"nothing has been learned for {game} yet: {what_to_do}"

    # -- what the guard reports (main thread) ------------------------------------------------------------------------

    def _hear(self, event: GuardEvent) -> None:
        match event:
            case Hotkey(name="watch"):
                if refused := self.watch():
                    self._detail = refused
                    _log.warning("watch: %s", refused)
            case Hotkey(name="kill"):
                self._stopped_by_safety = True
                self._detail = "stopped by the kill hotkey"
            case Armed(epoch=epoch):
                self._begin_play(epoch)
            case Refused(what=what, reason=reason):
                self._refused(what, reason)
            case Revoked():
                self._end_play(event)
            case Lost(reason=reason) | Failed(reason=reason):
                self._end_play(Revoked("lost", reason, 0, 0, (), 0))
            case _:
                pass

    def _begin_play(self, epoch: int) -> None:
        self._answer_play("")
        policy = self._learning.policy
        if policy is None or self._spec is None or not self._learning.playable:
            self._guard.revoke(self._why_not_play() or "nothing has been learned yet")
            return
        rate_hz = self._spec.rate_hz * self._desktop.speed
        player = Player(policy, self._guard, epoch, rate_hz, self._desktop.clock)
        self._player = player
        self._stopped_by_safety, self._detail = False, ""
        self._ticks.order(lambda loop: loop.begin_play(player))

    def _refused(self, what: str, reason: str) -> None:
        why = self._why_not_play() or reason
        self._answer_play(why)
        self._detail = f"play was refused: {why}" if what == "permit" else why
        _log.warning("%s refused: %s", what, why)

    def _answer_play(self, text: str) -> None:
        answer, self._play_answer = self._play_answer, None
        if answer is not None:
            answer(text)

    def _end_play(self, end: Revoked) -> None:
        player, self._player = self._player, None
        if player is None:
            return
        takeover = end.kind == "takeover"
        self._ticks.order(lambda loop: loop.end_play(takeover))
        self._last_play = player.status
        self._last_stop = StopRecord(end.kind, end.reason, end.latency_us / 1000.0, end.released)
        self._stopped_by_safety = end.kind not in {"stop", "hotkey", "game", "takeover"} or bool(player.status.stopped)
        self._detail = f"play ended: {end.reason}"
        _log.info("play ended (%s): %s; all up after %.1f ms", end.kind, end.reason, end.latency_us / 1000.0)

    # -- surroundings (main thread, four times a second) -------------------------------------------------------------

    def _look_around(self) -> None:
        change = self._settings.poll()
        if change is not None and change.error:
            _log.warning("settings not taken:\n%s", change.error)
        elif change is not None and change.app:
            self._guard.replace(change.settings.app.hotkeys.as_dict(), change.settings.app.lease_ms)
        window = self._window.active()
        profile = self._choose(window)
        if profile != self._profile:
            self._change_game(profile)
        self._follow_front(window)
        if self._recording is not None and time.monotonic() >= self._recording.end_s:
            self._end_watch("recorded for as long as asked")
        self._learning.poll()
        failure = self._ticks.failure
        if failure is not None:
            self._fault = f"the tick thread failed: {failure}; quit and start again"
            self._guard.revoke(self._fault)

    def _choose(self, window: WindowInfo | None) -> GameProfile | None:
        games = self._settings.settings.games
        if self._fixed_game:
            return games.get(self._fixed_game)
        found = match(window, games.values()) if window is not None else None
        if found is None and self._profile is not None:
            return games.get(self._profile.name)  # the game stays the game while another window is in front
        if self._watching is not None and found is not None and self._profile is not None:
            return games.get(self._profile.name)
        return found

    def _change_game(self, profile: GameProfile | None) -> None:
        goes_on = self._watching is not None and profile is not None and profile.name == self._name()
        recording = self._recording
        self._guard.revoke("the game or its settings changed")
        self._guard.set_game(None)
        self._end_watch("the game or its settings changed")
        self._profile, self._front = profile, None
        self._spec = spec = profile.spec() if profile is not None else None
        self._learning.set_game(profile, spec)
        if spec is None:
            self._ticks.order(lambda loop: loop.set_game(None, 1.0))
            return
        rate_hz = spec.rate_hz * self._desktop.speed
        buffer_bytes = self._settings.settings.app.limits.ram_mb << 20
        observer = Observer(self._desktop, spec, self._inputs, buffer_bytes)
        policy = self._learning.policy
        self._ticks.order(lambda loop: loop.set_game(observer, rate_hz))
        self._ticks.order(lambda loop: loop.set_policy(policy))
        if goes_on:  # a saved edit counts at once, and does not end the watching
            self._begin_watch(recording)

    def _follow_front(self, window: WindowInfo | None) -> None:
        profile = self._profile
        fixed = bool(profile and profile.name == self._fixed_game and profile.match is None)
        is_game = profile is not None and window is not None and (fixed or match(window, [profile]) is not None)
        front = window if is_game else None
        if front is not None and front == self._front and self._guarded == self._learning.playable:
            return
        self._front = front
        self._look_there()
        self._offer_game()

    def _look_there(self) -> None:
        """Look where the recording, or else the profile, says; not at all while the game is not in front."""
        front, region = self._front, self._region()
        self._ticks.order(lambda loop: loop.set_front(front is not None, region))

    def _region(self) -> tuple[int, int, int, int] | None:
        front, profile = self._front, self._profile
        if front is None or profile is None:
            return None
        region = self._recording.region if self._recording is not None else None
        region = region or profile.region
        if region is None:
            return front.rect if profile.match is not None else None
        return region.on_screen(front.rect)

    def _offer_game(self) -> None:
        """Tell the guard what may be pressed where; nothing without a policy that may play: the hotkey fails closed."""
        front, profile, spec = self._front, self._profile, self._spec
        self._guarded = self._learning.playable
        if profile is None or spec is None or not self._guarded:
            self._guard.set_game(None)
            return
        if front is None:
            return  # the guard knows the window and refuses by itself while it is not in front
        app = self._settings.settings.app
        tick_ms = 1000.0 / (spec.rate_hz * self._desktop.speed)
        self._guard.set_game(Game(
            buttons=spec.controls.buttons, relative=spec.controls.relative, axes=spec.controls.axes,
            window=front.handle, rect=front.rect,
            limit_s=60.0 * min(profile.play_limit_minutes, app.limits.play_minutes),
            lease_ms=int(min(_MAX_LEASE_MS, max(app.lease_ms, 2.2 * tick_ms))),
        ))  # fmt: skip

    def _take_bundle(self, folder: Path) -> None:
        if self._learning.take_bundle(folder):
            policy = self._learning.policy
            if self._player is not None and not self._learning.playable:
                self._guard.revoke(self._why_not_play())
            self._ticks.order(lambda loop: loop.set_policy(policy))
            self._offer_game()

    # -- telling -----------------------------------------------------------------------------------------------------

    def _note(self, problem: str) -> None:
        self._fault = problem

    def _name(self) -> str:
        return self._profile.name if self._profile is not None else ""

    def _mode(self) -> Mode:
        if self._fault:
            return Mode.FAULT
        if self._player is not None:
            return Mode.PLAYING
        if self._watching is not None:
            return Mode.WATCHING
        if self._stopped_by_safety:
            return Mode.STOPPED
        return Mode.LEARNING if self._learning.active else Mode.IDLE

    def _problems(self) -> tuple[str, ...]:
        report = self._guard.ready.report if self._guard.ready else None
        hotkeys = [f"hotkey {n}: {why}" for n, why in report.hotkey_problems.items()] if report else []
        deaf = [f"takeover can't be noticed: {report.why_deaf}"] if report and not report.hears_player else []
        ticks, learn = self._ticks.report, self._learning.status
        sound = ticks.audio_problem and f"sound: {ticks.audio_problem}"
        found = [self._fault, self._guard.problem, self._settings.error, self._inputs.problem, self._learning.problem,
                 ticks.screen_problem, sound, learn.fault, learn.encoder_note,
                 self._watching is not None and self._quota.status.problem]  # fmt: skip
        return tuple(p for p in (*found, *hotkeys, *deaf) if p)

    def _snapshot(self) -> Status:
        watch = self._watching.status if self._watching is not None else self.status.watch
        return Status(
            mode=self._mode(),
            game=self._name(),
            game_in_front=self._front is not None,
            games=tuple(self._settings.settings.games),
            detail=self._tell(),
            watch=watch,
            learn=self._learning.status,
            play=self._player.status if self._player is not None else self._last_play,
            ticks=self._ticks.report,
            disk=self._quota.status,
            bundle=self._learning.bundle(),
            last_stop=self._last_stop,
            problems=self._problems(),
            guard={"pid": self._guard.pid, "backend": self._desktop.guard_backend, "ready": not self._guard.problem},
            memory_mb=round(self._process.memory_info().rss / 2**20, 1),
            pid=os.getpid(),
        )

    def _tell(self) -> str:
        if self._fault:
            return self._fault
        if self._watching is not None and self._player is None:
            watch, doing = self._watching.status, "watching" if self._recording is None else "recording"
            return f"paused: {watch.paused}" if watch.paused else f"{doing}, {watch.seconds:.0f} s so far"
        return self._detail


def _made_by(recording: Recording | None) -> dict[str, object]:
    """What a session's metadata say of how it came about."""
    if recording is None:
        return {"recorder": "watch"}
    return {"recorder": "record"} | ({"region": recording.region.rect} if recording.region is not None else {})
