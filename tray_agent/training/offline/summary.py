"""What came of a run, in sentences (no torch)."""

from typing import Any

from rich.console import Console

from tray_agent.training.offline.pace import Speed, in_words
from tray_agent.training.offline.progress import judged


def tell(summary: dict[str, Any]) -> None:
    """On stdout."""
    console = Console(soft_wrap=True)
    for line in _lines(summary):
        console.print(line, markup=False, highlight=False)


def _lines(summary: dict[str, Any]) -> list[str]:
    lines = [
        f"{summary['updates']} updates, {summary['passes']:.1f} passes in {summary['seconds'] / 60:.1f} minutes "
        f"({summary['ended']}); the run is kept in {summary['run']}",
        in_words([Speed(**speed) for speed in summary["speed"]]),
    ]
    if "bundle" not in summary:
        return [*lines, "go on with the same command and --resume"]
    if summary["held_out"]:
        lines.append(f"the best, after {summary['best_at']} updates: {judged(summary['held_out'])}")
    if summary["compared"]:
        mine, theirs = summary["compared"]["mine"], summary["compared"]["in_use"]
        lines.append(f"on play that neither has learned from: skill {mine:.3f}, the policy in use before {theirs:.3f}")
    if summary["int8"]:
        lines.append(_whole_numbers(summary["int8"]))
    lines.append(f"it is {summary['readiness']['state']}: {summary['readiness']['why']}")
    what = "it plays from now on" if summary["in_use"] else f"it does not play: {summary['why_not']}"
    return [*lines, f"{what}: {summary['bundle']}"]


def _whole_numbers(found: dict[str, Any]) -> str:
    if "agreement" not in found:
        return f"weights as whole numbers were not kept: {found['why']}"
    return (
        f"weights as whole numbers were {'kept' if found['kept'] else 'not kept'}: the same choice in "
        f"{found['agreement']:.1%} of {found['ticks']} ticks, outputs differ by {found['difference']:.3f} at most, "
        f"{found['bytes'] >> 10} KiB instead of {found['bytes_before'] >> 10}"
    )
