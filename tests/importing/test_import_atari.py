"""Atari-HEAD and Atari Grand Challenge, written to their published layouts."""

import io
import tarfile

import cv2
from foreign import numbers, picture, profile, take_in

GAME = profile(20, keys=("left", "right", "up", "down", "space"))
ACTIONS = [0, 1, 2, 14, 17]  # NOOP FIRE UP UPRIGHTFIRE DOWNLEFTFIRE
WANT = [[0, 0, 0, 0, 0], [0, 0, 0, 0, 1], [0, 0, 1, 0, 0], [0, 1, 1, 0, 1], [1, 0, 0, 1, 1]]
TRIAL = "54_RZ_2461867_Aug-11-09-35-18"


def png(i):
    """A picture as PNG."""
    return cv2.imencode(".png", picture(i)[..., ::-1])[1].tobytes()


def table(path, names, actions):
    """Atari-HEAD's label file; gaze positions make the lines of unequal length."""
    head = "frame_id,episode_id,score,duration(ms),unclipped_reward,action,gaze_positions"
    gazes = ["null", "80.0,90.5,81.25,91.0"]
    lines = [
        f"{name},0,10,{50 + i},0,{a},{gazes[i % 2]}" for i, (name, a) in enumerate(zip(names, actions, strict=True))
    ]
    path.write_text("\n".join([head, *lines]) + "\n")


def head_trial(folder, order=None, *, packed=True):
    """One trial of Atari-HEAD."""
    folder.mkdir(exist_ok=True)
    names = [f"RZ_2461867_{i + 1}" for i in range(len(ACTIONS))]
    table(folder / f"{TRIAL}.txt", names, ACTIONS)
    if not packed:
        (folder / TRIAL).mkdir()
        for i, name in enumerate(names):
            (folder / TRIAL / f"{name}.png").write_bytes(png(i))
        return folder
    with tarfile.open(folder / f"{TRIAL}.tar.bz2", "w:bz2") as archive:
        for i in order or range(len(names)):
            member = tarfile.TarInfo(f"{TRIAL}/{names[i]}.png")
            member.size = len(png(i))
            archive.addfile(member, io.BytesIO(png(i)))
    return folder


def test_atari_head_packed(tmp_path):
    """A trial is read out of its archive, without unpacking it."""
    _, (reader,) = take_in(tmp_path / "s", head_trial(tmp_path / "d"), GAME)
    assert numbers(reader) == [0, 1, 2, 3, 4]
    assert reader.ticks.actions.tolist() == WANT


def test_atari_head_unpacked(tmp_path):
    """A folder of pictures goes by the table's order."""
    _, (reader,) = take_in(tmp_path / "s", head_trial(tmp_path / "d", packed=False), GAME)
    assert numbers(reader) == [0, 1, 2, 3, 4]
    assert reader.ticks.actions.tolist() == WANT


def test_archive_in_another_order(tmp_path):
    """Pictures that come in another order than the table can't be paired on the way: it is told to unpack them."""
    outcome, _ = take_in(tmp_path / "s", head_trial(tmp_path / "d", order=[1, 0, 2, 3, 4]), GAME)
    assert f"into a folder called {TRIAL}" in outcome.skipped[0][1]


def test_rate_by_hand(tmp_path):
    """The table does not tell the rate: --rate does. A last tick that is not whole is left out."""
    _, (reader,) = take_in(tmp_path / "s", head_trial(tmp_path / "d"), profile(20), rate_hz=40)
    assert numbers(reader) == [0, 2]
    assert reader.ticks.actions.tolist() == [[0, 0, 1], [0, 1, 1]]


def test_grand_challenge(tmp_path):
    """trajectories/GAME/N.txt and screens/GAME/N/FRAME.png, given the whole or the table alone."""
    screens, rows = tmp_path / "screens" / "qbert" / "7", tmp_path / "trajectories" / "qbert" / "7.txt"
    screens.mkdir(parents=True)
    rows.parent.mkdir(parents=True)
    lines = [f"{i}, 0, 10, False, {action}" for i, action in enumerate(ACTIONS)]
    rows.write_text("\n".join(["db rows 5", "frame,reward,score,terminal, action", *lines]))
    for i in range(len(ACTIONS)):
        (screens / f"{i}.png").write_bytes(png(i))
    for path in (tmp_path, rows):
        _, (reader,) = take_in(tmp_path / f"s-{path.name}", path, GAME)
        assert reader.ticks.actions.tolist() == WANT
        assert numbers(reader) == [0, 1, 2, 3, 4]


def test_packaged_paddle_game_has_its_own_keys(tmp_path):
    """In our Pong the keys up and down turn the paddle: RIGHT and LEFT of the joystick."""
    folder = tmp_path / "d"
    folder.mkdir()
    table(folder / "t.txt", ["a", "b"], [3, 12])
    (folder / "t").mkdir()
    for name in "ab":
        (folder / "t" / f"{name}.png").write_bytes(png(0))
    game = profile(20, keys=("up", "down", "space"), environment="pong")
    _, (reader,) = take_in(tmp_path / "s", folder, game)
    assert reader.ticks.actions.tolist() == [[1, 0, 0], [0, 1, 1]]


def test_damage(tmp_path):
    """A missing picture, an action that does not exist, a table without actions: each costs its trial."""
    head_trial(tmp_path / "a", packed=False)
    (tmp_path / "a" / TRIAL / "RZ_2461867_3.png").unlink()
    head_trial(tmp_path / "b")
    table(tmp_path / "b" / f"{TRIAL}.txt", [f"RZ_2461867_{i + 1}" for i in range(5)], [0, 1, 2, 3, 18])
    head_trial(tmp_path / "c")
    (tmp_path / "c" / f"{TRIAL}.txt").write_text("hello\nworld\n")
    head_trial(tmp_path / "d")
    outcome, _ = take_in(tmp_path / "s", tmp_path, GAME)
    assert len(outcome.imported) == 1
    missing, wrong, none = (why for _, why in outcome.skipped)
    assert "RZ_2461867_3.png" in missing
    assert "action 18" in wrong
    assert "no column called action" in none
