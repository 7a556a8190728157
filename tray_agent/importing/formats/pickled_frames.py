"""A pickle of {"screen_frames": pictures, "key_frames": what was held}, as small recording scripts leave them.

A pickle can run any code when it is opened. This reader knows plain containers and numpy arrays of numbers, which it
builds itself from their bytes; anything else in the file is refused before it comes to life.
"""

import pickle
from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from tray_agent.core.media import Pixels
from tray_agent.errors import ImportFailed
from tray_agent.importing.item import Format, Item, Source, Step, at_rate, files_below

_PATTERNS = ("*.pkl", "*.pickle")
_PICTURES, _KEYS = "screen_frames", "key_frames"
_NUMBERS = "?biuf"


class _DType:
    """Stands in for numpy.dtype: a text such as "u1", and a byte order."""

    def __init__(self, text: str, _align: bool = False, _copy: bool = False) -> None:
        self.text = text
        self._order: Any = "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self._order = state[1]

    def plain(self) -> np.dtype[Any]:
        """The dtype, if it is one of numbers."""
        found = np.dtype(self.text)
        if found.kind not in _NUMBERS or found.fields is not None or found.subdtype is not None:
            raise ImportFailed(f"it holds an array of {self.text!r}; arrays of numbers are read only")
        return found if self._order == "|" else found.newbyteorder(self._order)


class _Array:
    """Stands in for numpy.ndarray: empty when made, filled from raw bytes."""

    def __init__(self, *_shape: Any) -> None:
        self.values: Any = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, is_fortran, raw = state
        if isinstance(raw, list):  # an array of objects: its elements
            self.values = raw
        else:
            self.values = _numbers(raw, dtype, shape, "F" if is_fortran else "C")


def _numbers(raw: Any, dtype: Any, shape: Any, order: Any) -> npt.NDArray[Any]:
    if not isinstance(dtype, _DType):
        raise ImportFailed("an array in it has no type")
    return np.frombuffer(raw, dtype.plain()).reshape(shape, order=order)


def _reconstructed(_kind: Any, _shape: Any, _code: Any) -> _Array:
    return _Array()


def _from_buffer(raw: Any, dtype: Any, shape: Any, order: Any) -> _Array:
    array = _Array()
    array.values = _numbers(raw, dtype, shape, order)
    return array


def _scalar(dtype: Any, raw: Any) -> Any:
    return _numbers(raw, dtype, (), "C").item()


_PLAIN = (set, frozenset, bytearray, complex, int, float, bool, str, bytes, list, tuple, dict)
_ALLOWED: dict[tuple[str, str], Any] = {("builtins", kind.__name__): kind for kind in _PLAIN}
_ALLOWED |= {("collections", "OrderedDict"): OrderedDict, ("collections", "deque"): deque}
_ALLOWED |= {("numpy", "ndarray"): _Array, ("numpy", "dtype"): _DType}
for _core in ("core", "_core"):  # before and since numpy 2
    _ALLOWED[f"numpy.{_core}.multiarray", "_reconstruct"] = _reconstructed
    _ALLOWED[f"numpy.{_core}.multiarray", "scalar"] = _scalar
    _ALLOWED[f"numpy.{_core}.numeric", "_frombuffer"] = _from_buffer


class _Unpickler(pickle.Unpickler):
    """Opens nothing but plain containers and arrays of numbers."""

    def find_class(self, module: str, name: str) -> Any:
        found = _ALLOWED.get((module, name))
        if found is None:
            raise ImportFailed(
                f"it holds {module}.{name}: a pickle with anything but plain Python values and numpy arrays may run "
                "programs when it is opened, so it is not. Save the frames as arrays and the keys as names"
            )
        return found


def load(file: IO[bytes]) -> Any:
    """What the pickle holds; arrays as `_Array`.

    Raises:
        ImportFailed: it holds something that is not read.
        pickle.UnpicklingError, EOFError, ValueError, ...: it is damaged.
    """
    return _Unpickler(file).load()


def _plain(value: Any) -> Any:
    return value.values if isinstance(value, _Array) else value


def _steps(path: Path, source: Source) -> Iterator[Step]:
    with path.open("rb") as file:
        whole = _plain(load(file))
    if not isinstance(whole, Mapping) or not {_PICTURES, _KEYS} <= set(whole):
        found = ", ".join(map(repr, whole)) if isinstance(whole, Mapping) else type(whole).__name__
        raise ImportFailed(f"it is no mapping with {_PICTURES!r} and {_KEYS!r} but holds {found}")
    pictures, held = _plain(whole[_PICTURES]), _plain(whole[_KEYS])
    if len(pictures) != len(held):
        raise ImportFailed(f"it has {len(pictures)} {_PICTURES} but {len(held)} {_KEYS}")
    for i, (picture, one) in enumerate(zip(pictures, held, strict=True)):
        yield Step(at_rate(i, source.untold_rate_hz), _held(_plain(one)), _picture(_plain(picture)))


def _picture(picture: Any) -> Pixels:
    pixels = np.asarray(picture)
    if pixels.dtype != np.uint8:
        raise ImportFailed(f"its pictures are {pixels.dtype}; whole numbers of 8 bit are read only")
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    return np.ascontiguousarray(pixels[..., :3])


def _held(one: Any) -> dict[str, float]:
    """Names of what was held: given as names, as a mapping of names, or as numbers (then named "0", "1", ...)."""
    if one is None:
        return {}
    if isinstance(one, str):
        return {one: 1.0} if one else {}
    if isinstance(one, Mapping):
        return {str(name): float(_plain(value)) for name, value in one.items()}
    values = [
        _plain(value) for value in (one if isinstance(one, np.ndarray | list | tuple | set | frozenset) else [one])
    ]
    if all(isinstance(value, str) for value in values):
        return dict.fromkeys(values, 1.0)
    return {str(i): float(value) for i, value in enumerate(values)}


def _items(source: Source) -> Iterator[Item]:
    for path in files_below(source.path, *_PATTERNS):
        yield Item(path.name, partial(_steps, path, source))


FORMAT = Format(
    "pickle",
    "a pickle of {screen_frames, key_frames}; plain values and numpy arrays only, anything else is refused",
    lambda path: bool(files_below(path, *_PATTERNS)),
    _items,
)
