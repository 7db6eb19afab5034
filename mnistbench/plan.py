"""Turns a suite and the user's options into the list of trials that a run will do."""

import ast
import itertools
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnistbench.errors import UsageError
from mnistbench.registry import ModelFile, unknown

if TYPE_CHECKING:
    from mnistbench.datasets import DatasetInfo
    from mnistbench.records import Trial

DEFAULT_SUITE = "standard"


@dataclass(frozen=True)
class Suite:
    """A named set of trials.

    Attributes:
        name: Its name on the command line.
        summary: One sentence for `mnistbench list`.
        models: The models' names.
        train_sizes: Training sizes; None is all training images.
        seeds: The seeds, each of which gives a trial.
        timeout_seconds: Wall time that each trial may take.
    """

    name: str
    summary: str
    models: tuple[str, ...]
    train_sizes: tuple[int | None, ...]
    seeds: tuple[int, ...]
    timeout_seconds: float


@dataclass(frozen=True)
class Options:
    """What the user asked for beside the suite; None leaves the suite's own value.

    Attributes:
        only: Models to run, in this order, in place of the suite's.
        skip: Models to leave out.
        train_sizes: Training sizes; None within is all training images.
        seeds: The seeds.
        threads: Thread counts; each gives a trial.
        parameters: For each model the values of each parameter; several values make variants.
        split: "test" or "validation".
    """

    only: tuple[str, ...] | None = None
    skip: tuple[str, ...] = ()
    train_sizes: tuple[int | None, ...] | None = None
    seeds: tuple[int, ...] | None = None
    threads: tuple[int, ...] = (1,)
    parameters: Mapping[str, Mapping[str, tuple[Any, ...]]] | None = None
    split: str = "test"


def read_suites(path: Path) -> dict[str, Suite]:
    """Read the suites of a `suites.toml`.

    Raises:
        UsageError: The file is missing, is no TOML, or describes a suite wrongly.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"the suites cannot be read: {path}: {error.strerror or error}") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is not valid TOML: {error}") from error
    return {name: _suite(name, table, path) for name, table in tables.items()}


def choose_suite(suites: Mapping[str, Suite], name: str) -> Suite:
    """Return the suite of that name.

    Raises:
        UsageError: There is none; the text suggests the nearest.
    """
    if name not in suites:
        raise UsageError(unknown("suite", name, suites))
    return suites[name]


def choose_models(
    suite: Suite, options: Options, models: Mapping[str, ModelFile], added: Iterable[str] = ()
) -> list[ModelFile]:
    """Return the models to run: those asked for, else the suite's and the user's own, less those to skip.

    Args:
        suite: Names the models unless the options do.
        options: What the user asked for.
        models: Every model there is, by name.
        added: Names of the user's own models, which run beside the suite's.

    Raises:
        UsageError: A name is unknown, or nothing is left to run.
    """
    names = options.only if options.only is not None else (*suite.models, *added)
    for name in (*names, *options.skip, *(options.parameters or {})):
        if name not in models:
            raise UsageError(unknown("model", name, models))
    chosen = [models[name] for name in dict.fromkeys(names) if name not in options.skip]
    if not chosen:
        raise UsageError("no model is left to run: --skip leaves out every model that was asked for.")
    for name in options.parameters or {}:
        if name not in {model.name for model in chosen}:
            raise UsageError(f"--set names {name}, which this run does not include.")
    return chosen


def plan(
    suite: Suite, options: Options, models: Sequence[ModelFile], dataset: "DatasetInfo"
) -> tuple["Trial", ...]:
    """List the trials: round by round over seeds, threads and sizes, every model in each round.

    A round holds all models, so that a drift of the machine spreads over all of them alike.

    Raises:
        UsageError: A parameter is unknown or of the wrong type, or a training size is out of range.
    """
    from mnistbench.records import Trial

    variants = {
        model.name: list(_variants(model, (options.parameters or {}).get(model.name, {}))) for model in models
    }
    rounds = itertools.product(
        options.seeds if options.seeds is not None else suite.seeds,
        options.threads,
        _train_sizes(suite, options, dataset),
    )
    return tuple(
        Trial(
            dataset=dataset.name,
            dataset_sha256=dataset.sha256,
            train_size=size,
            model=model.name,
            parameters=parameters,
            seed=seed,
            threads=threads,
            split=options.split,
        )
        for seed, threads, size in rounds
        for model in models
        for parameters in variants[model.name]
    )


def parse_assignments(assignments: Iterable[str]) -> dict[str, dict[str, tuple[Any, ...]]]:
    """Read `MODEL.PARAM=VALUE[,VALUE...]`: values are Python literals, and text where they are none.

    Raises:
        UsageError: An assignment is not of that form.
    """
    read: dict[str, dict[str, tuple[Any, ...]]] = {}
    for assignment in assignments:
        target, equals, text = assignment.partition("=")
        model, dot, parameter = target.strip().partition(".")
        if not (equals and dot and model and parameter and text.strip()):
            raise UsageError(
                f"--set {assignment!r} is not understood; expected MODEL.PARAM=VALUE, "
                "e.g. svm.C=10, or several values for several variants, e.g. svm.C=1,10."
            )
        read.setdefault(model, {})[parameter] = _values(text)
    return read


def parse_integers(text: str, option: str, minimum: int = 0) -> tuple[int, ...]:
    """Read a list of integers such as "0,1,2" or "0-4"; repeated ones count once.

    Raises:
        UsageError: The text is no such list, or holds a number below the minimum.
    """
    numbers: dict[int, None] = {}
    try:
        for part in text.split(","):
            first, dash, last = part.strip().partition("-")
            numbers.update(dict.fromkeys(range(int(first), int(last if dash else first) + 1)))
    except ValueError:
        numbers = {}
    if not numbers or min(numbers) < minimum:
        raise UsageError(
            f"{option} {text!r} is not understood; expected whole numbers from {minimum}, e.g. 1,2,3 or 1-3."
        )
    return tuple(numbers)


def parse_sizes(text: str) -> tuple[int | None, ...]:
    """Read training sizes such as "1000,5000,0", where 0 stands for all and becomes None.

    Raises:
        UsageError: The text is no such list.
    """
    return tuple(size or None for size in parse_integers(text, "--train-size"))


def choose_threads(text: str | None, jobs: int, cores: int) -> tuple[int, ...]:
    """Read the thread counts; without any, each trial gets its share of the cores.

    Raises:
        UsageError: The text is no list of counts, or there are too few cores for them.
    """
    if jobs > cores:
        raise UsageError(f"--jobs {jobs} needs a core for each trial; this process may use {cores}.")
    share = cores // jobs
    threads = parse_integers(text, "--threads", minimum=1) if text is not None else (share,)
    if max(threads) > share:
        raise UsageError(
            f"--threads {max(threads)} is more than the {share} cores that "
            f"{'this process' if jobs == 1 else 'each job'} may use."
        )
    return threads


def parse_names(text: str, option: str) -> tuple[str, ...]:
    """Read a list of names such as "cnn,svm"; repeated ones count once.

    Raises:
        UsageError: The list is empty.
    """
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not names:
        raise UsageError(
            f"{option} {text!r} names nothing; expected names separated by commas, e.g. cnn,svm."
        )
    return names


def parse_bytes(text: str) -> int:
    """Read a size such as "4G", "500M" or "2000000"; the units are powers of 1,024.

    Raises:
        UsageError: The text is no such size.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    size = float(match[1]) * 1024 ** " KMGT".index(match[2].upper() or " ") if match else 0.0
    if size < 1:
        raise UsageError(f"the size {text!r} is not understood; expected e.g. 4G, 500M or 2000000.")
    return int(size)


