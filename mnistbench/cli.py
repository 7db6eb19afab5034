"""The commands; each wires the modules below it together and holds no logic of its own."""

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mnistbench import __version__
from mnistbench.errors import MnistbenchError, UsageError
from mnistbench.plan import (
    DEFAULT_SUITE,
    Options,
    Suite,
    choose_models,
    choose_suite,
    choose_threads,
    parse_assignments,
    parse_bytes,
    parse_integers,
    parse_measurements,
    parse_names,
    parse_sizes,
    plan,
    read_suites,
)
from mnistbench.registry import builtin_folder, discover

if TYPE_CHECKING:
    from mnistbench.datasets import DatasetInfo
    from mnistbench.live import Silent
    from mnistbench.records import Record, RunFolder, RunInfo

_INTERRUPTED = 130  # 128 + SIGINT, as shells report it
_RULE = "!" * 78

app = typer.Typer(
    name="mnistbench",
    help="Benchmark classical machine learning on MNIST, with numbers that can be checked.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with: mnistbench run --suite quick",
)

ResultsOption = Annotated[
    Path, typer.Option("--results", help="Folder of the runs.", metavar="FOLDER", file_okay=False)
]
CacheOption = Annotated[
    Path | None,
    typer.Option(
        "--cache-dir",
        help="Folder of the data sets; MNISTBENCH_CACHE sets it too.",
        metavar="FOLDER",
        file_okay=False,
    ),
]
OfflineOption = Annotated[bool, typer.Option("--offline", help="Never use the network.")]
ModelsOption = Annotated[
    list[Path] | None,
    typer.Option("--models", help="A folder of your own model files; may be repeated.", metavar="FOLDER"),
]


def main() -> None:
    """Run the command line; a user's mistake ends in one clear line on stderr and its exit status."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1
    try:
        app(args=arguments, prog_name="mnistbench")
    except MnistbenchError as error:
        if debug:
            raise
        _complain(str(error))
        sys.exit(error.exit_status)
    except BrokenPipeError:  # the reader, head say, has seen enough
        sys.stderr.close()
        sys.exit(0)
    except Exception as error:
        if debug:
            raise
        _complain(
            f"an error of mnistbench's own: {type(error).__name__}: {error}\n"
            "Add --debug to see where; please report it."
        )
        sys.exit(1)


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Benchmark classical machine learning on MNIST, with numbers that can be checked."""
    del debug  # read by `main`, anywhere on the command line
    if version:
        typer.echo(f"mnistbench {__version__}")
        raise typer.Exit


def _model_names(incomplete: str) -> list[str]:
    *done, last = incomplete.split(",")
    return [",".join([*done, name]) for name in discover([builtin_folder()]) if name.startswith(last)]


def _suite_names(incomplete: str) -> list[str]:
    return [name for name in _suites() if name.startswith(incomplete)]


