"""Methodological checks: what a careful reader would object to in a table of results, each with its code.

`CHECKS` documents them and `run_checks` applies them to a run. All are pure functions of the records and of
what the stored predictions give.
"""

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, log, sqrt

from mnistbench.analysis.trust import OTHERS_BOUNDS, Timing, grade
from mnistbench.runs.records import Measurement, ModelInfo, Record, Session
from mnistbench.stats.accuracy import SIGNIFICANCE, PairedTest, wilson_interval
from mnistbench.stats.scores import CALIBRATION_BINS
from mnistbench.stats.times import FASTER_FACTOR, compare_times

GENERALISATION_GAP = 0.05
CALIBRATION_ERROR = 0.05
SINGLE_TIMING_FACTOR = 1.2
_NAMED_TOGETHER = 8


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes:
        code: Never changes its meaning, so that it can be searched for.
        title: What it finds.
        rule: When it speaks.
        advice: What to do, in one line.
    """

    code: str
    title: str
    rule: str
    advice: str


@dataclass(frozen=True)
class Finding:
    """A check that spoke.

    Attributes:
        code: Of the check.
        label: The configuration it is about, as the report names it.
        message: What was found, with the numbers.
        advice: What to do.
    """

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
            "not significantly less accurate",
            "Prefer the other model, unless memory, size or something not measured here speaks for this one.",
        ),
        Check(
            "MB102",
            "test accuracy far below training accuracy",
            f"the upper end of the test accuracy's 95 % interval is more than {100 * GENERALISATION_GAP:.0f} "
            "points below the accuracy on training images",
            "It learnt its training images by heart: regularise it more, or give it more images.",
        ),
        Check(
            "MB103",
            "not better than the most frequent class",
            "the 95 % interval of the accuracy reaches down to the share of the most frequent class",
            "It learnt nothing: look at its parameters, its scaling of the pixels, and its log.",
        ),
        Check(
            "MB104",
            "not converged",
            "its library warned that the training did not converge",
            "Allow more iterations, or scale its input; until then its accuracy and time are those of a "
            "training that was cut off.",
        ),
        Check(
            "MB105",
            "probabilities badly calibrated",
            f"the expected calibration error exceeds {CALIBRATION_ERROR} by more than the images' number "
            "explains",
            "Do not read its probabilities as such: calibrate them on images kept back from training.",
        ),
        Check(
            "MB201",
            "timing not to be trusted",
            "its training or prediction time has the trust grade D",
            "Time it again on a quiet machine, with --repeats 5.",
        ),
        Check(
            "MB202",
            "run beside other load",
            "other trials ran beside it, or other processes used more than "
            f"{100 * OTHERS_BOUNDS[1]:.0f} % of the CPU",
            "Compare its times with none from a quiet machine; time it again alone, with --jobs 1.",
        ),
        Check(
            "MB301",
            "tuned on test",
            "a parameter differs from the model file's own, and the test images judged it",
            "Choose parameters with --validation, write the choice into the model's file, then test once.",
        ),
    )
}


def told_once(findings: Iterable[Finding]) -> list[Finding]:
    """Join the findings that say the same of several configurations into one that names them all."""
    alike: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        alike.setdefault((finding.code, finding.message), []).append(finding)
    return [replace(same[0], label=_named([each.label for each in same])) for same in alike.values()]


def _named(labels: Sequence[str]) -> str:
    more = len(labels) - _NAMED_TOGETHER
    return ", ".join(labels[:_NAMED_TOGETHER]) + (f" and {more} more" if more > 0 else "")


def run_checks(
    rows: Mapping[str, Sequence[Record]],
    *,
    models: Sequence[ModelInfo] = (),
    sessions: Sequence[Session] = (),
    tests: Sequence[PairedTest] = (),
    most_frequent_share: float | None = None,
) -> list[Finding]:
    """Apply all checks to a run.

    Args:
        rows: For each configuration, by its label, its records over seeds and repetitions; those that are not
            ok are passed over.
        models: The run's models, for their default parameters.
        sessions: Of the run.
        tests: From `stats.paired_tests` over the labels. A pair that is not among them is compared by its
            mean accuracies.
        most_frequent_share: The share of the most frequent class among the labels that judge the run; None
            leaves MB103 out.

    Returns:
        What was found, by code, then in the order of the rows.
    """
    good = {
        label: kept
        for label, records in rows.items()
        if (kept := [r for r in records if r.measurement is not None and r.quality is not None])
    }
    rivals = _Rivals(good, tests)
    rule: dict[str, Callable[[str, Sequence[Record]], str | None]] = {
        "MB101": lambda label, _: rivals.better_than(label),
        "MB102": lambda _, records: _overfitted(records),
        "MB103": lambda _, records: _no_better_than(most_frequent_share, records),
        "MB104": lambda _, records: _not_converged(records),
        "MB105": lambda _, records: _badly_calibrated(records),
        "MB201": lambda _, records: _not_to_be_trusted(records, sessions),
        "MB202": lambda _, records: _beside_load(records),
        "MB301": lambda _, records: _tuned_on_test(records, models),
    }
    return [
        Finding(code, label, message, check.advice)
        for code, check in CHECKS.items()
        for label, records in good.items()
        if (message := rule[code](label, records)) is not None
    ]


@dataclass(frozen=True)
class _Rival:
    """What a row is compared by, worked out once: a thousand rows make a million pairs."""

    label: str
    setting: tuple[object, ...]
    accuracy: float
    fit_times: tuple[float, ...]
    fit_seconds: float
    predict_seconds: float
    log_fit: float


class _Rivals:
    """Finds for a row the best of those that cost less and are as good."""

    def __init__(self, rows: Mapping[str, Sequence[Record]], tests: Sequence[PairedTest]) -> None:
        rivals = [_rival(label, records) for label, records in rows.items()]
        self._by_label = {rival.label: rival for rival in rivals}
        # In the order in which they are preferred: the first that passes all tests is the answer.
        self._by_merit = sorted(rivals, key=lambda rival: (-rival.accuracy, rival.fit_seconds))
        self._tests = {frozenset((test.model_a, test.model_b)): test for test in tests}

    def better_than(self, label: str) -> str | None:
        """Say which row makes this one superfluous; None where no row does."""
        own = self._by_label[label]
        bound = own.log_fit - log(FASTER_FACTOR)
        for rival in self._by_merit:
            if (
                rival.log_fit <= bound
                and rival.predict_seconds <= own.predict_seconds
                and rival.setting == own.setting
                and _trains_faster(rival, own)
                and not self._more_accurate(own, rival)
            ):
                times = own.fit_seconds / rival.fit_seconds
                return (
                    f"{rival.label} trains {times:.1f} times as fast, predicts no slower, and is not "
                    f"measurably less accurate: {_percent(rival.accuracy)} against {_percent(own.accuracy)}"
                )
        return None

    def _more_accurate(self, own: _Rival, rival: _Rival) -> bool:
        test = self._tests.get(frozenset((own.label, rival.label)))
        if test is None:
            return own.accuracy > rival.accuracy
        ahead = test.difference if test.model_a == own.label else -test.difference
        return ahead > 0 and test.adjusted_p_value < SIGNIFICANCE


def _rival(label: str, records: Sequence[Record]) -> _Rival:
    trial, times = records[0].trial, _times(records, "fit_seconds")
    return _Rival(
        label=label,
        setting=(trial.dataset_sha256, trial.split, trial.train_size, trial.threads),
        accuracy=_accuracy(records),
        fit_times=tuple(times),
        fit_seconds=_median(records, "fit_seconds"),
        predict_seconds=_median(records, "predict_seconds"),
        log_fit=statistics.fmean(map(log, times)) if min(times) > 0 else inf,  # too fast for the clock
    )


def _trains_faster(rival: _Rival, own: _Rival) -> bool:
    if own.log_fit == inf:
        return False
    comparison = compare_times(own.fit_times, rival.fit_times)
    if comparison.interval is not None:
        return comparison.verdict == "faster"
    return comparison.ratio * SINGLE_TIMING_FACTOR <= 1


def _overfitted(records: Sequence[Record]) -> str | None:
    trained = statistics.fmean(m.train_accuracy for m in _measurements(records))
    tested = _accuracy(records)
    if trained - _interval_ends(records)[1] <= GENERALISATION_GAP:
        return None
    return f"{_percent(tested)} right on {_images(records)}, {_percent(trained)} on training images"


def _no_better_than(share: float | None, records: Sequence[Record]) -> str | None:
    if share is None or _interval_ends(records)[0] > share:
        return None
    return (
        f"{_percent(_accuracy(records))} right; always saying the most frequent class gives {_percent(share)}"
    )


def _not_converged(records: Sequence[Record]) -> str | None:
    said = [w for m in _measurements(records) for w in m.warnings if "converge" in w.casefold()]
    return f"its library said: {said[0]}" if said else None


def _badly_calibrated(records: Sequence[Record]) -> str | None:
    """Compare the calibration error with the bound, and with what perfect calibration would show.

    With n images in B bins it is on average at most sqrt(B p (1 - p) / n), p the accuracy: in a bin of m
    images the gap is on average at most its standard deviation, sqrt(p (1 - p) / m), and Jensen's
    inequality, once over the bins' counts and once over their accuracies, bounds the weighted sum.
    """
    errors = [r.quality.calibration_error for r in records if r.quality is not None]
    known = [error for error in errors if error is not None]
    if not known:
        return None
    accuracy, count = _accuracy(records), _test_count(records)
    noise = sqrt(CALIBRATION_BINS * accuracy * (1 - accuracy) / count)
    error = statistics.fmean(known)
    if error <= CALIBRATION_ERROR + noise:
        return None
    return f"its confidence is off by {100 * error:.1f} points on average (expected calibration error)"


def _not_to_be_trusted(records: Sequence[Record], sessions: Sequence[Session]) -> str | None:
    said = []
    for name, grading in (
        ("training time", grade(records, sessions, "fit_seconds")),
        ("prediction time", grade(records, sessions, "predict_seconds")),
    ):
        if grading is not None and grading.letter == "D":
            said.append(f"{name} {grading}")
    return ", ".join(said) or None


def _beside_load(records: Sequence[Record]) -> str | None:
    beside = max(record.beside for record in records)
    if beside:
        return f"{beside} other {'trial' if beside == 1 else 'trials'} ran beside it"
    shares = [m.load.others_share for m in _measurements(records) if m.load is not None]
    if not shares or statistics.median(shares) <= OTHERS_BOUNDS[1]:
        return None
    return f"other processes used {100 * statistics.median(shares):.0f} % of the CPU"


def _tuned_on_test(records: Sequence[Record], models: Sequence[ModelInfo]) -> str | None:
    trial = records[0].trial
    defaults = next((model.parameters for model in models if model.name == trial.model), {})
    changed = [
        f"{name}={value} (its file says {defaults[name]})"
        for name, value in trial.parameters.items()
        if name in defaults and value != defaults[name]
    ]
    return ", ".join(changed) if changed and trial.split == "test" else None


def _measurements(records: Iterable[Record]) -> list[Measurement]:
    return [record.measurement for record in records if record.measurement is not None]


def _median(records: Sequence[Record], timing: Timing) -> float:
    return float(statistics.median(_times(records, timing)))


def _times(records: Sequence[Record], timing: Timing) -> list[float]:
    return [getattr(m, timing) for m in _measurements(records)]


def _accuracy(records: Sequence[Record]) -> float:
    return statistics.fmean(r.quality.accuracy for r in records if r.quality is not None)


def _test_count(records: Sequence[Record]) -> int:
    return next(r.quality.test_count for r in records if r.quality is not None)


def _interval_ends(records: Sequence[Record]) -> tuple[float, float]:
    count = _test_count(records)
    interval = wilson_interval(_accuracy(records) * count, count)
    return interval.low, interval.high


def _images(records: Sequence[Record]) -> str:
    return "validation images" if records[0].trial.split == "validation" else "test images"


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"
