"""`mnistbench run`: from the options to a run folder with its report."""

import contextlib
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mnistbench.cli.running import carry_out, dataset_spec, finish
from mnistbench.cli.terminal import (
    CacheOption,
    ModelsOption,
    OfflineOption,
    PixelMaxOption,
    ResultsOption,
    Unseen,
    UnseenOption,
    chosen_seeds,
    complain,
    model_names,
    reading_of,
    register,
    resolve_dataset,
    suites,
    typed_command,
)
from mnistbench.errors import MnistbenchError, UsageError
from mnistbench.plan.models import builtin_folder, discover
from mnistbench.plan.options import (
    MEASUREMENTS,
    choose_threads,
    parse_assignments,
    parse_bytes,
    parse_measurements,
    parse_names,
    parse_sizes,
)
from mnistbench.plan.trials import DEFAULT_SUITE, Options, choose_models, choose_suite, plan

if TYPE_CHECKING:
    from mnistbench.execution.dask.cluster import Cluster


class BackendName(StrEnum):
    """Where trials can run."""

    LOCAL = "local"
    DASK = "dask"


def _suite_names(incomplete: str) -> list[str]:
    return [name for name in suites() if name.startswith(incomplete)]


@register(
    epilog="Examples:  mnistbench run  |  mnistbench run --only cnn,svm  |  mnistbench run --suite quick "
    "--seeds 0-2  |  mnistbench run --only svm --set svm.C=1,10 --validation  |  mnistbench run --resume"
)
def run(
    context: typer.Context,
    run_name: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="With --resume: the run; the newest if left out.")
    ] = None,
    suite: Annotated[
        str, typer.Option(help="What to run; see `mnistbench list`.", autocompletion=_suite_names)
    ] = DEFAULT_SUITE,
    only: Annotated[
        str | None,
        typer.Option(help="Run just these models.", metavar="MODEL,...", autocompletion=model_names),
    ] = None,
    skip: Annotated[
        str | None,
        typer.Option(help="Leave these models out.", metavar="MODEL,...", autocompletion=model_names),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            help="mnist, digits, a folder of IDX files or an .npz; MNIST if left out.", metavar="DATASET"
        ),
    ] = None,
    pixel_max: PixelMaxOption = None,
    unseen: UnseenOption = Unseen.REFUSE,
    train_size: Annotated[
        str | None,
        typer.Option(help="Training images, stratified; 0 is all; several as 1000,5000.", metavar="N,..."),
    ] = None,
    seeds: Annotated[
        str | None, typer.Option(help="Seeds: 0,1,2 or 0-2; 3 is seed 3 alone.", metavar="SEED,...")
    ] = None,
    threads: Annotated[
        str | None, typer.Option(help="Threads of each trial; all usable cores if left out.", metavar="N,...")
    ] = None,
    repeats: Annotated[
        int, typer.Option(help="Times each trial is run, in fresh processes.", min=1, metavar="N")
    ] = 1,
    measure: Annotated[
        str | None,
        typer.Option(help=f"Beside quality, fit and predict: {', '.join(MEASUREMENTS)}; or none."),
    ] = None,
    jobs: Annotated[int, typer.Option(help="Trials side by side, on disjoint cores.", min=1)] = 1,
    backend: Annotated[
        BackendName, typer.Option(help="Where trials run: on this machine, or on a Dask cluster.")
    ] = BackendName.LOCAL,
    scheduler: Annotated[
        str | None, typer.Option(help="The Dask scheduler, as tcp://10.0.0.5:8786.", metavar="ADDRESS")
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(help="Seconds that each trial may take.", metavar="SECONDS", min=0.001)
    ] = None,
    memory_limit: Annotated[
        str | None, typer.Option(help="Memory that each trial may take: 4G, 500M.", metavar="BYTES")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Set a parameter; several values make variants.", metavar="MODEL.PARAM=VALUE"
        ),
    ] = None,
    models: ModelsOption = None,
    validation: Annotated[
        bool, typer.Option("--validation", help="Judge by a sixth of the training images, held out.")
    ] = False,
    results: ResultsOption = Path("results"),
    cache_dir: CacheOption = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")] = False,
    trial: Annotated[
        str | None, typer.Option(help="Run one trial of an earlier run again.", metavar="RUN/ID")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the run's folder.", metavar="NAME")] = None,
    offline: OfflineOption = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show nothing but errors.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object a trial, one a line.")] = False,
) -> None:
    """Train and measure models, and write the report.

    Exit status: 0 all trials ok; 1 some trial not ok, the report is written;
    2 wrong usage; 3 data unavailable; 130 interrupted.
    """
    from mnistbench.execution import runner
    from mnistbench.machine import usable_cores, usable_memory_bytes
    from mnistbench.runs.folder import find_interrupted_run, find_run, find_trial

    if trial is not None or resume:
        _refuse_plan(context, "--trial" if trial is not None else "--resume")
    with contextlib.ExitStack() as stack:
        cluster = stack.enter_context(_cluster(backend, scheduler, jobs, offline=offline))
        if trial is not None:
            earlier, planned = find_trial(results, trial)
            info = earlier.info()
            data = resolve_dataset(
                info.dataset_spec, cache_dir, reading=info.dataset.reading, offline=offline, quiet=quiet
            )
            chosen = runner.models_of(info, data, may_differ=True)
            folder = runner.create_run_again(
                results, info, [planned], data, chosen, typed_command(), name=name, backend=backend.value
            )
        elif resume:
            folder = find_run(results, run_name) if run_name else find_interrupted_run(results)
            info = folder.info()
            data = resolve_dataset(
                info.dataset_spec, cache_dir, reading=info.dataset.reading, offline=offline, quiet=quiet
            )
            chosen = runner.models_of(info, data)
        else:
            _refuse_name(run_name)
            if not quiet:
                _hint_at_interrupted(results)
            found = discover([builtin_folder(), *(models or [])])
            cores, memory = cluster.share() if cluster else (len(usable_cores()), usable_memory_bytes())
            if cluster and threads is not None:  # a wide trial may have a worker's machine to itself
                cores = cluster.most_cores()
            options = Options(
                only=parse_names(only, "--only") if only is not None else None,
                skip=parse_names(skip, "--skip") if skip is not None else (),
                train_sizes=parse_sizes(train_size) if train_size is not None else None,
                seeds=chosen_seeds(seeds, quiet=quiet),
                threads=choose_threads(threads, jobs, cores, "a worker" if cluster else "this process"),
                parameters=parse_assignments(set_ or []),
                split="validation" if validation else "test",
                repeats=repeats,
            )
            picked = choose_suite(suites(), suite)
            own = [name for name, model in found.items() if model.path.parent in (models or [])]
            chosen = {model.name: model for model in choose_models(picked, options, found, own)}
            memory = parse_bytes(memory_limit) if memory_limit else int(0.9 * memory / jobs)
            reading = reading_of(pixel_max, unseen)
            data = resolve_dataset(dataset, cache_dir, reading=reading, offline=offline, quiet=quiet)
            folder = runner.create_run(
                results,
                suite=picked.name,
                dataset=data,
                dataset_spec=dataset_spec(dataset, data),
                trials=plan(picked, options, list(chosen.values()), data),
                models=list(chosen.values()),
                limits=runner.Limits(timeout or picked.timeout_seconds, memory, jobs),
                measurements=parse_measurements(measure) if measure is not None else picked.measurements,
                command=typed_command(),
                name=name,
                backend=backend.value,
            )

        complete = carry_out(folder, chosen, data, backend=cluster, quiet=quiet, json=json)
    there = ("--backend", "dask", "--scheduler", str(scheduler)) if cluster else ()
    status = finish(folder, results, there, complete=complete, quiet=quiet or json)
    if status:
        raise typer.Exit(status)


