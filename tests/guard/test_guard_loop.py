"""The guard's loop on a fake desktop and a hand-moved clock: what ends play, and what is never pressed."""

from dataclasses import replace

import pytest
from guard_desk import GAME, HOTKEYS, MS, WINDOW, Desk

from tray_agent.core.events import WindowInfo
from tray_agent.core.guard_port import BackendReport, Heard
from tray_agent.guard import protocol
from tray_agent.guard.loop import asleep_ns
from tray_agent.guard.protocol import Armed, Game, Hotkey, Pong, Refused


def test_act_presses_exactly_what_is_held():
    """An act within the permit is obeyed."""
    desk = Desk().armed()
    desk.act("KeyW", "KeyA", relative={"MouseX": 3.0}, axes={"PadLX": 0.5})
    assert desk.down == {"KeyW", "KeyA"}
    desk.act("KeyA")
    assert desk.down == {"KeyA"}
    assert desk.backend.moved == {"MouseX": 3.0}


def test_nothing_is_pressed_without_a_permit():
    """Acts before a permit are dropped and counted."""
    desk = Desk().ready()
    desk.act("KeyW", epoch=0)
    desk.clock.advance_ns(600 * MS)
    desk.loop.step()
    assert desk.down == set()
    assert [(d.count, d.why) for d in desk.dropped] == [(1, "no permit")]


def _cause_kill(desk: Desk) -> None:
    desk.press(*HOTKEYS["kill"])


def _cause_touch(desk: Desk) -> None:
    desk.press("KeyX")


def _cause_mouse(desk: Desk) -> None:
    desk.move("MouseX", 9.0)


def _cause_pad(desk: Desk) -> None:
    desk.move("PadRY", 0.4, kind="axis")


def _cause_other_window(desk: Desk) -> None:
    desk.backend.window = None
    desk.backend.script.append(Heard(focus_changed=True))
    desk.loop.step()


def _cause_silence(desk: Desk) -> None:
    while desk.loop.playing:
        desk.loop.step()


def _cause_sleep(desk: Desk) -> None:
    desk.slept_ns += 5_000 * MS
    desk.loop.step()


def _cause_stop(desk: Desk) -> None:
    desk.say(protocol.Revoke("stopped by the tray"))


def _cause_nan(desk: Desk) -> None:
    desk.act("KeyW", axes={"PadLX": float("nan")})


def _cause_garbage(desk: Desk) -> None:
    desk.channel.lines.append(b"\xff{")
    desk.loop.step()


def _cause_game(desk: Desk) -> None:
    desk.say(Game(("KeyW",)))


def _cause_quit(desk: Desk) -> None:
    desk.say(protocol.Quit())


def _cause_eof(desk: Desk) -> None:
    desk.channel.hung_up = True
    desk.loop.step()


def _cause_orphaned(desk: Desk) -> None:
    desk.parent_gone = True
    desk.loop.step()


def _cause_lost(desk: Desk) -> None:
    desk.backend.script.append(Heard(lost="display closed"))
    desk.loop.step()


def _cause_signal(desk: Desk) -> None:
    desk.loop.request_stop("SIGTERM")
    desk.loop.step()


CAUSES = {
    "kill": (_cause_kill, "takeover"),  # its first modifier is a touch already
    "touch": (_cause_touch, "takeover"),
    "mouse": (_cause_mouse, "takeover"),
    "pad": (_cause_pad, "takeover"),
    "window": (_cause_other_window, "window"),
    "silence": (_cause_silence, "lease"),
    "sleep": (_cause_sleep, "suspend"),
    "stop": (_cause_stop, "stop"),
    "nan": (_cause_nan, "command"),
    "garbage": (_cause_garbage, "command"),
    "game": (_cause_game, "game"),
    "quit": (_cause_quit, "stop"),
    "eof": (_cause_eof, "daemon"),
    "orphaned": (_cause_orphaned, "daemon"),
    "lost": (_cause_lost, "lost"),
    "signal": (_cause_signal, "signal"),
}
ENDING = {"quit", "eof", "orphaned", "lost", "signal"}


@pytest.mark.parametrize("name", CAUSES)
def test_everything_is_let_go(name: str):
    """Whatever ends play: all keys up, told once, latched, and the process ends only where it must."""
    cause, kind = CAUSES[name]
    desk = Desk().armed()
    desk.act("KeyW", axes={"PadLX": 1.0})
    cause(desk)
    assert desk.down == set()
    assert desk.backend.axes == {}
    (event,) = desk.revoked
    assert (event.kind, set(event.released)) == (kind, {"KeyW", "PadLX"})
    assert desk.loop.ended == (name in ENDING)
    if name not in ENDING:
        desk.act("KeyD")
        assert desk.down == set()


