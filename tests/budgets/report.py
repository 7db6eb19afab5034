"""Measure the time and memory that the report of a large run takes: 10,000 synthetic records.

`make bench-report` makes the run folder and writes its report in a process of its own. The budget is 20 s and
300 MB; beyond it the exit status is 1.
"""

import argparse
import dataclasses
import itertools
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from mnistbench.runs.json import to_json

SECONDS, MEGABYTES = 20, 300
_WRITE = """
import resource, sys, time
from pathlib import Path
start = time.perf_counter()
from mnistbench.report import write_report
from mnistbench.runs.folder import RunFolder
write_report(RunFolder(Path(sys.argv[1])), None)
# Kilobytes on Linux. A small process started this one, so this is its own peak.
print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)
"""


def multiply(folder, times):
    """Make so many variants of each model of a run, with copies of its records and predictions."""
    info, records = folder.info(), folder.records()
    copies = [
        dataclasses.replace(record, trial=dataclasses.replace(record.trial, parameters={"variant": i}))
        for i in range(times)
        for record in records
    ]
    for copy, record in zip(copies, itertools.cycle(records), strict=False):
        stored = folder.path / "predictions" / f"{record.trial.id}.npz"
        shutil.copy(stored, stored.with_name(f"{copy.trial.id}.npz"))
    info = dataclasses.replace(info, trials=tuple(copy.trial for copy in copies))
    (folder.path / "run.json").write_text(json.dumps(to_json(info)))
    (folder.path / "records.jsonl").write_text("".join(json.dumps(to_json(copy)) + "\n" for copy in copies))


def main():
    """Measure; exit with status 1 beyond the budget."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from support.synthetic_runs import Model, dataset, make_run

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--images", type=int, default=1_000, help="test images of each record")
    parser.add_argument("--seeds", type=int, default=10, help="records of each row of the report")
    parser.add_argument("--place", help="where the run folder is made, for example on a memory disk")
    options = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory(dir=options.place) as place:
        models = {f"model{i}": Model(0.01 + 0.02 * i, 1 + 7 * i) for i in range(10)}
        data = dataset(test_count=options.images)
        folder = make_run(Path(place), models, data=data, seeds=range(options.seeds))
        multiply(folder, options.records // (len(models) * options.seeds))
        command = [sys.executable, "-P", "-c", _WRITE, str(folder.path)]
        answer = subprocess.run(command, check=True, capture_output=True, text=True)
        seconds, megabytes = map(float, answer.stdout.split())
        count = len(folder.records())
        sizes = {name: (folder.path / name).stat().st_size / 1e6 for name in ("report.html", "report.md")}
    sizes_text = ", ".join(f"{name} {size:.2f} MB" for name, size in sizes.items())
    console.print(
        f"{count:,} records: {seconds:.1f} s (at most {SECONDS}), "
        f"{megabytes:.0f} MB (at most {MEGABYTES}); {sizes_text}"
    )
    if seconds > SECONDS or megabytes > MEGABYTES:
        sys.exit(1)


if __name__ == "__main__":
    main()
