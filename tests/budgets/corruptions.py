"""Measure the time and memory that all corrupted copies of 10,000 images take.

`make bench-robust` makes them in a process of its own, on images of random pixels, 28 by 28. The budget is
20 s for the fifteen kinds at one severity, and 500 MB; beyond it the exit status is 1.
"""

import json
import subprocess
import sys

from rich.console import Console
from rich.table import Table

SECONDS, MEGABYTES = 20, 500
_MAKE = """
import json, resource, time
import numpy as np
from mnistbench.datasets.corruptions import CORRUPTIONS, conditions, corrupted
images = np.random.default_rng(0).integers(0, 256, (10_000, 28, 28), np.uint8)
seconds = {}
for condition in conditions():
    start = time.perf_counter()
    corrupted(images, condition)
    seconds[condition.name] = time.perf_counter() - start
kinds = [c.name for c in conditions() if CORRUPTIONS[c.kind].level is not None]
# Kilobytes on Linux. A small process started this one, so this is its own peak.
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
print(json.dumps({"seconds": seconds, "kinds": kinds, "peak": peak}))
"""


def main():
    """Print the seconds of each kind, and end with status 1 if they are over the budget."""
    made = subprocess.run([sys.executable, "-c", _MAKE], stdout=subprocess.PIPE, check=True)
    measured = json.loads(made.stdout)
    table = Table("copies of 10,000 images", "seconds")
    for name, seconds in measured["seconds"].items():
        table.add_row(name, f"{seconds:.2f}")
    total, peak = sum(measured["seconds"][name] for name in measured["kinds"]), measured["peak"]
    console = Console()
    console.print(table)
    console.print(
        f"The fifteen kinds took {total:.1f} s (budget {SECONDS} s), peak memory {peak:.0f} MB "
        f"(budget {MEGABYTES} MB)."
    )
    return int(total > SECONDS or peak > MEGABYTES)


if __name__ == "__main__":
    sys.exit(main())