def test_released_before_it_is_told():
    """Letting go comes first, the report second."""
    desk = Desk().armed()
    desk.act("KeyW")
    seen: list[set[str]] = []
    desk.channel.send = lambda event: seen.append(desk.down)  # type: ignore[method-assign]
    desk.press("KeyX")
    assert seen == [set()]


def test_kill_hotkey_with_modifiers_already_held():
    """The kill hotkey itself ends play when its modifiers were held before play began."""
    desk = Desk().ready()
    desk.press("ControlRight", "AltLeft")
    desk.ask()
    desk.act("KeyW")
    desk.press("KeyK")
    assert desk.down == set()
    assert [event.kind for event in desk.revoked] == ["kill"]
    assert desk.hotkeys[-1].name == "kill"


def test_kill_wins_over_commands_of_the_same_moment():
    """What the player did is looked at before what the daemon asks."""
    desk = Desk().armed()
    act = protocol.Act(desk.epoch, 1, desk.clock.now_ns(), protocol.Command(frozenset({"KeyW"})))
    desk.channel.lines.append(protocol.encode_op(act))
    desk.backend.script.append(Heard(events=(desk.key("KeyX"),), commands_ready=True))
    desk.loop.step()
    assert desk.down == set()
    assert desk.revoked


def test_request_sent_before_a_kill_is_refused():
    """A request for play that was under way when the player pressed kill does not undo it."""
    desk = Desk().ready()
    asked = desk.clock.now_ns()
    desk.hotkey("kill")
    desk.say(protocol.PermitRequest(asked))
    assert not desk.loop.playing
    assert "stopped" in desk.refused[-1].reason


@pytest.mark.parametrize("age_ms", [2000, -200])
def test_request_must_be_of_this_moment(age_ms: int):
    """Old requests and requests from the future are refused."""
    desk = Desk().ready()
    desk.say(protocol.PermitRequest(desk.clock.now_ns() - age_ms * MS))
    assert not desk.loop.playing
    assert "moment" in desk.refused[-1].reason


def test_play_hotkey_is_a_human_act():
    """With a game ready, the play hotkey arms without the daemon."""
    desk = Desk().ready()
    desk.press(*HOTKEYS["play"])
    assert desk.loop.playing
    assert [type(event) for event in desk.channel.events] == [Hotkey, Armed]
    desk.release(*HOTKEYS["play"])
    desk.act("KeyW")
    assert desk.down == {"KeyW"}


def test_play_hotkey_again_stops_and_does_not_start_anew():
    """Pressed while playing, its first key takes over and the rest of the gesture arms nothing."""
    desk = Desk().armed()
    desk.act("KeyW")
    desk.hotkey("play")
    assert not desk.loop.playing
    assert desk.hotkeys[-1].stops
    desk.hotkey("play")
    assert desk.loop.playing


def test_play_hotkey_with_modifiers_held_stops():
    """Its last key alone, modifiers held since before, is the hotkey and no takeover."""
    desk = Desk().ready()
    desk.press(*HOTKEYS["play"])
    desk.release("KeyP")
    desk.act("KeyW")
    desk.press("KeyP")
    assert [event.kind for event in desk.revoked] == ["hotkey"]
    assert desk.hotkeys[-1].stops


def test_watch_hotkey_is_reported():
    """Other hotkeys are told and do nothing else."""
    desk = Desk()
    desk.hotkey("watch")
    assert [(event.name, event.stops) for event in desk.hotkeys] == [("watch", False)]


@pytest.mark.parametrize(
    ("report", "why"),
    [
        (BackendReport(hears_player=False, why_deaf="no devices"), "no devices"),
        (BackendReport(hears_player=True, hotkey_problems={"kill": "taken"}), "taken"),
    ],
)
def test_play_is_refused_where_it_could_not_be_stopped(report: BackendReport, why: str):
    """Fails closed: deaf to the player, or without a kill hotkey."""
    desk = Desk(report).ready()
    desk.ask()
    assert not desk.loop.playing
    assert why in desk.refused[-1].reason


def test_log_mode_needs_no_ears():
    """Where nothing is really pressed, play is allowed without them."""
    desk = Desk(BackendReport(hears_player=False, hotkey_problems={"kill": "taken"}, presses=False))
    assert desk.armed().loop.playing


