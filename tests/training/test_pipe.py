"""Messages between daemon and trainer: whole or not at all."""

import io
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tray_agent.core.controls import Controls
from tray_agent.core.policy import PolicySpec
from tray_agent.core.sample import TickFlag, TickSample
from tray_agent.training.pipe import pack_samples, read_message, unpack_samples, write_message

SPEC = PolicySpec(Controls(("KeyA",), ("MouseX",), ("PadLX",)), rate_hz=20, frame_width=4, frame_height=3)

SAMPLES = st.builds(
    TickSample,
    tick=st.integers(0, 1 << 40),
    t_ns=st.integers(-(1 << 62), 1 << 62),
    pixels=hnp.arrays(np.uint8, (3, 4, 3)),
    audio=hnp.arrays(np.float32, SPEC.audio_shape, elements=st.floats(0, 1, width=32)),
    action=hnp.arrays(np.float32, (3,), elements=st.floats(-1000, 1000, width=32)),
    flags=st.integers(0, 63).map(TickFlag),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(SAMPLES, max_size=5))
def test_samples_come_out_as_they_went_in(samples: list[TickSample]) -> None:
    """Every field of every sample survives, through a stream."""
    stream = io.BytesIO()
    write_message(stream, {"op": "samples", "count": len(samples)}, pack_samples(samples))
    stream.seek(0)
    message = read_message(stream)
    assert message is not None
    header, payload = message
    got = unpack_samples(SPEC, header["count"], payload)
    assert len(got) == len(samples)
    for a, b in zip(samples, got, strict=True):
        assert (a.tick, a.t_ns, a.flags) == (b.tick, b.t_ns, b.flags)
        for name in ("pixels", "audio", "action"):
            assert np.array_equal(getattr(a, name), getattr(b, name))


def one(tick: int = 1) -> TickSample:
    zeros = np.zeros(SPEC.audio_shape, np.float32)
    return TickSample(tick, 5, np.zeros((3, 4, 3), np.uint8), zeros, np.zeros(3, np.float32), TickFlag.LEARN)


@pytest.mark.parametrize("change", [-1, 1, -100, 5000])
def test_payload_of_another_size_is_refused(change: int) -> None:
    """Too short, too long: ValueError, not samples of shifted bytes."""
    payload = pack_samples([one(1), one(2)])
    wrong = payload[:change] if change < 0 else payload + bytes(change)
    with pytest.raises(ValueError, match=r"payload|buffer"):
        unpack_samples(SPEC, 2, wrong)
    with pytest.raises(ValueError, match=r"payload|buffer"):
        unpack_samples(replace(SPEC, frame_width=5), 2, payload)
    with pytest.raises(ValueError, match=r"payload|buffer"):
        unpack_samples(SPEC, 3, payload)


@given(st.data())
def test_stream_cut_anywhere_is_the_end(data: st.DataObject) -> None:
    """A daemon that dies in the middle of a message gives the messages before it, then None."""
    stream = io.BytesIO()
    write_message(stream, {"op": "first"}, b"abc")
    whole = stream.tell()
    write_message(stream, {"op": "second"}, b"\n" * 20)
    cut = data.draw(st.integers(whole, stream.tell() - 1))
    stream = io.BytesIO(stream.getvalue()[:cut])
    assert read_message(stream) == ({"op": "first", "bytes": 3}, b"abc")
    assert read_message(stream) is None
    assert read_message(io.BytesIO()) is None
