"""Every mistake in a file is told with its exact place, and nothing but SettingsError comes out."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tray_agent.errors import SettingsError
from tray_agent.settings import load
from tray_agent.settings.app import AppSettings
from tray_agent.settings.games import GamesFile

GOOD = "games:\n  g:\n    vector: 100\n    match: {process: x}\n    controls: {keys: [a]}\n"


def problems(text: str | bytes, model: type = GamesFile) -> list[load.Problem]:
    """What is wrong with a text."""
    raw = text.encode() if isinstance(text, str) else text
    value, found = load.check_text(raw, "f.yaml", model)
    assert (value is None) == bool(found)
    return found


def only(text: str | bytes, model: type = GamesFile) -> str:
    """The one mistake of a text, as the user reads it."""
    found = problems(text, model)
    assert len(found) == 1, [str(problem) for problem in found]
    return str(found[0])


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "    vector: 100",
            "    vector: 100\n    vektor: 1",
            "f.yaml:4:5: games.g.vektor: unknown key. Did you mean 'vector'?",
        ),
        ("vector: 100", "vector: 1000", "f.yaml:3:13: games.g.vector: id 1000 is out of range. Ids go from 0 to 999."),
        ("vector: 100", "vector: [1, .nan]", "f.yaml:3:17: games.g.vector[1]: nan is no number from -10 to 10."),
        ("vector: 100", "vector: []", "f.yaml:3:13: games.g.vector: 0 numbers."),
        ("vector: 100", "vector: true", "f.yaml:3:13: games.g.vector: neither a whole number nor a list: True."),
        ("[a]", "[a, lefft]", "f.yaml:5:26: games.g.controls.keys[1]: unknown key 'lefft'. Did you mean 'left'?"),
        ("[a]", "[a, KeyA]", "f.yaml:5:26: games.g.controls.keys[1]: KeyA is listed twice."),
        ("[a]", "[super]", "f.yaml:5:23: games.g.controls.keys[0]: MetaLeft may never be pressed"),
        ("[a]", "[esc]", "f.yaml:5:23: games.g.controls.keys[0]: 'esc' usually leaves the game. If"),
        (
            "[a]",
            "[PadA]",
            "f.yaml:5:23: games.g.controls.keys[0]: PadA is no key. It belongs under controls.pad.buttons.",
        ),
        ("[a]", "[]", "f.yaml:5:15: games.g.controls: no controls at all."),
        (
            "[a]",
            "a",
            "f.yaml:5:22: games.g.controls.keys: should be a list, like [a, b], but is 'a'. For example: keys:",
        ),
        ("process: x", "process: 're:['", "f.yaml:4:22: games.g.match.process: not a regular expression: unterminated"),
        ("process: x", "title: '('", "f.yaml:4:20: games.g.match.title: not a regular expression: missing ), untermin"),
        ("process: x", "process: 5", "f.yaml:4:22: games.g.match.process: should be text (in quotes if it looks like"),
        ("{process: x}", "{}", "f.yaml:4:12: games.g.match: matches every window. Give process, title, or both."),
        ("  g:", "  G g:", "f.yaml:2:3: games.G g: 'G g' can't be a game's name. A name is made of a-z, 0-9, - and _"),
        ("    vector: 100\n", "", "f.yaml:2:3: games.g.vector: missing. For example: vector: 100"),
        ("    match: {process: x}\n", "", "f.yaml:3:5: games.g: no window to look for. Add match:"),
    ],
)
def test_mistake_in_a_profile_has_place_and_remedy(old: str, new: str, expected: str) -> None:
    """One changed part of a good profile gives one line at exactly that part."""
    assert old in GOOD
    line = only(GOOD.replace(old, new, 1))
    assert line.startswith(expected)


@pytest.mark.parametrize(
    ("added", "expected"),
    [
        ("rate_hz: 61", "f.yaml:6:14: games.g.rate_hz: should be less than or equal to 60, but is 61."),
        ("rate_hz: .inf", "f.yaml:6:14: games.g.rate_hz: should be a finite number, but is inf."),
        ("rate_hz: fast", "f.yaml:6:14: games.g.rate_hz: should be a number, but is 'fast'."),
        ("audio: maybe", "f.yaml:6:12: games.g.audio: should be true or false, but is 'maybe'."),
        ("frame: 96", "f.yaml:6:12: games.g.frame: should be a mapping of 'key: value' lines, but is 96."),
        ("frame: {width: 321}", "f.yaml:6:20: games.g.frame.width: should be less than or equal to 320, but is 321."),
        ("region: [0, 0, 8, 8]", "f.yaml:6:13: games.g.region: 8 x 8 pixels. Width and height are the last two"),
        ("region: [-1, 0, 99, 99]", "f.yaml:6:13: games.g.region: starts outside the window."),
        ("audio: true\n    audio: false", "f.yaml:7:5: games.g.audio: given twice, first in line 6. Keep one"),
        ("decoding: {temperature: 3}", "f.yaml:6:29: games.g.decoding.temperature: should be less than or equal to 2"),
        (
            "decoding: {per_control: {b: {}}}",
            "f.yaml:6:30: games.g.decoding.per_control.b: not one of this game's controls. Did you mean 'KeyA'?",
        ),
        (
            "decoding: {per_control: {qqqq: {}}}",
            "f.yaml:6:30: games.g.decoding.per_control.qqqq: unknown control 'qqqq'",
        ),
        (
            "decoding: {per_control: {a: {min_hold_ms: 90, max_hold_ms: 80}}}",
            "f.yaml:6:51: games.g.decoding.per_control.a.max_hold_ms: min_hold_ms is more than max_hold_ms.",
        ),
        ("notes: *x", "f.yaml:6:12: alias '*x' is not supported. Write the value out in full."),
        ("notes: !!python/none", "f.yaml:6:12: games.g.notes: tag 'tag:yaml.org,2002:python/none' is not supported."),
        ('notes: "\\ud800"', "f.yaml:6:12: games.g.notes: half of a surrogate pair is no character."),
        ("\trate_hz: 20", "f.yaml:6:5: a tab is used for indentation. Indent with spaces."),
        ("notes: [a", "f.yaml:7:1: not valid YAML: while parsing a flow sequence"),
        ("notes: a\x01b", "f.yaml:6:13: character U+0001 is not allowed. Remove it."),
        ("? [a]\n    : b", "f.yaml:6:7: games.g: a key must be plain text. Put it in quotes."),
    ],
)
def test_mistake_in_an_added_line(added: str, expected: str) -> None:
    """One bad line at the end of a good profile gives one line at exactly that part."""
    assert only(f"{GOOD}    {added}\n").startswith(expected)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", "f.yaml:1:1: the file is empty."),
        (b"\n \n", "f.yaml:1:1: the file is empty."),
        (b"# nothing\n", "f.yaml:1:1: games: missing."),
        (b"- a\n", "f.yaml:1:1: the file holds no 'key: value' lines."),
        (b"games:\n  a\xff", "f.yaml:2:4: not UTF-8 text. Save the file as UTF-8."),
        (b"\xef\xbb\xbfgames: 3", "f.yaml:1:8: games: should be a mapping of 'key: value' lines, but is 3."),
        (b"a: " + b"[" * 5000, "f.yaml:1:15: nested more than 12 deep."),
        (b"#" * (load.MAX_BYTES + 1), "f.yaml:1:1: larger than 128 KiB. Is this the right file?"),
        (b"games: {}\n---\ngames: {}\n", "f.yaml:2:1: not valid YAML: expected a single document"),
        (b'games: "\\U99999999"', "f.yaml:1:11: a number here is out of range."),
    ],
)
def test_file_as_a_whole(raw: bytes, expected: str) -> None:
    """Files that hold no configuration at all are refused in one line."""
    assert only(raw).startswith(expected)


def test_all_mistakes_come_at_once_in_order() -> None:
    """A file with three mistakes gives three lines, in the order of the file."""
    text = GOOD.replace("100", "x").replace("[a]", "[zzzzz, b]") + "    rate: 3\n"
    assert [(p.line, p.field) for p in problems(text)] == [
        (3, "games.g.vector"),
        (5, "games.g.controls.keys[0]"),
        (6, "games.g.rate"),
    ]


def test_load_raises_every_line(tmp_path: Path) -> None:
    """`load` puts all lines into one SettingsError that names the file."""
    path = tmp_path / "games.yaml"
    path.write_text(GOOD.replace("100", "x") + "    rate: 3\n")
    with pytest.raises(SettingsError) as caught:
        load.load(path, GamesFile)
    lines = str(caught.value).splitlines()
    assert [line.split(": ")[0] for line in lines] == [f"{path}:3:13", f"{path}:6:5"]


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe"])
def test_unreadable_path_is_a_settings_error(tmp_path: Path, kind: str) -> None:
    """A missing file, a folder and a named pipe are refused at once, by name."""
    import os

    path = tmp_path / "games.yaml"
    if kind == "folder":
        path.mkdir()
    if kind == "pipe":
        if not hasattr(os, "mkfifo"):
            pytest.skip("no named pipes on this system")
        os.mkfifo(path)
    with pytest.raises(SettingsError, match=r"games\.yaml:1:1: can't be read: "):
        load.load(path, GamesFile)


def test_aliases_can_not_grow(tmp_path: Path) -> None:
    """The 'billion laughs' file is refused at its first alias."""
    levels = "".join(f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(9))
    assert only(f"a: &a [x]\n{levels}").startswith("f.yaml:2:8: alias '*a' is not supported.")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.binary(max_size=200)
    | st.text(alphabet="abgmes: -[]{}#\"'\n\t*&!|>%@`\\0123456789.~?,<\x85\ud7ff", max_size=120).map(str.encode)
)
def test_garbage_gives_only_problems(raw: bytes) -> None:
    """Any bytes give a model or problems with a place inside the file; nothing else is raised."""
    for model in (GamesFile, AppSettings):
        value, found = load.check_text(raw, "f.yaml", model)
        assert (value is None) == bool(found)
        for problem in found:
            assert problem.line >= 1
            assert problem.column >= 1
            assert (
                problem.line
                <= raw.count(b"\n") + raw.count(b"\r") + raw.count(b"\xc2\x85") + raw.count(b"\xe2\x80") + 2
            )


_KEYS = st.sampled_from(
    [
        "games",
        "g",
        "vector",
        "match",
        "controls",
        "keys",
        "mouse",
        "region",
        "frame",
        "decoding",
        "per_control",
        "rate_hz",
    ]
)
_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["a", "left", "re:(", "", "ctrl+k"])
_TREES = st.recursive(_LEAVES, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(_KEYS, inner, max_size=5))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(_KEYS, _TREES, max_size=4), _TREES)
def test_wrong_shapes_give_only_problems(entry: dict[str, object], other: object) -> None:
    """Valid YAML of any shape where a profile is expected gives a model or problems, nothing else."""
    import yaml

    text = yaml.safe_dump({"games": {"g": entry, "h": other}})
    if "*id" in text:
        text = text.replace("*id", "id")
    for problem in problems(text):
        assert text.splitlines()[problem.line - 1] is not None
        assert str(problem).startswith(f"f.yaml:{problem.line}:{problem.column}: ")
