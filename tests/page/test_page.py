"""A session's page: all of the session is in it, nothing of the session can run in it, and it is whole or not there."""

import base64
import hashlib
import os
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import tiny_policy
from hypothesis import given
from hypothesis import strategies as st
from page_scene import HEARD, SPEC, TICKS, Page, action, colour, numbers, unrun, write_session
from session_data import PERIOD_NS

from tray_agent.clients.cli import main
from tray_agent.clients.cli import session_page as verb
from tray_agent.clients.cli.exit_codes import ExitCode
from tray_agent.core.sample import TickFlag
from tray_agent.errors import BundleError, SessionError
from tray_agent.page.film import enlargement, quantiser
from tray_agent.page.tracks import runs
from tray_agent.page.write import write_page
from tray_agent.sessions.layout import TICKS as TICKS_FILE

HOSTILE = "</script><script>document.title='caught'</script><img src=x onerror=alert(1)>\"'&{{script}}\ud800"


def _page(tmp_path, session, bundle=None):
    out = tmp_path / "page.html"
    size = write_page(session, out, bundle)
    assert size == out.stat().st_size
    return Page(out)


def test_film_has_a_frame_for_each_tick(tmp_path):
    """The film decodes to one picture a tick, of its colour, at its time, in a format that browsers play."""
    page = _page(tmp_path, write_session(tmp_path / "s"))
    with av.open(page.film) as container:
        (stream,) = container.streams
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert (stream.width, stream.height) == (320, 240)
        pictures = list(container.decode(video=0))
    assert [round(p.time * 20) for p in pictures] == list(TICKS)
    for tick, picture in enumerate(pictures):
        middle = picture.to_ndarray(format="rgb24", width=320)[100:140, 100:220].mean(axis=(0, 1))
        assert np.abs(middle - colour(tick)).max() < 12, tick


@pytest.mark.parametrize(("size", "shown"), [((320, 200), (320, 200)), ((321, 7), (322, 8)), ((97, 61), (388, 244))])
def test_film_of_any_size(tmp_path, size, shown):
    """Large pictures stay as they are, small ones are enlarged; sides become even."""
    spec = replace(SPEC, frame_width=size[0], frame_height=size[1])
    page = _page(tmp_path, write_session(tmp_path / "s", spec=spec, ticks=range(3)))
    with av.open(page.film) as container:
        assert (container.streams.video[0].width, container.streams.video[0].height) == shown
        assert len(list(container.decode(video=0))) == 3


@given(st.integers(1, 2000))
def test_enlargement_reaches_the_width(width):
    """At least 320 pixels, by a factor that suits the codec's blocks, and not more than needed."""
    factor = enlargement(width)
    assert width * factor >= 320
    assert factor == 1 or (factor % 4 == 0 and width * (factor - 4) < 320)


def test_more_enlarged_films_are_encoded_coarser():
    """Each doubling of the enlargement beyond 4 costs six steps of quality, none below."""
    assert [quantiser(factor) for factor in (1, 4, 8, 16)] == [24, 24, 30, 36]


def test_sound_is_in_the_film(tmp_path):
    """A session with sound has a sound track as long as its ticks, and its loudness; one without has neither."""
    tone = (0.5 * np.sin(np.arange(32_000) * 0.2)).astype(np.float32)
    tone[:16_000] = 0
    page = _page(tmp_path, write_session(tmp_path / "s", spec=HEARD, sound=tone))
    with av.open(page.film) as container:
        heard = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    assert abs(len(heard) - 32_000) <= 2 * 1024
    assert np.abs(heard[:14_000]).max() < 0.05
    assert np.abs(heard[18_000:30_000]).max() > 0.3
    level = numbers(page.data["level"], "u1") / 255
    assert level[:19].max() == 0
    assert np.allclose(level[21:39], 1 + 20 * np.log10(0.5 / np.sqrt(2)) / 60, atol=0.01)
    silent = _page(tmp_path, write_session(tmp_path / "silent"))
    assert silent.data["level"] is None


def test_tracks_hold_what_was_pressed(tmp_path):
    """Buttons exactly, curves to a 32767th of their range, flags and their stretches."""
    marks = [(5, 9, TickFlag.STRAYED), (10, 20, TickFlag.CORRECTION), (2, 9, TickFlag.AGENT)]
    data = _page(tmp_path, write_session(tmp_path / "s", marks=marks)).data
    did = np.array([action(tick) for tick in TICKS])
    assert data["count"] == len(TICKS)
    assert [b["name"] for b in data["buttons"]] == ["KeyW", "KeyA"]
    for i, button in enumerate(data["buttons"]):
        assert np.array_equal(unrun(button["runs"], len(TICKS)), did[:, i] > 0)
        assert button["chance"] is None
    for i, curve in enumerate(data["curves"], 2):
        values = numbers(curve["values"], "<i2") / 32767 * curve["top"]
        assert np.abs(values - did[:, i]).max() <= curve["top"] / 32767
    assert [(c["name"], c["axis"], c["top"]) for c in data["curves"]] == [("MouseX", False, 4.0), ("PadLX", True, 1.0)]
    shaded = {name: np.flatnonzero(unrun(found, 40)).tolist() for name, found in data["shaded"].items()}
    want = {"strayed": range(5, 10), "correction": range(10, 21), "agent": range(2, 10), "silent": ()}
    assert shaded == {name: list(ticks) for name, ticks in want.items()}
    assert data["unused"] == []


