"""A private PulseAudio for tests, as a pytest plugin (`pytest_plugins = ["pulse_server"]`).

Fixture `pulse_server`: a server with one output, "game", that plays into nothing; $PULSE_SERVER of the test points
at it, so games started with SDL_AUDIODRIVER=pulseaudio are heard too. It is ended by its own pid.
"""

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

PLAY_RATE_HZ = 48_000


class PulseServer:
    """One server process; can be killed and started again under the same address."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = f"unix:{folder}/native"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        socket = self.folder / "native"
        socket.unlink(missing_ok=True)
        own = {"HOME": str(self.folder), "XDG_RUNTIME_DIR": str(self.folder), "PULSE_COOKIE": f"{self.folder}/cookie"}
        self._process = subprocess.Popen(
            [
                *(
                    "pulseaudio",
                    "-n",
                    "--daemonize=no",
                    "--use-pid-file=no",
                    "--exit-idle-time=-1",
                    "--log-level=error",
                ),
                f"--load=module-native-protocol-unix auth-anonymous=1 socket={socket}",
                # norewinds keeps the null output's buffer at 50 ms instead of 2 s, as a real one has it
                f"--load=module-null-sink sink_name=game rate={PLAY_RATE_HZ} channels=2 norewinds=1",
            ],
            env={k: v for k, v in os.environ.items() if not k.startswith("PULSE_")} | own,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 10
        while subprocess.run(["pactl", "info"], env=self.client_environment(), capture_output=True).returncode:
            if time.monotonic() > deadline or self._process.poll() is not None:
                pytest.fail("PulseAudio did not start")
            time.sleep(0.02)

    def client_environment(self) -> dict[str, str]:
        return os.environ | {"PULSE_SERVER": self.address, "PULSE_COOKIE": f"{self.folder}/cookie"}

    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """End the server at once, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(5)
            self._process = None

    def pactl(self, *words: str) -> None:
        """Tell the server something, for example `pactl("set-default-sink", "other")`."""
        subprocess.run(["pactl", *words], env=self.client_environment(), check=True, capture_output=True, timeout=20)

    def play(self, hz: float, seconds: float, sink: str = "game") -> tuple[int, int]:
        """Play a tone to its end; returns when the player was started and when it ended (monotonic ns)."""
        path = self.folder / "tone.wav"
        t = np.arange(int(seconds * PLAY_RATE_HZ)) / PLAY_RATE_HZ
        with wave.open(str(path), "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(PLAY_RATE_HZ)
            out.writeframes((np.sin(2 * np.pi * hz * t) * 16_000).astype("<i2").tobytes())
        started = time.monotonic_ns()
        command = ["paplay", "--latency-msec=10", "-d", sink, str(path)]
        subprocess.run(command, env=self.client_environment(), check=True, timeout=20)
        return started, time.monotonic_ns()


@pytest.fixture
def pulse_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[PulseServer]:
    """A running private server that this test's children use; skipped where PulseAudio is missing."""
    for program in ("pulseaudio", "pactl", "paplay"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    # not tmp_path: a socket's path may have 107 characters only
    folder = Path(tempfile.mkdtemp(prefix="pulse-"))
    server = PulseServer(folder)
    try:
        server.start()
        monkeypatch.setenv("PULSE_SERVER", server.address)
        monkeypatch.setenv("PULSE_COOKIE", f"{folder}/cookie")
        yield server
    finally:
        server.kill()
        with contextlib.suppress(OSError):
            shutil.rmtree(folder)
