"""Recorder process: writes a device's sound to standard output as 16 kHz mono float32, until its parent goes.

PortAudio runs here and not in the daemon because its calls never return while a sound server is frozen, and a
process can be killed where a thread can't. Standard library and sounddevice only, to start fast and stay small.
Threads: PortAudio's callback writes; the main thread waits for the parent to close standard input.
"""

import argparse
import os
import sys
from typing import Any, NoReturn

RATE_HZ = 16_000
BLOCK = 160
EXIT_LOST = 4
"""Exit status when the device could not be opened, or went away."""


def main() -> NoReturn:
    """Record until standard input closes (status 0) or the device is lost (status `EXIT_LOST`, reason on stderr)."""
    parser = argparse.ArgumentParser(prog="tray_agent.platforms.sound")
    parser.add_argument("--device", default="pulse", help="name of the PortAudio input device")
    device = parser.parse_args().device
    try:
        import sounddevice

        with sounddevice.RawInputStream(
            device=device,
            channels=1,
            samplerate=RATE_HZ,
            blocksize=BLOCK,
            dtype="float32",
            latency="low",
            callback=_write,
            finished_callback=_lost,
        ):
            while os.read(0, 4096):
                pass
            # closing the stream could hang with the server; the system cleans up after a process
            os._exit(0)
    except (ImportError, OSError, ValueError, RuntimeError) as error:
        _lost(str(error))


def _write(data: Any, frames: int, time: Any, status: Any) -> None:  # noqa: ARG001 - PortAudio's signature
    block = memoryview(data)
    try:
        while block:
            block = block[os.write(1, block) :]
    except OSError:
        os._exit(0)


def _lost(reason: str = "the sound server or the device went away") -> NoReturn:
    os.write(2, f"{reason}\n".encode())
    os._exit(EXIT_LOST)


if __name__ == "__main__":
    sys.exit(main())
