"""Wakes up on time beside a busy game: asks Linux for short time slices (standard library only; any thread).

Since Linux 6.12 a thread may ask for its own slice. A thread with a short one gets no more processor time than before,
but gets it sooner after it wakes (the scheduler picks the earliest virtual deadline), and needs no right for it. Ours
work for a millisecond and sleep for many, which is what short slices are for.
"""

import ctypes
import platform
import sys

SLICE_NS = 100_000
"""The shortest that Linux takes."""

_NUMBERS = {("linux", "x86_64"): {"set": 314, "get": 315}, ("linux", "aarch64"): {"set": 274, "get": 275}}
_RESET_ON_FORK = 1
_SCHED_OTHER = 0


class _Attributes(ctypes.Structure):
    """struct sched_attr of sched_setattr(2), first version."""

    _fields_ = (
        ("size", ctypes.c_uint32), ("policy", ctypes.c_uint32), ("flags", ctypes.c_uint64), ("nice", ctypes.c_int32),
        ("priority", ctypes.c_uint32), ("runtime", ctypes.c_uint64), ("deadline", ctypes.c_uint64),
        ("period", ctypes.c_uint64),
    )  # fmt: skip


def prefer_short_slices() -> bool:
    """Ask for them, for the calling thread only (its children get the usual ones).

    Returns:
        Whether the system took it; False on other systems and older kernels, where all stays as it is.
    """
    wanted = _attributes()
    if wanted is None or wanted.policy != _SCHED_OTHER:  # realtime threads have no slices
        return False
    wanted.flags |= _RESET_ON_FORK
    wanted.runtime = SLICE_NS
    _call("set", ctypes.byref(wanted), ctypes.c_long(0))
    return slice_ns() == SLICE_NS


def slice_ns() -> int:
    """The calling thread's slice; 0 where the system does not tell."""
    found = _attributes()
    return int(found.runtime) if found is not None else 0


def _attributes() -> _Attributes | None:
    found = _Attributes()
    size = ctypes.c_long(ctypes.sizeof(found))
    return found if _call("get", ctypes.byref(found), size, ctypes.c_long(0)) else None


def _call(name: str, *arguments: object) -> bool:
    """sched_setattr or sched_getattr of the calling thread, which the C library has no function for; False: failed."""
    number = _NUMBERS.get((sys.platform, platform.machine()), {}).get(name)
    if number is None or ctypes.sizeof(ctypes.c_void_p) != 8:
        return False
    system_call = ctypes.CDLL(None).syscall
    system_call.restype = ctypes.c_long
    return bool(system_call(ctypes.c_long(number), ctypes.c_long(0), *arguments) == 0)
