"""MCAP, one file a session: lossless pictures and sound in Foxglove's messages, everything else as JSON.

Messages: docs.foxglove.dev/docs/sdk/schemas (CompressedImage, RawAudio); all channels are JSON with a JSON Schema.
Times are those of the wall clock.
"""

import base64
import heapq
import json
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tray_agent.core.media import AUDIO_RATE_HZ
from tray_agent.core.sample import TickFlag
from tray_agent.exporting.episode import Episode, Format
from tray_agent.runtime.optional import needed

_TIME = {"type": "object", "properties": {"sec": {"type": "integer"}, "nsec": {"type": "integer"}}}
_BYTES = {"type": "string", "contentEncoding": "base64"}
_NUMBER, _WHOLE, _TEXT = {"type": "number"}, {"type": "integer"}, {"type": "string"}
_CHANNELS: dict[str, tuple[str, dict[str, Any]]] = {
    "/session": ("tray_agent.Session", {}),
    "/screen": (
        "foxglove.CompressedImage", {"timestamp": _TIME, "frame_id": _TEXT, "data": _BYTES, "format": _TEXT},
    ),
    "/actions": (
        "tray_agent.Action",
        {"tick": _WHOLE, "t_ns": _WHOLE, "flags": {"type": "array", "items": _TEXT},
         "controls": {"type": "object", "additionalProperties": _NUMBER}},
    ),
    "/heard": ("tray_agent.LogMel", {"tick": _WHOLE, "steps": {"type": "array"}}),
    "/events": (
        "tray_agent.InputEvent",
        {"t_ns": _WHOLE, "kind": _TEXT, "control": _TEXT, "value": _NUMBER, "device": _TEXT},
    ),
    "/sound": (
        "foxglove.RawAudio",
        {"timestamp": _TIME, "data": _BYTES, "format": _TEXT, "sample_rate": _WHOLE, "number_of_channels": _WHOLE},
    ),
}  # fmt: skip
Message = tuple[int, str, dict[str, Any]]
"""Time on the session's clock, channel, content."""


def _write(folder: Path, episodes: Sequence[Episode]) -> None:
    mcap = needed("mcap.writer", "MCAP files can't be written", "export")
    for episode in episodes:
        with (folder / f"{episode.stem}.mcap").open("wb") as file:
            _write_episode(mcap.Writer(file), episode)


def _write_episode(writer: Any, episode: Episode) -> None:
    info = episode.reader.info
    writer.start(library="tray-agent")
    channels = {}
    for topic, (name, fields) in _CHANNELS.items():
        schema = {"title": name, "type": "object", "properties": fields}
        number = writer.register_schema(name, "jsonschema", json.dumps(schema).encode())
        channels[topic] = writer.register_channel(topic, "json", number)
    first: Message = (min(info.start_ns, int(episode.reader.ticks.t_ns[0])), "/session", episode.about())
    for t_ns, topic, content in chain([first], _merged(episode)):
        wall_ns = info.wall_ns + t_ns - info.start_ns
        writer.add_message(channels[topic], wall_ns, json.dumps(content).encode(), wall_ns)
    writer.finish()


def _merged(episode: Episode) -> Iterator[Message]:
    """All channels in order of time, streamed."""
    return heapq.merge(_ticks(episode), _events(episode), _sound(episode), key=itemgetter(0))


def _ticks(episode: Episode) -> Iterator[Message]:
    spec, wall = episode.reader.spec, _wall(episode)
    for _, sample in episode.samples():
        done, png = cv2.imencode(".png", sample.pixels[..., ::-1])
        if not done:
            raise OSError(f"the picture of tick {sample.tick} can't be encoded")
        t, picture = sample.t_ns, _base64(png.tobytes())
        yield t, "/screen", {"timestamp": wall(t), "frame_id": "screen", "data": picture, "format": "png"}
        names = [str(flag.name).lower() for flag in TickFlag if flag in sample.flags]
        controls = {name: float(value) for name, value in zip(spec.controls.names, sample.action, strict=True)}
        yield t, "/actions", {"tick": sample.tick, "t_ns": t, "flags": names, "controls": controls}
        if spec.audio:
            yield t, "/heard", {"tick": sample.tick, "steps": sample.audio.tolist()}


def _events(episode: Episode) -> Iterator[Message]:
    for e in episode.reader.events:
        content = {"t_ns": e.t_ns, "kind": e.kind, "control": e.control, "value": e.value, "device": e.device}
        yield e.t_ns, "/events", content


def _sound(episode: Episode) -> Iterator[Message]:
    wall, count = _wall(episode), 0
    about = {"format": "pcm-s16", "sample_rate": AUDIO_RATE_HZ, "number_of_channels": 1}
    for piece in episode.reader.sound_pieces():
        t = episode.reader.info.start_ns + count * 1_000_000_000 // AUDIO_RATE_HZ
        data = np.rint(piece * 32767).astype("<i2").tobytes()
        yield t, "/sound", {"timestamp": wall(t), "data": _base64(data), **about}
        count += len(piece)


def _wall(episode: Episode) -> Callable[[int], dict[str, int]]:
    """Time on the session's clock -> the wall clock's, as Foxglove's messages have it."""
    shift = episode.reader.info.wall_ns - episode.reader.info.start_ns
    return lambda t_ns: dict(zip(("sec", "nsec"), divmod(t_ns + shift, 1_000_000_000), strict=True))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


FORMAT = Format(
    "mcap",
    "MCAP for Foxglove: a file for each session, lossless",
    (),
    alike=False,
    write=_write,
)
