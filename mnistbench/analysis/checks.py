"""Methodological checks: a careful reader's objections to a table of results, each with its code.

`CHECKS` documents them and `run_checks` applies them to a run. All are pure functions of the records and of
what the stored predictions give.
"""

import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, log, nan, sqrt

import numpy as np

from mnistbench.analysis.configurations import Configuration
from mnistbench.analysis.trust import OTHERS_BOUNDS, Timing, grade
from mnistbench.runs.records import ModelInfo, Session
from mnistbench.stats.accuracy import difference_interval
from mnistbench.stats.pairs import PairedTest
from mnistbench.stats.scores import CALIBRATION_BINS, MARGIN
from mnistbench.stats.times import FASTER_FACTOR, compare_times
from mnistbench.text import percent, points

GENERALISATION_GAP = 0.05
CALIBRATION_ERROR = 0.05
SINGLE_TIMING_FACTOR = 1.2
_NAMED_TOGETHER = 8
_LEAST_T = 1.95  # below Student's quantile for 95 %, however many timings there are


@dataclass(frozen=True)
class Check:
    """One check; its `code` never changes its meaning, so that it can be searched for."""

    code: str
    title: str
    rule: str
    advice: str


@dataclass(frozen=True)
class Finding:
    """What a check found of one configuration, with the numbers, and what to do."""

    code: str
    label: str
    message: str
    advice: str


CHECKS: Mapping[str, Check] = {
    check.code: check
    for check in (
        Check(
            "MB101",
            "slower and no better than another model",
            "another model with the same training images and threads trains faster (significantly, or by a "
            f"factor of {SINGLE_TIMING_FACTOR} where one was timed only once), predicts no slower, and is "
            "more accurate, or shown not to be less accurate by more than the margin (--margin)",
            "Prefer the other model, unless memory, size or something not measured here favours this one.",
        ),
        Check(
            "MB102",
            "test accuracy far below training accuracy",
            f"the upper end of the test accuracy's 95 % interval is more than {100 * GENERALISATION_GAP:.0f} "
            "points below the accuracy on training images",
            "It overfits: regularise it more, or train it on more images.",
        ),
        Check(
            "MB103",
            "not shown to be better than the most frequent class",
            "the 95 % interval of the accuracy reaches down to the share of the most frequent class",
            "Check whether it learnt anything: its parameters, its scaling of the pixels, its log. Too few "
            "test images can be the reason too.",
        ),
        Check(
            "MB104",
            "not converged",
            "its library warned that the training did not converge",
            "Allow more iterations, or scale its input; until then its accuracy and time are those of an "
            "unfinished training.",
        ),
        Check(
            "MB105",
            "poorly calibrated probabilities",
            f"the expected calibration error exceeds {CALIBRATION_ERROR} by more than the number of "
            "images explains",
            "Do not take its probabilities at face value: calibrate them on images held out from training.",
        ),
        Check(
            "MB201",
            "unreliable timing",
            "its training or prediction time has the trust grade D",
            "Time it again on a quiet machine, with --repeats 5.",
        ),
        Check(
            "MB202",
            "timed beside other load",
            "other trials ran beside it, or other processes used more than "
            f"{100 * OTHERS_BOUNDS[1]:.0f} % of the CPU",
            "Do not compare its times with those of a quiet machine; time it again alone, with --jobs 1.",
        ),
        Check(
            "MB301",
            "tuned on the test images",
            "a parameter differs from the model file's default, and it is evaluated on the test images",
            "Choose parameters with --validation, write them into the model's file, then test once.",
        ),
    )
}


def joined(findings: Iterable[Finding]) -> list[Finding]:
    """Join equal findings about several configurations into one that names them all."""
    alike: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        alike.setdefault((finding.code, finding.message), []).append(finding)
    return [replace(same[0], label=_named([each.label for each in same])) for same in alike.values()]


def _named(labels: Sequence[str]) -> str:
    more = len(labels) - _NAMED_TOGETHER
    return ", ".join(labels[:_NAMED_TOGETHER]) + (f" and {more} more" if more > 0 else "")