@app.command(
    epilog="Examples:  mnistbench run  |  mnistbench run --only cnn,svm  |  mnistbench run --suite quick "
    "--seeds 0-2  |  mnistbench run --only svm --set svm.C=1,10 --validation  |  mnistbench run --resume"
)
def run(
    run_name: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="With --resume: the run; the newest if left out.")
    ] = None,
    suite: Annotated[
        str, typer.Option(help="What to run; see `mnistbench list`.", autocompletion=_suite_names)
    ] = DEFAULT_SUITE,
    only: Annotated[
        str | None,
        typer.Option(help="Run just these models.", metavar="MODEL,...", autocompletion=_model_names),
    ] = None,
    skip: Annotated[
        str | None,
        typer.Option(help="Leave these models out.", metavar="MODEL,...", autocompletion=_model_names),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            help="mnist, digits, a folder of IDX files or an .npz; MNIST if left out.", metavar="DATASET"
        ),
    ] = None,
    train_size: Annotated[
        str | None,
        typer.Option(help="Training images, stratified; 0 is all; several as 1000,5000.", metavar="N,..."),
    ] = None,
    seeds: Annotated[str | None, typer.Option(help="Seeds: 0,1,2 or 0-2.", metavar="SEED,...")] = None,
    threads: Annotated[
        str | None, typer.Option(help="Threads of each trial; all usable cores if left out.", metavar="N,...")
    ] = None,
    repeats: Annotated[
        int, typer.Option(help="Times each trial is run, in fresh processes.", min=1, metavar="N")
    ] = 1,
    measure: Annotated[
        str | None,
        typer.Option(help="Beside quality, fit and predict: inference, cold_start, calibration; or none."),
    ] = None,
    jobs: Annotated[int, typer.Option(help="Trials side by side, on disjoint cores.", min=1)] = 1,
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
        bool, typer.Option("--validation", help="Judge by the last sixth of the training images.")
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

    Exit status: 0 all trials ok, 1 some trial not ok (the report is written), 2 wrong usage, 3 data not
    to be had, 130 interrupted.
    """
    from mnistbench import runner
    from mnistbench.environment import usable_cores, usable_memory_bytes
    from mnistbench.records import find_interrupted_run, find_run, find_trial

    command = [argument for argument in sys.argv[1:] if argument != "--debug"]
    if trial is not None:
        earlier, planned = find_trial(results, trial)
        info = earlier.info()
        data = _resolve(info.dataset_spec, cache_dir, offline, quiet)
        chosen = runner.models_of(info, data, may_differ=True)
        folder = runner.create_run_again(results, info, [planned], data, chosen, command)
    elif resume:
        folder = find_run(results, run_name) if run_name else find_interrupted_run(results)
        data = _resolve(folder.info().dataset_spec, cache_dir, offline, quiet)
        chosen = runner.models_of(folder.info(), data)
    else:
        _refuse_name(run_name)
        if not quiet:
            _hint_at_interrupted(results)
        found = discover([builtin_folder(), *(models or [])])
        options = Options(
            only=parse_names(only, "--only") if only is not None else None,
            skip=parse_names(skip, "--skip") if skip is not None else (),
            train_sizes=parse_sizes(train_size) if train_size is not None else None,
            seeds=parse_integers(seeds, "--seeds") if seeds is not None else None,
            threads=choose_threads(threads, jobs, len(usable_cores())),
            parameters=parse_assignments(set_ or []),
            split="validation" if validation else "test",
            repeats=repeats,
        )
        picked = choose_suite(_suites(), suite)
        own = [name for name, model in found.items() if model.path.parent in (models or [])]
        chosen = {model.name: model for model in choose_models(picked, options, found, own)}
        memory = parse_bytes(memory_limit) if memory_limit else int(0.9 * usable_memory_bytes() / jobs)
        data = _resolve(dataset, cache_dir, offline, quiet)
        folder = runner.create_run(
            results,
            suite=picked.name,
            dataset=data,
            dataset_spec=_dataset_spec(dataset, data),
            trials=plan(picked, options, list(chosen.values()), data),
            models=list(chosen.values()),
            limits=runner.Limits(timeout or picked.timeout_seconds, memory, jobs),
            measurements=parse_measurements(measure) if measure is not None else picked.measurements,
            command=command,
            name=name,
        )

    with _observer(folder.info(), folder.records(), quiet=quiet, json=json) as observer:
        complete = runner.run(folder, chosen, data, observer)
    _finish(folder, results, complete=complete, quiet=quiet or json)


@app.command(name="list", epilog="Example:  mnistbench list --models my_models")
def list_(models: ModelsOption = None) -> None:
    """List the models with their parameters, and the suites."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from mnistbench.report.formats import visible

    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("model", no_wrap=True)
    table.add_column("summary")
    table.add_column("parameters", style="dim")
    for model in discover([builtin_folder(), *(models or [])]).values():
        summary = Text(visible(model.summary))
        if model.problem is not None:
            summary = Text(visible(f"cannot run: {model.problem}"), style="red")
        parameters = ", ".join(f"{name}={value!r}" for name, value in model.parameters.items())
        table.add_row(Text(visible(model.name)), summary, Text(visible(parameters)))
    console.print(table)
    console.print()
    suites = Table(box=None, pad_edge=False, header_style="bold")
    suites.add_column("suite", no_wrap=True)
    suites.add_column("summary")
    for suite in _suites().values():
        suites.add_row(Text(suite.name), Text(suite.summary))
    console.print(suites)


@app.command(epilog="Examples:  mnistbench fetch  |  mnistbench fetch --from /media/stick/mnist")
def fetch(
    source: Annotated[
        str | None,
        typer.Option(
            "--from", help="A folder with the four MNIST files, or a mirror's URL.", metavar="PLACE"
        ),
    ] = None,
    cache_dir: CacheOption = None,
    offline: OfflineOption = False,
) -> None:
    """Fetch MNIST into the cache, once, and check every byte."""
    from mnistbench.datasets import cache_folder, fetch_mnist

    data = fetch_mnist(cache=cache_folder(cache_dir), source=source, offline=offline, show_progress=True)
    typer.echo(
        f"{data.title}: {data.train_count:,} training and {data.test_count:,} test images "
        f"from {data.source}, verified, in {data.arrays_folder}"
    )