def _cluster(
    backend: BackendName, scheduler: str | None, jobs: int, *, offline: bool
) -> "contextlib.AbstractContextManager[Cluster | None]":
    """Return the connection to the cluster that the options ask for, or one to nothing."""
    if backend is BackendName.LOCAL:
        if scheduler is not None:
            raise UsageError("--scheduler names a Dask cluster; add --backend dask to run the trials there.")
        return contextlib.nullcontext()
    if scheduler is None:
        raise UsageError("--backend dask needs --scheduler ADDRESS; `dask scheduler` prints it at its start.")
    if jobs != 1:
        raise UsageError(
            "--jobs is for this machine alone; on a cluster each worker runs one trial at a time."
        )

    from mnistbench.execution.dask.cluster import connect

    return connect(scheduler, offline=offline)


_OF_THE_PLAN = (
    "suite", "only", "skip", "dataset", "pixel_max", "unseen", "train_size", "seeds", "threads", "repeats",
    "measure", "jobs", "timeout", "memory_limit", "set_", "models", "validation",
)  # fmt: skip


def _refuse_plan(context: typer.Context, option: str) -> None:
    """Refuse options that an earlier run's plan has settled, rather than pass over them without a word."""
    settled = _OF_THE_PLAN if option == "--trial" else (*_OF_THE_PLAN, "name", "trial")
    for parameter in settled:
        source = context.get_parameter_source(parameter)
        if source is not None and source.name == "COMMANDLINE":
            typed = f"--{parameter.strip('_').replace('_', '-')}"
            raise UsageError(
                f"{typed} changes nothing with {option}, which keeps to the run's own plan; leave it out."
            )


def _refuse_name(name: str | None) -> None:
    if name is not None:
        raise UsageError(
            f"`mnistbench run {name}`: a run is named only to go on with it: add --resume. "
            f"To run one model: --only {name}."
        )


def _hint_at_interrupted(results: Path) -> None:
    from mnistbench.runs.folder import find_runs

    for folder in find_runs(results)[-1:]:
        with contextlib.suppress(MnistbenchError):
            ended, planned = len(folder.records()), len(folder.info().trials)
            if ended < planned:
                complain(
                    f"the run {folder.name} was interrupted with {ended} of {planned} trials done; "
                    f"`{folder.command('run', '--resume')}` finishes it."
                )
