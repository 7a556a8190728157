"""Recordings as other programs leave them, and what became of them: for the tests of importing."""

from pathlib import Path

import av
import numpy as np

from tray_agent.importing.registry import formats
from tray_agent.importing.run import Outcome, Wanted, run_import
from tray_agent.sessions.catalogue import list_sessions
from tray_agent.sessions.reader import SessionReader
from tray_agent.settings.games import GameEntry, GameProfile

SIZE = (48, 32)


def profile(rate_hz: float = 20, keys: tuple[str, ...] = ("left", "right", "space"), **more) -> GameProfile:
    """A game called "g" with frames of 48x32."""
    controls = {"keys": list(keys)} | more.pop("controls", {})
    frame = {"width": SIZE[0], "height": SIZE[1]}
    entry = {"vector": 100, "match": {"process": "g"}, "controls": controls, "rate_hz": rate_hz, "frame": frame}
    return GameEntry.model_validate(entry | more).under("g")


def picture(i: int, width: int = SIZE[0], height: int = SIZE[1]) -> np.ndarray:
    """RGB, all of one colour: red tells the number (in steps that survive a video codec), blue is always more."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:] = (8 * i % 200, 30, 220)
    return pixels


def number(pixels: np.ndarray) -> int:
    """The number of a picture that went through a codec."""
    assert pixels[..., 2].mean() > 150, "blue and red are swapped"
    return round(float(pixels[..., 0].mean()) / 8)


def write_mp4(path: Path, count: int, rate_hz: int = 20, first: int = 0) -> None:
    """A video of `count` pictures."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate_hz, options={"crf": "1", "g": "5"})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv444p"
        for i in range(count):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(first + i), format="rgb24")))
        container.mux(stream.encode(None))


def take_in(root: Path, path: Path, game: GameProfile, name: str = "auto", **wanted) -> tuple[Outcome, list]:
    """What the import said, and its sessions in the order in which they were imported."""
    outcome = Outcome()
    run_import([path], Wanted(formats(name), game, **wanted), root, outcome, lambda item, ticks: None)
    found = [SessionReader(written.folder) for _, written in outcome.imported]
    assert {reader.folder for reader in found} == {one.folder for one in list_sessions(root).sessions}
    return outcome, found


def numbers(reader: SessionReader) -> list[int]:
    """Which pictures a session shows."""
    return [number(pixels) for pixels in reader.frames(0, len(reader))]
