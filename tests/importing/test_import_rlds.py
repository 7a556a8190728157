"""RLDS episodes in TFRecord files, encoded by Google's own protobuf library from the published message types."""

import struct

import cv2
import numpy as np
import pytest
from foreign import numbers, picture, profile, take_in
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from tray_agent.importing.formats.tf_record import masked_crc

GAME = profile(20, controls={"pad": {"axes": ["PadLX"]}})


def example_class():
    """tf.train.Example, from tensorflow/core/example/{example,feature}.proto (map entries as the messages they are)."""
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="example.proto", package="tf", syntax="proto3")

    def message(name, *fields):
        made = file.message_type.add(name=name)
        for number, (field, kind, repeated) in enumerate(fields, 1):
            one = made.field.add(name=field, number=number, label=3 if repeated else 1)
            one.type = kinds.TYPE_MESSAGE if isinstance(kind, str) else kind
            if isinstance(kind, str):
                one.type_name = f".tf.{kind}"

    message("BytesList", ("value", kinds.TYPE_BYTES, True))
    message("FloatList", ("value", kinds.TYPE_FLOAT, True))
    message("Int64List", ("value", kinds.TYPE_INT64, True))
    message("Feature", ("bytes_list", "BytesList", False), ("float_list", "FloatList", False),
            ("int64_list", "Int64List", False))  # fmt: skip
    message("Entry", ("key", kinds.TYPE_STRING, False), ("value", "Feature", False))
    message("Features", ("feature", "Entry", True))
    message("Example", ("features", "Features", False))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tf.Example"))


EXAMPLE = example_class()


def encoded(**lists):
    """An Example with these features (two underscores stand for a slash)."""
    made = EXAMPLE()
    for name, values in lists.items():
        entry = made.features.feature.add(key=name.replace("__", "/"))
        kind = {bytes: "bytes_list", float: "float_list", int: "int64_list"}[type(values[0])]
        getattr(entry.value, kind).value.extend(values)
    return made.SerializeToString()


def write(path, *examples):
    """A TFRecord file."""
    with path.open("wb") as file:
        for one in examples:
            head = struct.pack("<Q", len(one))
            file.write(head + struct.pack("<I", masked_crc(head)) + one + struct.pack("<I", masked_crc(one)))
    return path


def pngs(count):
    """Pictures as PNG."""
    return [cv2.imencode(".png", picture(i)[..., ::-1])[1].tobytes() for i in range(count)]


def test_checksum():
    """CRC-32C of "123456789" is E3069283 (its published check value), turned by 15 bits and moved."""
    assert masked_crc(b"123456789") == ((0xE3069283 >> 15 | 0xE3069283 << 17) + 0xA282EAD8) & 0xFFFFFFFF


def test_vectors(tmp_path):
    """A vector a step, named by its places; two episodes of a file are two sessions."""
    values = [x for i in range(12) for x in (i / 12, float(i % 2))]
    one = encoded(steps__observation__image=pngs(12), steps__observation__state=[0.5] * 36, steps__action=values,
                  steps__is_first=[1] + [0] * 11)  # fmt: skip
    two = encoded(steps__observation__image=pngs(8), steps__action=values[:16])
    path = write(tmp_path / "x-train.tfrecord-00000-of-00001", one, two)
    own = {"action.0": "PadLX", "action.1": "left"}
    outcome, (first, second) = take_in(tmp_path / "s", path, GAME, own_names=own)
    assert [name[-9:] for name, _ in outcome.imported] == ["episode 0", "episode 1"]
    assert numbers(first) == list(range(12))
    assert numbers(second) == list(range(8))
    assert np.allclose(first.ticks.actions[:, 3], np.arange(12) / 12)
    assert first.ticks.actions[:, 0].tolist() == [i % 2 for i in range(12)]


def test_numbered_actions(tmp_path):
    """A whole number a step is one of several actions, called by its number; the rate is given by hand."""
    coded = encoded(steps__observation=pngs(8), steps__action=[0, 0, 3, 3, 3, 3, 1, 1])
    path = write(tmp_path / "x.tfrecord", coded)
    own = {"0": "", "1": "space", "3": "left+right"}
    _, (reader,) = take_in(tmp_path / "s", path, GAME, own_names=own, rate_hz=40)
    assert reader.ticks.actions[:, :3].tolist() == [[0, 0, 0], [1, 1, 0], [1, 1, 0], [0, 0, 1]]


def test_named_actions(tmp_path):
    """Actions in a dictionary have their own names; negative numbers stay negative."""
    coded = encoded(steps__observation__rgb=pngs(6), steps__action__left=[0, 1] * 3, steps__action__PadLX=[-1] * 6)
    _, (reader,) = take_in(tmp_path / "s", write(tmp_path / "x.tfrecord", coded), GAME)
    assert reader.ticks.actions.tolist() == [[i % 2, 0, 0, -1] for i in range(6)]


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ({"steps__observation__state": [0.5] * 9, "steps__action": [0.5] * 3}, "steps/observation/state"),
        ({"steps__observation__image": pngs(3)}, "no actions"),
        ({"steps__observation__image": pngs(3), "steps__action": [0.5] * 4}, "4 numbers for 3"),
        ({"steps__observation__image": [*pngs(2), b"x"], "steps__action": [0.5] * 3}, "PNG or JPEG"),
    ],
)
def test_other_contents(tmp_path, made, said):
    """What can't be used says why."""
    outcome, _ = take_in(tmp_path / "s", write(tmp_path / "x.tfrecord", encoded(**made)), GAME)
    assert said in outcome.skipped[0][1]


def test_damage(tmp_path):
    """No TFRecord, one cut off, and one that holds something else: episodes before the damage stay."""
    whole = encoded(steps__observation=pngs(6), steps__action__left=[1] * 6)
    path = write(tmp_path / "b.tfrecord", whole, whole)
    path.write_bytes(path.read_bytes()[:-9])
    outcome, _ = take_in(tmp_path / "s", path, GAME)
    assert len(outcome.imported) == 1
    assert "cut off" in outcome.skipped[0][1]
    path.write_bytes(b"something else altogether")
    outcome, _ = take_in(tmp_path / "s2", path, GAME)
    assert "no TFRecord" in outcome.skipped[0][1]
    outcome, _ = take_in(tmp_path / "s3", write(path, b"\x0a\x7f\x01"), GAME)
    assert "tf.train.Example" in outcome.skipped[0][1]
