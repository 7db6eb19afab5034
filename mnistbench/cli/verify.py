"""The commands that make sure: verify, compare, repeat, audit."""

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
    say,
    suites,
    typed_command,
)
from mnistbench.plan.models import builtin_folder, discover
from mnistbench.plan.options import choose_threads, parse_names, parse_sizes
from mnistbench.plan.trials import Options, choose_models, choose_suite, plan

if TYPE_CHECKING:
    from mnistbench.analysis.audit import Reproducibility
    from mnistbench.analysis.changes import Comparison

_AUDIT_SUITE = "quick"  # what a model does twice, it does twice on few images too

MarkdownOption = Annotated[
    bool, typer.Option("--markdown", help="Print Markdown, for a pull request's comment, say.")
]
RegressionOption = Annotated[
    bool,
    typer.Option(
        "--fail-on-regression",
        help="Exit with status 1 if a model broke, is significantly less accurate, or really slower.",
    ),
]


@register(epilog="Examples:  mnistbench verify  |  mnistbench verify results/reference")
def verify(
    run_name: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN]", help="A run's name or folder, or a folder of runs; the newest run if left out."
        ),
    ] = None,
    without_dataset: Annotated[
        bool,
        typer.Option(
            "--without-dataset",
            help="Skip the checks that need the data set; the stored labels and images are not checked.",
        ),
    ] = False,
    results: ResultsOption = Path("results"),
    cache_dir: CacheOption = None,
) -> None:
    """Recompute every number of a report from the stored predictions, timings and the data set.

    Exit status: 0 if everything is as it should be, 1 if anything differs or
    the data set is not in the cache: each is one line.
    """
    from mnistbench import verify as verification
    from mnistbench.datasets import cache_folder
    from mnistbench.runs.folder import find_runs_of
    from mnistbench.text import command, plural, visible

    failed = False
    for folder in find_runs_of(results, run_name):
        shared = folder.path.parent if folder.path.parent.resolve() == results.resolve() else None
        found = verification.verify(folder, cache=cache_folder(cache_dir), results=shared)
        taken_on_trust = found.unchecked if without_dataset else ()
        wrong = found.differences
        if not without_dataset:
            remedy = f"fetch it (`{command('fetch', cache=cache_dir)}` for MNIST) or add --without-dataset"
            wrong += tuple(f"{line}; {remedy}" for line in found.unchecked)
        for note in (*taken_on_trust, *found.notes):
            say(visible(f"{found.run}: note: {note}"))
        for line in wrong:
            complain(visible(f"{found.run}: {line}"))
        failed |= bool(wrong)
        if not wrong:
            say(
                visible(
                    f"{found.run}: verified: {plural(found.trial_count, 'trial')}, "
                    f"{plural(found.prediction_count, 'set')} of predictions, and all "
                    f"{plural(found.file_count, 'file')} of its report"
                )
            )
    if failed:
        raise typer.Exit(1)


@register(epilog="Example:  mnistbench compare results/reference my-run --fail-on-regression")
def compare(
    run_a: Annotated[str, typer.Argument(metavar="RUN_A", help="The earlier run: its name or folder.")],
    run_b: Annotated[str, typer.Argument(metavar="RUN_B", help="The later run.")],
    markdown: MarkdownOption = False,
    fail_on_regression: RegressionOption = False,
    results: ResultsOption = Path("results"),
) -> None:
    """Say what really changed from one run to another: environment, accuracy, times."""
    from mnistbench.analysis import changes as comparing
    from mnistbench.runs.folder import find_run

    comparison = comparing.compare(find_run(results, run_a), find_run(results, run_b))
    _tell(comparison, markdown=markdown)
    if fail_on_regression and comparison.regressions:
        raise typer.Exit(1)


@register(epilog="Example:  mnistbench repeat results/reference")
def repeat(
    run_name: Annotated[str, typer.Argument(metavar="RUN", help="The run to repeat: its name or folder.")],
    markdown: MarkdownOption = False,
    fail_on_regression: RegressionOption = False,
    results: ResultsOption = Path("results"),
    cache_dir: CacheOption = None,
    offline: OfflineOption = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show the comparison alone.")] = False,
) -> None:
    """Run exactly the plan of an earlier run again, and compare the two.

    Exit status: as for `mnistbench run`, and 1 on a regression with --fail-on-regression.
    """
    from mnistbench.analysis import changes as comparing
    from mnistbench.execution import runner
    from mnistbench.runs.folder import find_run

    earlier = find_run(results, run_name)
    info = earlier.info()
    data = resolve_dataset(
        info.dataset_spec, cache_dir, reading=info.dataset.reading, offline=offline, quiet=quiet
    )
    models = runner.models_of(info, data)
    again = runner.create_run_again(results, info, info.trials, data, models, typed_command())
    complete = carry_out(again, models, data, quiet=quiet)
    status = finish(again, results, complete=complete, quiet=quiet)
    if complete:
        comparison = comparing.compare(earlier, again)
        _tell(comparison, markdown=markdown)
        status = status or int(fail_on_regression and bool(comparison.regressions))
    if status:
        raise typer.Exit(status)


