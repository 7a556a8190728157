"""The process that `tray-agent pretrain` starts, which holds torch. Not for people: the verb checks what is asked."""

import json
import sys

import torch

from tray_agent.errors import TrayAgentError
from tray_agent.training.offline.progress import Progress
from tray_agent.training.pretraining.options import from_message
from tray_agent.training.pretraining.run import Run

_INTERRUPTED = 130


def main(words: list[str]) -> int:
    """Run once; the exit code: 0, 1 when it can't be done (the reason is told), 130 after Ctrl-C.

    Args:
        words: kind and options as `options.to_message` gives them, then --json or nothing.
    """
    torch.set_num_threads(1)
    try:
        with Progress() as progress:
            summary = Run(from_message(*words[:2]), progress).go()
    except TrayAgentError as error:
        print(f"pretrain: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; the same command with --resume goes on where the file was last written", file=sys.stderr)
        return _INTERRUPTED
    if "--json" in words:
        print(json.dumps(summary))
    else:
        print(told(summary))
    return 0


def told(summary: dict[str, object]) -> str:
    """A summary for people."""
    skipped, games = summary["skipped"], summary["games"]
    assert isinstance(skipped, dict)  # noqa: S101 - as `Run.go` gives them
    assert isinstance(games, list)  # noqa: S101
    lines = [f"{summary['file']}: {summary['updates']} updates on {len(games)} games"]
    lines += [f"{len(skipped)} left out, see above"] if skipped else []
    skill = summary.get("skill")
    if isinstance(skill, dict) and skill:
        shown = ", ".join(f"{game} {value:.2f}" for game, value in skill.items())
        lines.append(f"skill on play kept out of learning (constant guess 0): {shown}")
    return "\n".join([*lines, f'to begin games with it, under "trainer:" in tray_agent.yaml: {summary["use"]}'])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
