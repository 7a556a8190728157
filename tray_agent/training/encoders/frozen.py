"""A larger pretrained network of the timm package, frozen: frames -> kept features -> what is learned (torch).

Kept of a frame are the means of the network's last feature map over a grid of areas (where something is matters more
than that it is there), with the channels projected at random (Johnson-Lindenstrauss), so that an hour of play takes
some 110 MB.
"""

import contextlib
import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from tray_agent.core.policy import PolicySpec
from tray_agent.errors import PlatformUnavailable
from tray_agent.settings import paths
from tray_agent.training.encoders.feature_replay import BACK, SIZE, FeatureReplay
from tray_agent.training.encoders.preprocess import Preprocess
from tray_agent.training.encoders.source import TIMM, Encoder, EncoderSource
from tray_agent.training.replay import Replay

_log = logging.getLogger(__name__)
_STATISTICS_TICKS = 4096
GRID = 4
CHANNELS = SIZE // GRID**2
_SIDE = 224  # pixels the network sees at most; frames are stretched to a square
_LEAST_STD = 1e-3
_CLIP = 5.0
_FORMAT = "grid-1"  # changes with whatever changes the features
_INSTEAD = "or set trainer.encoder to bundled"


class FrozenFeatures(nn.Module):
    """RGB frames, uint8 (n, H, W, 3) -> features, float (n, SIZE). Never learned, never copied, always in use mode.

    Args:
        network: normalised pictures (n, 3, side, side) -> feature map (n, channels, h, w).
        side: pixels of a picture's sides.
        mean, std: what the network's pictures were normalised by, RGB of 0 to 1.
        name: goes into the digest.
    """

    mean: Tensor
    std: Tensor
    rows: Tensor
    columns: Tensor
    projection: Tensor

    def __init__(
        self, network: nn.Module, side: int, mean: tuple[float, ...], std: tuple[float, ...], name: str
    ) -> None:
        super().__init__()
        self.network = network
        self._side = side
        for what, values in (("mean", mean), ("std", std)):
            self.register_buffer(what, 255.0 * torch.tensor(values)[None, :, None, None])
        self.eval()
        with torch.no_grad():
            found = self._map(torch.zeros(1, 3, side, side)).shape
        generator = torch.Generator().manual_seed(0)
        projection = torch.randn(found[1], CHANNELS, generator=generator) / CHANNELS**0.5
        self.register_buffer("rows", _areas(found[2]))
        self.register_buffer("columns", _areas(found[3]))
        self.register_buffer("projection", projection)
        self.requires_grad_(False)
        self.digest = self._digest(name)
        """16 hex digits over the weights and everything else that features depend on."""

    def train(self, mode: bool = True) -> "FrozenFeatures":  # noqa: ARG002 - it has no other mode
        return super().train(False)

    def __deepcopy__(self, memo: dict[int, Any]) -> "FrozenFeatures":
        return self

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "FrozenFeatures":  # noqa: ARG002
        return self  # shared by a network on the GPU and its average on the CPU: it stays on the CPU

    def forward(self, frames: Tensor) -> Tensor:
        pictures = (frames.permute(0, 3, 1, 2).float() - self.mean) / self.std
        pictures = functional.interpolate(pictures, (self._side, self._side), mode="bilinear", align_corners=False)
        cells = self.rows @ self._map(pictures) @ self.columns.T
        return (cells.flatten(2).transpose(1, 2) @ self.projection).flatten(1)

    def _map(self, pictures: Tensor) -> Tensor:
        found = self.network(pictures)
        last: Tensor = found[-1] if isinstance(found, list | tuple) else found
        return last

    def _digest(self, name: str) -> str:
        digest = hashlib.sha256(f"{_FORMAT} {name} {self._side} {GRID} {CHANNELS}".encode())
        for key, tensor in sorted(self.state_dict().items()):
            digest.update(key.encode())
            digest.update(tensor.contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]


def _areas(length: int) -> Tensor:
    """Matrix (GRID, length) that averages over GRID stretches as even as they can be; they overlap where uneven."""
    edges = torch.linspace(0, length, GRID + 1)
    matrix = torch.zeros(GRID, length)
    for row, (low, high) in enumerate(zip(edges[:-1].floor().int(), edges[1:].ceil().int(), strict=True)):
        matrix[row, low:high] = 1.0 / float(high - low)
    return matrix


