"""The machine's speed at fixed kernels: measured in a process of its own, and compared before and after."""

import os

import pytest
from support.trials import CORE

from mnistbench.execution.processes import child_environment
from mnistbench.machine import Calibration, calibrate, drift


def calibration(**scales):
    """Make a calibration whose kernels took a second each, times their scale."""
    kernels = ("matrix_product", "memory_copy", "python_loop", "gather")
    return Calibration(**{f"{name}_seconds": (scales.get(name, 1.0),) * 3 for name in kernels})


def test_every_kernel_is_timed_several_times():
    measured = calibrate(CORE, child_environment(os.environ, 1))
    assert all(seconds > 0 for seconds in measured.medians.values())
    assert {len(values) for values in vars(measured).values()} == {5}
    assert min(measured.medians.values()) <= measured.unit_seconds <= max(measured.medians.values())


def test_the_unit_is_the_geometric_mean():
    assert calibration(gather=16.0).unit_seconds == pytest.approx(2.0)


def test_drift_is_the_largest_change_in_either_direction():
    assert drift(calibration(), calibration()) == 0
    assert drift(calibration(), calibration(gather=1.2)) == pytest.approx(0.2)
    assert drift(calibration(), calibration(gather=1.2, python_loop=0.5)) == pytest.approx(1.0)