def test_play_is_refused_without_a_game_and_while_playing():
    """A permit needs a game, and there is one at a time."""
    desk = Desk()
    desk.ask()
    assert "no game" in desk.refused[-1].reason
    desk.armed().ask()
    assert "already" in desk.refused[-1].reason


OTHER_WINDOWS = [
    (None, "no window"),
    (replace(WINDOW, handle=8), "not in front"),
    (replace(WINDOW, rect=(11, 20, 640, 480)), "moved or resized"),
    (replace(WINDOW, rect=(10, 20, 800, 480)), "moved or resized"),
]


@pytest.mark.parametrize(("window", "why"), OTHER_WINDOWS)
def test_play_is_refused_in_another_window(window: WindowInfo | None, why: str):
    """The game's window must be in front, where and as large as it was."""
    desk = Desk().ready()
    desk.backend.window = window
    desk.ask()
    assert not desk.loop.playing
    assert why in desk.refused[-1].reason


@pytest.mark.parametrize(("window", "why"), OTHER_WINDOWS)
def test_window_is_looked_at_without_being_told(window: WindowInfo | None, why: str):
    """Within a tenth of a second the guard sees by itself that the window is another."""
    desk = Desk().armed()
    desk.act("KeyW")
    desk.backend.window = window
    desk.clock.advance_ns(101 * MS)
    desk.loop.step()
    assert desk.down == set()
    assert why in desk.revoked[0].reason


def test_window_may_be_anything_for_a_game_without_one():
    """Environments have no window to leave."""
    desk = Desk().armed(Game(("KeyW",)))
    desk.backend.window = None
    desk.act("KeyW")
    desk.backend.script.append(Heard(focus_changed=True))
    desk.loop.step()
    assert desk.down == {"KeyW"}


def test_window_may_move_when_no_rectangle_is_given():
    """Without a rectangle only the window itself counts."""
    desk = Desk().armed(replace(GAME, rect=None))
    desk.backend.window = replace(WINDOW, rect=(0, 0, 1, 1))
    desk.backend.script.append(Heard(focus_changed=True))
    desk.loop.step()
    assert desk.loop.playing


def test_lease_is_renewed_by_acts_and_measured_to_the_moment():
    """Acts every 150 ms keep a lease of 200 ms; silence ends it on the dot."""
    desk = Desk().armed()
    for _ in range(10):
        desk.act("KeyW")
        desk.clock.advance_ns(150 * MS)
    assert desk.loop.playing
    last = desk.clock.now_ns() - 150 * MS
    _cause_silence(desk)
    assert desk.clock.now_ns() - last == 200 * MS
    assert desk.revoked[0].latency_us == 0


def test_pings_do_not_renew_the_lease():
    """A daemon that lives but does not act has lost its lease."""
    desk = Desk().armed()
    desk.act("KeyW")
    for _ in range(5):
        desk.clock.advance_ns(50 * MS)
        desk.say(protocol.Ping(desk.clock.now_ns()))
    assert desk.down == set()
    assert desk.revoked[0].kind == "lease"
    assert [pong.held for pong in desk.of(Pong)] == [("KeyW",)] * 4 + [()]


def test_first_act_may_take_a_second():
    """Nothing is held before the first act, so the daemon has time to begin."""
    desk = Desk().armed()
    desk.clock.advance_ns(900 * MS)
    desk.loop.step()
    assert desk.loop.playing
    _cause_silence(desk)
    assert desk.revoked[0].kind == "lease"


def test_slow_games_may_have_a_longer_lease():
    """A game's own lease overrides the guard's."""
    desk = Desk().armed(replace(GAME, lease_ms=900))
    desk.act("KeyW")
    desk.clock.advance_ns(850 * MS)
    desk.loop.step()
    assert desk.down == {"KeyW"}


def test_time_limit_ends_play():
    """A permit ends by itself even if all is well."""
    desk = Desk().armed(replace(GAME, limit_s=1.0))
    for _ in range(9):
        desk.clock.advance_ns(110 * MS)
        desk.act("KeyW")
    assert desk.down == {"KeyW"}
    desk.clock.advance_ns(110 * MS)
    desk.act("KeyW")
    assert desk.down == set()
    assert [event.kind for event in desk.revoked] == ["limit"]


def test_own_events_are_never_a_takeover():
    """What the guard pressed comes back and changes nothing."""
    desk = Desk().armed()
    desk.act("KeyW")
    desk.hear(desk.key("KeyW", own=True))
    desk.move("MouseX", 500.0, own=True)
    assert desk.down == {"KeyW"}


