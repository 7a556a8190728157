"""One suite for every ScreenSource that can run here."""

import contextlib
from collections.abc import Iterator

import numpy as np
import pytest
from port_rigs import REAL, SIZE, FakeWorld, LockstepWorld, ReplayWorld, Rig, closing_twice, real_time

from tray_agent.core.ports import ScreenSource
from tray_agent.errors import CaptureLost
from tray_agent.platforms.env.clients import EnvScreen
from tray_agent.platforms.x11.screen import MssGrabber, X11ScreenSource


@pytest.fixture(params=["fake", "lockstep", "replay", "env", "x11", "x11-mss"])
def rig(request: pytest.FixtureRequest) -> Iterator[Rig[ScreenSource]]:
    """A source that was not started."""
    with contextlib.ExitStack() as stack:
        yield _make(request.param, request, stack)


def _make(kind: str, request: pytest.FixtureRequest, stack: contextlib.ExitStack) -> Rig[ScreenSource]:
    if kind == "fake":
        fake = FakeWorld()
        return Rig(fake.desktop.screen, fake.clock, fake.pass_time)
    if kind == "lockstep":
        lockstep = LockstepWorld()
        stack.callback(lockstep.desktop.close)
        return Rig(lockstep.desktop.screen, lockstep.clock, lockstep.play)
    if kind == "replay":
        replay = ReplayWorld()
        return Rig(replay.desktop.screen, replay.clock, replay.pass_time)
    if kind == "env":
        game = request.getfixturevalue("breakout")
        return Rig(EnvScreen(game.socket_path, *SIZE), REAL, real_time(0.1))
    display = request.getfixturevalue("flat_display")
    grabber = MssGrabber(display) if kind == "x11-mss" else None
    return Rig(X11ScreenSource(SIZE, display, grabber=grabber), REAL, real_time(0.001))


def test_closing_is_always_allowed(rig: Rig[ScreenSource]) -> None:
    """close() is harmless before start and twice after it."""
    rig.port.close()
    with closing_twice(rig.port):
        rig.port.start()


def test_frames_have_the_asked_size_and_rising_times(rig: Rig[ScreenSource]) -> None:
    """Frames are RGB bytes of the policy's size, stamped on the desktop's clock, never from the future."""
    with closing_twice(rig.port):
        rig.port.start()
        stamps = []
        for _ in range(4):
            frame = rig.port.grab()
            assert frame.pixels.shape == (SIZE[1], SIZE[0], 3)
            assert frame.pixels.dtype == np.uint8
            assert frame.pixels.flags.c_contiguous
            assert frame.t_ns <= rig.clock.now_ns()
            stamps.append(frame.t_ns)
            rig.stir()
    assert stamps == sorted(stamps)
    assert len(set(stamps)) == 4


def test_a_frame_is_the_callers_own(rig: Rig[ScreenSource]) -> None:
    """A frame does not change when the next is taken, and writing into it does not reach the next."""
    with closing_twice(rig.port):
        rig.port.start()
        first = rig.port.grab().pixels
        kept = first.copy()
        rig.stir()
        second = rig.port.grab().pixels
        assert np.array_equal(first, kept)
        assert not np.shares_memory(first, second)


def test_a_region_keeps_the_frames_size(rig: Rig[ScreenSource]) -> None:
    """Whatever is cut out, the policy sees pictures of one size; None is the whole screen again."""
    with closing_twice(rig.port):
        rig.port.start()
        for rect in ((4, 4, 32, 24), (0, 0, 90, 60), None):
            rig.port.set_region(rect)
            rig.stir()
            assert rig.port.grab().pixels.shape == (SIZE[1], SIZE[0], 3)


@pytest.mark.parametrize("kind", ["env", "x11"])
def test_a_closed_device_is_capture_lost(kind: str, request: pytest.FixtureRequest) -> None:
    """Where there is a device, grabbing after close is an error for the user, not a crash."""
    if kind == "env":
        source: ScreenSource = EnvScreen(request.getfixturevalue("breakout").socket_path, *SIZE)
    else:
        source = X11ScreenSource(SIZE, request.getfixturevalue("flat_display"))
    source.start()
    source.close()
    with pytest.raises(CaptureLost):
        source.grab()
