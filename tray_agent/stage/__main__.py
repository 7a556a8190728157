"""`python -m tray_agent.stage COMMAND...`: run a command on a desktop of its own, for machines without one.

Inside, $DISPLAY is the desktop. $OUTER_DISPLAY is the display around it: what is pressed there comes from a device, as
from a person's keyboard, while what a program presses on $DISPLAY itself counts as a program's.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence

from tray_agent.errors import TrayAgentError
from tray_agent.stage.desk import NestedDesk
from tray_agent.stage.displays import terminated_like_interrupted

_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Start the desktop, run the command, end the desktop; the command's exit code, 1 without a desktop."""
    parser = argparse.ArgumentParser("python -m tray_agent.stage", description=__doc__)
    parser.add_argument("--size", type=_size, default=(800, 600), metavar="WxH", help="of the screen (800x600)")
    parser.add_argument(
        "command", nargs=argparse.REMAINDER, metavar="COMMAND", help="and its arguments; bash if left out"
    )
    given = parser.parse_args(arguments)
    try:
        with terminated_like_interrupted():
            return _run(given.command or ["bash"], given.size)
    except (TrayAgentError, OSError) as error:
        print(f"stage: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    return int(width), int(height)


def _run(command: list[str], size: tuple[int, int]) -> int:
    desk = NestedDesk(None, size)
    try:
        desk.start()
        inside = {"DISPLAY": desk.display, "OUTER_DISPLAY": desk.outer}
        code = subprocess.run(command, env=os.environ | inside, check=False).returncode
        return code if code >= 0 else 128 - code
    finally:
        desk.close()


if __name__ == "__main__":
    sys.exit(main())
