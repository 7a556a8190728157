"""Bundles on disk: whole or not at all, and every damage said in words."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_policy import AXIS_BINS, BINS, SPEC, graph, manifest, store

from tray_agent.core.controls import Controls
from tray_agent.core.policy import PolicySpec
from tray_agent.errors import BundleError
from tray_agent.policy.bundle import CURRENT_NAME, KEEP_BUNDLES, MANIFEST_NAME, ONNX_NAME, current_folder, load_bundle
from tray_agent.policy.decode import Decoding
from tray_agent.policy.onnx_policy import OnnxPolicy

MIXED = PolicySpec(Controls(("KeyW",), ("MouseX", "MouseY"), ("PadLX",)), 30, 8, 6, frames=2, audio=True)


def test_roundtrip_keeps_every_field(tmp_path: Path) -> None:
    """What was written is read back equal, the graph byte for byte, and files are the user's alone."""
    told = manifest(MIXED, policy="net", data={"ticks": 5.0}, held_out={"loss": 0.5}, parity=1e-6, created="2026")
    onnx = graph(MIXED)
    folder = store(tmp_path, "r1", MIXED, onnx, policy="net", data={"ticks": 5.0}, held_out={"loss": 0.5},
                   parity=1e-6, created="2026")  # fmt: skip
    bundle = load_bundle(folder, MIXED)
    assert replace(bundle.manifest, onnx_sha256="") == told
    assert bundle.onnx == onnx
    assert current_folder(tmp_path, "toy") == folder
    modes = {oct(p.stat().st_mode & 0o777) for p in (folder.parent, folder)}
    assert modes == {"0o700"}
    assert {oct(p.stat().st_mode & 0o777) for p in folder.iterdir()} == {"0o600"}


def test_no_bundle_is_none_and_not_an_error(tmp_path: Path) -> None:
    """A game nobody has watched has no current bundle."""
    assert current_folder(tmp_path, "toy") is None


@pytest.mark.parametrize("keep", [0, 1, 100])
def test_truncated_graph_is_refused_with_a_remedy(tmp_path: Path, keep: int) -> None:
    """A policy.onnx cut anywhere fails its digest; the message names the file and says what to do."""
    folder = store(tmp_path)
    path = folder / ONNX_NAME
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(BundleError, match=r"policy\.onnx is damaged.*Watch again"):
        load_bundle(folder)


@pytest.mark.parametrize("name", [ONNX_NAME, MANIFEST_NAME])
def test_missing_file_is_told(tmp_path: Path, name: str) -> None:
    """A bundle without one of its files is incomplete, and the missing one is named."""
    folder = store(tmp_path)
    (folder / name).unlink()
    with pytest.raises(BundleError, match=rf"incomplete.*{name}.*Watch again"):
        load_bundle(folder)


BAD_MANIFESTS = [
    "", "nonsense", "[]", "5", "null", '"text"', "{}", '{"format": 1}', "[" * 100_000, b"\xff\xfe{",
]  # fmt: skip


@pytest.mark.parametrize("content", BAD_MANIFESTS, ids=range(len(BAD_MANIFESTS)))
def test_damaged_manifest_is_told(tmp_path: Path, content: str | bytes) -> None:
    """Whatever stands in manifest.json, the error is a BundleError that names the file."""
    folder = store(tmp_path)
    (folder / MANIFEST_NAME).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(BundleError, match=r"manifest\.json is damaged.*Watch again"):
        load_bundle(folder)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=4,
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_field_may_be_wrong(tmp_path: Path, data: st.DataObject) -> None:
    """With any field of the manifest replaced by anything, loading gives a bundle or a BundleError, nothing else."""
    folder = store(tmp_path, f"r{time.monotonic_ns()}", MIXED)
    path = folder / MANIFEST_NAME
    raw = json.loads(path.read_text())
    where = data.draw(st.sampled_from([raw, raw["spec"], raw["spec"]["controls"]]))
    where[data.draw(st.sampled_from(sorted(where)))] = data.draw(JUNK)
    path.write_text(json.dumps(raw))
    with contextlib.suppress(BundleError):  # any other exception fails the test
        acting = OnnxPolicy(load_bundle(folder, MIXED), Decoding())
        assert acting.bundle.manifest.spec == MIXED


BAD_POINTERS = [
    "",
    "[]",
    "5",
    "{}",
    '{"run": null}',
    '{"run": "gone"}',
    '{"run": ".."}',
    '{"run": "../x"}',
    "[" * 99999,
]


