"""All peers by name. Importing this imports no peer's library."""

from collections.abc import Callable

from tray_agent.evaluation.peers.peer import Peer


def _imitation() -> Peer:
    from tray_agent.evaluation.peers.imitation_bc import ImitationPeer

    return ImitationPeer()


def _plain() -> Peer:
    from tray_agent.evaluation.peers.plain import PlainPeer

    return PlainPeer()


def _clip() -> Peer:
    from tray_agent.evaluation.peers.clip import ClipPeer

    return ClipPeer()


def _lstm() -> Peer:
    from tray_agent.evaluation.peers.lstm import LstmPeer

    return LstmPeer()


def _knn() -> Peer:
    from tray_agent.evaluation.peers.neighbours import NeighboursPeer

    return NeighboursPeer()


def _knn_encoder() -> Peer:
    from tray_agent.evaluation.peers.neighbours import NeighboursPeer
    from tray_agent.evaluation.peers.shipped_encoder import ShippedEncoder

    return NeighboursPeer(ShippedEncoder())


PEERS: dict[str, Callable[[], Peer]] = {
    "imitation": _imitation,
    "plain": _plain,
    "clip": _clip,
    "lstm": _lstm,
    "knn": _knn,
    "knn-encoder": _knn_encoder,
}
"""Makers of peers; each raises PlatformUnavailable when a library it needs is missing."""
