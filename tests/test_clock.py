"""Stop watches: where the time of a step goes when the device runs behind the host."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from propd import clock
from propd.clock import BusyClock, DeviceWatch, StepWatch, watch_of
from propd.core import Milliseconds


class Device:
    """A host's clock and a queue of work: a device that is given work and does it later."""

    def __init__(self) -> None:
        self.now, self.free = 0.0, 0.0
        """Seconds: the host's time, and when the device has done all it was given."""

    def host(self, milliseconds: float) -> None:
        """Python works."""
        self.now += milliseconds / 1000

    def launch(self, milliseconds: float) -> None:
        """The device gets work; the host goes on."""
        self.free = max(self.free, self.now) + milliseconds / 1000

    def read(self) -> None:
        """The host waits for the device."""
        self.now = max(self.now, self.free)

    def mark(self) -> Passing:
        return Passing(self, max(self.free, self.now))


class Passing:
    """A mark that the device passes at this time."""

    def __init__(self, device: Device, at: float) -> None:
        self.device, self.at = device, at

    def query(self) -> bool:
        return self.at <= self.device.now

    def elapsed_time(self, later: Passing, /) -> float:
        assert self.query() and later.query(), "CUDA raises here"
        return (later.at - self.at) * 1000


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Device:
    here = Device()
    monkeypatch.setattr(clock, "perf_counter", lambda: here.now)
    return here


def a_step(device: Device, watch: StepWatch) -> Milliseconds:
    """Early layers, late layers, the read, and a commit that nobody waits for."""
    device.host(1), watch.lap("grow")
    device.host(0.1), device.launch(10), watch.lap("early")
    device.host(0.1), device.launch(20), watch.lap("late")
    device.launch(5), device.read(), watch.lap("verify")
    device.host(2), device.launch(3), watch.lap("commit")
    return watch.result()


def test_each_phase_has_the_time_of_the_device(device: Device) -> None:
    """By the host's clock all layers would be free and the read would cost everything."""
    by_host = a_step(device, StepWatch())
    assert (by_host.early, by_host.late) == pytest.approx((0.1, 0.1))
    device.now = device.free = 0.0
    told = a_step(device, DeviceWatch(device.mark))
    # the device waits for Python, which counts as the phase that it waits for
    found = (told.grow, told.early, told.late, told.verify, told.commit)
    assert found == pytest.approx((1.0, 10.1, 20.0, 5.0, 2.0))
    assert told.total == pytest.approx(by_host.total)


def test_what_the_device_has_not_done_yet_goes_to_the_phases_behind(device: Device) -> None:
    """A prefill reads inside its last phase; what was done in between must not count twice."""
    watch = DeviceWatch(device.mark)
    device.host(1), device.launch(30), watch.lap("late")
    device.launch(4), device.read(), device.launch(9), watch.lap("verify")
    told = watch.result()
    assert (told.late, told.verify) == pytest.approx((31.0, 4.0))


def test_a_step_that_nobody_waits_for_has_the_time_of_the_host(device: Device) -> None:
    device.launch(50)  # of the step before
    watch = DeviceWatch(device.mark)
    device.host(2), watch.lap("grow")
    device.host(3), watch.lap("early")
    told = watch.result()
    assert (told.grow, told.early) == pytest.approx((2.0, 3.0))


def test_phases_add_up_where_the_device_has_passed_every_mark(device: Device) -> None:
    """Also if it began the step late, behind work of the step before."""
    device.launch(8)
    watch = DeviceWatch(device.mark)
    device.launch(4), watch.lap("early")
    device.launch(6), device.read(), watch.lap("verify")
    told = watch.result()
    assert told.total == pytest.approx(18.0)
    assert told.early == pytest.approx(4.0)


@pytest.mark.parametrize("new", [StepWatch, lambda: watch_of(torch.device("cpu"))])
def test_laps_of_a_phase_add_up(device: Device, new: Callable[[], StepWatch]) -> None:
    watch = new()
    for phase, spent in (("draft", 1), ("grow", 2), ("draft", 4)):
        device.host(spent), watch.lap(phase)
    assert (watch.result().draft, watch.result().grow) == pytest.approx((5.0, 2.0))


def test_a_pause_is_not_counted(device: Device) -> None:
    busy = BusyClock()
    device.host(1)
    with busy:
        device.host(2)
        with busy.pause():
            device.host(4)
        device.host(8)
    device.host(16)
    assert busy.seconds == pytest.approx(0.010)