def run_checks(
    rows: Sequence[Configuration],
    *,
    models: Sequence[ModelInfo] = (),
    sessions: Sequence[Session] = (),
    tests: Sequence[PairedTest] = (),
    margin: float = MARGIN,
    most_frequent_share: float | None = None,
) -> list[Finding]:
    """Apply all checks to a run; return what they found, by code, then in the order of the rows.

    Args:
        rows: Its configurations; those without a successful trial are skipped.
        models: The run's models, for their default parameters.
        sessions: Of the run.
        tests: A pair that is not among them is compared by the intervals of both accuracies.
        margin: Difference in accuracy up to which two models are practically the same.
        most_frequent_share: Of the most frequent class among the true labels; None leaves MB103 out.
    """
    good = [row for row in rows if row.by_seed and row.measurements]
    rivals = _Rivals(good, tests, margin)
    rules: dict[str, Callable[[Configuration], str | None]] = {
        "MB101": rivals.better_than,
        "MB102": _overfitted,
        "MB103": lambda row: _no_better_than(most_frequent_share, row),
        "MB104": _not_converged,
        "MB105": _badly_calibrated,
        "MB201": lambda row: _unreliable(row, sessions),
        "MB202": _beside_load,
        "MB301": lambda row: _tuned_on_test(row, models),
    }
    return [
        Finding(code, row.label, message, check.advice)
        for code, check in CHECKS.items()
        for row in good
        if (message := rules[code](row)) is not None
    ]


@dataclass(frozen=True)
class _Rival:
    """What a row is compared by, worked out once: a thousand rows make a million pairs."""

    row: Configuration
    setting: tuple[object, ...]
    accuracy: float
    fit_times: tuple[float, ...]
    fit_seconds: float
    predict_seconds: float
    log_fit: float
    log_variance: float  # of `log_fit`; NaN where it was timed only once


class _Rivals:
    """Finds for a row the best of those that cost less and are as good."""

    def __init__(self, rows: Sequence[Configuration], tests: Sequence[PairedTest], margin: float) -> None:
        rivals = [_rival(row) for row in rows]
        self._by_label = {rival.row.label: rival for rival in rivals}
        # In the order in which they are preferred: the first that passes all tests is the answer.
        self._by_merit = sorted(rivals, key=lambda rival: (-rival.accuracy, rival.fit_seconds))
        values = [(r.accuracy, r.predict_seconds, r.log_fit, r.log_variance) for r in self._by_merit]
        self._accuracies, self._predict_seconds, self._log_fits, self._log_variances = (
            np.array(values).reshape(-1, 4).T
        )
        self._tests = {frozenset((test.model_a, test.model_b)): test for test in tests}
        self._margin = margin

    def better_than(self, row: Configuration) -> str | None:
        """Name the row that makes this one superfluous; None where no row does."""
        own = self._by_label[row.label]
        for rival in self._likely(own):
            if (
                rival.setting == own.setting
                and (verdict := self._accuracy_verdict(rival, own)) is not None
                and _trains_faster(rival, own)
            ):
                images = row.test_count
                return (
                    f"{rival.row.label} trains {own.fit_seconds / rival.fit_seconds:.1f} times as fast, "
                    f"predicts no slower, and is {verdict}: {percent(rival.accuracy, images)} % against "
                    f"{percent(own.accuracy, images)} %"
                )
        return None

    def _likely(self, own: _Rival) -> Iterator[_Rival]:
        """Return the rivals that simple comparisons leave, all at once: tests of every pair take minutes."""
        if own.log_fit == inf:
            return
        gains = own.log_fit - self._log_fits
        errors = np.sqrt(own.log_variance + self._log_variances)
        likely = (
            (self._accuracies >= own.accuracy - self._margin)
            & (self._predict_seconds <= own.predict_seconds)
            & (gains >= log(FASTER_FACTOR))
            & ~(gains < _LEAST_T * errors)  # not known, so kept, where one was timed only once
        )
        for place in np.flatnonzero(likely):
            yield self._by_merit[place]

    def _accuracy_verdict(self, rival: _Rival, own: _Rival) -> str | None:
        """Say how the rival's accuracy compares with a row's own; None where it may be lower by too much."""
        test = self._tests.get(frozenset((own.row.label, rival.row.label)))
        if test is not None:
            better, holds = test.better == rival.row.label, test.shows_not_worse(rival.row.label)
            if test.verdict == "practically the same":
                return f"practically as accurate, within {points(self._margin)}"
        elif rival.row.estimate is not None and own.row.estimate is not None:
            low = difference_interval(rival.row.estimate, own.row.estimate).low
            better, holds = low > 0, low >= -self._margin
        else:
            return None
        if better:
            return "more accurate"
        return f"not less accurate by more than {points(self._margin)}" if holds else None