def test_dropped_ticks_and_pauses(tmp_path):
    """A hole is marked with how much is missing; a pause is cut to a second and said so."""
    ticks = [t for t in TICKS if t not in {7, 8, 9}]
    times = {t: t * PERIOD_NS + (3_600_000_000_000 if t >= 30 else 0) for t in TICKS}
    page = _page(tmp_path, write_session(tmp_path / "s", ticks=ticks, times=times))
    assert page.data["dropped"] == [[7, 3]]
    assert page.data["pauses"] == [[27, 3599.05]]
    steps = numbers(page.data["steps"], "<u2") / page.data["units"]
    assert (steps[0], steps[7], steps[27]) == (0, 0.2, 1.0)
    assert page.data["end"] / page.data["units"] == pytest.approx(steps.sum() + 0.05)
    assert ["pauses", "1, 59 min 59 s not shown"] in page.data["facts"]


def test_what_a_bundle_would_have_done(tmp_path):
    """Chances, expected values and agreement are those of the graph on the session's pictures."""
    half = [[[0.0, 0.0, 4.0]]]
    graph = tiny_policy.graph(SPEC, held=[-2.0, -9.0], relative=half, axes=half, brightness=0.02)
    held_out = {"skill": 0.58123456}
    bundle = tiny_policy.store(tmp_path / "models", spec=SPEC, onnx_bytes=graph, held_out=held_out)
    data = _page(tmp_path, write_session(tmp_path / "s"), bundle).data
    means = np.array([colour(t).mean() for t in TICKS])
    chances = np.array([numbers(b["chance"], "u1") / 255 for b in data["buttons"]])
    assert np.allclose(chances, 1 / (1 + np.exp([2 - 0.02 * means, 9 - 0.02 * means])), atol=0.003)
    weights = np.exp([0.0, 0.0, 4.0]) / np.exp([0.0, 0.0, 4.0]).sum()
    guessed = [numbers(c["guessed"], "<i2") / 32767 * c["top"] for c in data["curves"]]
    assert np.allclose(guessed[0], weights @ tiny_policy.BINS, atol=1e-3)
    assert np.allclose(guessed[1], weights @ tiny_policy.AXIS_BINS, atol=1e-3)
    did = np.array([action(t) for t in TICKS])
    same = [(did[:, 0] > 0) == (chances[0] >= 0.5), did[:, 1] == 0, did[:, 2] > 0,
            np.abs(did[:, 3] - weights @ tiny_policy.AXIS_BINS) <= 0.25]  # fmt: skip
    assert np.allclose(numbers(data["agreement"], "u1") / 255, np.mean(same, axis=0), atol=0.003)
    assert ["held out", "skill 0.5812"] in data["policy"]


def test_names_can_do_nothing(tmp_path):
    """Whatever a session's names say, the page has the same elements as a harmless one, and the names are its text."""
    plain = _page(tmp_path, write_session(tmp_path / "plain", extra={"player": "Ada", "note": "x"}))
    folder = write_session(tmp_path / "s", game=HOSTILE, extra={"player": HOSTILE, HOSTILE: {"a": HOSTILE}})
    page = _page(tmp_path, folder)
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in plain.tags]
    assert page.data["game"] == HOSTILE
    assert dict(page.data["facts"])["played by"] == HOSTILE
    assert page.texts("title") == [f"{HOSTILE.replace(chr(0xD800), '?')} · Tray Agent"]


def test_page_needs_nothing_else(tmp_path):
    """Nothing is loaded from anywhere: only this script and this style may run, by their digests."""
    page = _page(tmp_path, write_session(tmp_path / "s"))
    assert not [attrs for _, attrs in page.tags if {"src", "href", "action"} & attrs.keys()]
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on") or name == "style"]
    (policy,) = [a["content"] for _, a in page.tags if a.get("http-equiv") == "Content-Security-Policy"]
    (style,) = page.texts("style")
    for text in (page.script, style):
        assert f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" in policy
    assert policy.startswith("default-src 'none';")
    assert "innerHTML" not in page.script


