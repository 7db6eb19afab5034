"""What the commands that train share: a run is planned or found, its trials run, its report written."""

import contextlib
import math
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mnistbench.cli.interruptions import Interruptions
from mnistbench.cli.output import complain, say, set_farewell, write_error
from mnistbench.errors import MnistbenchError, UsageError
from mnistbench.plan.models import ModelFile, builtin_folder
from mnistbench.plan.options import choose_threads, parse_names
from mnistbench.plan.trials import Options, Suite, choose_models, extension_for, plan
from mnistbench.text import duration

if TYPE_CHECKING:
    from mnistbench.cli.live import View
    from mnistbench.datasets import DatasetInfo, Reading
    from mnistbench.execution import runner
    from mnistbench.execution.dask.cluster import Cluster
    from mnistbench.plan.forecast import Forecaster
    from mnistbench.runs.folder import RunFolder
    from mnistbench.runs.records import Trial

INTERRUPTED = 130  # 128 + SIGINT, as shells report it
_RULE = "!" * 78
_REPORT_SECONDS = 8.0  # twice as long as that of a run of a few models takes on two quiet cores


@dataclass(frozen=True)
class NewRun:
    """A new run as the command line describes it; what is None is as in the suite, or the program's own."""

    suite: Suite
    options: Options  # what the command line changes of the suite's plan, except for the threads
    models: Mapping[str, ModelFile]
    dataset: str | None  # as typed: one, or several with commas between them, each for a run of its own
    pixel_max: float | None  # the value of white in the user's own data; that of their type if None
    drop_unseen: bool  # whether test images of classes without training images are left out
    threads: str | None  # as typed; each trial's share of the cores if None
    measurements: tuple[str, ...] | None = None
    jobs: int = 1
    timeout_seconds: float | None = None
    memory_limit_bytes: int | None = None  # of each trial; its share of nine tenths of the memory if None
    margin: float | None = None
    budget_seconds: float | None = None  # that the runs on all data sets are to fit into together, if any


class Planned(NamedTuple):
    """A run folder with its plan, what its trials need, and by when they end, by `time.monotonic`."""

    folder: "RunFolder"
    models: Mapping[str, ModelFile]
    data: "DatasetInfo"
    deadline: float = math.inf