@register(epilog="Examples:  mnistbench audit  |  mnistbench audit --only cnn,mlp --train-size 2000")
def audit(
    only: Annotated[
        str | None,
        typer.Option(
            help="Audit just these models; all there are if left out.",
            metavar="MODEL,...",
            autocompletion=model_names,
        ),
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
        str | None, typer.Option(help="Training images; 0 is all; those of `quick` if left out.", metavar="N")
    ] = None,
    seeds: Annotated[
        str | None, typer.Option(help="Seeds, each of which is fitted twice.", metavar="SEED,...")
    ] = None,
    threads: Annotated[
        str | None, typer.Option(help="Threads of each fit; all usable cores if left out.", metavar="N,...")
    ] = None,
    repeats: Annotated[int, typer.Option(help="Fits of each seed.", min=2, metavar="N")] = 2,
    timeout: Annotated[
        float | None, typer.Option(help="Seconds that each fit may take.", metavar="SECONDS", min=0.001)
    ] = None,
    models: ModelsOption = None,
    results: ResultsOption = Path("results"),
    cache_dir: CacheOption = None,
    offline: OfflineOption = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show the findings alone.")] = False,
) -> None:
    """Fit each model twice with the same seed, in fresh processes, and say whether it does the same again.

    Exit status: as for `mnistbench run`; a model that drifts is a finding, no failure.
    """
    from mnistbench.analysis.audit import audit as audited
    from mnistbench.execution import runner
    from mnistbench.machine import usable_cores, usable_memory_bytes

    found = discover([builtin_folder(), *(models or [])])
    options = Options(
        only=parse_names(only, "--only") if only is not None else tuple(found),
        train_sizes=parse_sizes(train_size) if train_size is not None else None,
        seeds=chosen_seeds(seeds, quiet=quiet),
        threads=choose_threads(threads, 1, len(usable_cores())),
        repeats=repeats,
    )
    suite = choose_suite(suites(), _AUDIT_SUITE)
    chosen = {model.name: model for model in choose_models(suite, options, found)}
    reading = reading_of(pixel_max, unseen)
    data = resolve_dataset(dataset, cache_dir, reading=reading, offline=offline, quiet=quiet)
    folder = runner.create_run(
        results,
        suite="audit",
        dataset=data,
        dataset_spec=dataset_spec(dataset, data),
        trials=plan(suite, options, list(chosen.values()), data),
        models=list(chosen.values()),
        limits=runner.Limits(timeout or suite.timeout_seconds, int(0.9 * usable_memory_bytes())),
        measurements=(),
        command=typed_command(),
    )
    complete = carry_out(folder, chosen, data, quiet=quiet)
    status = finish(folder, results, complete=complete, quiet=quiet)
    if complete:
        _show_audit(audited(folder))
    if status:
        raise typer.Exit(status)


def _tell(comparison: "Comparison", *, markdown: bool) -> None:
    from rich.console import Console

    from mnistbench.report import changes

    if markdown:
        say(changes.markdown(comparison).removesuffix("\n"))
    else:
        changes.show(comparison, Console(highlight=False))


def _show_audit(findings: "list[Reproducibility]") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from mnistbench.text import MISSING, visible

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("model", no_wrap=True)
    table.add_column("the same seed again")
    table.add_column("images changed", justify="right")
    table.add_column("largest change of a probability", justify="right")
    styles = {"bit-identical": "green", "same labels": "yellow", "drifting": "red"}
    for finding in findings:
        known = finding.outcome != "unknown"
        change = finding.probability_change
        table.add_row(
            Text(visible(finding.label)),
            Text(finding.outcome if known else finding.status, style=styles.get(finding.outcome, "")),
            Text(f"{finding.images_changed:,} of {finding.image_count:,}" if known else MISSING),
            Text(MISSING if change is None else f"{change:.2g}"),
        )
    Console(highlight=False).print(table)
