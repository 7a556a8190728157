"""VPT / MineRL contractor recordings, written to their published layout."""

import json

from foreign import numbers, profile, take_in, write_mp4

GAME = profile(20, keys=("KeyW", "space"), controls={"mouse": {"buttons": ["MouseLeft"], "motion": True}})


def line(keys=(), buttons=(), fresh=(), dx=0.0, dy=0.0, **more):
    """One line as the recorder writes it (fields that are not read included)."""
    mouse = {"x": 640.0, "y": 360.0, "dx": dx, "dy": dy, "scaledX": 0.0, "scaledY": 0.0, "dwheel": 0.0,
             "buttons": list(buttons), "newButtons": list(fresh)}  # fmt: skip
    keyboard = {"keys": [f"key.keyboard.{key}" for key in keys], "newKeys": [], "chars": ""}
    return {"mouse": mouse, "keyboard": keyboard, "isGuiOpen": False, "hotbar": 0, "tick": 1, "milli": 1} | more


def recorded(folder, lines, pictures=None, name="Player1-abc-20220101-000000"):
    """A recording."""
    folder.mkdir(exist_ok=True)
    write_mp4(folder / f"{name}.mp4", len(lines) if pictures is None else pictures)
    (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return folder


def test_keys_buttons_and_counts(tmp_path):
    """Line i belongs to picture i."""
    lines = [line(), *[line(["w", "e"], dx=3.0, dy=-1.5)] * 9, *[line(["space"], [0], [0] if i == 10 else [])
             for i in range(10, 20)]]  # fmt: skip
    outcome, (reader,) = take_in(tmp_path / "s", recorded(tmp_path / "d", lines), GAME)
    assert numbers(reader) == list(range(20))
    want = [[0] * 5] + [[1, 0, 0, 3, -1.5]] * 9 + [[0, 1, 1, 0, 0]] * 10
    assert reader.ticks.actions.tolist() == want
    assert outcome.lost == {"key.keyboard.e": (9, "KeyE: not among the game's controls")}


def test_button_that_is_stuck_from_the_start(tmp_path):
    """A left button down from the first line on counts only once it is really pressed."""
    lines = [line(["w"], [0], [0])] + [line(["w"], [0])] * 4 + [line(["w"], [0], [0])] + [line(["w"], [0])] * 4
    _, (reader,) = take_in(tmp_path / "s", recorded(tmp_path / "d", lines), GAME)
    assert reader.ticks.actions[:, 2].tolist() == [0] * 5 + [1] * 5


def test_other_rate(tmp_path):
    """At 10 Hz two steps become one tick, counts add up."""
    game = profile(10, keys=("KeyW",), controls={"mouse": {"motion": True}})
    lines = [line(["w"] if i == 3 else [], dx=float(i)) for i in range(8)]
    _, (reader,) = take_in(tmp_path / "s", recorded(tmp_path / "d", lines), game)
    assert reader.ticks.actions.tolist() == [[0, 1, 0], [1, 5, 0], [0, 9, 0], [0, 13, 0]]
    assert numbers(reader) == [0, 2, 4, 6]


def test_damage(tmp_path):
    """A broken line or a broken video costs that recording only; a video without its lines is none of these."""
    recorded(tmp_path / "d", [line(["w"])] * 5, name="a")
    recorded(tmp_path / "d", [line(["w"])] * 5, name="b")
    recorded(tmp_path / "d", [line(["w"])] * 5, name="c")
    with (tmp_path / "d" / "a.jsonl").open("a") as file:
        file.write('\n{"mouse": ')
    (tmp_path / "d" / "a.mp4").write_bytes((tmp_path / "d" / "b.mp4").read_bytes()[:-300])
    (tmp_path / "d" / "c.jsonl").write_text('{"mouse": {}\n')
    write_mp4(tmp_path / "d" / "alone.mp4", 3)
    outcome, _ = take_in(tmp_path / "s", tmp_path / "d", GAME)
    assert [name for name, _ in outcome.imported] == ["b.mp4"]
    assert [name for name, _ in outcome.skipped] == ["a.mp4", "c.mp4"]
    assert "c.jsonl:1 is no JSON" in outcome.skipped[1][1]
