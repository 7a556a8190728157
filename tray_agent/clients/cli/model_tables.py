"""How `tray-agent models` shows bundles to people. Texts out of manifests are never taken for markup."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tray_agent.policy.bundle import Manifest
from tray_agent.policy.runs import Run
from tray_agent.policy.share import Received

_BESIDE = {"loss": "baseline_loss", "balanced_accuracy": "", "skill": ""}
"""Measure on held-out play -> the measure of doing nothing clever."""
_NOTHING = {"balanced_accuracy": 0.5, "skill": 0.0}
_SIGNED = {
    "none": "not signed: nobody can tell who made it",
    "not checked": "signed, but not checked (name the maker's public key with --trust)",
    "trusted": "signed with the key you trust",
}


def row(run: Run) -> dict[str, Any]:
    """A bundle as one row of `list`."""
    fields: dict[str, Any] = {
        "game": run.folder.parent.name, "run": run.folder.name, "folder": str(run.folder), "current": run.is_current,
        "bytes": run.bytes, "problem": run.problem,
    }  # fmt: skip
    manifest = run.manifest
    if manifest is not None:
        fields |= {
            "created": manifest.created, "updates": manifest.data.get("updates"),
            "minutes": round(manifest.data.get("seconds", 0.0) / 60.0, 2), "readiness": manifest.readiness,
            "score": manifest.score,
        }  # fmt: skip
    return fields


def show_list(rows: list[dict[str, Any]]) -> None:
    """One line a bundle."""
    if not rows:
        print("No bundle yet: `tray-agent watch` while you play makes one.")
        return
    width = max(len(_name(fields)) for fields in rows)
    for fields in rows:
        start = f"{'*' if fields['current'] else ' '} {_name(fields):<{width}}  {fields['bytes'] / 2**20:5.1f} MiB"
        if fields["problem"]:
            print(f"{start}  damaged: {fields['problem']}")
        else:
            learned = f"{fields['updates'] or 0:6.0f} updates, {fields['minutes']:5.1f} min watched"
            state = fields["readiness"].get("state", "not known")
            print(f"{start} {learned}  {state:<14}  {_score(fields['score'])}".rstrip())
    print("* in use")


def _name(fields: dict[str, Any]) -> str:
    return f"{fields['game']}/{fields['run']}"


def show_manifest(folder: Path, manifest: Manifest) -> None:
    """Everything a person may want to know of one bundle."""
    grid = _grid()
    for name, value in {"folder": str(folder), **_facts(manifest)}.items():
        grid.add_row(name, _plain(value))
    _print(grid)
    if manifest.held_out:
        table = Table("on play it had not learned from", "it", "doing nothing clever")
        for name, measure in manifest.held_out.items():
            if name in _BESIDE:
                beside = manifest.held_out.get(_BESIDE[name], _NOTHING.get(name))
                table.add_row(_plain(name.replace("_", " ")), _number(measure), _number(beside))
        if "blind_loss" in manifest.held_out:
            table.add_row("loss with its eyes shut", _number(manifest.held_out["blind_loss"]), "")
        _print(table)


def _facts(manifest: Manifest) -> dict[str, str]:
    spec, data = manifest.spec, manifest.data
    return {
        "game": manifest.game,
        "presses": ", ".join(spec.controls.names),
        "sees": f"{spec.frame_width}x{spec.frame_height}, the last {spec.frames} pictures"
        + (", and hears" if spec.audio else ""),
        "decides": f"{spec.rate_hz:g} times a second",
        "network": manifest.policy,
        "learned": f"{data.get('updates', 0):.0f} updates on {data.get('seconds', 0.0) / 60.0:.1f} min watched",
        "made": manifest.created,
        "ready?": ": ".join(manifest.readiness.get(part, "not known") for part in ("state", "why"))
        if manifest.readiness
        else "not known",
        "score": _score(manifest.score) or "not measured",
    }


def show_comparison(result: dict[str, Any]) -> None:
    """Both bundles, what doing nothing clever gets, and how far the two agree."""
    kind = "held-out ticks" if result["held_out"] else "ticks (none of them held out: it may have learned from them)"
    names = {"a": "A", "b": "B", "copy_last": "hold on", "released": "press nothing", "same": "A and B"}
    table = Table("", *names.values(), title=f"{result['ticks']} {kind}", caption_justify="left",
                  caption=f"A {result['bundles']['a']}\nB {result['bundles']['b']}")  # fmt: skip
    for measure in dict.fromkeys(name for which in names for name in result[which]):
        table.add_row(measure.replace("_", " "), *(_number(result[which].get(measure)) for which in names))
    _print(table)


def show_received(received: Received) -> None:
    """What an import would bring, on stderr: the answer goes to stdout."""
    grid = _grid()
    for name, value in _facts(received.manifest).items():
        is_claim = name == "ready?" or (name == "score" and received.manifest.score)
        grid.add_row(name, _plain(value + (", as its maker says" if is_claim else "")))
    grid.add_row("a decision", f"{received.decision_ms:.1f} ms here")
    grid.add_row("signature", _SIGNED[received.signature])
    if received.preview_bytes:
        grid.add_row("preview", f"{received.preview_bytes:,} bytes, not kept: open the zip to look at it")
    Console(stderr=True).print(grid)


def _score(score: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in score.items())


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _plain(value: str) -> Text:
    return Text(value)


def _grid() -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold")
    grid.add_column()
    return grid


def _print(table: Table) -> None:
    Console().print(table)
