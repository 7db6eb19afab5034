"""What differs around two runs: the machine, what is installed on it, and how it was used."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mnistbench.analysis.compared_run import ComparedRun
from mnistbench.analysis.configurations import Configuration
from mnistbench.runs.sessions import median_unit

_SPEED_CHANGE = 0.02


@dataclass(frozen=True)
class Difference:
    """Something about the two runs that is not the same; None where one lacks it."""

    what: str
    a: str | None
    b: str | None


def differences(
    a: ComparedRun, b: ComparedRun, pairs: Sequence[tuple[Configuration, Configuration]]
) -> Iterable[Difference]:
    """List what differs between the runs: the machine first, then what runs on it, then how it was used."""
    described_a, described_b = _described(a, pairs, 0), _described(b, pairs, 1)
    for what in dict.fromkeys((*described_a, *described_b)):
        in_a, in_b = described_a.get(what), described_b.get(what)
        if in_a != in_b and not (what == "speed" and _alike(a, b)):
            yield Difference(what, in_a, in_b)


def _described(
    run: ComparedRun, pairs: Sequence[tuple[Configuration, Configuration]], side: int
) -> Mapping[str, str]:
    env, info = run.environment, run.info
    threads = dict.fromkeys(pair[side].trials[0].threads for pair in pairs)
    machines = {record.environment.machine for record in run.records}
    values = {
        "machines": str(len(machines)) if len(machines) > 1 else None,
        "host": env.host,
        "processor": env.cpu,
        "cores": f"{env.usable_cores} of {env.logical_cores}",
        "memory": f"{env.memory_bytes / 1e9:.1f} GB",
        "GPUs": ", ".join(env.gpus) or None,
        "speed": _speed_text(run),
        "system": env.system,
        "Python": env.python,
        **dict(sorted(env.libraries.items())),
        "commit": env.commit,
        "threads": ", ".join(map(str, threads)),
        "trials side by side": str(info.jobs),
        "run on": info.backend,
        **{
            f"model file {model.name}": model.sha256[:12]
            for model in info.models
            if model.name in {pair[side].model for pair in pairs}
        },
    }
    return {what: value for what, value in values.items() if value is not None}


def _speed(run: ComparedRun) -> float | None:
    return median_unit(run.sessions, run.records)


def _speed_text(run: ComparedRun) -> str | None:
    speed = _speed(run)
    return None if speed is None else f"{1000 * speed:.2f} ms a calibration unit"


def _alike(a: ComparedRun, b: ComparedRun) -> bool:
    speeds = _speed(a), _speed(b)
    return speeds[0] is not None and speeds[1] is not None and abs(speeds[1] / speeds[0] - 1) < _SPEED_CHANGE
