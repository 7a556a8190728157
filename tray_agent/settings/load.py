"""The only reader of YAML: a file becomes a checked, frozen model, or one SettingsError with every mistake in it.

Each mistake is one line, `file:line:column: field.path: what is wrong. remedy`. Runs on its caller's thread.
"""

import stat
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from tray_agent.errors import SettingsError

MAX_BYTES = 128 * 1024
"""A larger file is refused unread: it is no configuration, and parsing it would stall the daemon."""
MAX_DEPTH = 12

Context = dict[str, Any]
Location = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in one file. Line and column count from 1; `field` is "" for the file as a whole."""

    file: str
    line: int
    column: int
    field: str
    what: str
    remedy: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}: "
        what = f"{self.field}: {self.what}" if self.field else self.what
        return f"{where}{what}. {self.remedy}".rstrip()

    def to_json(self) -> dict[str, object]:
        """Plain data for `--json`."""
        return asdict(self)


@dataclass(slots=True)
class Document:
    """A parsed file: plain data, and where each part of it stands.

    Attributes:
        file: name for messages.
        data: the top mapping; keys are always the text as written.
        keys: location -> (line, column) of the key (for items of a list: of the item).
        values: location -> (line, column) of the value.
        problems: mistakes that parsing itself found.
    """

    file: str
    data: dict[str, Any] = field(default_factory=dict)
    keys: dict[Location, tuple[int, int]] = field(default_factory=dict)
    values: dict[Location, tuple[int, int]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def known_prefix(self, location: Location) -> Location:
        """The longest start of `location` that stands in the file."""
        while location and location not in self.values:
            location = location[:-1]
        return location

    def complain(self, position: tuple[int, int], where: Location, what: str, remedy: str) -> None:
        """Note one mistake."""
        self.problems.append(Problem(self.file, *position, dotted(where), what, remedy))


class _Refused(Exception):  # not one of PyYAML's, whose message we could not choose
    """YAML that is legal but not wanted here."""

    def __init__(self, position: tuple[int, int], what: str, remedy: str) -> None:
        super().__init__(what)
        self.position, self.what, self.remedy = position, what, remedy


class _Loader(yaml.SafeLoader):
    """Composes nodes; refuses aliases (a few lines of them can grow to gigabytes) and deep nesting."""

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]  # missing in the stubs
        mark = event.start_mark
        here = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        if isinstance(event, yaml.AliasEvent):
            raise _Refused(here, f"alias '*{event.anchor}' is not supported", "Write the value out in full.")
        if self._depth >= MAX_DEPTH:
            raise _Refused(here, f"nested more than {MAX_DEPTH} deep", "Nothing here needs that.")
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1


def load(path: Path, model: type[Model], context: Context | None = None) -> Model:
    """Read and check one file.

    Args:
        path: the file.
        model: what it must hold.
        context: facts from outside the file, for the model's validators.

    Raises:
        SettingsError: it can't be read or has mistakes; the message holds all of them, one a line.
    """
    value, problems = check(path, model, context)
    if value is None or problems:
        raise SettingsError("\n".join(map(str, problems)))
    return value


def check(path: Path, model: type[Model], context: Context | None = None) -> tuple[Model | None, list[Problem]]:
    """Read and check one file; a model is given only when there are no problems. Never raises."""
    try:
        raw = _read(path)
    except OSError as error:
        reason = error.strerror or str(error)
        return None, [Problem(str(path), 1, 1, "", f"can't be read: {reason}", "Check the path and its permissions.")]
    return check_text(raw, str(path), model, context)


def check_text(
    raw: bytes, file: str, model: type[Model], context: Context | None = None
) -> tuple[Model | None, list[Problem]]:
    """As `check`, for the bytes of a file; `file` is the name in messages."""
    from tray_agent.settings.explain import explain

    document = parse(raw, file)
    if document.problems:
        return None, document.problems
    try:
        return model.model_validate(document.data, context=context), []
    except ValidationError as error:
        return None, explain(error, model, document)


def dotted(location: Location) -> str:
    """Location as text: ("games", "doom", "keys", 2) -> "games.doom.keys[2]"."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return text.removeprefix(".")