class FrozenEncoder(nn.Module):
    """Features of the newest frame and of one before, normalised by the game's own; FiLM by the game vector.

    What it learns from are kept features, shape (batch, 2, SIZE), the older first.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, spec: PolicySpec, frozen: FrozenFeatures) -> None:
        super().__init__()
        self.preprocess = Preprocess(spec)
        self.frozen = frozen
        self.size = 2 * SIZE
        self.film = nn.Linear(spec.vector_size, 2 * self.size)
        self._older = max(0, spec.frames - 1 - BACK)
        self.register_buffer("mean", torch.zeros(SIZE))
        self.register_buffer("std", torch.ones(SIZE))

    def fit(self, features: Tensor) -> None:
        """Set mean and deviation from features, float (n, SIZE)."""
        features = features.to(self.mean.device)
        self.mean.copy_(features.mean(0))
        self.std.copy_(features.std(0).clamp(min=_LEAST_STD))

    def seen(self, frames: Tensor) -> Tensor:
        pair = torch.stack([frames[:, self._older], frames[:, -1]], dim=1)
        return self.frozen(pair.flatten(0, 1)).unflatten(0, (-1, 2))  # type: ignore[no-any-return]

    def nothing(self) -> Tensor:
        return self.mean.expand(1, 2, -1)

    def forward(self, seen: Tensor, vector: Tensor) -> Tensor:
        x = ((seen.float() - self.mean) / self.std).clamp(-_CLIP, _CLIP).flatten(1)
        scale, shift = self.film(vector).chunk(2, dim=1)
        features: Tensor = x * (1.0 + scale) + shift
        return features


def timm_source(choice: str, weights: Path | None = None) -> EncoderSource:
    """A network of timm.

    Args:
        choice: "NAME", fetched once and kept, or "NAME@FILE" of weights on this machine (safetensors or torch).
        weights: folder for fetched weights; the product's data folder by default.

    Raises:
        PlatformUnavailable: no timm, no such network, no connection, or the file holds something else.
    """
    name, _, file = choice.partition("@")
    network, config = _network(name, Path(file).expanduser() if file else None, weights)
    frozen = FrozenFeatures(network, _side(config), tuple(config["mean"]), tuple(config["std"]), name)
    licence = config.get("license") or "not stated"
    where = file or str(config.get("hf_hub_id") or config.get("url") or "timm")
    about = f"timm:{name} from {where}, licence {licence}, digest {frozen.digest}"
    _log.info("encoder %s", about)
    return source_of(TIMM + choice, frozen, about)


def source_of(choice: str, frozen: FrozenFeatures, about: str) -> EncoderSource:
    """What makes encoders around a frozen network."""
    return EncoderSource(
        choice,
        make=lambda spec: FrozenEncoder(spec, frozen),
        fit=_fit,
        replay=lambda spec, size, seed, folder: FeatureReplay(spec, size, seed, frozen, folder),
        about=about,
        architecture=f"+{frozen.digest}",
    )


def _fit(encoders: Sequence[Encoder], replay: Replay) -> None:
    features = torch.from_numpy(cast("FeatureReplay", replay).some_features(_STATISTICS_TICKS)).float()
    for encoder in encoders:
        cast("FrozenEncoder", encoder).fit(features)


def _network(name: str, file: Path | None, weights: Path | None) -> tuple[nn.Module, dict[str, Any]]:
    try:
        import timm
    except Exception as error:  # a torchvision of another build than torch's raises anything
        raise PlatformUnavailable(
            f"encoder timm:{name}: the timm package can't be loaded ({error})",
            f"Run: pip install 'tray-agent[encoders]', {_INSTEAD}",
        ) from error
    if not timm.is_model(name.partition(".")[0]):
        raise PlatformUnavailable(f"timm {timm.__version__} has no network {name!r}", f"Check the name, {_INSTEAD}")
    if file is not None and not file.is_file():
        raise PlatformUnavailable(f"encoder timm:{name}: there is no file {file}", f"Check the path, {_INSTEAD}")
    config = timm.get_pretrained_cfg(name)
    options: dict[str, Any] = {"img_size": _side(config.to_dict())} if config.fixed_input_size else {}
    if file is not None:
        options["pretrained_cfg_overlay"] = {"file": str(file)}
    else:
        options["cache_dir"] = weights or paths.data_folder() / "encoders"
    shape: dict[str, Any] = {"features_only": True, "out_indices": (-1,)} | options
    with _told(name, file), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = timm.create_model(name, pretrained=True, **shape)
        if file is not None:  # timm takes a file of anything, and leaves alone what it does not find there
            torch.manual_seed(0)
            _check_loaded(network, timm.create_model(name, pretrained=False, **shape))
    return network, config.to_dict()


def _check_loaded(network: nn.Module, untouched: nn.Module) -> None:
    """Raises ValueError when most weights are those that the network was made with."""
    pairs = zip(network.parameters(), untouched.parameters(), strict=True)
    same = [torch.equal(loaded, made) for loaded, made in pairs if loaded.ndim > 1]
    if sum(same) > len(same) / 2:
        raise ValueError(f"{sum(same)} of {len(same)} tensors are not in it")


def _side(config: dict[str, Any]) -> int:
    return min(_SIDE, int(config["input_size"][-1]))


@contextlib.contextmanager
def _told(name: str, file: Path | None) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # timm, its hub and its downloads raise dozens of unrelated classes
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        if file is not None:
            raise PlatformUnavailable(
                f"encoder timm:{name}: {file} does not hold its weights ({first})", f"Give another file, {_INSTEAD}"
            ) from error
        raise PlatformUnavailable(
            f"encoder timm:{name}: its weights could not be fetched ({first})",
            f"Connect to the internet once and start watching again, name a file (timm:{name}@FILE), {_INSTEAD}",
        ) from error
