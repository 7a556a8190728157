"""Policies that press while the picture is bright: `python -m tray_agent.bench.lamp_bundle MODELS RATE_HZ...`.

It is the product's own network, untrained, through the product's own export, so that it costs what a learned one does;
but the logits of its buttons are the brightness of the newest frame. One bundle for each rate; prints their folders.
A process of its own, so that torch stays out of the one that is measured.
"""

import sys
from pathlib import Path

import torch
from torch import Tensor

from tray_agent.bench.lamp_scene import lamp_spec
from tray_agent.policy.bundle import Manifest, write_bundle
from tray_agent.training.export import Exporter
from tray_agent.training.model import AXIS_BINS, RELATIVE_BINS, PolicyNet

GAME = "lamp"
_UNTRAINED = 1e-3  # keeps the network in the graph, and its opinion out of the answer
_SURE = 40.0  # logits at full brightness: no draw can go the other way


class LampNet(PolicyNet):
    """`PolicyNet` with an opinion on light."""

    def forward(self, frames: Tensor, audio: Tensor, vector: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        held, relative, axes = super().forward(frames, audio, vector)
        light = frames[:, -1].float().mean(dim=(1, 2, 3)) / 255.0
        return held * _UNTRAINED + ((light - 0.5) * 2.0 * _SURE)[:, None], relative, axes


def main() -> int:
    """Write the bundles."""
    torch.set_num_threads(1)
    for rate_hz in map(float, sys.argv[2:]):
        print(_write(Path(sys.argv[1]), rate_hz), flush=True)
    return 0


def _write(models: Path, rate_hz: float) -> Path:
    torch.manual_seed(0)
    spec = lamp_spec(rate_hz)
    onnx, parity = Exporter(spec).export(LampNet(spec))
    manifest = Manifest(
        game=GAME, spec=spec, vector=(0.0,) * spec.vector_size, policy="lamp", parity=parity, axis_bins=AXIS_BINS,
        relative_bins=dict.fromkeys(spec.controls.relative, RELATIVE_BINS),
    )  # fmt: skip
    return write_bundle(models, manifest, onnx, f"lamp-{rate_hz:g}hz")


if __name__ == "__main__":
    sys.exit(main())
