"""A bundle, loaded and ready to act (onnxruntime, one thread, no spinning: a game runs beside it).

Used by one thread at a time: the daemon's tick thread, or an evaluation.
"""

from collections import deque

import numpy as np
import numpy.typing as npt

from tray_agent.core.controls import Controls, FloatVector
from tray_agent.core.media import Pixels
from tray_agent.core.sample import AudioFeatures
from tray_agent.errors import BundleError
from tray_agent.policy.bundle import Bundle
from tray_agent.policy.decode import Decoding, Sampler
from tray_agent.policy.unstuck import Unsticker

OUTPUTS = ("held", "relative", "axes")


class OnnxPolicy:
    """Plays a bundle: `reset()`, then `act()` once a tick.

    Raises:
        BundleError: the graph can't be loaded or has other inputs or outputs than its manifest says.
    """

    def __init__(self, bundle: Bundle, decoding: Decoding, seed: int = 0) -> None:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.load_model_format", "ONNX")  # what was checked is what is run
        options.log_severity_level = 3
        try:
            self._session = ort.InferenceSession(bundle.onnx, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises a dozen unrelated classes for a bad file
            raise BundleError(
                f"bundle {bundle.folder} holds no usable ONNX graph: {error}. Watch again to learn a new one"
            ) from error
        if tuple(o.name for o in self._session.get_outputs()) != OUTPUTS:
            raise BundleError(f"bundle {bundle.folder}: the graph's outputs are not {OUTPUTS}")
        self._inputs = {i.name for i in self._session.get_inputs()}
        self.bundle = bundle
        manifest = bundle.manifest
        self._spec = manifest.spec
        self._vector = np.asarray(manifest.vector, np.float32)[None]
        self._frames: deque[Pixels] = deque(maxlen=self._spec.frames)
        self._try_out()
        self._unsticker = Unsticker(manifest.motion_floor, manifest.habits, self._spec.rate_hz, seed)
        self._sampler = Sampler(
            self._spec.controls, manifest.relative_bins, manifest.axis_bins, decoding, seed, manifest.together
        )

    def _try_out(self) -> None:
        """Run once: a graph of other shapes is found before a game depends on it, and the first tick is not slow."""
        s, folder = self._spec, self.bundle.folder
        self.see(np.zeros((s.frame_height, s.frame_width, 3), np.uint8))
        try:
            shapes = tuple(o.shape for o in self.outputs(np.zeros(s.audio_shape, np.float32)))
        except Exception as error:  # as above
            raise BundleError(f"bundle {folder}: the graph does not take this game's input: {error}") from error
        self._frames.clear()
        bins = {len(self.bundle.manifest.relative_bins.get(name, ())) for name in s.controls.relative}
        axes = len(self.bundle.manifest.axis_bins)
        sizes = (len(s.controls.buttons), len(s.controls.relative), len(s.controls.axes))
        if (
            [shape[:1] for shape in shapes] != [(size,) for size in sizes]
            or (sizes[1] and bins != {shapes[1][-1]})
            or (sizes[2] and axes != shapes[2][-1])
        ):
            raise BundleError(f"bundle {folder}: the graph's outputs {shapes} do not fit its manifest. Watch again")

    @property
    def controls(self) -> Controls:
        """What the action vectors are over."""
        return self._spec.controls

    @property
    def unstuck_ticks(self) -> int:
        """Ticks in which it did something else than the network said, because the game stood still."""
        return self._unsticker.ticks

    def inherit(self, other: "OnnxPolicy") -> None:
        """Go on where another policy of the same spec is: frames seen, keys held, getting unstuck."""
        for pixels in other._frames:
            self.see(pixels)
        self._sampler.inherit(other._sampler)
        self._unsticker.inherit(other._unsticker)

    def reset(self) -> None:
        """Forget the frames seen and the keys held."""
        self._frames.clear()
        self._unsticker.reset()
        self._sampler.reset()

    def see(self, pixels: Pixels) -> None:
        """Take a frame without acting, shape (frame_height, frame_width, 3); keeps history warm while watching."""
        self._frames.append(pixels)

    def act(self, pixels: Pixels, audio: AudioFeatures) -> FloatVector:
        """Action for the tick that starts with this frame.

        Args:
            pixels: RGB, shape (frame_height, frame_width, 3), uint8.
            audio: log-mel features, shape `spec.audio_shape`.

        Raises:
            ValueError: the policy's output is not finite.
        """
        self.see(pixels)
        self._unsticker.see(pixels)
        held, relative, axes = self.outputs(audio)
        if not (np.isfinite(held).all() and np.isfinite(relative).all() and np.isfinite(axes).all()):
            raise ValueError("the policy's output is not finite")
        unstuck = self._unsticker.action()
        return self._sampler.draw(held, relative, axes) if unstuck is None else self._sampler.limit(unstuck)

    def stack(self) -> Pixels:
        """The frames it decides on, oldest first, shape (frames, H, W, 3); too few seen: the first one is repeated."""
        return np.stack([self._frames[0]] * (self._spec.frames - len(self._frames)) + list(self._frames))

    def outputs(self, audio: AudioFeatures) -> tuple[npt.NDArray[np.float32], ...]:
        """Raw outputs for the frames seen so far, without batch axis."""
        feed = {"frames": self.stack()[None], "audio": audio[None].astype(np.float32), "vector": self._vector}
        results = self._session.run(None, {k: v for k, v in feed.items() if k in self._inputs})
        return tuple(r[0] for r in results)
