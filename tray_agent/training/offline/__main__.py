"""Entry of `python -m tray_agent.training.offline`, also below torchrun; `tray-agent train` starts it as a child."""

import argparse
import json
import sys
from collections.abc import Sequence

from tray_agent.errors import TrayAgentError
from tray_agent.training.offline.options import from_message, options_of, parsed
from tray_agent.training.offline.progress import Progress
from tray_agent.training.offline.ranks import join, leave
from tray_agent.training.offline.run import Run, one_thread_of_torch
from tray_agent.training.offline.summary import tell

_PROG = "python -m tray_agent.training.offline"
_RESOLVED = "--resolved"
_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run once; the exit code: 0, 1 when it can't be done (the reason is told), 130 after Ctrl-C."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return _run(words)
    except TrayAgentError as error:
        print(f"train: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; --resume goes on where the last checkpoint is", file=sys.stderr)
        return _INTERRUPTED


def _run(words: list[str]) -> int:
    if words[:1] == [_RESOLVED]:  # from `tray-agent train`, which has checked them
        options, given = from_message(words[1]), argparse.Namespace(json="--json" in words[2:])
    else:
        given = parsed(words, _PROG)
        options = options_of(given)
    one_thread_of_torch()
    ranks = join()
    try:
        with Progress() as progress:
            summary = Run(options, ranks, progress).go()
    finally:
        leave(ranks)
    if not ranks.leads:
        return 0
    if getattr(given, "json", False):
        print(json.dumps(summary))
    else:
        tell(summary)
    return _INTERRUPTED if summary["ended"] == "interrupted" else 0


if __name__ == "__main__":
    sys.exit(main())
