"""One suite for every AudioSource that can run here."""

import contextlib
import shutil
import time
from collections.abc import Iterator

import numpy as np
import pytest
from port_rigs import REAL, FakeWorld, LockstepWorld, ReplayWorld, Rig, closing_twice, real_time, until

from tray_agent.core.clock import ManualClock
from tray_agent.core.media import AUDIO_RATE_HZ, AudioChunk
from tray_agent.core.ports import AudioSource
from tray_agent.platforms.env.clients import EnvAudio
from tray_agent.platforms.sound.pulse import PulseMonitor
from tray_agent.platforms.sound.silence import Silence
from tray_agent.platforms.sound.wasapi import WasapiLoopback

_JITTER_NS = 20_000_000
"""A packaged game stamps its sound with the moments of its frames, which a busy machine shifts."""


@pytest.fixture(params=["fake", "lockstep", "replay", "silence", "env", "pulse"])
def rig(request: pytest.FixtureRequest) -> Iterator[Rig[AudioSource]]:
    """A source that was not started."""
    with contextlib.ExitStack() as stack:
        yield _make(request.param, request, stack)


def _make(kind: str, request: pytest.FixtureRequest, stack: contextlib.ExitStack) -> Rig[AudioSource]:
    if kind == "fake":
        fake = FakeWorld()
        return Rig(fake.desktop.audio, fake.clock, fake.pass_time)
    if kind == "lockstep":
        lockstep = LockstepWorld()
        stack.callback(lockstep.desktop.close)
        return Rig(lockstep.desktop.audio, lockstep.clock, lockstep.play)
    if kind == "replay":
        replay = ReplayWorld()
        return Rig(replay.desktop.audio, replay.clock, replay.pass_time)
    if kind == "silence":
        clock = ManualClock(10**12)
        return Rig(Silence(clock), clock, lambda: clock.advance_ns(40_000_000))
    if kind == "env":
        game = request.getfixturevalue("breakout")
        return Rig(EnvAudio(game.socket_path), REAL, real_time())
    if shutil.which("parec") is None:
        pytest.skip("parec is not installed")
    request.getfixturevalue("pulse_server")
    return Rig(PulseMonitor(REAL, "game.monitor"), REAL, real_time())


def test_closing_is_always_allowed(rig: Rig[AudioSource]) -> None:
    """close() is harmless before start and twice after it; a fresh source has no problem to tell."""
    assert rig.port.problem == ""
    rig.port.close()
    with closing_twice(rig.port):
        rig.port.start()


def test_sound_comes_in_order_and_is_never_waited_for(rig: Rig[AudioSource]) -> None:
    """Chunks are mono floats, each begins about where the one before ended or later, none is from the future."""
    chunks: list[AudioChunk] = []

    def enough() -> bool:
        rig.stir()
        began = time.monotonic()
        chunks.extend(rig.port.read())
        assert time.monotonic() - began < 2.0
        return sum(len(chunk.samples) for chunk in chunks) >= AUDIO_RATE_HZ // 5

    with closing_twice(rig.port):
        rig.port.start()
        until(enough, "a fifth of a second of sound")
        assert rig.port.problem == ""
        now = rig.clock.now_ns()
    end_ns = 0
    for chunk in chunks:
        assert chunk.samples.dtype == np.float32
        assert chunk.samples.ndim == 1
        assert np.abs(chunk.samples).max(initial=0.0) <= 1.0
        assert chunk.t_ns >= end_ns - _JITTER_NS
        end_ns = chunk.t_ns + len(chunk.samples) * 10**9 // AUDIO_RATE_HZ
    assert chunks[-1].t_ns <= now


def test_windows_loopback_has_a_problem_to_tell_too() -> None:
    """The source that can't run here stores its attribute like all others."""
    source: AudioSource = WasapiLoopback(REAL)
    assert source.problem == ""
    source.close()
