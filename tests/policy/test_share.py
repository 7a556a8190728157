"""Sharing a bundle, and taking one from a stranger: what is good arrives, what is not leaves nothing behind."""

import contextlib
import hashlib
import io
import json
import stat
import struct
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from shared_bundle import PROFILE, SPEC, entries, profiles, shared_zip, told, try_here, zipped
from tiny_policy import graph, store

from tray_agent.core.controls import Controls
from tray_agent.errors import BundleError, PlatformUnavailable
from tray_agent.policy import trial
from tray_agent.policy.bundle import MANIFEST_NAME, ONNX_NAME, current_folder, load_bundle, make_current
from tray_agent.policy.decode import Decoding
from tray_agent.policy.onnx_policy import OnnxPolicy
from tray_agent.policy.share import keep, receive, share
from tray_agent.policy.share_zip import LIMITS, MAX_ZIP_BYTES, PREVIEW_NAME, SIGNATURE_NAME
from tray_agent.policy.trial import try_apart

Change = Callable[[onnx.ModelProto], None]


def files_below(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def test_shared_bundle_arrives(tmp_path: Path) -> None:
    """One zip, another home: the same policy, stored beside the one in use, which stays in use until told."""
    zip_file = shared_zip(tmp_path, score={"score": 12.5}, preview=b"a clip")
    models = tmp_path / "mine"
    mine = store(models, "20260101T000000000-u5", SPEC)
    received = receive(zip_file, profiles(), trial=try_here)
    assert (received.signature, received.preview_bytes) == ("none", len(b"a clip"))
    assert received.manifest.score == {"score": 12.5}
    folder = keep(received, models)
    assert current_folder(models, "toy") == mine
    bundle = load_bundle(folder, SPEC)
    assert bundle.manifest.data == {"updates": 5.0, "seconds": 90.0}
    pixels, audio = np.zeros((16, 24, 3), np.uint8), np.zeros(SPEC.audio_shape, np.float32)
    assert OnnxPolicy(bundle, Decoding()).act(pixels, audio).shape == (2,)
    make_current(folder)
    assert current_folder(models, "toy") == folder
    for i in range(8):  # learning goes on: what was imported is not cleared away with old bundles
        store(models, f"20990101T00000000{i}-u5", SPEC)
    assert folder.is_dir()
    assert not mine.exists()


def test_zip_is_the_same_each_time_and_tells_nothing_of_its_maker(tmp_path: Path) -> None:
    """Bytes hang on the bundle alone; torch's notes, which name folders on the maker's disk, are not in it."""
    model = onnx.load_model_from_string(graph(SPEC))
    note = model.graph.node[0].metadata_props.add()
    note.key, note.value = "pkg.torch.onnx.stack_trace", 'File "/home/somebody/x.py"'
    model.doc_string = "made in /home/somebody"
    bundle = load_bundle(store(tmp_path, spec=SPEC, onnx_bytes=model.SerializeToString()))
    for name in ("a.zip", "b.zip"):
        share(bundle, tmp_path / name)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    assert b"somebody" not in (tmp_path / "a.zip").read_bytes()
    assert b"somebody" in bundle.onnx
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.namelist() == [MANIFEST_NAME, ONNX_NAME]
    with pytest.raises(BundleError, match="is there already"):
        share(bundle, tmp_path / "a.zip")


def test_game_may_have_another_name_here(tmp_path: Path) -> None:
    """With the name it has here, it is stored there; profiles that do not fit are refused all the same."""
    mine = {"my-toy": profiles()["toy"].model_copy(update={"name": "my-toy"})}
    zip_file = shared_zip(tmp_path)
    received = receive(zip_file, mine, "my-toy", trial=try_here)
    assert keep(received, tmp_path / "mine").parent == tmp_path / "mine" / "my-toy"
    with pytest.raises(BundleError, match="there is no game 'toy' here"):
        receive(zip_file, mine, trial=try_here)


def test_zip_by_another_program_is_taken(tmp_path: Path) -> None:
    """Packed again, compressed: still a bundle."""
    path = tmp_path / "x.zip"
    path.write_bytes(zipped(entries(), zipfile.ZIP_DEFLATED))
    assert receive(path, profiles(), trial=try_here).manifest.game == "toy"


# -- hostile zips --------------------------------------------------------------------------------------------------


def altered(change: Change) -> bytes:
    """A zip whose graph was changed, its manifest made to fit."""
    model = onnx.load_model_from_string(graph(SPEC))
    change(model)
    return of_graph(model.SerializeToString())


def of_graph(data: bytes) -> bytes:
    return zipped({MANIFEST_NAME: told(data), ONNX_NAME: data})


def of_manifest(**changes: Any) -> bytes:
    return zipped(entries() | {MANIFEST_NAME: told(graph(SPEC), **changes)})


def with_spec(**changes: Any) -> bytes:
    return of_manifest(spec=json.loads(told(b""))["spec"] | changes)


def more(name: str, content: bytes = b"x") -> bytes:
    return zipped({**entries(), name: content})


def entry(change: Callable[[zipfile.ZipInfo], None], content: bytes = b"x") -> bytes:
    written = io.BytesIO(zipped(entries()))
    info = zipfile.ZipInfo(PREVIEW_NAME)
    change(info)
    with zipfile.ZipFile(written, "a") as archive:
        archive.writestr(info, content)
    return written.getvalue()


def linked(info: zipfile.ZipInfo) -> None:
    info.external_attr = (stat.S_IFLNK | 0o777) << 16


def a_device(info: zipfile.ZipInfo) -> None:
    info.external_attr = (stat.S_IFCHR | 0o666) << 16


def encrypted() -> bytes:
    data = bytearray(zipped(entries()))
    data[data.index(b"PK\x03\x04") + 6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


def twice() -> bytes:
    data = more("manifest.jsoM")
    return data.replace(b"manifest.jsoM", b"manifest.json")


def cut_name() -> bytes:
    """A name with a NUL in it, which `zipfile` cuts off there."""
    return more("preview.mp4_exe").replace(b"preview.mp4_exe", b"preview.mp4\0exe")


def bomb() -> bytes:
    return zipped(entries() | {MANIFEST_NAME: bytes(LIMITS[MANIFEST_NAME] + 1)}, zipfile.ZIP_DEFLATED)


def lying_bomb() -> bytes:
    """A megabyte and more of zeros whose headers speak of ten bytes."""
    size = LIMITS[MANIFEST_NAME] + 1
    return zipped({MANIFEST_NAME: bytes(size), ONNX_NAME: b""}, zipfile.ZIP_DEFLATED).replace(
        struct.pack("<L", size), struct.pack("<L", 10)
    )


def of_64_bits() -> bytes:
    data = zipped(entries())
    return data[:-22] + b"PK\x06\x07" + bytes(16) + data[-22:]


def crowd() -> bytes:
    return zipped({f"{i:05}": b"" for i in range(2000)})


def damaged_weights() -> bytes:
    content = entries()
    content[ONNX_NAME] = content[ONNX_NAME][:-1] + bytes([content[ONNX_NAME][-1] ^ 1])
    return zipped(content)


def gain(**changes: Any) -> Change:
    """Change fields of the weight called gain."""

    def change(model: onnx.ModelProto) -> None:
        weight = next(i for i in model.graph.initializer if i.name == "gain")
        for name, value in changes.items():
            if name == "dims":
                weight.dims[:] = value
            elif name == "float_data":
                weight.float_data[:] = value
            else:
                setattr(weight, name, value)

    return change


def elsewhere(model: onnx.ModelProto) -> None:
    weight = model.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="../../../etc/passwd")


def hidden_elsewhere(model: onnx.ModelProto) -> None:
    tensor = numpy_helper.from_array(np.zeros(2, np.float32))
    tensor.external_data.add(key="location", value="/etc/passwd")
    model.graph.node.append(helper.make_node("Constant", [], ["c"], value=tensor))


def node(op: str, domain: str = "") -> Change:
    return lambda model: model.graph.node.append(helper.make_node(op, ["c_held"], ["more"], domain=domain))


def branches(model: onnx.ModelProto) -> None:
    inner = helper.make_graph([], "inner", [], [])
    model.graph.node.append(helper.make_node("If", ["c"], ["x"], then_branch=inner, else_branch=inner))


def nested(model: onnx.ModelProto) -> None:
    """A graph that no operator asked for, twenty deep."""
    inner = helper.make_graph([], "inner", [], [])
    for _ in range(20):
        inner = helper.make_graph([helper.make_node("Identity", ["x"], ["y"], body=inner)], "inner", [], [])
    model.graph.node.append(helper.make_node("Identity", ["c_held"], ["y"], body=inner))


def function(model: onnx.ModelProto) -> None:
    relu = helper.make_node("Relu", ["x"], ["y"])
    model.functions.append(helper.make_function("own", "f", ["x"], ["y"], [relu], model.opset_import))


def sparse(model: onnx.ModelProto) -> None:
    model.graph.sparse_initializer.add()


def grows_with_the_picture(model: onnx.ModelProto) -> None:
    """As many numbers as the picture is bright."""
    model.graph.node.extend([
        helper.make_node("Cast", ["mean"], ["many"], to=TensorProto.INT64),
        helper.make_node("Range", ["many", "many", "many"], ["long"], name="grows"),
    ])  # fmt: skip


def out_of_order(model: onnx.ModelProto) -> None:
    """onnxruntime would sort them."""
    nodes = list(model.graph.node)[::-1]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def made_twice(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Identity", ["frames"], ["shift"]))


def infinite_attribute(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Constant", [], ["c"], value_float=float("inf")))


def renamed_output(model: onnx.ModelProto) -> None:
    model.graph.output[0].name = "other"


def other_input(model: onnx.ModelProto) -> None:
    model.graph.input[0].name = "pixels"


def larger_input(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 1 << 40


def rows_of_parts() -> bytes:
    """A graph of two hundred thousand empty nodes in as many bytes twice."""
    nodes = b"\x0a\x00" * 200_000
    size = len(nodes)
    return of_graph(b"\x3a" + bytes([size & 0x7F | 0x80, size >> 7 & 0x7F | 0x80, size >> 14]) + nodes)


def padded() -> bytes:
    model = onnx.load_model_from_string(graph(SPEC))
    model.doc_string = "x" * (5 << 20)
    return of_graph(model.SerializeToString())


def for_onnxruntime() -> bytes:
    data = graph(SPEC)
    return of_graph(data[:4] + b"ORTM" + data[8:])


def no_such_operator_version(model: onnx.ModelProto) -> None:
    model.opset_import[0].version = 9999


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    # the zip
    "no zip": (lambda: b"hello", "no zip file"),
    "empty": (lambda: b"", "no zip file"),
    "cut off": (lambda: zipped(entries())[:-30], "no zip file, was cut off"),
    "after its end": (lambda: zipped(entries()) + b"more", "something after its end"),
    "64 bits": (of_64_bits, "64-bit kind"),
    "crowd": (crowd, "far more entries"),
    "traversal": (lambda: more("../../evil.json"), r"'\.\./\.\./evil\.json' leads out"),
    "traversal, backslashes": (lambda: more("a\\..\\..\\evil.json"), "leads out"),
    "absolute": (lambda: more("/etc/passwd"), "'/etc/passwd' is absolute"),
    "drive": (lambda: more("C:\\evil.exe"), "is absolute"),
    "stranger": (lambda: more("run_me.py"), r"'run_me\.py', which is no part of a bundle"),
    "folder": (lambda: more("policy.onnx/"), "no part of a bundle"),
    "other case": (lambda: more("POLICY.ONNX"), "no part of a bundle"),
    "name with NUL": (cut_name, "no part of a bundle"),
    "link": (lambda: entry(linked), r"preview\.mp4 is a link"),
    "device": (lambda: entry(a_device), "is no plain file"),
    "twice": (twice, r"manifest\.json twice"),
    "encrypted": (encrypted, "is encrypted"),
    "lzma": (lambda: zipped(entries(), zipfile.ZIP_LZMA), r"compressed in a way .* \(method 14\)"),
    "bomb": (bomb, r"manifest\.json is larger than 1 MiB when unpacked"),
    "lying bomb": (lying_bomb, "the zip is damaged"),
    "no policy": (lambda: zipped({MANIFEST_NAME: told(b"")}), r"holds no policy\.onnx"),
    "no manifest": (lambda: zipped({ONNX_NAME: graph(SPEC)}), r"holds no manifest\.json"),
    "bad checksum": (lambda: zipped(entries()).replace(b"ArrowRight", b"ArrowLight", 1), "Bad CRC"),
    # the manifest
    "no JSON": (lambda: zipped(entries() | {MANIFEST_NAME: b"{"}), "manifest is damaged"),
    "no object": (lambda: zipped(entries() | {MANIFEST_NAME: b"[]"}), "it is no object"),
    "deep": (lambda: zipped(entries() | {MANIFEST_NAME: b"[" * 100_000}), "manifest is damaged"),
    "other format": (lambda: of_manifest(format=2), "of format 2, this version reads 1; update"),
    "field twice": (lambda: zipped(entries() | {MANIFEST_NAME: b'{"format": 1, "format": 1}'}), "stands there twice"),
    "NaN": (lambda: of_manifest(motion_floor=float("nan")), "holds NaN, which is not finite"),
    "infinite": (lambda: of_manifest(vector=[float("inf")] * 8), "holds Infinity"),
    "too large a number": (lambda: of_manifest(vector=[10**400] * 8), "manifest is damaged"),
    "terminal's commands": (lambda: of_manifest(policy="\x1b[2J"), "where plain words belong"),
    "words for numbers": (lambda: of_manifest(data={"updates": "many"}), "where a number belongs"),
    "system control": (lambda: with_spec(controls={"buttons": ["MetaLeft"]}), "would press MetaLeft: system controls"),
    "unknown control": (lambda: with_spec(controls={"buttons": ["KeyÄ"]}), "no such control"),
    "other controls": (
        lambda: with_spec(controls={"buttons": ["ArrowLeft", "KeyQ"]}),
        "it presses KeyQ; it does not press ArrowRight",
    ),
    "other order": (lambda: with_spec(controls={"buttons": ["ArrowRight", "ArrowLeft"]}), "the order of its controls"),
    "other rate and picture": (
        lambda: with_spec(rate_hz=30.0, frames=3),
        r"its rate_hz is 30\.0, here 20\.0; its frames is 3, here 2",
    ),
    "path for a game": (lambda: of_manifest(game="../../up"), r"no game '\.\./\.\./up' here"),
    "wild habit": (lambda: of_manifest(habits=[[1e9, 0]]), "presses that no hand could make"),
    "too many sets": (lambda: of_manifest(together=[[0, 1]] * 300), "names 300 sets of buttons"),
    "sets of other buttons": (lambda: of_manifest(together=[[0, 7]]), "are not its controls"),
    "not its controls": (lambda: of_manifest(relative_bins={"MouseX": [1e9]}), "controls that it does not have"),
    "other graph": (damaged_weights, "digest differs from the manifest's"),
    # the graph
    "no graph": (lambda: of_graph(b"no graph at all"), "no ONNX file"),
    "onnxruntime's format": (for_onnxruntime, "onnxruntime's own format"),
    "many parts": (rows_of_parts, "more than 100000 parts"),
    "mostly words": (padded, "5 MiB beside its weights"),
    "own domain": (lambda: altered(node("Add", "com.evil")), "of the domain 'com.evil'"),
    "own function": (lambda: altered(function), "functions of its own"),
    "unknown operator": (lambda: altered(node("ImageDecoder")), "the operator 'ImageDecoder'"),
    "branches": (lambda: altered(branches), "a graph within a graph"),
    "nested": (lambda: altered(nested), "a graph within a graph"),
    "sparse": (lambda: altered(sparse), "sparse weights"),
    "external data": (lambda: altered(elsewhere), "lie in another file"),
    "hidden external data": (lambda: altered(hidden_elsewhere), "lie in another file"),
    "huge tensor": (lambda: altered(gain(dims=[1 << 40, 1 << 40])), "says it has .* bytes and has 4"),
    "negative size": (lambda: altered(gain(dims=[-1])), "impossible dimensions"),
    "many dimensions": (lambda: altered(gain(dims=[1] * 100)), "impossible dimensions"),
    "words for weights": (lambda: altered(gain(data_type=TensorProto.STRING)), "something else than plain numbers"),
    "not raw": (lambda: altered(gain(raw_data=b"", float_data=[1.0])), "does not keep its numbers as raw data"),
    "weight not finite": (lambda: altered(gain(raw_data=struct.pack("<f", float("nan")))), "'gain' holds numbers that"),
    "attribute not finite": (lambda: altered(infinite_attribute), "an attribute of Constant is not finite"),
    "outputs": (lambda: altered(renamed_output), r"outputs are \['other', 'relative', 'axes'\]"),
    "inputs": (lambda: altered(other_input), r"inputs are \['pixels'\]"),
    "larger input": (lambda: altered(larger_input), r"frames has the shape \[1, 2, 1099511627776"),
    "grows": (lambda: altered(grows_with_the_picture), r"'grows' \(Range\) makes hangs on the picture"),
    "out of order": (lambda: altered(out_of_order), "takes what is not there yet, or makes it again"),
    "made twice": (lambda: altered(made_twice), "takes what is not there yet, or makes it again"),
    "name of bytes": (lambda: of_graph(graph(SPEC).replace(b"relative", b"rel\xff\xfeive")), "its graph's outputs are"),
    # what only running it tells
    "other version": (lambda: altered(no_such_operator_version), "holds no usable ONNX graph"),
    "more keys": (
        lambda: of_graph(graph(replace(SPEC, controls=Controls(("KeyA", "KeyB", "KeyC"))))),
        "do not fit its manifest",
    ),
    "decides nothing": (lambda: altered(gain(raw_data=struct.pack("<f", 3e38))), "output is not finite"),
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_zip_is_refused_in_one_sentence(tmp_path: Path, kind: str) -> None:
    """Each kind has its own sentence, names the file, leaves no file, and the bundle in use stays in use."""
    make, sentence = HOSTILE[kind]
    models = tmp_path / "models"
    mine = store(models, spec=SPEC)
    path = tmp_path / "hostile.zip"
    path.write_bytes(make())
    before = files_below(tmp_path)
    with pytest.raises(BundleError, match=sentence) as caught:
        keep(receive(path, profiles(), trial=try_here), models)
    assert str(caught.value).startswith(f"{path} was refused: ")
    assert str(caught.value).endswith(". Nothing was stored")
    assert str(caught.value).isprintable()
    assert files_below(tmp_path) == before
    assert current_folder(models, "toy") == mine


def test_zip_that_is_no_file_is_refused(tmp_path: Path) -> None:
    """A missing file, a folder, a file without end."""
    for path in (tmp_path / "missing.zip", tmp_path):
        with pytest.raises(BundleError, match="can't be read"):
            receive(path, profiles(), trial=try_here)
    large = tmp_path / "large.zip"
    with large.open("wb") as file:
        file.truncate(MAX_ZIP_BYTES + 1)
    with pytest.raises(BundleError, match="is larger than 145 MiB"):
        receive(large, profiles(), trial=try_here)


GOOD = zipped(entries())
SMALL = zipped(entries(), zipfile.ZIP_DEFLATED)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_zip_is_a_bundle_or_a_bundle_error(tmp_path: Path, data: st.DataObject) -> None:
    """Bytes changed, cut, put in anywhere: BundleError and nothing else, or a bundle that plays."""
    raw = bytearray(data.draw(st.sampled_from([GOOD, SMALL])))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw) - 1))
        match data.draw(st.sampled_from(["change", "cut", "insert"])):
            case "change":
                raw[at] = data.draw(st.integers(0, 255))
            case "cut":
                del raw[at : at + data.draw(st.integers(1, 40))]
            case "insert":
                raw[at:at] = data.draw(st.binary(min_size=1, max_size=20))
    _must_be_good_or_refused(bytes(raw), tmp_path)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_graph_is_a_bundle_or_a_bundle_error(tmp_path: Path, data: st.DataObject) -> None:
    """The same within the graph, with a digest that fits: a stranger can make one."""
    raw = bytearray(graph(SPEC))
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    _must_be_good_or_refused(of_graph(bytes(raw)), tmp_path)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=4,
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_odd_manifest_is_a_bundle_or_a_bundle_error(tmp_path: Path, data: st.DataObject) -> None:
    """Any field of the manifest may be anything."""
    plain = json.loads(told(graph(SPEC)))
    where = data.draw(st.sampled_from([plain, plain["spec"], plain["spec"]["controls"]]))
    where[data.draw(st.sampled_from(sorted(where)))] = data.draw(JUNK)
    _must_be_good_or_refused(zipped(entries() | {MANIFEST_NAME: json.dumps(plain).encode()}), tmp_path)


def _must_be_good_or_refused(raw: bytes, folder: Path) -> None:
    path, models = folder / "x.zip", folder / "models"
    path.write_bytes(raw)
    with contextlib.suppress(BundleError):  # any other exception fails the test
        stored = keep(receive(path, profiles(), trial=try_here), models)
        OnnxPolicy(load_bundle(stored, SPEC), Decoding())
        return
    assert not [p for p in files_below(models) if p.name.endswith(".tmp")]


# -- trial ---------------------------------------------------------------------------------------------------------


def test_trial_runs_in_a_process_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A good policy comes back with its time; one that fails only when run is refused with its own words."""
    good = receive(shared_zip(tmp_path), profiles(), trial=try_here)
    (tmp_path / "numpy.py").write_text("raise SystemExit")  # downloads may be anything
    monkeypatch.chdir(tmp_path)
    assert try_apart(good.manifest, good.onnx) > 0.0
    with pytest.raises(BundleError, match="it holds no usable ONNX graph"):
        try_apart(good.manifest, b"no graph")


def test_trial_that_takes_too_much_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too much memory, or too long: the process is killed and the bundle refused."""
    good = receive(shared_zip(tmp_path), profiles(), trial=try_here)
    with monkeypatch.context() as patch:
        patch.setattr(trial, "MAX_MEMORY_BYTES", 1 << 10)
        with pytest.raises(BundleError, match="GB of memory"):
            try_apart(good.manifest, good.onnx)
    monkeypatch.setattr(trial, "MAX_SECONDS", 0.0)
    with pytest.raises(BundleError, match="not done after"):
        try_apart(good.manifest, good.onnx)


def test_trial_that_crashes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that ends without a word."""
    good = receive(shared_zip(tmp_path), profiles(), trial=try_here)
    monkeypatch.setattr(trial.sys, "executable", "/bin/false")
    with pytest.raises(BundleError, match="crashed"):
        try_apart(good.manifest, good.onnx)


# -- signatures ----------------------------------------------------------------------------------------------------


def key_pair(folder: Path, name: str) -> tuple[Path, Path]:
    """Files of a private and a public key; skips where the library is missing."""
    ed25519 = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ed25519")
    serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
    key = ed25519.Ed25519PrivateKey.generate()
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    pem, no_password = serialization.Encoding.PEM, serialization.NoEncryption()
    private.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, no_password))
    public.write_bytes(key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo))
    return private, public


def test_signature_tells_who_made_it(tmp_path: Path) -> None:
    """Signed and trusted; signed by another; changed since; not signed; and not asked for."""
    private, public = key_pair(tmp_path, "maker")
    _, stranger = key_pair(tmp_path, "stranger")
    signed = shared_zip(tmp_path, "signed.zip", key=private)
    assert receive(signed, profiles(), trust=public, trial=try_here).signature == "trusted"
    assert receive(signed, profiles(), trial=try_here).signature == "not checked"
    with pytest.raises(BundleError, match="was not signed by the owner of"):
        receive(signed, profiles(), trust=stranger, trial=try_here)
    with zipfile.ZipFile(signed) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    for name, other in ((PREVIEW_NAME, b"added"), (SIGNATURE_NAME, b"{}"), (MANIFEST_NAME, told(graph(SPEC)))):
        changed = tmp_path / "changed.zip"
        changed.write_bytes(zipped(content | {name: other}))
        with pytest.raises(BundleError, match=r"changed since|signature\.json is damaged"):
            receive(changed, profiles(), trust=public, trial=try_here)
    unsigned = tmp_path / "unsigned.zip"
    unsigned.write_bytes(GOOD)
    with pytest.raises(BundleError, match="it is not signed"):
        receive(unsigned, profiles(), trust=public, trial=try_here)
    for key in (public, tmp_path / "missing"):
        with pytest.raises(BundleError, match="no private key in PEM"):
            shared_zip(tmp_path, f"never-{key.name}.zip", key=key)
    with pytest.raises(BundleError, match="no public key in PEM"):
        receive(signed, profiles(), trust=private, trial=try_here)


def test_signing_needs_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it, signing and checking say what to install; all else works."""
    zip_file = shared_zip(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "cryptography.hazmat.primitives.asymmetric.ed25519", None)
    monkeypatch.setitem(__import__("sys").modules, "cryptography.exceptions", None)
    with pytest.raises(PlatformUnavailable, match=r"tray-agent\[signing\]"):
        shared_zip(tmp_path, "signed.zip", key=tmp_path / "key.pem")
    with pytest.raises(PlatformUnavailable, match=r"tray-agent\[signing\]"):
        receive(zip_file, profiles(), trust=tmp_path / "key.pub", trial=try_here)
    assert receive(zip_file, profiles(), trial=try_here).signature == "none"


def test_deaf_bundle_fits_a_game_with_sound(tmp_path: Path) -> None:
    """Its maker's machine had no sound; the other way round it would listen where nothing is heard."""
    zip_file = shared_zip(tmp_path)
    assert receive(zip_file, profiles(audio=True), trial=try_here).manifest.spec == PROFILE.spec()
    path = tmp_path / "hears.zip"
    path.write_bytes(with_spec(audio=True))
    with pytest.raises(BundleError, match="its audio is True, here False"):
        receive(path, profiles(), trial=try_here)


def test_digest_is_of_the_graph_that_is_shared(tmp_path: Path) -> None:
    """The manifest in the zip fits the graph without notes, not the one on disk."""
    with zipfile.ZipFile(shared_zip(tmp_path)) as archive:
        shared = json.loads(archive.read(MANIFEST_NAME))
        assert shared["onnx_sha256"] == hashlib.sha256(archive.read(ONNX_NAME)).hexdigest()
