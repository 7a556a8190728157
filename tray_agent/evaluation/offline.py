"""Measures on a session nobody learned from, each beside what doing nothing clever gets (numpy, onnxruntime)."""

from pathlib import Path

import numpy as np

from tray_agent.core.policy import PolicySpec
from tray_agent.core.sample import TickFlag
from tray_agent.policy.agreement import Measures, before, beside_nothing_clever
from tray_agent.policy.bundle import load_bundle
from tray_agent.policy.decode import Decoding, likeliest
from tray_agent.policy.onnx_policy import OnnxPolicy
from tray_agent.sessions.catalogue import list_sessions
from tray_agent.sessions.reader import SessionReader


def offline_measures(bundle: Path, spec: PolicySpec, sessions: Path) -> dict[str, Measures]:
    """{"policy" | "copy_last" | "released": {"accuracy", "balanced_accuracy", "change_f1"}} over the buttons.

    See `policy.agreement.measures`. Empty for games without buttons.
    """
    buttons = len(spec.controls.buttons)
    if not buttons:
        return {}
    policy = OnnxPolicy(load_bundle(bundle, spec), Decoding())
    said, did = [], []
    for listed in list_sessions(sessions).sessions:
        for sample in SessionReader(listed.folder).samples():
            if sample.flags & TickFlag.GAP:
                policy.reset()
            policy.see(sample.pixels)
            said.append(likeliest(policy.outputs(sample.audio)[0], policy.bundle.manifest.together))
            did.append(sample.action[:buttons] >= 0.5)
    held = np.array(did)
    return beside_nothing_clever(np.array(said), held, before(held))