def test_letting_go_of_the_hotkey_is_no_takeover():
    """Neither are small shakes of the mouse."""
    desk = Desk().armed()
    desk.act("KeyW")
    desk.release("AltLeft", "KeyP")
    desk.move("MouseX", 2.0)
    assert desk.down == {"KeyW"}


def test_same_game_again_changes_nothing():
    """Telling the same game twice does not stop play; clearing it does."""
    desk = Desk().armed()
    desk.say(GAME)
    assert desk.loop.playing
    desk.say(protocol.ClearGame())
    assert not desk.loop.playing
    desk.ask()
    assert "no game" in desk.refused[-1].reason


def test_wrong_message_forgets_the_game():
    """After a message that makes no sense, the daemon must say anew what may be pressed."""
    desk = Desk().armed()
    desk.say_raw(op="game", controls={"buttons": ["MetaLeft"]})
    assert desk.refused[-1].what == "message"
    desk.ask()
    assert "no game" in desk.refused[-1].reason


def test_commands_after_quit_are_not_read():
    """Quit ends the loop, whatever follows it."""
    desk = Desk().armed()
    desk.channel.lines.append(protocol.encode_op(protocol.Quit()))
    desk.say(protocol.Act(desk.epoch, 1, desk.clock.now_ns(), protocol.Command(frozenset({"KeyW"}))))
    assert desk.loop.ended
    assert desk.backend.down == set()


def test_run_releases_when_the_platform_breaks_while_pressing():
    """An error while pressing ends play and the loop."""
    desk = Desk().armed()
    desk.act("KeyW")
    desk.backend.broken = True
    desk.act("KeyA")
    assert desk.loop.ended
    assert desk.down == set()
    assert [type(event).__name__ for event in desk.channel.events[-2:]] == ["Revoked", "Failed"]


def test_run_releases_on_a_fault_of_its_own():
    """Whatever goes wrong inside the guard: all up, told, and the error comes out."""
    desk = Desk().armed()
    desk.act("KeyW")

    def broken() -> None:
        raise RuntimeError("boom")

    desk.backend.active = broken  # type: ignore[method-assign,assignment]
    with pytest.raises(RuntimeError, match="boom"):
        desk.loop.run()
    assert desk.down == set()
    assert [event.kind for event in desk.revoked] == ["fault"]


def test_run_ends_with_the_daemon():
    """The loop runs until the daemon's pipe closes."""
    desk = Desk().armed()
    desk.channel.hung_up = True
    desk.loop.run()
    assert [event.kind for event in desk.revoked] == ["daemon"]


def test_waits_no_longer_than_needed():
    """Idle, the guard sleeps a second at a time; playing, until its next deadline."""
    desk = Desk()
    start = desk.clock.now_ns()
    desk.loop.step()
    assert desk.clock.now_ns() - start == 1000 * MS
    desk.armed(replace(GAME, limit_s=0.05))
    start = desk.clock.now_ns()
    desk.loop.step()
    assert desk.clock.now_ns() - start == 50 * MS
    assert desk.revoked[0].kind == "limit"


def test_system_sleep_is_measured():
    """The default source of sleep time answers here and does not grow while awake."""
    before = asleep_ns()
    assert 0 <= asleep_ns() - before < 10**9


@pytest.mark.parametrize(("button", "axis"), [("PadA", ()), ("KeyW", ("PadLX",))])
def test_pad_game_is_refused_without_a_pad(button: str, axis: tuple[str, ...]):
    """With no virtual pad a game that needs one is refused with the reason, now and when play is asked for."""
    desk = Desk(BackendReport(hears_player=True, no_pad="no driver. Load it"))
    desk.ready(Game(buttons=(button,), axes=axis))
    assert "no driver. Load it" in desk.of(Refused)[-1].reason
    assert desk.of(Refused)[-1].what == "game"
    desk.ask()
    assert desk.of(Refused)[-1].what == "permit"
    assert "no driver. Load it" in desk.of(Refused)[-1].reason
    desk.armed(Game(buttons=("KeyW",)))
    assert desk.loop.playing


def test_pad_game_may_be_logged_without_a_pad():
    """Where nothing is pressed, no virtual pad is needed."""
    desk = Desk(BackendReport(hears_player=True, presses=False, no_pad="no driver")).armed(Game(buttons=("PadA",)))
    assert desk.loop.playing
