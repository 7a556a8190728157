"""A headless Chromium driven through its debugging pipe: JSON messages that end with a zero byte, on descriptors 3, 4.

https://chromedevtools.github.io/devtools-protocol/
"""

import json
import os
import subprocess
import sys
from pathlib import Path

_STARTER = """import fcntl, os, sys
given = [fcntl.fcntl(int(fd), fcntl.F_DUPFD, 10) for fd in sys.argv[1:3]]  # out of the way, whatever they were
for place, fd in enumerate(given, 3):
    os.dup2(fd, place)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Browser:
    """One page in a browser of its own. A context manager."""

    def __init__(self, program: str, profile: Path, size: tuple[int, int] = (1400, 1000)) -> None:
        commands, self._commands = os.pipe()
        self._answers, answers = os.pipe()
        sandbox = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        switches = ["--headless=new", "--disable-gpu", "--mute-audio", "--remote-debugging-pipe", *sandbox]
        switches += [f"--user-data-dir={profile}", f"--window-size={size[0]},{size[1]}"]
        starter = [sys.executable, "-c", _STARTER, str(commands), str(answers), program, *switches, "about:blank"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen(starter, pass_fds=(commands, answers), **quiet)
        os.close(commands)
        os.close(answers)
        self._buffer = b""
        self._number = 0
        self._session = ""
        self.complaints: list[dict] = []
        """Exceptions, and what the page or the browser wrote to the console."""

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_exception) -> None:
        os.close(self._commands)  # the browser ends with its pipe
        os.close(self._answers)
        self._process.wait()

    def open(self, url: str) -> None:
        """Load a page and attach to it."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Runtime", "Log", "Page"):
            self.call(f"{domain}.enable")
        self.call("Page.navigate", url=url)

    def call(self, method: str, **params) -> dict:
        """One command; its answer."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]
            if answer.get("method") in {"Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"}:
                self.complaints.append(answer["params"])

    def ask(self, expression: str):
        """What a JavaScript expression gives; waits if it is a promise."""
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def until(self, condition: str) -> None:
        """Wait until a JavaScript expression holds when a picture is drawn (the test's own time limit ends it)."""
        check = f"() => ({condition}) ? done() : requestAnimationFrame(check)"
        self.ask(f"new Promise((done) => {{ const check = {check}; check(); }})")

    def mouse(self, kind: str, x: float, y: float, **more) -> None:
        """A mouse event at a place of the window."""
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def key(self, key: str) -> None:
        """Press a key and let go of it."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key)

    def _next(self) -> dict:
        while b"\0" not in self._buffer:
            piece = os.read(self._answers, 1 << 16)
            assert piece, "the browser ended"
            self._buffer += piece
        message, self._buffer = self._buffer.split(b"\0", 1)
        return json.loads(message)
