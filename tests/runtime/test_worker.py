"""Worker and Supervisor: starting, stopping, failing."""

import threading
import time

import pytest

from tray_agent.runtime.supervisor import Supervised, Supervisor
from tray_agent.runtime.worker import Worker


def test_worker_stops_when_asked():
    """A target that watches its stop signal ends, and join says so."""
    worker = Worker("w", lambda stop: stop.wait(10))
    worker.start()
    assert worker.running
    worker.request_stop()
    assert worker.join(5.0)
    assert not worker.running
    assert worker.failure is None


def test_worker_keeps_its_exception_and_tells():
    """An exception out of the target is kept in `failure` and handed to on_failure."""
    told = []

    def fail(_stop):
        raise OSError("disk on fire")

    worker = Worker("w", fail, told.append)
    worker.start()
    assert worker.join(5.0)
    assert isinstance(worker.failure, OSError)
    assert told == [worker.failure]


def test_worker_survives_a_bad_callback():
    """An exception in on_failure does not hide the first one."""

    def fail(_stop):
        raise ValueError("first")

    def fail_too(_error):
        raise KeyError("second")

    worker = Worker("w", fail, fail_too)
    worker.start()
    assert worker.join(5.0)
    assert str(worker.failure) == "first"


def test_join_tells_who_is_late():
    """join returns False at its deadline while the target goes on, True later."""
    release = threading.Event()
    worker = Worker("w", lambda stop: release.wait(10))
    worker.start()
    begun = time.monotonic()
    assert not worker.join(0.02)
    assert time.monotonic() - begun < 5
    release.set()
    assert worker.join(5.0)


def test_worker_may_start_again_but_not_twice():
    """A running worker refuses a second start; an ended one starts again with a clean failure."""
    runs = []

    def target(stop):
        runs.append(1)
        if len(runs) == 1:
            raise ValueError("once")
        stop.wait(10)

    worker = Worker("w", target)
    worker.start()
    assert worker.join(5.0)
    worker.start()
    assert worker.failure is None
    with pytest.raises(RuntimeError, match="running already"):
        worker.start()
    worker.request_stop()
    assert worker.join(5.0)


def test_join_before_start_and_from_within():
    """A worker that never ran is done; one that joins itself is told it is late instead of hanging."""
    answers = []
    worker = Worker("w", lambda stop: answers.append(worker.join(5.0)))
    assert worker.join(0.0)
    worker.start()
    assert worker.join(5.0)
    assert answers == [False]


class _Part:
    def __init__(self, log, name, *, in_time=True, fail=""):
        self.log, self.name, self.in_time, self.fail = log, name, in_time, fail

    def start(self):
        if self.fail == "start":
            raise RuntimeError(f"{self.name} can't start")
        self.log.append(f"+{self.name}")

    def request_stop(self):
        if self.fail == "stop":
            raise RuntimeError(f"{self.name} can't stop")

    def join(self, deadline_s):
        self.log.append(f"-{self.name}")
        return self.in_time


def _supervise(*parts):
    return Supervisor([Supervised(part.name, part, 0.1) for part in parts])


def test_supervisor_order_and_late_parts():
    """Parts start in order, stop in reverse, and the late or broken ones are named."""
    log = []
    supervisor = _supervise(_Part(log, "a", in_time=False), _Part(log, "b", fail="stop"), _Part(log, "c"))
    supervisor.start()
    assert supervisor.stop() == ("b", "a")
    assert log == ["+a", "+b", "+c", "-c", "-a"]
    assert supervisor.stop() == ()


def test_supervisor_undoes_a_failed_start():
    """When a part can't start, those before it are stopped and its exception comes out."""
    log = []
    supervisor = _supervise(_Part(log, "a"), _Part(log, "b", fail="start"), _Part(log, "c"))
    with pytest.raises(RuntimeError, match="b can't start"):
        supervisor.start()
    assert log == ["+a", "-a"]


def test_supervisor_runs_real_workers():
    """Workers are parts: a stuck one is late, the others end."""
    release = threading.Event()
    good, stuck = Worker("good", lambda stop: stop.wait(10)), Worker("stuck", lambda stop: release.wait(10))
    supervisor = Supervisor([Supervised("good", good, 5.0), Supervised("stuck", stuck, 0.05)])
    supervisor.start()
    assert supervisor.stop() == ("stuck",)
    assert not good.running
    release.set()
    assert stuck.join(5.0)
