"""The WASAPI source's own logic, driven by a small stand-in for PyAudioWPatch (no Windows here)."""

from typing import Any

import numpy as np
import pytest

from tray_agent.core.clock import ManualClock
from tray_agent.core.media import AUDIO_RATE_HZ
from tray_agent.errors import PlatformUnavailable
from tray_agent.platforms.sound import wasapi
from tray_agent.platforms.sound.wasapi import WasapiLoopback

MS = 1_000_000


class FakePyAudio:
    """One 48 kHz stereo loopback device that can be pulled out."""

    paFloat32, paContinue = 1, 0  # noqa: N815 - PyAudio's names

    def __init__(self) -> None:
        self.is_plugged = True
        self.callback: Any = None

    def PyAudio(self) -> "FakePyAudio":  # noqa: N802 - PyAudio's name
        return self

    def get_default_wasapi_loopback(self) -> dict[str, Any]:
        if not self.is_plugged:
            raise OSError("no default output device")
        return {"index": 3, "name": "Speakers", "defaultSampleRate": 48000.0, "maxInputChannels": 2}

    def open(self, stream_callback: Any, **settings: Any) -> "FakePyAudio":
        self.callback = stream_callback
        return self

    def is_active(self) -> bool:
        return self.is_plugged

    def close(self) -> None:
        self.callback = None

    def terminate(self) -> None:
        self.callback = None


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_000 * MS)


def play(fake: FakePyAudio, clock: ManualClock, milliseconds: int) -> None:
    """Let the device deliver a loud 440 Hz tone in blocks of 10 ms."""
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(480) / 48_000)
    for _ in range(milliseconds // 10):
        clock.advance_ns(10 * MS)
        assert fake.callback(np.repeat(tone, 2).astype(np.float32).tobytes(), 480, None, 0) == (None, 0)


def test_sound_then_quiet_then_unplugged_then_back(clock: ManualClock) -> None:
    """Sound is heard; quiet is plain silence; a pulled device is a marked gap; a new one is found again."""
    fake = FakePyAudio()
    source = WasapiLoopback(clock, lambda: fake)
    source.start()
    play(fake, clock, 200)
    chunks = source.read()
    assert not any(c.gap for c in chunks)
    assert max(np.abs(c.samples).max() for c in chunks) == pytest.approx(0.5, abs=0.05)
    assert sum(len(c.samples) for c in chunks) == pytest.approx(0.2 * AUDIO_RATE_HZ, abs=20)

    clock.advance_ns(1_000 * MS)
    quiet = source.read()
    assert quiet
    assert not any(c.gap or c.samples.any() for c in quiet)

    fake.is_plugged = False
    clock.advance_ns(wasapi.CHECK_NS)
    source.read()
    clock.advance_ns(500 * MS)
    lost = source.read()
    assert lost
    assert all(c.gap for c in lost)
    assert "Speakers" in source.problem

    fake.is_plugged = True
    clock.advance_ns(wasapi.RETRY_NS)
    source.read()
    play(fake, clock, 100)
    assert any(np.abs(c.samples).max() > 0.3 for c in source.read())
    assert source.problem == ""
    source.close()
    source.close()
    assert source.read() == []


def test_missing_library_is_refused_with_a_remedy(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without PyAudioWPatch, start says what to install."""
    monkeypatch.setitem(__import__("sys").modules, "pyaudiowpatch", None)
    with pytest.raises(PlatformUnavailable, match="PyAudioWPatch") as caught:
        WasapiLoopback(clock).start()
    assert caught.value.remedy