def _read(path: Path) -> bytes:
    """At most MAX_BYTES + 1 bytes of a regular file (a pipe would block for ever)."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(0, "not a regular file")
    with path.open("rb") as stream:
        return stream.read(MAX_BYTES + 1)


def parse(raw: bytes, file: str) -> Document:
    """Bytes of a file -> document; what is wrong is in its `problems`. Never raises."""
    document = Document(file)
    if len(raw) > MAX_BYTES:
        document.complain((1, 1), (), f"larger than {MAX_BYTES // 1024} KiB", "Is this the right file?")
        return document
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8", "replace")
        document.complain(_position(before, len(before)), (), "not UTF-8 text", "Save the file as UTF-8.")
        return document
    node = _compose(text, document)
    if node is not None:
        _take_root(node, document)
    elif not document.problems and "#" not in text:
        document.complain((1, 1), (), "the file is empty", "Delete it, or restore it from the shipped one.")
    return document


def _compose(text: str, document: Document) -> yaml.Node | None:
    try:
        loader = _Loader(text)
    except yaml.reader.ReaderError as error:
        what = f"character U+{ord(text[error.position]):04X} is not allowed"
        document.complain(_position(text, error.position), (), what, "Remove it.")
        return None
    try:
        return loader.get_single_node()
    except _Refused as refused:
        document.complain(refused.position, (), refused.what, refused.remedy)
    except yaml.MarkedYAMLError as error:
        _complain_of_syntax(error, document)
    except (ValueError, OverflowError):  # numbers in directives and \U escapes, which PyYAML does not guard
        mark = loader.get_mark()
        document.complain((mark.line + 1, mark.column + 1), (), "a number here is out of range", "Correct it.")
    return None


def _complain_of_syntax(error: yaml.MarkedYAMLError, document: Document) -> None:
    mark = error.problem_mark or error.context_mark
    position = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    what = " ".join(part for part in (error.context, error.problem) if part)
    if "\\t" in what:
        document.complain(position, (), "a tab is used for indentation", "Indent with spaces.")
    else:
        remedy = "Check indentation, colons, quotes and brackets in this line and the one before."
        document.complain(position, (), f"not valid YAML: {what}", remedy)


def _position(text: str, index: int) -> tuple[int, int]:
    before = text[:index]
    return before.count("\n") + 1, index - (before.rfind("\n") + 1) + 1


def _take_root(node: yaml.Node, document: Document) -> None:
    data = _plain(node, (), document)
    if isinstance(data, dict):
        document.data = data
    elif not document.problems:
        document.complain(_start(node), (), "the file holds no 'key: value' lines", "Begin from the shipped file.")


def _start(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _plain(node: yaml.Node, where: Location, document: Document) -> Any:
    """Node -> dict, list, str, int, float, bool or None, noting every position on the way."""
    document.values[where] = _start(node)
    document.keys.setdefault(where, _start(node))
    if isinstance(node, yaml.MappingNode):
        return _plain_mapping(node, where, document)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, (*where, i), document) for i, item in enumerate(node.value)]
    return _scalar(node, where, document) if isinstance(node, yaml.ScalarNode) else None


def _plain_mapping(node: yaml.MappingNode, where: Location, document: Document) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for key_node, value_node in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            document.complain(_start(key_node), where, "a key must be plain text", "Put it in quotes.")
            continue
        key = str(key_node.value)
        here = (*where, key)
        if key in data:
            first = document.keys[here][0]
            document.complain(_start(key_node), here, f"given twice, first in line {first}", "Keep one of the two.")
            continue
        document.keys[here] = _start(key_node)
        data[key] = _plain(value_node, here, document)
    return data


_SCALARS = {
    "tag:yaml.org,2002:int": yaml.SafeLoader.construct_yaml_int,
    "tag:yaml.org,2002:float": yaml.SafeLoader.construct_yaml_float,
    "tag:yaml.org,2002:bool": yaml.SafeLoader.construct_yaml_bool,
    "tag:yaml.org,2002:null": yaml.SafeLoader.construct_yaml_null,
}
_TEXT_TAGS = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("str", "timestamp", "merge", "value"))


def _scalar(node: yaml.ScalarNode, where: Location, document: Document) -> Any:
    text = str(node.value)
    if any("\ud800" <= char <= "\udfff" for char in text):
        document.complain(
            _start(node), where, "half of a surrogate pair is no character", "Write the character itself."
        )
        return None
    if node.tag in _TEXT_TAGS:
        return text
    convert = _SCALARS.get(node.tag)
    if convert is None:
        document.complain(_start(node), where, f"tag {node.tag!r} is not supported", "Remove the tag.")
        return None
    try:
        return convert(_Loader(""), node)
    except (ValueError, OverflowError, KeyError, IndexError):
        document.complain(_start(node), where, f"{text[:40]!r} is no such value", "Correct it or put it in quotes.")
        return None
