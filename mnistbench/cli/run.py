"""`mnistbench run`: a new run, an interrupted one resumed, or one trial run again."""

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mnistbench.cli import options
from mnistbench.cli.forecasts import print_forecasts
from mnistbench.cli.options import PLAN, app, of_plan
from mnistbench.cli.output import say
from mnistbench.cli.training import INTERRUPTED, NewRun, Training
from mnistbench.errors import UsageError
from mnistbench.plan.models import builtin_folder, discover
from mnistbench.plan.options import (
    MEASUREMENTS,
    parse_assignments,
    parse_bytes,
    parse_duration,
    parse_measurements,
)
from mnistbench.plan.trials import DEFAULT_SUITE, Options, choose_suite
from mnistbench.text import RESULTS

if TYPE_CHECKING:
    from mnistbench.execution.dask.cluster import Cluster
    from mnistbench.execution.runner import Plan
    from mnistbench.runs.folder import RunFolder


Backend = Literal["local", "dask"]


def _completed_suites(incomplete: str) -> list[str]:
    return [name for name in options.suites() if name.startswith(incomplete)]


RunName = Annotated[
    str | None, typer.Argument(metavar="[RUN]", help="With --resume: the run; the newest by default.")
]
SuiteName = Annotated[
    str, of_plan("What to run; see `mnistbench list`.", "SUITE", autocompletion=_completed_suites)
]
Skip = Annotated[options.Names | None, options.models_of_plan("--skip", "Leave these models out.")]
Repeats = Annotated[int, of_plan("How often each trial runs, each time in a fresh process.", "N", min=1)]
Measure = Annotated[
    options.Names | None,
    of_plan(
        f"Measurements besides quality, fit and predict: {', '.join(MEASUREMENTS)}; or none.",
        "NAME,...",
        parser=parse_measurements,
    ),
]
Budget = Annotated[
    float | None,
    of_plan(
        "Choose the training sizes and repeats that fit into this time: 10m, 90s, 1h30m.",
        "TIME",
        parser=parse_duration,
    ),
]
Jobs = Annotated[int, of_plan("Trials side by side, on disjoint cores.", "N", min=1)]
Memory = Annotated[int | None, of_plan("Memory limit of each trial: 4G, 500M.", "BYTES", parser=parse_bytes)]
Set = Annotated[
    list[str] | None, of_plan("Set a parameter; several values make variants.", "MODEL.PARAM=VALUE", "--set")
]
Validation = Annotated[
    bool,
    of_plan(
        "Evaluate on held-out training images, a sixth of them, instead of the test images.",
        None,
        "--validation",
    ),
]
TrainOn = Annotated[str | None, of_plan("Train on this data set, with --test-on.", "DATASET", "--train-on")]
TestOn = Annotated[
    str | None,
    of_plan("Test on another data set, none of whose writers is trained on.", "DATASET", "--test-on"),
]
RunFolderName = Annotated[str | None, of_plan("Name of the run's folder.", "NAME")]
WhereTrialsRun = Annotated[
    Backend, typer.Option(help="Where trials run: on this machine, or on a Dask cluster.")
]
Scheduler = Annotated[
    str | None, typer.Option(help="The Dask scheduler, as tcp://10.0.0.5:8786.", metavar="ADDRESS")
]
Resume = Annotated[bool, typer.Option("--resume", help="Resume an interrupted run.")]
TrialAddress = Annotated[
    str | None, typer.Option(help="Run one trial of an earlier run again.", metavar="RUN/ID")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object a trial, one a line.")]


@app.command(
    epilog="Examples:  mnistbench run  |  mnistbench run --only cnn,svm  |  mnistbench run --suite quick "
    "--seeds 0-2  |  mnistbench run --only svm --set svm.C=1,10 --validation  |  mnistbench run --resume"
)
def run(
    context: typer.Context,
    run_name: RunName = None,
    suite: SuiteName = DEFAULT_SUITE,
    only: options.Only = None,
    skip: Skip = None,
    dataset: options.Dataset = None,
    train_on: TrainOn = None,
    test_on: TestOn = None,
    pixel_max: options.PixelMax = None,
    unseen: options.Unseen = "refuse",
    train_size: options.TrainSize = None,
    seeds: options.Seeds = None,
    threads: options.Threads = None,
    repeats: Repeats = 1,
    budget: Budget = None,
    measure: Measure = None,
    jobs: Jobs = 1,
    backend: WhereTrialsRun = "local",
    scheduler: Scheduler = None,
    timeout: options.Timeout = None,
    memory_limit: Memory = None,
    set_: Set = None,
    models: options.Models = None,
    validation: Validation = False,
    margin: options.Margin = None,
    results: options.Results = RESULTS,
    cache_dir: options.Cache = None,
    resume: Resume = False,
    trial: TrialAddress = None,
    name: RunFolderName = None,
    offline: options.Offline = False,
    quiet: options.Quiet = False,
    json: Json = False,
) -> None:
    """Train and measure models, and write the report.

    Exit status: 0 all trials ok; 1 some trial not ok, the report is written;
    2 wrong usage; 3 data unavailable; 130 interrupted.
    """
    _refuse_misuse(context)
    is_rehearsal = context.info_name == "plan"
    with _cluster(backend, scheduler, jobs, offline=offline) as cluster:
        training = Training(results, cache_dir, offline, quiet, json, cluster, scheduler)
        plans = []
        if trial is not None or (resume and is_rehearsal):
            plans = [_earlier(training, run_name, trial)]
        elif not resume:
            split = "validation" if validation else "test"
            changes = Options(only, skip or (), train_size, seeds, split=split, repeats=repeats)
            new = NewRun(
                suite=choose_suite(options.suites(), suite),
                options=replace(changes, parameters=parse_assignments(set_ or [])),
                models=discover([builtin_folder(), *(models or [])]),
                dataset=_on_two(dataset, train_on, test_on),
                pixel_max=pixel_max,
                drop_unseen=unseen == "drop",
                threads=threads,
                measurements=measure,
                jobs=jobs,
                timeout_seconds=timeout,
                memory_limit_bytes=memory_limit,
                margin=margin,
                budget_seconds=budget,
            )
            plans = training.plans(new)
        if is_rehearsal:
            for each in plans:
                print_forecasts(training.foretell(each, is_asked_for=True))
            return
        status = 0
        resumed = [training.resume(_interrupted(results, run_name))] if resume else []
        ready = resumed or training.create(plans, name)
        for planned in ready:
            status = max(status, training.carry_out(planned))
            if status == INTERRUPTED:
                break
    if len(ready) > 1 and status != INTERRUPTED:
        from mnistbench.report import side_by_side_name, write_side_by_side

        folders = [planned.folder for planned in ready]
        page = write_side_by_side(folders, results / side_by_side_name(folders))
        if not (quiet or json):
            say(f"Across the data sets: see {page}")
    raise typer.Exit(status)


app.command(
    "plan",
    help="Print the trials of a run with the time and memory to expect, without running them.\n\n"
    "It takes the options of `mnistbench run`. What no earlier trial tells, a pilot on small subsets does.",
    epilog="Examples:  mnistbench plan  |  mnistbench plan --suite scaling --only rf,svm",
)(run)


def _on_two(dataset: str | None, train_on: str | None, test_on: str | None) -> str | None:
    """Return the data set to run on: the one that was named, or one to train on with another to test on."""
    if train_on is None and test_on is None:
        return dataset
    if dataset is not None or train_on is None or test_on is None:
        raise UsageError("--train-on and --test-on belong together, and take the place of --dataset.")
    return f"{train_on}->{test_on}"


def _earlier(training: Training, run_name: str | None, trial: str | None) -> "Plan":
    """Plan one earlier trial again, whose model may have been corrected since, or the rest of a run."""
    from mnistbench.runs.folder import find_trial

    if trial is not None:
        earlier, found = find_trial(training.results, trial)
        return training.plan_again(earlier, [found], may_differ=True)
    folder = _interrupted(training.results, run_name)
    ended = {record.trial.id for record in folder.records()}
    return training.plan_again(folder, [each for each in folder.info().trials if each.id not in ended])


def _interrupted(results: Path, run_name: str | None) -> "RunFolder":
    """Return the run of this name, or else the newest one that was interrupted."""
    from mnistbench.runs.folder import find_interrupted_run, find_run

    return find_run(results, run_name) if run_name else find_interrupted_run(results)


def _refuse_misuse(context: typer.Context) -> None:
    """Refuse arguments that would change nothing, rather than ignore them in silence."""
    name, resume, trial = (context.params[each] for each in ("run_name", "resume", "trial"))
    if name is not None and (trial is not None or not resume):
        raise UsageError(
            f"`mnistbench run {name}` names a run, which only --resume takes. Add --resume to resume it. "
            f"To run one model, use --only {name}."
        )
    if trial is None and not resume:
        return
    settled = {each.name for each in context.command.params if getattr(each, "rich_help_panel", "") == PLAN}
    if trial is not None:
        settled = settled - {"name"} | {"resume"}
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if parameter.name in settled and source is not None and source.name == "COMMANDLINE":
            option = "--trial" if trial is not None else "--resume"
            raise UsageError(
                f"{parameter.opts[0]} has no effect with {option}, which follows the run's own plan; "
                "leave it out."
            )


def _cluster(
    backend: Backend, scheduler: str | None, jobs: int, *, offline: bool
) -> "contextlib.AbstractContextManager[Cluster | None]":
    """Return the connection to the cluster that the options ask for, or one to nothing."""
    if backend == "local":
        if scheduler is not None:
            raise UsageError("--scheduler names a Dask cluster; add --backend dask to run the trials there.")
        return contextlib.nullcontext()
    if scheduler is None:
        raise UsageError(
            "--backend dask needs --scheduler ADDRESS, which `dask scheduler` prints when it starts."
        )
    if jobs != 1:
        raise UsageError(
            "--jobs is for this machine alone; on a cluster each worker runs one trial at a time."
        )

    from mnistbench.execution.dask.cluster import connect

    return connect(scheduler, offline=offline)
