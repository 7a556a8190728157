"""The pipe between the daemon's training worker and the trainer: a JSON line, then `bytes` raw bytes.

Both ends use this module; nothing is unpickled. Samples travel as one message of arrays laid end to end.
"""

import json
from typing import IO, Any

import numpy as np

from tray_agent.core.policy import PolicySpec
from tray_agent.core.sample import TickFlag, TickSample


def write_message(stream: IO[bytes], header: dict[str, Any], payload: bytes = b"") -> None:
    """Send one message and flush.

    Raises:
        OSError: the other end is gone.
    """
    stream.write(json.dumps(header | {"bytes": len(payload)}).encode() + b"\n" + payload)
    stream.flush()


def read_message(stream: IO[bytes]) -> tuple[dict[str, Any], bytes] | None:
    """Next message, or None when the other end closed (also in the middle of a message)."""
    line = stream.readline()
    if not line.endswith(b"\n"):
        return None
    header: dict[str, Any] = json.loads(line)
    payload = stream.read(header["bytes"]) if header["bytes"] else b""
    return (header, payload) if len(payload) == header["bytes"] else None


def pack_samples(samples: list[TickSample]) -> bytes:
    """Arrays of all samples: ticks, times, flags, frames, sound, actions."""
    return b"".join(
        [
            np.array([s.tick for s in samples], np.int64).tobytes(),
            np.array([s.t_ns for s in samples], np.int64).tobytes(),
            np.array([int(s.flags) for s in samples], np.int32).tobytes(),
            *(s.pixels.tobytes() for s in samples),
            *(s.audio.astype(np.float32).tobytes() for s in samples),
            *(s.action.astype(np.float32).tobytes() for s in samples),
        ]
    )


def unpack_samples(spec: PolicySpec, count: int, payload: bytes) -> list[TickSample]:
    """Inverse of `pack_samples`.

    Raises:
        ValueError: the payload has another size than `count` samples of this spec.
    """
    shapes: list[tuple[type, tuple[int, ...]]] = [
        (np.int64, (count,)),
        (np.int64, (count,)),
        (np.int32, (count,)),
        (np.uint8, (count, spec.frame_height, spec.frame_width, 3)),
        (np.float32, (count, *spec.audio_shape)),
        (np.float32, (count, spec.controls.size)),
    ]
    arrays: list[np.ndarray[Any, Any]] = []
    offset = 0
    for dtype, shape in shapes:
        size = int(np.prod(shape))
        arrays.append(np.frombuffer(payload, dtype, size, offset).reshape(shape))
        offset += size * np.dtype(dtype).itemsize
    if offset != len(payload):
        raise ValueError(f"payload has {len(payload)} bytes, {count} samples need {offset}")
    ticks, times, flags, frames, audio, actions = arrays
    return [
        TickSample(int(ticks[i]), int(times[i]), frames[i], audio[i], actions[i], TickFlag(int(flags[i])))
        for i in range(count)
    ]