def _suite(name: str, table: Any, path: Path) -> Suite:
    try:
        return Suite(
            name=name,
            summary=str(table["summary"]),
            models=tuple(str(model) for model in table["models"]),
            train_sizes=tuple(int(size) or None for size in table.get("train_sizes", [0])),
            seeds=tuple(int(seed) for seed in table.get("seeds", [0])),
            timeout_seconds=float(table.get("timeout_seconds", 3600)),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{path} describes the suite {name!r} wrongly: {error!r}") from error


def _train_sizes(suite: Suite, options: Options, dataset: "DatasetInfo") -> tuple[int | None, ...]:
    available = dataset.train_count
    if options.split == "validation":
        from mnistbench.splits import validation_count

        available -= validation_count(available)
    if (
        options.train_sizes is None
    ):  # a suite's sizes are meant for MNIST: a smaller data set gives what it has
        sizes = [size if size is not None and size < available else None for size in suite.train_sizes]
    else:
        for size in options.train_sizes:
            if size is not None and not len(dataset.classes) <= size <= available:
                raise UsageError(
                    f"--train-size {size} is out of range: {dataset.title} takes {len(dataset.classes)} "
                    f"(one image a class) to {available}, or 0 for all."
                )
        sizes = [None if size == available else size for size in options.train_sizes]
    return tuple(dict.fromkeys(sizes))


def _variants(model: ModelFile, overrides: Mapping[str, tuple[Any, ...]]) -> Iterable[dict[str, Any]]:
    for name, values in overrides.items():
        if name not in model.parameters:
            raise UsageError(unknown(f"parameter of {model.name}", name, model.parameters))
        for value in values:
            _check_type(f"{model.name}.{name}", value, model.parameters[name])
    for chosen in itertools.product(*overrides.values()):
        yield {**model.parameters, **dict(zip(overrides, chosen, strict=True))}


def _check_type(target: str, value: Any, default: Any) -> None:
    if default is None or value is None:
        return
    accepted: tuple[type, ...] = (int, float) if type(default) is float else (type(default),)
    if type(value) not in accepted:
        raise UsageError(
            f"--set {target}={value!r}: expected a value like its default {default!r} "
            f"({type(default).__name__})."
        )


def _values(text: str) -> tuple[Any, ...]:
    try:
        return tuple(ast.literal_eval(f"[{text}]"))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        words = {"true": True, "false": False, "none": None}
        return tuple(words.get(part.strip().lower(), part.strip()) for part in text.split(","))
