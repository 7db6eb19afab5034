"""`mnistbench audit`: whether each model gives the same results again."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from mnistbench.cli import options
from mnistbench.cli.options import app, of_plan
from mnistbench.cli.output import print_table
from mnistbench.cli.training import INTERRUPTED, NewRun, Training
from mnistbench.plan.models import builtin_folder, discover
from mnistbench.plan.trials import Options, choose_suite
from mnistbench.text import RESULTS

if TYPE_CHECKING:
    from mnistbench.analysis.audit import Reproducibility

_SUITE = "quick"  # a model that varies does so on few images too
_STYLES = {"bit-identical": "green", "same labels": "yellow", "drifting": "red"}


@app.command(epilog="Examples:  mnistbench audit  |  mnistbench audit --only cnn,mlp --train-size 2000")
def audit(
    only: options.Only = None,
    dataset: options.Dataset = None,
    pixel_max: options.PixelMax = None,
    unseen: options.Unseen = "refuse",
    train_size: options.TrainSize = None,
    seeds: options.Seeds = None,
    threads: options.Threads = None,
    repeats: Annotated[int, of_plan("Fits of each seed.", "N", min=2)] = 2,
    timeout: options.Timeout = None,
    models: options.Models = None,
    results: options.Results = RESULTS,
    cache_dir: options.Cache = None,
    offline: options.Offline = False,
    quiet: options.Quiet = False,
) -> None:
    """Fit every model twice with the same seed, in fresh processes, and compare the two bit by bit.

    Exit status: as for `mnistbench run`; a model that drifts is a finding, not a failure.
    """
    from mnistbench.analysis.audit import audit as audited

    found = discover([builtin_folder(), *(models or [])])
    training = Training(results, cache_dir, offline, quiet)
    plans = training.plans(
        NewRun(
            suite=replace(choose_suite(options.suites(), _SUITE), name="audit", models=tuple(found)),
            options=Options(only, train_sizes=train_size, seeds=seeds, repeats=repeats),
            models=found,
            dataset=dataset,
            pixel_max=pixel_max,
            drop_unseen=unseen == "drop",
            threads=threads,
            measurements=(),
            timeout_seconds=timeout,
        )
    )
    status = 0
    for each in training.create(plans):
        status = max(status, training.carry_out(each))
        if status == INTERRUPTED:
            break
        _print(audited(each.folder))
    raise typer.Exit(status)


def _print(findings: "Sequence[Reproducibility]") -> None:
    from mnistbench.text import MISSING

    rows = []
    for finding in findings:
        known, change = finding.outcome != "unknown", finding.probability_change
        rows.append(
            (
                finding.label,
                (finding.outcome, _STYLES[finding.outcome]) if known else finding.status,
                f"{finding.images_changed:,} of {finding.image_count:,}" if known else MISSING,
                MISSING if change is None else f"{change:.2g}",
            )
        )
    counted = ("images changed", "largest change of a probability")
    print_table(("model", "the same seed again", *counted), rows, right=counted)
