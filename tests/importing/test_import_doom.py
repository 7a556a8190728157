"""ViZDoom demos, recorded by the engine itself."""

import os
import random
from pathlib import Path

import pytest
from foreign import profile, take_in

from tray_agent.core.reduce import reduce

vizdoom = pytest.importorskip("vizdoom")

GAME = profile(35, environment="doom-basic")


def record(path: Path) -> tuple[list, list]:
    """Half a second of basic.cfg: the pictures and what was pressed."""
    engine = vizdoom.DoomGame()
    engine.load_config(str(Path(vizdoom.scenarios_path) / "basic.cfg"))
    engine.set_doom_config_path(os.devnull)
    engine.set_window_visible(False)
    engine.set_screen_resolution(vizdoom.ScreenResolution.RES_160X120)
    engine.set_screen_format(vizdoom.ScreenFormat.RGB24)
    engine.set_episode_timeout(34)
    engine.set_seed(1)  # no shot hits here: what flies off then the engine draws anew each time it shows it
    engine.init()
    chance, pictures, pressed = random.Random(1), [], []
    engine.new_episode(str(path))
    while not engine.is_episode_finished():
        pictures.append(engine.get_state().screen_buffer.copy())
        side = chance.choice([(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)])  # both at once cancel each other: a demo keeps moves
        pressed.append([*side, float(chance.random() < 0.3)])
        engine.make_action(pressed[-1])
    engine.new_episode()  # closes the file
    engine.close()
    return pictures, pressed


def test_demo(tmp_path):
    """What was recorded comes out: every picture, every press."""
    folder = tmp_path / "with space"
    folder.mkdir()
    pictures, pressed = record(folder / "a.lmp")
    _, (reader,) = take_in(tmp_path / "s", folder, GAME)
    count = len(pressed)
    assert count <= len(reader) <= count + 3  # the engine goes on recording for a moment after the time is up
    assert reader.ticks.actions[:count].tolist() == pressed
    want = [reduce(pixels, (48, 32)) for pixels in pictures]
    assert (reader.frames(0, count) == want).all()


def test_demo_needs_its_scenario(tmp_path):
    """A game that is no Doom scenario can't play a demo back; a file that is no demo is told apart."""
    (tmp_path / "a.lmp").write_bytes(b"\x6d\x02\x01\x01" + bytes(40))
    outcome, _ = take_in(tmp_path / "s", tmp_path, profile())
    assert "doom-basic" in outcome.skipped[0][1]
    outcome, _ = take_in(tmp_path / "s", tmp_path, GAME)
    assert "no demo of ViZDoom" in outcome.skipped[0][1]
