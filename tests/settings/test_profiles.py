"""What a profile means: controls, vectors, regions, decoding, spec."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tray_agent.core import keys
from tray_agent.settings import vectors
from tray_agent.settings.games import GameEntry, GameProfile


def profile(**parts: object) -> GameProfile:
    """A profile with the least it needs, and `parts`."""
    least = {"vector": 100, "match": {"process": "x"}, "controls": {"keys": ["a"]}}
    return GameEntry.model_validate({**least, **parts}).under("g")


def test_controls_are_full_names_in_vector_order() -> None:
    """Keys, mouse and pad come out as buttons, relative controls and axes under their full names."""
    mouse = {"buttons": ["left click"], "motion": True, "wheel": True}
    found = profile(
        controls={"keys": ["w", 1, "CTRL"], "mouse": mouse, "pad": {"buttons": ["pada"], "axes": ["PadLX"]}}
    )
    assert found.controls.buttons == ("KeyW", "Digit1", "ControlLeft", "MouseLeft", "PadA")
    assert found.controls.relative == ("MouseX", "MouseY", "WheelY")
    assert found.controls.axes == ("PadLX",)


@pytest.mark.parametrize("name", sorted(keys.KEYS - keys.FORBIDDEN))
def test_every_key_can_be_mapped_by_its_full_name(name: str) -> None:
    """All keys but the system's are allowed under their full names."""
    assert profile(controls={"keys": [name]}).controls.buttons == (name,)


@pytest.mark.parametrize("name", sorted(keys.FORBIDDEN))
def test_system_controls_are_refused(name: str) -> None:
    """A system control is refused, wherever it is written."""
    place = {"pad": {"buttons": [name]}} if name.startswith("Pad") else {"keys": [name]}
    with pytest.raises(ValueError, match="may never be pressed"):
        profile(controls=place)


def test_a_thousand_ids_have_a_thousand_directions() -> None:
    """Ids 0 to 999 become unit vectors that are far enough apart to tell."""
    found = [vectors.of_id(i) for i in range(1000)]
    assert all(math.isclose(math.hypot(*v), 1.0) for v in found)
    assert min(math.dist(a, b) for a, b in itertools.combinations(found, 2)) > 0.15


def test_vector_of_an_id_never_changes() -> None:
    """A trained policy depends on these numbers; they may not change with a library or a version."""
    assert vectors.of_id(1) == pytest.approx(
        [-0.79428591, 0.05870926, -0.21402377, 0.04014921, -0.05686115, 0.5426502, -0.06547799, -0.12749587]
    )
    assert profile(vector=1).vector8 == list(vectors.of_id(1))


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=8))
def test_explicit_numbers_are_padded(numbers: list[float]) -> None:
    """Explicit numbers come first, then zeros up to eight."""
    found = profile(vector=numbers).vector8
    assert found[: len(numbers)] == numbers
    assert found[len(numbers) :] == [0.0] * (8 - len(numbers))


@pytest.mark.parametrize(
    ("region", "window", "expected"),
    [
        ([10, 20, 100, 80], (300, 200, 640, 480), (310, 220, 100, 80)),
        ([10, 20, 5000, 5000], (300, 200, 640, 480), (310, 220, 630, 460)),
        ([700, 20, 100, 80], (300, 200, 640, 480), None),
        ({"of": "screen", "rect": [-50, 0, 100, 80]}, (300, 200, 640, 480), (-50, 0, 100, 80)),
    ],
)
def test_region_on_the_screen(region: object, window: tuple[int, int, int, int], expected: object) -> None:
    """A region follows its window and is cut to it; one of the screen stays where it is."""
    found = profile(region=region).region
    assert found is not None
    assert found.on_screen(window) == expected


def test_decoding_of_a_control_falls_back() -> None:
    """A control has its own settings, under any of its names, and the profile's temperature where it has none."""
    found = profile(decoding={"temperature": 0.5, "per_control": {"a": {"max_hold_ms": 100}}}).decoding
    assert found.of("KeyA").max_hold_ms == 100
    assert found.of("KeyA").temperature == 0.5
    assert found.of("KeyB").max_hold_ms is None
    assert profile(decoding={"per_control": {"a": {"temperature": 0.3}}}).decoding.of("KeyA").temperature == 0.3


def test_spec_follows_profile_and_machine() -> None:
    """The policy hears only when the profile wants sound and the machine has it; all else is the profile's."""
    found = profile(audio=True, rate_hz=20, frame={"width": 64, "height": 48, "history": 3})
    spec = found.spec()
    assert (spec.rate_hz, spec.frame_width, spec.frame_height, spec.frames, spec.audio) == (20.0, 64, 48, 3, True)
    assert spec.controls == found.controls
    assert not found.spec(audio=False).audio
    assert not profile(audio=False).spec(audio=True).audio
    assert found.spec(reduction="other").digest != spec.digest


def test_profiles_can_not_be_changed() -> None:
    """A profile is frozen, so that threads can share it."""
    with pytest.raises(ValueError, match="frozen"):
        profile().rate_hz = 30.0  # type: ignore[misc]  # that it is refused is the point
