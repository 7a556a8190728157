"""OWAMcap files, made by the mcap library with messages as owa-msgs writes them, and by OWA's own writer."""

import base64
import json

import av
import cv2
import numpy as np
import pytest
from foreign import numbers, picture, profile, take_in, write_mp4

mcap_writer = pytest.importorskip("mcap.writer")

MS = 1_000_000
BEGIN = 1_751_017_792_129_876_000
MOUSE = {"mouse": {"buttons": ["MouseLeft"], "motion": True, "wheel": True}}
GAME = profile(20, keys=("w", "shift", "enter"), controls=MOUSE)


def write(path, messages):
    """A file with (ms, topic, kind, content)."""
    with path.open("wb") as file:
        writer = mcap_writer.Writer(file)
        writer.start(profile="owa", library="test")
        channels = {}
        for ms, topic, kind, content in messages:
            if topic not in channels:
                schema = writer.register_schema(name=f"desktop/{kind}", encoding="jsonschema", data=b"{}")
                channels[topic] = writer.register_channel(topic=topic, message_encoding="json", schema_id=schema)
            t_ns = BEGIN + ms * MS
            writer.add_message(channels[topic], t_ns, json.dumps(content).encode(), t_ns)
        writer.finish()


def screens(count=20, uri="a.mkv", pts_ms=0):
    """Screen messages at 20 Hz that refer to a video."""
    return [
        (50 * i, "screen", "ScreenCaptured", {
            "utc_ns": BEGIN, "source_shape": [48, 32], "shape": [48, 32],
            "media_ref": {"uri": uri, "pts_ns": (50 * i + pts_ms) * MS},
        })
        for i in range(count)
    ]  # fmt: skip


def key(ms, vk, down):
    """A key message."""
    return (ms, "keyboard", "KeyboardEvent", {"event_type": "press" if down else "release", "vk": vk, "timestamp": 0})


def raw(ms, x=0, y=0, flags=0, data=0, us_flags=0):
    """A raw mouse message."""
    content = {"us_flags": us_flags, "last_x": x, "last_y": y, "button_flags": flags, "button_data": data}
    return (ms, "mouse/raw", "RawMouseEvent", content)


def pointer(ms, kind, x, y, **more):
    """A mouse message."""
    return (ms, "mouse", "MouseEvent", {"event_type": kind, "x": x, "y": y, **more})


def test_keys_and_raw_mouse(tmp_path):
    """Presses, taps between pictures, counts, wheel and buttons; pointer messages do not count twice."""
    write_mp4(tmp_path / "a.mkv", 20)
    events = [key(60, 87, True), key(110, 87, True), key(160, 87, False), key(220, 0xA0, True), key(230, 0xA0, False),
              raw(310, 5, -3), raw(320, 2, 0), pointer(321, "move", 9, 9), pointer(325, "move", 11, 9),
              raw(410, flags=0x0001), raw(460, flags=0x0002), raw(510, flags=0x0400, data=65416),
              raw(560, 60000, 60000, us_flags=1)]  # fmt: skip
    write(tmp_path / "a.mcap", sorted(screens() + events, key=lambda one: one[0]))
    _, (reader,) = take_in(tmp_path / "s", tmp_path, GAME)
    assert numbers(reader) == list(range(20))
    got = reader.ticks.actions
    assert np.flatnonzero(got[:, 0]).tolist() == [1, 2]
    assert np.flatnonzero(got[:, 1]).tolist() == [4]
    assert np.flatnonzero(got[:, 3]).tolist() == [8]
    assert got[6, 4:].tolist() == [7, -3, 0]
    assert got[10, 4:].tolist() == [0, 0, -1]
    assert not got[11:].any()


@pytest.mark.filterwarnings("default")
def test_written_by_owa_itself(tmp_path):
    """The writer of mcap-owa-support with the messages of owa-msgs."""
    reason = "{} is not installed (installer/formats.txt; .ci/run tests with it)"
    highlevel = pytest.importorskip("mcap_owa.highlevel", reason=reason.format("mcap-owa-support"))
    pytest.importorskip("owa.msgs", reason=reason.format("owa-msgs"))
    from owa.core import MESSAGES

    kinds = {kind: MESSAGES[f"desktop/{kind}"] for kind in ("ScreenCaptured", "KeyboardEvent", "RawMouseEvent")}
    write_mp4(tmp_path / "a.mkv", 20)
    messages = [*screens(), key(160, 87, True), key(310, 87, False), raw(410, 5, -2, flags=0x0001)]
    with highlevel.OWAMcapWriter(tmp_path / "a.mcap") as writer:
        for ms, topic, kind, content in sorted(messages, key=lambda one: one[0]):
            writer.write_message(kinds[kind](**content), topic=topic, timestamp=BEGIN + ms * MS)
    _, (reader,) = take_in(tmp_path / "s", tmp_path, GAME)
    assert numbers(reader) == list(range(20))
    got = reader.ticks.actions
    assert np.flatnonzero(got[:, 0]).tolist() == [3, 4, 5]
    assert np.flatnonzero(got[:, 3]).tolist() == list(range(8, 20))
    assert got[8, 4:].tolist() == [5, -2, 0]