def _rival(row: Configuration) -> _Rival:
    trial, times = row.trials[0], tuple(m.fit_seconds for m in row.measurements)
    logs = [log(seconds) if seconds > 0 else inf for seconds in times]  # inf: too fast for the clock
    return _Rival(
        row=row,
        setting=(trial.dataset_sha256, trial.split, trial.train_size, trial.threads),
        accuracy=row.accuracy or 0.0,
        fit_times=times,
        fit_seconds=statistics.median(times),
        predict_seconds=row.median_time("predict_seconds") or 0.0,
        log_fit=statistics.fmean(logs),
        log_variance=statistics.variance(logs) / len(logs) if len(logs) > 1 and inf not in logs else nan,
    )


def _trains_faster(rival: _Rival, own: _Rival) -> bool:
    comparison = compare_times(own.fit_times, rival.fit_times)
    if comparison.interval is not None:
        return comparison.verdict == "faster"
    return comparison.ratio * SINGLE_TIMING_FACTOR <= 1


def _overfitted(row: Configuration) -> str | None:
    trained = statistics.fmean(m.train_accuracy for m in row.measurements)
    found = row.estimate
    if found is None or trained - found.sampling.high <= GENERALISATION_GAP:
        return None
    images = "validation images" if row.trials[0].split == "validation" else "test images"
    return f"{_accuracy(row)} right on {images}, {percent(trained, row.test_count)} % on training images"


def _no_better_than(share: float | None, row: Configuration) -> str | None:
    found = row.estimate
    if share is None or found is None or found.sampling.low > share:
        return None
    always = f"always predicting the most frequent class gives {percent(share, row.test_count)} %"
    return f"{_accuracy(row)} right; {always}"


def _not_converged(row: Configuration) -> str | None:
    warnings = [w for m in row.measurements for w in m.warnings if "converge" in w.casefold()]
    return f"its library warned: {warnings[0]}" if warnings else None


def _badly_calibrated(row: Configuration) -> str | None:
    """Compare the calibration error with the bound, and with what perfect calibration would show.

    With n images in B bins it is on average at most sqrt(B p (1 - p) / n), p the accuracy: in a bin of m
    images the gap is on average at most its standard deviation, sqrt(p (1 - p) / m), and Jensen's
    inequality, once over the bins' counts and once over their accuracies, bounds the weighted sum.
    """
    errors = [r.quality.calibration_error for r in row.by_seed if r.quality is not None]
    known = [error for error in errors if error is not None]
    if not known:
        return None
    accuracy = row.accuracy or 0.0
    worth = (row.estimate and row.estimate.effective_count) or row.test_count
    noise = sqrt(CALIBRATION_BINS * accuracy * (1 - accuracy) / worth)
    error = statistics.fmean(known)
    if error <= CALIBRATION_ERROR + noise:
        return None
    return f"its confidence is off by {100 * error:.1f} points on average (expected calibration error)"


def _unreliable(row: Configuration, sessions: Sequence[Session]) -> str | None:
    timings: tuple[tuple[str, Timing], ...] = (("training", "fit_seconds"), ("prediction", "predict_seconds"))
    graded = [(name, grade(row.records, sessions, timing)) for name, timing in timings]
    bad = [f"{name} time {found}" for name, found in graded if found is not None and found.letter == "D"]
    return ". Its ".join(bad) or None  # reasons hold semicolons


def _beside_load(row: Configuration) -> str | None:
    beside = max(record.beside for record in row.records if record.measurement is not None)
    if beside:
        return f"{beside} other {'trial' if beside == 1 else 'trials'} ran beside it"
    shares = [m.load.others_share for m in row.measurements if m.load is not None]
    if not shares or statistics.median(shares) <= OTHERS_BOUNDS[1]:
        return None
    return f"other processes used {100 * statistics.median(shares):.0f} % of the CPU"


def _tuned_on_test(row: Configuration, models: Sequence[ModelInfo]) -> str | None:
    trial = row.trials[0]
    defaults = next((model.parameters for model in models if model.name == trial.model), {})
    changed = [
        f"{name}={value} (its file has {defaults[name]})"
        for name, value in trial.parameters.items()
        if name in defaults and value != defaults[name]
    ]
    return ", ".join(changed) if changed and trial.split == "test" else None


def _accuracy(row: Configuration) -> str:
    return f"{percent(row.accuracy, row.test_count)} %"
