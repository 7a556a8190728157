"""Starts a packaged game's process and ends it (caller's thread). The process ends by itself when we die."""

import contextlib
import json
import queue
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from tray_agent.errors import PlatformUnavailable

_START_S = 30.0
_END_S = 5.0


class EnvProcess:
    """One game in its own process.

    Args:
        game: name in the catalog.
        socket_path: where clients will connect; its folder is made when missing.
        speed: 1 is the game's own speed.
        player: "scripted", "random", "none" or "constant:KEYS".
        seed: of the first episode.
        window: whether to show the live picture.
    """

    def __init__(
        self,
        game: str,
        socket_path: Path,
        speed: float = 1.0,
        player: str = "scripted",
        seed: int = 0,
        window: bool = False,
    ) -> None:
        self.socket_path = socket_path
        self.ready: dict[str, Any] = {}
        self._game = game
        self._options = ["--socket", str(socket_path), "--speed", str(speed), "--player", player, "--seed", str(seed)]
        if window:
            self._options.append("--window")
        self._process: subprocess.Popen[bytes] | None = None
        self._complaints = bytearray()

    def start(self) -> None:
        """Start it and wait until clients can connect; `ready` then tells rate, size, sound and controls.

        Raises:
            PlatformUnavailable: the game does not start; the message holds what it said.
        """
        command = [sys.executable, "-m", "tray_agent.platforms.env", self._game, "--until-stdin-closes"]
        self._process = subprocess.Popen(
            [*command, *self._options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        threading.Thread(target=self._read_complaints, name="env-stderr", daemon=True).start()
        line = self._first_line()
        try:
            self.ready = json.loads(line)
        except ValueError:
            self.close()
            said = self._complaints.decode(errors="replace").strip()
            raise PlatformUnavailable(f"the game {self._game} does not start: {said or 'no answer'}") from None

    @property
    def pid(self) -> int:
        """Process id; 0 when it was never started."""
        return self._process.pid if self._process else 0

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def close(self) -> None:
        """End it, by force when it does not end in time; idempotent."""
        process = self._process
        if process is None:
            return
        with contextlib.suppress(OSError):
            if process.stdin:
                process.stdin.close()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()

    def _first_line(self) -> bytes:
        process, lines = self._process, queue.SimpleQueue[bytes]()
        if process is None or process.stdout is None:
            return b""
        # a thread, because Windows can't wait for a pipe with a time limit
        threading.Thread(target=lambda out: lines.put(out.readline()), args=(process.stdout,), daemon=True).start()
        try:
            return lines.get(timeout=_START_S)
        except queue.Empty:
            return b""

    def _read_complaints(self) -> None:
        process = self._process
        if process is None or process.stderr is None:
            return
        with process.stderr as stream:
            for line in stream:
                self._complaints += line
                del self._complaints[:-20_000]