def test_pointer_without_raw_messages(tmp_path):
    """Then the way of the pointer counts, its clicks and its scrolling; states mend what was missed."""
    write_mp4(tmp_path / "a.mkv", 20)
    events = [pointer(10, "move", 100, 100), pointer(60, "move", 104, 97), pointer(160, "scroll", 104, 97, dx=0, dy=2),
              pointer(210, "click", 104, 97, button="left", pressed=True), key(260, 13, True),
              (510, "keyboard/state", "KeyboardState", {"buttons": []}),
              (511, "mouse/state", "MouseState", {"x": 1, "y": 1, "buttons": []})]  # fmt: skip
    write(tmp_path / "a.mcap", sorted(screens() + events, key=lambda one: one[0]))
    _, (reader,) = take_in(tmp_path / "s", tmp_path, GAME)
    got = reader.ticks.actions
    assert got[1, 4:].tolist() == [4, -3, 0]
    assert got[3, 6] == 2
    assert np.flatnonzero(got[:, 3]).tolist() == list(range(4, 10))
    assert np.flatnonzero(got[:, 2]).tolist() == list(range(5, 10))


def test_video_that_began_before(tmp_path):
    """Pictures are found by their time in the video, not by their number."""
    write_mp4(tmp_path / "a.mkv", 23)
    write(tmp_path / "a.mcap", [key(0, 87, True), *screens(pts_ms=150)])
    _, (reader,) = take_in(tmp_path / "s", tmp_path, GAME)
    assert numbers(reader) == list(range(3, 23))


def test_pictures_in_the_messages(tmp_path):
    """Pictures may be embedded, or be files."""
    coded = cv2.imencode(".png", picture(4)[..., ::-1])[1].tobytes()
    (tmp_path / "p.png").write_bytes(coded)
    embedded = "data:image/png;base64," + base64.b64encode(coded).decode()
    both = [(50 * i, "screen", "ScreenCaptured", {"media_ref": {"uri": (embedded, "p.png")[i % 2]}}) for i in range(6)]
    write(tmp_path / "a.mcap", [key(0, 87, True), *both])
    _, (reader,) = take_in(tmp_path / "s", tmp_path, GAME)
    assert numbers(reader) == [4] * 6


def test_sound(tmp_path):
    """The video's sound is at its place in time."""
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        video, audio = container.add_stream("libx264", rate=20), container.add_stream("flac", rate=48_000)
        video.width, video.height, video.pix_fmt = 48, 32, "yuv420p"
        audio.codec_context.layout, audio.codec_context.format = "stereo", "s16"
        for i in range(40):
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture(i), format="rgb24")))
            tone = np.sin(np.arange(2400) * 2 * np.pi * 500 / 48_000) * 20_000 * (i >= 20)
            block = av.AudioFrame.from_ndarray(np.repeat(tone, 2)[None].astype(np.int16), format="s16", layout="stereo")
            block.sample_rate, block.pts = 48_000, i * 2400
            container.mux(audio.encode(block))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))
    write(tmp_path / "a.mcap", [key(0, 87, True), *screens(40)])
    _, (reader,) = take_in(tmp_path / "s", tmp_path, profile(20, keys=("w",), audio=True))
    loud = reader.ticks.audio.max(axis=(1, 2))
    assert loud[:20].max() < 0.1
    assert loud[23:].min() > 0.5
    assert len(reader.sound()) == pytest.approx(32_000, abs=2000)


def test_damage(tmp_path):
    """Pictures on other machines, a video that is missing or too short, a file cut short: each says what."""
    write_mp4(tmp_path / "short.mkv", 3)
    for name, uri in (("a", "https://example.com/a.mkv"), ("b", "missing.mkv"), ("c", "short.mkv")):
        write(tmp_path / f"{name}.mcap", [key(0, 87, True), *screens(uri=uri)])
    (tmp_path / "d.mcap").write_bytes((tmp_path / "c.mcap").read_bytes()[:200])
    outcome, _ = take_in(tmp_path / "s", tmp_path, GAME)
    assert [name for name, _ in outcome.skipped] == ["a.mcap", "b.mcap", "c.mcap", "d.mcap"]
    remote, missing, short, _ = (why for _, why in outcome.skipped)
    assert "Download" in remote
    assert "missing.mkv" in missing
    assert "short.mkv ends before" in short
