"""Turns a suite and the user's options into the trials of a run; what cannot be planned is a UsageError."""

import itertools
import math
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnistbench.errors import UsageError, unknown
from mnistbench.plan.models import ModelFile
from mnistbench.plan.options import MEASUREMENTS
from mnistbench.runs.json import plain_value

if TYPE_CHECKING:
    from mnistbench.datasets import DatasetInfo
    from mnistbench.datasets.arrays import Extension
    from mnistbench.runs.records import Trial

DEFAULT_SUITE = "standard"


@dataclass(frozen=True)
class Suite:
    """A named set of trials."""

    name: str
    summary: str  # one sentence for `mnistbench list`
    models: tuple[str, ...]
    train_sizes: tuple[int | None, ...]  # numbers of training images; None for all
    seeds: tuple[int, ...]  # the seeds, one trial each
    timeout_seconds: float  # limit on the wall time of each trial
    measurements: tuple[str, ...] = ()  # beside quality, `fit` and `predict`, out of `MEASUREMENTS`
    first_seed_from: int | None = None  # the training size from which only the first seed runs; None for none


@dataclass(frozen=True)
class Options:
    """The options that override the suite; None leaves the suite's own value."""

    only: tuple[str, ...] | None = None  # models to run instead of the suite's, in this order
    skip: tuple[str, ...] = ()
    train_sizes: tuple[int | None, ...] | None = None  # numbers of training images; None among them for all
    seeds: tuple[int, ...] | None = None
    threads: tuple[int, ...] = (1,)  # thread counts, one trial each
    # For each model the values of each parameter; several values make variants.
    parameters: Mapping[str, Mapping[str, tuple[Any, ...]]] | None = None
    split: str = "test"
    repeats: int = 1  # number of times to run each trial, each time in a fresh process


def read_suites(path: Path) -> dict[str, Suite]:
    """Read the suites of a `suites.toml`."""
    return {name: _suite(name, table, path) for name, table in read_toml(path).items()}


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # TOMLDecodeError, or UnicodeDecodeError
        raise UsageError(f"{path} is not valid TOML: {error}") from error


def choose_suite(suites: Mapping[str, Suite], name: str) -> Suite:
    """Return the suite of that name."""
    if name not in suites:
        raise UsageError(unknown("suite", name, suites))
    return suites[name]


def choose_models(
    suite: Suite, options: Options, models: Mapping[str, ModelFile], added: Iterable[str] = ()
) -> list[ModelFile]:
    """Return the models to run: those requested, else the suite's and `added` ones, less those to skip."""
    names = options.only if options.only is not None else (*suite.models, *added)
    for name in (*names, *options.skip, *(options.parameters or {})):
        if name not in models:
            raise UsageError(unknown("model", name, models))
    chosen = [models[name] for name in dict.fromkeys(names) if name not in options.skip]
    if not chosen:
        raise UsageError("no model is left to run: --skip leaves out every requested model.")
    for name in options.parameters or {}:
        if name not in {model.name for model in chosen}:
            raise UsageError(f"--set names {name}, which is not part of this run.")
    return chosen


def plan(
    suite: Suite, options: Options, models: Sequence[ModelFile], dataset: "DatasetInfo"
) -> tuple["Trial", ...]:
    """Return the trials, round by round over repeats, seeds, threads and sizes.

    Each round has every model, so that a drift of the machine affects all alike. Duplicates are dropped.

    Raises:
        UsageError: A parameter is unknown or of the wrong type, a training size is out of range, or there are
            too few training images to hold some out.
    """
    from mnistbench.datasets.holdout import LAST, holdout_count
    from mnistbench.runs.records import Trial

    if options.split == "validation" and dataset.holdout is None:
        whole = ", and its groups stay whole" if dataset.groups_sha256 else ""
        raise UsageError(
            "--validation holds out a sixth of the training images, and both parts need every class: "
            f"{dataset.title} is too small, with {dataset.train_count:,} training images of "
            f"{len(dataset.classes)} classes{whole}."
        )

    available = dataset.train_count
    if options.split == "validation":
        available -= holdout_count(dataset, dataset.holdout or LAST)
    variants = {
        model.name: list(_variants(model, (options.parameters or {}).get(model.name, {}))) for model in models
    }
    rounds = itertools.product(
        range(options.repeats),
        options.seeds if options.seeds is not None else suite.seeds,
        options.threads,
        _train_sizes(suite, options, dataset, available),
    )
    trials = [
        Trial(
            dataset=dataset.name,
            dataset_sha256=dataset.sha256,
            train_size=size,
            model=model.name,
            parameters=parameters,
            seed=seed,
            threads=threads,
            split=options.split,
            repeat=repeat,
            holdout=dataset.holdout or LAST,
            synthetic=max(0, (size or 0) - available),
        )
        for repeat, seed, threads, size in rounds
        if options.seeds is not None
        or seed == suite.seeds[0]
        or (size or dataset.train_count) < (suite.first_seed_from or math.inf)
        for model in models
        for parameters in variants[model.name]
    ]
    return tuple({trial.id: trial for trial in trials}.values())