@dataclass(frozen=True)
class Training:
    """Plans runs, runs their trials and writes their reports."""

    results: Path
    cache_dir: Path | None
    offline: bool
    quiet: bool  # whether to print errors alone
    json: bool = False  # whether standard output gets one JSON object a trial
    cluster: "Cluster | None" = None  # where the trials run; on this machine if None
    scheduler: str | None = None  # the address of that cluster
    began: float = field(default_factory=time.monotonic)  # when the command did, by `time.monotonic`

    def plans(self, new: NewRun) -> "list[runner.Plan]":
        """Return the plan of a new run on each data set, once all can be planned.

        Raises:
            UsageError: The command line cannot be planned.
            DataError: The data set is unavailable.
        """
        from mnistbench.execution import runner
        from mnistbench.machine import usable_cores, usable_memory_bytes
        from mnistbench.stats.scores import MARGIN

        if self.cluster and new.budget_seconds is not None:
            raise UsageError("--budget is for this machine alone; leave it out with --backend dask.")
        if not self.quiet:
            self._give_hints(new)
        cluster, suite = self.cluster, new.suite
        cores, memory = cluster.share() if cluster else (len(usable_cores()), usable_memory_bytes())
        if cluster and new.threads is not None:  # a wide trial may have a worker's machine to itself
            cores = cluster.most_cores()
        place = "a worker" if cluster else "this process"
        options = replace(new.options, threads=choose_threads(new.threads, new.jobs, cores, place))
        own = [name for name, model in new.models.items() if model.path.parent != builtin_folder()]
        models = choose_models(suite, options, new.models, own)
        datasets = self._datasets(new)
        plans = [
            runner.Plan(
                suite=suite.name,
                dataset=data,
                dataset_spec=spec,
                trials=plan(suite, options, models, data),
                models=models,
                limits=runner.Limits(
                    new.timeout_seconds or suite.timeout_seconds,
                    new.memory_limit_bytes or int(0.9 * memory / new.jobs),
                    new.jobs,
                    fixed_threads=new.threads is not None,
                ),
                measurements=suite.measurements if new.measurements is None else new.measurements,
                margin=MARGIN if new.margin is None else new.margin,
                budget_seconds=new.budget_seconds and new.budget_seconds / len(datasets),
            )
            for spec, data in datasets
        ]
        return plans if new.budget_seconds is None else [self._within(each, new, options) for each in plans]

    def _within(self, each: "runner.Plan", new: NewRun, options: Options) -> "runner.Plan":
        """Return the part of a plan that fits into its budget, with its forecasts."""
        from mnistbench.plan.budget import choose

        def planned(sizes: "Sequence[int | None]", repeats: int) -> "Sequence[Trial]":
            changed = replace(options, repeats=repeats, train_sizes=tuple(sizes) or options.train_sizes)
            return plan(new.suite, changed, each.models, each.dataset)

        forecaster = self._forecaster(each, is_asked_for=True)
        left_seconds = self._deadline(each.budget_seconds) - time.monotonic()
        choice = choose(planned, forecaster, repeats=new.options.repeats, seconds=left_seconds, jobs=new.jobs)
        for sentence in choice.left_out:
            self._announce(f"the budget leaves out {sentence}.")
        return replace(
            each,
            trials=choice.trials,
            forecasts=forecaster.forecasts(choice.trials),
            left_out=choice.left_out,
        )

    def create(self, plans: "Sequence[runner.Plan]", name: str | None = None) -> list[Planned]:
        """Create the folder of each plan, with its forecasts."""
        from mnistbench.datasets.synthetic import extended
        from mnistbench.execution import runner

        backend = "dask" if self.cluster else "local"
        created = []
        budget_seconds = 0.0
        for each in plans:
            own = name if name is None or len(plans) == 1 else f"{name}-{each.dataset.name}"
            data = each.dataset
            if data.extension is None:
                data = extended(data, extension_for(each.trials), self._announce)
            # What is refused beyond the data set is refused for its forecast, so that one is worth a pilot.
            is_beyond = data.extension is not None
            ready = self.foretell(replace(each, dataset=data), is_asked_for=is_beyond)
            folder = runner.create_run(self.results, ready, _typed_command(), name=own, backend=backend)
            budget_seconds += each.budget_seconds or math.inf
            by_name = {model.name: model for model in each.models}
            created.append(Planned(folder, by_name, data, self._deadline(budget_seconds)))
        return created

    def _deadline(self, budget_seconds: float | None) -> float:
        """Return by when the last trial of a budget ends, so that there is time for the report."""
        return math.inf if budget_seconds is None else self.began + budget_seconds - _REPORT_SECONDS

    def foretell(self, plan: "runner.Plan", *, is_asked_for: bool = False) -> "runner.Plan":
        """Return a plan with the forecasts of its trials, if it has none and runs on this machine."""
        if plan.forecasts or self.cluster:
            return plan
        forecaster = self._forecaster(plan, is_asked_for=is_asked_for)
        return replace(plan, forecasts=forecaster.forecasts(plan.trials))

    def _forecaster(self, plan: "runner.Plan", *, is_asked_for: bool) -> "Forecaster":
        """Return what foretells a plan's trials, after a pilot where no earlier trial does."""
        from mnistbench.execution.local import LocalCores
        from mnistbench.execution.pilot import run_pilot
        from mnistbench.machine import environment
        from mnistbench.plan.forecast import OF_A_RUN, Forecaster, Setting, read_known, tells_elsewhere

        setting = Setting(
            plan.dataset,
            {model.name: model.sha256 for model in plan.models},
            frozenset(plan.measurements) - OF_A_RUN,
            environment().machine,
        )
        ended = read_known(self.results, setting.models.values())
        forecaster = Forecaster(setting, ended)
        if len(forecaster.forecasts(plan.trials)) < len(plan.trials) and tells_elsewhere(ended, setting):
            for calibration in LocalCores().calibrate():
                forecaster = Forecaster(replace(setting, unit_seconds=calibration.unit_seconds), ended)
        pilot = run_pilot(
            plan,
            forecaster,
            self._pilot_view(),
            is_asked_for=is_asked_for,
            deadline=self._deadline(plan.budget_seconds),
        )
        if pilot.seconds:
            self._announce(f"the pilot took {duration(pilot.seconds)}.")
        return Forecaster(forecaster.setting, [*forecaster.ended, *pilot.ended])

    def plan_again(
        self, earlier: "RunFolder", trials: "Sequence[Trial]", *, may_differ: bool = False
    ) -> "runner.Plan":
        """Return the plan of a new run with trials of an earlier one; `may_differ` is as in `resume`."""
        from mnistbench.execution import runner

        _, models, data, _ = self.resume(earlier, may_differ=may_differ)
        return runner.plan_again(earlier.info(), trials, data, models)

    def resume(self, folder: "RunFolder", *, may_differ: bool = False) -> Planned:
        """Return an earlier run with its models, which may have changed only if `may_differ`, and its data.

        Raises:
            UsageError: The data set or a model file has changed.
            DataError: The data set is unavailable.
        """
        from mnistbench.datasets.synthetic import extended
        from mnistbench.execution import runner

        info = folder.info()
        data = self._dataset(info.dataset_spec, info.dataset.reading)
        models = runner.models_of(info, data, may_differ=may_differ)
        return Planned(folder, models, extended(data, info.dataset.extension, self._announce))

    def carry_out(self, planned: Planned) -> int:
        """Run the trials that have no record yet, write the report and return the exit status.

        It is 0 if all trials are ok, 1 if some are not, and `INTERRUPTED` if the run was; then this says how
        it resumes.
        """
        folder = planned.folder
        set_farewell(
            "standard output was closed; the run continues without it and writes "
            f"{folder.path / 'report.md'}."
        )
        with Interruptions() as interruptions:
            self._run_trials(planned, interruptions)
            complete = len(folder.records()) == len(folder.info().trials)
            if not complete:
                backend = ("--backend", "dask", "--scheduler", str(self.scheduler)) if self.cluster else ()
                resume = folder.command("run", *backend, "--resume")
                complain(f"interrupted; finished trials are kept. `{resume}` runs the rest.")
            # Imported only now, so that the trials start at once. Ctrl-C waits for the end of the report: a
            # library that it interrupts while it is imported raises anything but KeyboardInterrupt.
            from mnistbench.analysis.configurations import configurations, status_counts
            from mnistbench.report import write_report

            page = write_report(folder, self.results, cache=self.cache_dir)
        info, records = folder.info(), folder.records()
        if not (self.quiet or self.json):
            say(f"{status_counts(configurations(info, records))}: see {page}")
        return int(any(record.failure is not None for record in records)) if complete else INTERRUPTED

    def _run_trials(self, planned: Planned, interruptions: Interruptions) -> None:
        """Run them in view, which holds every record of the run until this returns."""
        from mnistbench.execution import runner

        folder, models, data, deadline = planned
        with (
            contextlib.suppress(KeyboardInterrupt),  # before the first trial, or after the last
            self._view(folder) as view,
            interruptions.allowed(view.stopping),
        ):
            runner.run(folder, models, data, view, self.cluster, deadline)

    def _announce(self, sentence: str) -> None:
        if not self.quiet:
            complain(sentence)

    def _give_hints(self, new: NewRun) -> None:
        """Print what the user may have wanted instead."""
        from mnistbench.runs.folder import find_runs

        for folder in find_runs(self.results)[-1:]:
            with contextlib.suppress(MnistbenchError):
                if folder.is_interrupted:
                    ended, planned = len(folder.records()), len(folder.info().trials)
                    complain(
                        f"the run {folder.name} was interrupted with {ended} of {planned} trials done; "
                        f"`{folder.command('run', '--resume')}` finishes it."
                    )
        if new.options.seeds is not None and len(new.options.seeds) == 1 and new.options.seeds[0] > 1:
            (seed,) = new.options.seeds
            complain(
                f"--seeds {seed} is one seed, number {seed}; for {seed} seeds type --seeds 0-{seed - 1}."
            )

    def _datasets(self, new: NewRun) -> "list[tuple[str, DatasetInfo]]":
        """Return each data set, with what names it from any working directory."""
        from mnistbench.datasets import Reading
        from mnistbench.datasets.named import NAMED
        from mnistbench.datasets.transfer import ARROW

        def anywhere(spec: str) -> str:
            parts = spec.split(ARROW)
            return ARROW.join(
                part if part in NAMED else str(Path(part).expanduser().resolve()) for part in parts
            )

        reading = Reading(new.pixel_max, drop_unseen=new.drop_unseen)
        specs: Sequence[str | None] = [new.dataset]
        if new.dataset is not None and not Path(new.dataset).expanduser().exists():
            specs = parse_names(new.dataset, "--dataset")
        found = [(spec, self._dataset(spec, reading)) for spec in specs]
        return [(data.name if spec is None else anywhere(spec), data) for spec, data in found]

    def _dataset(self, spec: str | None, reading: "Reading") -> "DatasetInfo":
        """Return the data set, fetched and verified, with a prominent notice if digits replace MNIST."""
        from mnistbench.datasets import cache_folder, resolve
        from mnistbench.datasets.fetch import advice
        from mnistbench.datasets.named import MNIST

        cache = cache_folder(self.cache_dir)
        data = resolve(spec, cache=cache, reading=reading, offline=self.offline, show_progress=not self.quiet)
        if data.fallback_reason is not None:
            write_error(
                f"{_RULE}\nMNIST is unavailable; using digits instead, whose numbers say nothing about MNIST."
                f"\n{data.fallback_reason}.\n{advice(MNIST, cache)}.\n{_RULE}"
            )
        return data

    def _pilot_view(self) -> "View":
        from mnistbench.cli.live import PilotLines, View

        return View() if self.quiet else PilotLines()

    def _view(self, folder: "RunFolder") -> "View":
        from rich.console import Console

        from mnistbench.cli.live import LiveTable, PlainLines, View

        view = View()
        if not self.quiet:
            console = Console(stderr=self.json)
            info, finished = folder.info(), folder.records()
            if console.is_terminal:
                view = LiveTable(console, info.trials, finished, info.forecasts, info.jobs)
            else:
                view = PlainLines(console, info.trials, finished)
        view.json_lines = sys.stdout if self.json else None
        return view


def _typed_command() -> list[str]:
    """Return the command line after the program's name, as a run keeps it."""
    return [argument for argument in sys.argv[1:] if argument != "--debug"]