@app.command(epilog="Example:  mnistbench report 20260101-120000-standard-mnist")
def report(
    run_name: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="A run's name or folder; the newest if left out.")
    ] = None,
    results: ResultsOption = Path("results"),
) -> None:
    """Write the report of a run again from its records; nothing is trained."""
    from mnistbench.records import find_run
    from mnistbench.report import write_report

    typer.echo(str(write_report(find_run(results, run_name), results)))


@app.command()
def runs(results: ResultsOption = Path("results")) -> None:
    """List the runs, oldest first."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from mnistbench.records import find_runs
    from mnistbench.report.formats import visible

    folders = find_runs(results)
    if not folders:
        typer.echo(f"No runs in {results} yet; `mnistbench run --suite quick` makes one in under a minute.")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("run", "data set", "trials", "ok", "state"):
        table.add_column(heading, justify="right" if heading in ("trials", "ok") else "left", no_wrap=True)
    for folder in folders:
        try:
            info, records = folder.info(), folder.records()
        except MnistbenchError as error:
            table.add_row(Text(visible(folder.name)), "", "", "", Text(visible(f"cannot be read: {error}")))
            continue
        ok = sum(record.failure is None for record in records)
        state = (
            "complete" if len(records) == len(info.trials) else f"{len(records)} of {len(info.trials)} done"
        )
        table.add_row(
            Text(visible(folder.name)),
            Text(visible(info.dataset.name)),
            str(len(info.trials)),
            str(ok),
            state,
        )
    Console(highlight=False).print(table)


def _suites() -> dict[str, Suite]:
    return read_suites(builtin_folder() / "suites.toml")


def _resolve(spec: str | None, cache_dir: Path | None, offline: bool, quiet: bool) -> "DatasetInfo":
    from mnistbench.datasets import cache_folder, resolve

    data = resolve(spec, cache=cache_folder(cache_dir), offline=offline, show_progress=not quiet)
    if data.fallback_reason is not None:
        _complain(
            f"{_RULE}\nMNIST cannot be had, so this run uses {data.title} in its place:\n"
            f"{data.fallback_reason}\nIts numbers say nothing about MNIST.\n{_RULE}"
        )
    return data


def _dataset_spec(typed: str | None, data: "DatasetInfo") -> str:
    if typed is None or typed == data.name:
        return data.name
    return str(Path(typed).resolve())


def _refuse_name(name: str | None) -> None:
    if name is not None:
        raise UsageError(
            f"`mnistbench run {name}`: a run is named only to go on with it: add --resume. "
            f"To run one model: --only {name}."
        )


def _hint_at_interrupted(results: Path) -> None:
    from mnistbench.records import find_runs

    for folder in find_runs(results)[-1:]:
        with contextlib.suppress(MnistbenchError):
            ended, planned = len(folder.records()), len(folder.info().trials)
            if ended < planned:
                _complain(
                    f"the run {folder.name} was interrupted with {ended} of {planned} trials done; "
                    f"`mnistbench run --resume {folder.name}` finishes it."
                )


def _observer(info: "RunInfo", finished: "list[Record]", *, quiet: bool, json: bool) -> "Silent":
    from rich.console import Console

    from mnistbench.live import JsonLines, LiveTable, PlainLines, Silent

    shown: Silent = Silent()
    if not quiet:
        console = Console(stderr=json)
        shown = (LiveTable if console.is_terminal else PlainLines)(console, info.trials, finished)
    return JsonLines(shown) if json else shown


def _finish(folder: "RunFolder", results: Path, *, complete: bool, quiet: bool) -> None:
    """Write the report, say how the run ended, and leave with the status that says so."""
    from mnistbench.report import write_report
    from mnistbench.report.configurations import configurations, status_counts

    page = write_report(folder, results)
    info, records = folder.info(), folder.records()
    if not quiet:
        typer.echo(f"{status_counts(configurations(info, records))}: see {page}")
    if not complete:
        _complain(
            f"interrupted; what was done is kept. `mnistbench run --resume {folder.name}` does the rest."
        )
        raise typer.Exit(_INTERRUPTED)
    if any(record.failure is not None for record in records):
        raise typer.Exit(1)


def _complain(text: str) -> None:
    typer.echo(f"mnistbench: {text}" if not text.startswith("!") else text, err=True)
