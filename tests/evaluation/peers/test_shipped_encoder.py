"""Features for nearest neighbours: the product's own encoder, and the components that are kept of it."""

import numpy as np
import pytest
import torch
import toy_play

from tray_agent.core.planes import planes_of
from tray_agent.errors import PlatformUnavailable
from tray_agent.evaluation.peers import shipped_encoder
from tray_agent.evaluation.peers.history import Windows
from tray_agent.evaluation.peers.principal_components import principal_components
from tray_agent.evaluation.peers.shipped_encoder import ShippedEncoder
from tray_agent.training.encoders.bundled import read_weights, shipped_weights
from tray_agent.training.encoders.convolutional import ConvEncoder

NEVER = 1e12
"""A deadline far away, on the monotonic clock."""


def distances(features: np.ndarray) -> np.ndarray:
    return np.linalg.norm(features[:, None] - features[None], axis=2)


def test_features_are_those_of_the_products_encoder() -> None:
    """With as many components as ticks, ticks are as far apart as by all that the shipped network says of them."""
    data = toy_play.recording(ShippedEncoder.frame_size, stretches=4)
    windows = Windows(len(data), data.starts, ShippedEncoder.frames)
    encoder = ShippedEncoder()
    encoder.fit(data, windows, NEVER, seed=1)
    every = data.frames[windows.rows(np.arange(len(data)))]
    features = encoder.features(every)
    assert features.shape == (len(data), len(data))
    assert features.dtype == np.float32

    net = ConvEncoder(data.spec)
    net.load_state_dict(read_weights(shipped_weights(), data.spec), strict=False)
    for parameter in net.film.parameters():
        torch.nn.init.zeros_(parameter)
    net.preprocess.fit(torch.from_numpy(np.stack([planes_of(frame) for frame in data.frames])))
    with torch.no_grad():
        whole = net.eval()(net.seen(torch.from_numpy(every)), torch.zeros(len(data), data.spec.vector_size)).numpy()
    far = distances(whole)
    np.testing.assert_allclose(distances(features), far, rtol=1e-2, atol=1e-2 * far.max())


def test_without_time_some_ticks_are_enough() -> None:
    """When the time is over before it began, it still has features."""
    data = toy_play.recording(ShippedEncoder.frame_size)
    windows = Windows(len(data), data.starts, ShippedEncoder.frames)
    encoder = ShippedEncoder()
    encoder.fit(data, windows, -1.0, seed=1)
    features = encoder.features(data.frames[windows.rows(np.arange(3))])
    assert features.shape[1] < len(data)
    assert np.isfinite(features).all()


def test_what_it_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is encoded before a fit, and without the weights there is no fit."""
    data = toy_play.recording(ShippedEncoder.frame_size, stretches=1)
    windows = Windows(len(data), data.starts, ShippedEncoder.frames)
    with pytest.raises(RuntimeError, match="not been fitted"):
        ShippedEncoder().features(data.frames[windows.rows(np.arange(1))])

    def missing() -> None:
        raise PlatformUnavailable("the shipped weights are missing")

    monkeypatch.setattr(shipped_encoder, "shipped_weights", missing)
    with pytest.raises(PlatformUnavailable, match="missing"):
        ShippedEncoder().fit(data, windows, NEVER, seed=1)


def test_components_hold_the_variance() -> None:
    """Of numbers that differ in few directions, most of them in the first: exactly those, in order."""
    random = torch.Generator().manual_seed(2)
    spread = torch.tensor([9.0, 5.0, 3.0])
    directions = torch.linalg.qr(torch.randn(40, 3, generator=random))[0]
    x = torch.randn(200, 3, generator=random) * spread @ directions.T
    x = x - x.mean(0)
    basis = principal_components(x, 3, NEVER, seed=1)
    assert basis.shape == (40, 3)
    torch.testing.assert_close(basis.T @ basis, torch.eye(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(x @ basis @ basis.T, x, atol=1e-2, rtol=0)
    variances = (x @ basis).var(0)
    assert (variances[:-1] > variances[1:]).all()
    assert principal_components(x, 100, NEVER, seed=1).shape == (40, 40)