@pytest.mark.parametrize("bits", [[], [0], [1], [1, 1, 0], [0, 1, 0, 1]])
def test_run_lengths(bits):
    """Run lengths give the bits back."""
    row = np.array(bits, bool)
    assert np.array_equal(unrun(runs(row), len(row)), row)


def test_empty_session(tmp_path):
    """A session without ticks is one error that says so, and no file."""
    folder = write_session(tmp_path / "s", ticks=())
    with pytest.raises(SessionError, match="no tick with a picture"):
        write_page(folder, tmp_path / "page.html")
    assert [p.name for p in tmp_path.iterdir()] == ["s"]


def test_damaged_and_missing_sessions(tmp_path):
    """What is readable of a damaged session is shown; no session at all is an error."""
    folder = write_session(tmp_path / "s")
    os.truncate(folder / TICKS_FILE, (folder / TICKS_FILE).stat().st_size // 2)
    assert 10 < _page(tmp_path, folder).data["count"] < 25
    with pytest.raises(SessionError, match="no session or is damaged"):
        write_page(tmp_path / "nowhere", tmp_path / "other.html")


def test_bundle_of_another_game(tmp_path):
    """A bundle that does not fit is an error, and an old page stays."""
    out = tmp_path / "page.html"
    out.write_text("old")
    with pytest.raises(BundleError, match="learned for other"):
        write_page(write_session(tmp_path / "s"), out, tiny_policy.store(tmp_path / "models"))
    assert out.read_text() == "old"


@pytest.mark.parametrize("stage", ["film", "page"])
def test_interrupt_leaves_no_half_page(tmp_path, stage):
    """Ctrl+C at any stage leaves the old page and no temporary file."""
    folder, out = write_session(tmp_path / "s"), tmp_path / "page.html"
    out.write_text("old")

    def tell(now, _share):
        if now == stage:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_page(folder, out, tell=tell)
    assert out.read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["page.html", "s"]


def test_full_disk(tmp_path, small_disk):
    """A full disk is one error that says so, and nothing is left there."""
    filler = small_disk / "filler"
    filler.write_bytes(bytes((2 << 20) - 16_384))
    with pytest.raises(SessionError, match=r"can't be written .*No space left"):
        write_page(write_session(tmp_path / "s"), small_disk / "page.html")
    assert list(small_disk.iterdir()) == [filler]


def test_places_that_cannot_be_written(tmp_path):
    """A folder that is not there, or a folder in the file's place: an error that names it."""
    folder = write_session(tmp_path / "s")
    for out in (tmp_path / "nowhere" / "page.html", tmp_path):
        with pytest.raises(SessionError, match="can't be written"):
            write_page(folder, out)


def test_verb_opens_a_page_in_the_cache(tmp_path, monkeypatch, capsys):
    """Without --out the page lies in the cache folder, only the newest few stay, and --open hands it to the browser."""
    monkeypatch.setenv("TRAY_AGENT_HOME", str(tmp_path / "home"))
    opened = []
    monkeypatch.setattr(verb.webbrowser, "open", lambda url: opened.append(url) or True)
    for name in "abcdefg":
        folder = write_session(tmp_path / "game" / name, ticks=range(2))
        assert main.main(["sessions", "show", str(folder), "--open"]) == ExitCode.OK
    pages = sorted((tmp_path / "home" / "cache" / "pages").iterdir())
    assert [p.name for p in pages] == [f"game-{name}.html" for name in "cdefg"]
    assert opened[-1] == pages[-1].as_uri()
    assert capsys.readouterr().out.splitlines()[-1] == str(pages[-1])


def test_play_opens_the_page(tmp_path, monkeypatch, capsys):
    """`sessions play` hands the page to the browser; without one the page is there, and the exit code says so."""
    monkeypatch.setenv("TRAY_AGENT_HOME", str(tmp_path / "home"))
    write_session(tmp_path / "home" / "data" / "sessions" / "game" / "one", ticks=range(2))
    opened = []
    monkeypatch.setattr(verb.webbrowser, "open", lambda url: opened.append(url) or len(opened) == 1)
    assert main.main(["sessions", "play", "latest"]) == ExitCode.OK
    page = Path(capsys.readouterr().out.strip())
    assert opened == [page.as_uri()]
    assert page.read_text("utf-8").startswith("<!doctype html>")
    assert main.main(["sessions", "play", "game/latest"]) == ExitCode.UNAVAILABLE
    said = capsys.readouterr()
    assert said.out.strip() == str(page)
    assert "no browser" in said.err


def test_verb_tells_what_is_wrong(tmp_path, capsys):
    """An error is one message on stderr and its exit code."""
    assert main.main(["sessions", "show", str(tmp_path), "--html", str(tmp_path / "x.html")]) == ExitCode.FAILURE
    assert "no session" in capsys.readouterr().err