def extension_for(trials: Sequence["Trial"]) -> "Extension | None":
    """Return the extension of the data set that the trials of a run need; None if they need none."""
    from mnistbench.datasets.arrays import Extension

    largest = max(trials, key=lambda trial: trial.synthetic)
    holdout = largest.holdout if largest.split == "validation" else None
    return Extension(largest.synthetic, "", holdout) if largest.synthetic else None


def _suite(name: str, table: Any, path: Path) -> Suite:
    if not isinstance(table, dict):
        raise UsageError(f"{path}: {name} is outside a suite; a suite is a table such as [quick].")

    def value(key: str, default: Any, valid: Callable[[Any], bool], expected: str) -> Any:
        found = table.get(key, default)
        if not valid(found):
            raise UsageError(f"{path}: the suite {name!r} has {key} = {found!r}; expected {expected}.")
        return found

    def counts(found: Any) -> bool:
        return isinstance(found, list) and bool(found) and all(type(n) is int and n >= 0 for n in found)

    def names(found: Any) -> bool:
        return isinstance(found, list) and bool(found) and all(isinstance(n, str) for n in found)

    def measurements(found: Any) -> bool:
        return isinstance(found, list) and all(entry in MEASUREMENTS for entry in found)

    sizes = value("train_sizes", [0], counts, "a list of whole numbers, where 0 is all images")
    return Suite(
        name=name,
        summary=value("summary", None, lambda found: isinstance(found, str), "a sentence"),
        models=tuple(value("models", None, names, "a list of model names")),
        train_sizes=tuple(size or None for size in sizes),
        seeds=tuple(value("seeds", [0], counts, "a list of whole numbers")),
        timeout_seconds=float(
            value(
                "timeout_seconds",
                3600,
                lambda s: type(s) in (int, float) and s > 0,
                "a positive number of seconds",
            )
        ),
        measurements=tuple(value("measurements", [], measurements, f"some of {', '.join(MEASUREMENTS)}")),
        first_seed_from=value(
            "first_seed_from", None, lambda n: n is None or (type(n) is int and n > 0), "a number of images"
        ),
    )


def _train_sizes(
    suite: Suite, options: Options, dataset: "DatasetInfo", available: int
) -> tuple[int | None, ...]:
    from mnistbench.datasets.synthetic import MOST_IMAGES

    if options.train_sizes is None:
        # A suite's sizes are meant for MNIST; a smaller data set is used whole.
        sizes = [size if size is not None and size < available else None for size in suite.train_sizes]
    else:
        for size in options.train_sizes:
            if size is not None and not len(dataset.classes) <= size <= max(available, MOST_IMAGES):
                raise UsageError(
                    f"--train-size {size} is out of range: {dataset.title} allows {len(dataset.classes)} "
                    f"(one image per class) to {available}, or 0 for all; up to {MOST_IMAGES}, synthetic "
                    "images are added."
                )
        sizes = [None if size == available else size for size in options.train_sizes]
    return tuple(dict.fromkeys(sizes))


def _variants(model: ModelFile, overrides: Mapping[str, tuple[Any, ...]]) -> Iterable[dict[str, Any]]:
    checked: dict[str, list[Any]] = {name: [] for name in overrides}
    for name, values in overrides.items():
        if name not in model.parameters:
            raise UsageError(unknown(f"parameter of {model.name}", name, model.parameters))
        for value in values:
            checked[name].append(_conform(f"{model.name}.{name}", value, model.parameters[name]))
    for chosen in itertools.product(*checked.values()):
        yield {**model.parameters, **dict(zip(checked, chosen, strict=True))}


def _conform(target: str, value: Any, default: Any) -> Any:
    """Return the value in its default's type, so that C=10 and C=10.0 are one trial.

    A default of None allows any type, and one of text also allows numbers (gamma="scale").
    """
    accepted: dict[type, tuple[type, ...]] = {float: (int, float), str: (str, int, float)}
    try:
        value = plain_value(value)
        if default is None or value is None:
            return value
        if type(value) in accepted.get(type(default), (type(default),)):
            return float(value) if type(default) is float else value
    except (ValueError, OverflowError) as error:
        raise UsageError(f"--set {target}: {error}.") from error
    raise UsageError(
        f"--set {target}={value!r}: expected a value like its default {default!r} ({type(default).__name__})."
    )
