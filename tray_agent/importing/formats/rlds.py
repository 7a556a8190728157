"""RLDS episodes as TensorFlow Datasets keeps them: a TFRecord with an Example an episode.

Layout: github.com/google-research/rlds and tensorflow.org/datasets: what belongs to the steps is one list over all of
them, called steps/observation/NAME, steps/action or steps/action/NAME; pictures are PNG or JPEG, a byte string a step.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from tray_agent.errors import ImportFailed
from tray_agent.importing.formats.encoded_picture import decoded
from tray_agent.importing.formats.tf_record import Feature, example, records
from tray_agent.importing.item import Format, Item, Source, Step, at_rate, files_below

_OBSERVATION, _ACTION = "steps/observation", "steps/action"
_PNG, _JPEG = b"\x89PNG", b"\xff\xd8"
Row = Callable[[int], dict[str, float]]


def _pictures(features: Mapping[str, Feature]) -> list[memoryview]:
    """The first observation, by name, that is pictures."""
    for name in sorted(features):
        if name.startswith(_OBSERVATION) and features[name].is_bytes:
            texts = features[name].texts()
            if texts and bytes(texts[0][:4]).startswith((_PNG, _JPEG)):
                return texts
    known = ", ".join(name for name in sorted(features) if name.startswith("steps/"))
    raise ImportFailed(f"no observation in it is PNG or JPEG. It has {known or 'no steps'}")


def _actions(features: Mapping[str, Feature], count: int) -> list[Row]:
    rows = [_row(name, features[name], count) for name in sorted(features) if _is_action(name, features[name])]
    if not rows:
        raise ImportFailed("it has no actions that are numbers")
    return rows


def _is_action(name: str, feature: Feature) -> bool:
    return (name == _ACTION or name.startswith(f"{_ACTION}/")) and bool(feature.kind) and not feature.is_bytes


def _row(name: str, feature: Feature, count: int) -> Row:
    numbers = feature.numbers()
    if not len(numbers) or len(numbers) % count:
        raise ImportFailed(f"{name} has {len(numbers)} numbers for {count} pictures")
    table = numbers.reshape(count, -1)
    width = table.shape[1]
    if name == _ACTION and width == 1 and feature.is_integers:  # one of several actions: called by its number
        return lambda i: {str(int(table[i, 0])): 1.0}
    short = name.removeprefix("steps/").removeprefix("action/")
    names = [short] if width == 1 else [f"{short}.{j}" for j in range(width)]
    return lambda i: dict(zip(names, table[i].tolist(), strict=True))


def _steps(record: memoryview, rate_hz: float) -> Iterator[Step]:
    features = example(record)
    pictures = _pictures(features)
    rows = _actions(features, len(pictures))
    for i, picture in enumerate(pictures):
        actions = {name: value for row in rows for name, value in row(i).items()}
        yield Step(at_rate(i, rate_hz), actions, decoded(bytes(picture)))


def _files(path: Path) -> list[Path]:
    return files_below(path, "*.tfrecord", "*.tfrecord-*")


def _items(source: Source) -> Iterator[Item]:
    for path in _files(source.path):
        for number, record in enumerate(records(path)):
            yield Item(f"{path.name} episode {number}", partial(_steps, record, source.untold_rate_hz))


FORMAT = Format(
    "rlds",
    "RLDS / TensorFlow Datasets episodes (TFRecord) with PNG or JPEG observations",
    lambda path: bool(_files(path)),
    _items,
)