@pytest.mark.parametrize("content", BAD_POINTERS, ids=range(len(BAD_POINTERS)))
def test_damaged_pointer_is_told(tmp_path: Path, content: str) -> None:
    """A current.json that is damaged, or points nowhere or outside, is a BundleError that says what to delete."""
    store(tmp_path)
    (tmp_path / "toy" / CURRENT_NAME).write_text(content)
    with pytest.raises(BundleError, match=r"current\.json.*(Delete|delete).*atch"):
        current_folder(tmp_path, "toy")


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        (replace(SPEC, controls=Controls(("ArrowRight", "ArrowLeft"))), "controls"),
        (replace(SPEC, rate_hz=30), "rate_hz"),
        (replace(SPEC, frame_width=10), "frame_width"),
        (replace(SPEC, frames=4), "frames"),
        (replace(SPEC, reduction="other-1"), "reduction"),
        (replace(SPEC, audio=True), "audio"),
    ],
)
def test_bundle_for_another_profile_is_refused(tmp_path: Path, changed: PolicySpec, what: str) -> None:
    """Other controls, rate or picture: refused, and the message names just what differs."""
    folder = store(tmp_path)
    with pytest.raises(BundleError, match=rf"learned for other {what} than toy has now.*Watch again"):
        load_bundle(folder, changed)
    load_bundle(folder, SPEC)


def test_graph_of_other_shape_is_found_at_loading(tmp_path: Path) -> None:
    """A graph that takes another picture, or gives other outputs than the manifest says, never reaches a game."""
    other = store(tmp_path, "a", SPEC, graph(replace(SPEC, frame_width=10)))
    with pytest.raises(BundleError, match="does not take this game's input"):
        OnnxPolicy(load_bundle(other), Decoding())
    more_keys = store(tmp_path, "b", SPEC, graph(replace(SPEC, controls=Controls(("KeyA", "KeyB", "KeyC")))))
    with pytest.raises(BundleError, match="do not fit its manifest"):
        OnnxPolicy(load_bundle(more_keys), Decoding())
    bins = store(tmp_path, "c", MIXED, relative_bins=dict.fromkeys(("MouseX", "MouseY"), (*BINS, 5.0)))
    with pytest.raises(BundleError, match="do not fit its manifest"):
        OnnxPolicy(load_bundle(bins), Decoding())
    axes = store(tmp_path, "d", MIXED, axis_bins=(*AXIS_BINS, 0.5))
    with pytest.raises(BundleError, match="do not fit its manifest"):
        OnnxPolicy(load_bundle(axes), Decoding())
    rubbish = store(tmp_path, "e", SPEC, b"no graph at all")
    with pytest.raises(BundleError, match="no usable ONNX graph"):
        OnnxPolicy(load_bundle(rubbish), Decoding())


def test_full_disk_keeps_the_old_bundle(small_disk: Path) -> None:
    """When the disk fills up while a bundle is written, the error says so and the old one stays whole and current."""
    old = store(small_disk, "old")
    free = os.statvfs(small_disk)
    (small_disk / "ballast").write_bytes(bytes(free.f_bavail * free.f_bsize - 16384))
    big = graph() + bytes(1 << 20)
    with pytest.raises(BundleError, match=r"could not store.*previous one stays in use.*free some space"):
        store(small_disk, "new", onnx_bytes=big)
    assert current_folder(small_disk, "toy") == old
    load_bundle(old, SPEC)
    assert [p.name for p in (small_disk / "toy").iterdir() if p.is_dir()] == ["old"]
    (small_disk / "ballast").unlink()
    new = store(small_disk, "new")
    assert current_folder(small_disk, "toy") == new


def test_prune_keeps_the_newest_and_the_current(tmp_path: Path) -> None:
    """Only the last few bundles stay, the current one always, also when its name sorts first."""
    for i in range(KEEP_BUNDLES + 3):
        store(tmp_path, f"r{i:02}")
    kept = sorted(p.name for p in (tmp_path / "toy").iterdir() if p.is_dir())
    assert kept == [f"r{i:02}" for i in range(3, KEEP_BUNDLES + 3)]
    folder = store(tmp_path, "a-clock-set-back")
    assert current_folder(tmp_path, "toy") == folder
    assert len([p for p in (tmp_path / "toy").iterdir() if p.is_dir()]) == KEEP_BUNDLES


_WRITER = """
import sys, itertools
sys.path[:0] = sys.argv[2:]
from pathlib import Path
from tiny_policy import store, graph
data = graph() + bytes(300_000)
for i in itertools.count():
    store(Path(sys.argv[1]), f"{i:06}-{sys.argv[3]}", onnx_bytes=data)
    if i == 0:
        print("one", flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="kill -9 is POSIX")
def test_kill_in_the_middle_of_writing_leaves_a_whole_current_bundle(tmp_path: Path) -> None:
    """A writer killed at random moments, again and again: the current bundle always loads, leavings are swept."""
    tests = str(Path(__file__).parents[1])
    for attempt in range(5):
        command = [sys.executable, "-c", _WRITER, str(tmp_path), tests, f"{attempt}"]
        writer = subprocess.Popen(command, stdout=subprocess.PIPE)
        with writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"one\n"
            time.sleep(0.013 * attempt)  # not to wait for anything: the moment of the kill
            os.kill(writer.pid, signal.SIGKILL)
        folder = current_folder(tmp_path, "toy")
        assert folder is not None
        load_bundle(folder, SPEC)
    store(tmp_path, "last")
    assert not [p for p in (tmp_path / "toy").glob(".*.tmp") if p.is_dir()]
