"""A run as pandas frames, for notebooks and scripts: `mnistbench.load_run`."""

import html
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from mnistbench.analysis.contents import Contents, read_contents
from mnistbench.analysis.headline import title
from mnistbench.errors import UsageError, unknown
from mnistbench.runs.folder import RunFolder, find_run
from mnistbench.runs.records import Record, RunInfo
from mnistbench.text import visible

FRAMES: Mapping[str, str] = {
    "results": "one row a configuration, best first: accuracy with both intervals, scores, median times",
    "trials": "one row a trial: what was planned, how it ended, all that was measured",
    "quality": "one row a configuration: every score of its predictions and probabilities",
    "classes": "one row a configuration and class: support, precision, recall, F1",
    "confused_pairs": "one row a configuration and pair of classes: how often one was predicted as the other",
    "groups": "one row a configuration and group of images, such as a writer; if the run knows these",
    "pairs": "one row a pair of configurations: the paired test of their accuracies",
    "timings": "one row a configuration: times and memory in detail",
    "serving": "one row a configuration: latency, throughput, cold start; if the run measured them",
    "growth": "one row a model: how time, accuracy and memory grow; if the run has three training sizes",
    "time_to_accuracy": "one row a configuration: seconds to an accuracy; if the run took learning curves; "
    "one row a model if it has three training sizes",
    "robustness": "one row a configuration: errors on corrupted copies; if the run measured them",
    "corruptions": "one row a configuration and condition: error, log loss, calibration; if measured",
    "doubts": "one row a time without grade A: its grade and the reasons; if there is one",
    "findings": "one row a finding of the checks",
    "models": "one row a configuration: engine, device, parameters, the model file's SHA-256",
    "ensemble": "the soft vote's scores; if the run has an ensemble",
    "ensemble_members": "one row a member: its weight; if the run has an ensemble",
}
"""What the frames of a run hold; `COLUMNS` says what is in their columns."""

COLUMNS: Mapping[str, str] = {
    # what a row is about
    "id": "the trial's id",
    "row": "the configuration: the model, and how it differs from the model's other rows",
    "row_a": "the first configuration of the pair, the better one in the table of results",
    "row_b": "the second configuration of the pair",
    "model": "the model's name",
    "summary": "the first line of the model file's docstring",
    "parameters": "the parameters that were given with the command, as NAME=VALUE",
    "path": "the model file's path; empty for those that come with mnistbench",
    "sha256": "SHA-256 of the model file",
    "engine": "the library that did the work, and its version",
    "device": "what it trained on: cpu, or the GPU's name",
    "train_size": "training images asked for; empty for all",
    "synthetic_images": "how many of the training images are synthetic: small deformations of the others",
    "train_images": "training images used",
    "test_images": "images predicted",
    "test_count": "images it is evaluated on",
    "curve_images": "images on which the accuracy is measured",
    "seed": "the trial's seed",
    "seeds": "how many seeds were run",
    "threads": "threads asked for",
    "threads_used": "threads that it had: fewer where other programs kept cores busy",
    "split": "which images evaluate it: test or validation",
    "repeat": "which repeat of the same trial this is, from 0",
    "status": "how it ended",
    "cause": "the error that ended it; empty if it ended well",
    "host": "the machine's name",
    "started_at": "when the trial began, UTC, ISO 8601",
    "beside": "how many other trials ran beside it at most",
    "attempts": "how often it was started: 2 if its first machine was lost",
    "expected_work_seconds": "fit and predict together as foretold before the run",
    "expected_trial_seconds": "the whole trial as foretold before the run",
    "expected_peak_rss_bytes": "peak memory as foretold before the run",
    "predictions_sha256": "SHA-256 of the file of its predictions",
    "warnings": "notes on it, and the warnings of its library",
    # scores
    "accuracy": "share of images classified correctly, the mean over the seeds",
    "accuracy_without_label_errors": "the same without the images whose labels are known to be wrong",
    "published": "highest accuracy that others have published for the model's family on the same test images",
    "train_accuracy": "accuracy on a fixed sample of its training images",
    "final_accuracy": "accuracy at the end of the training",
    "holdout_accuracy": "accuracy of the ensemble on the hold-out that chose its weights",
    "error_count": "images misclassified, the mean over the seeds",
    "sampling_low": "lower end of the accuracy's 95 % interval over test images (Wilson)",
    "sampling_high": "upper end of the accuracy's 95 % interval over test images (Wilson)",
    "effective_images": "independent images that the test images are worth; empty if no groups are known",
    "training_sd": "standard deviation of the accuracy over the seeds; empty for one seed",
    "training_low": "lower end of the accuracy's 95 % interval over seeds (t); empty for one seed",
    "training_high": "upper end of the accuracy's 95 % interval over seeds (t); empty for one seed",
    "macro_precision": "precision, the mean over the classes",
    "macro_recall": "recall, the mean over the classes",
    "macro_f1": "F1, the mean over the classes",
    "top2_accuracy": "share of images whose label is among the two most probable",
    "log_loss": "mean negative log probability of the true label, nats",
    "brier_score": "mean squared distance of the probabilities from the truth, 0 to 2",
    "calibration_error": "expected calibration error, 15 bins of equal width",
    "adaptive_calibration_error": "expected calibration error, 15 bins of equally many images",
    "group": "the group's number",
    "stratum": "which kind of group it is; empty if there is one kind",
    "images": "images of the group",
    "condition": "what was done to the images: none, or the kind of corruption or shift",
    "corruption": "its name for readers",
    "level": "how much of it: the severity, 1 to 5, or the amount of the shift",
    "level_unit": "what the level counts",
    "for_digits": "whether it leaves the class of digits alone, but not that of any image",
    "error": "share of images misclassified, the mean over the seeds",
    "clean_error": "share of the images themselves misclassified, the mean over the seeds",
    "corrupted_error": "the same of their copies, the mean over the fifteen kinds of corruption",
    "relative_corruption_error": "error by that of the run's first model, the mean over the kinds",
    "hardest": "the kind of corruption with the largest error",
    "hardest_error": "share of images misclassified under it, the mean over the seeds",
    "label": "the class",
    "support": "images of the class, added up over the seeds",
    "precision": "share of the images predicted as this class that belong to it",
    "recall": "share of the images of this class that were predicted as it",
    "f1": "harmonic mean of precision and recall",
    "true_label": "the images' true label",
    "predicted_label": "the predicted label",
    "count": "how many images, added up over the seeds",
    "share": "the same as a share of the images with that true label",
    "weight": "the member's share of the vote, 0 to 1",
    # comparisons and advice
    "ties": "letters of the groups of practically the same configurations; with a question mark: cannot tell",
    "difference": "accuracy of the first less that of the second",
    "difference_low": "lower end of the difference's 95 % interval",
    "difference_high": "upper end of the difference's 95 % interval",
    "p_value": "of the paired test that both are equally accurate",
    "adjusted_p_value": "the same after Holm's correction for the number of pairs",
    "method": "which test it is",
    "only_a": "images that only the first classifies correctly, the mean over all pairs of seeds",
    "only_b": "images that only the second classifies correctly, the mean over all pairs of seeds",
    "sampling_se": "standard error of the difference from the choice of test images",
    "training_se": "standard error of the difference from the seeds; 0 where only one was run",
    "training_covered": "whether the test takes the seeds into account, for which it needs several",
    "verdict": "on the first of the pair: better, worse, practically the same, or cannot tell",
    "images_to_settle": "where it is cannot tell, about how many images would settle it; empty if none would",
    "seeds_to_settle": "the same for seeds of each model",
    "settled_together": "whether it takes both that many images and that many seeds; else either is enough",
    "code": "the check's code",
    "message": "what it found",
    "advice": "what to do",
    # times
    "fit_seconds": "wall time of the training; over several trials the median",
    "fit_seconds_min": "the shortest",
    "fit_seconds_max": "the longest",
    "fit_seconds_iqr": "interquartile range of the training times, seconds",
    "fit_cpu_seconds": "CPU time of the training, all threads and child processes",
    "fit_units": "training time in units of the machine's speed (the calibration kernels)",
    "predict_seconds": "wall time of predicting all test images; over several trials the median",
    "predict_seconds_min": "the shortest",
    "predict_seconds_max": "the longest",
    "predict_seconds_iqr": "interquartile range of the prediction times, seconds",
    "predict_cpu_seconds": "CPU time of the prediction",
    "first_predict_seconds": "wall time of predicting one image, right after the training",
    "images_per_second": "test images by the prediction's wall time",
    "import_seconds": "wall time of importing the model file and its libraries",
    "load_seconds": "wall time of opening, choosing and scaling the images",
    "build_seconds": "wall time of making the estimator",
    "trial_seconds": "wall time of the whole trial, its process's start and end included",
    "timings": "how many times it was timed",
    "effective_cores": "CPU time by wall time of the training: how many cores it kept busy",
    "speed_up": "training time with the fewest threads of the run by the time with these; empty for those",
    "time": "which time it is: fit or predict",
    "trust": "trust grade of the time, from A to D",
    "fit_trust": "trust grade of the training time, from A to D",
    "predict_trust": "trust grade of the prediction time, from A to D",
    "reasons": "why the time has no better grade",
    "curves": "how many learning curves were taken",
    "unit": "what the model counts its progress in",
    "training_seconds": "wall time of the curve's training, without the predictions on the way",
    # growth with the training images n: seconds = a + b n^k
    "exponent": "k of the law of the training time",
    "exponent_low": "lower end of its 95 % interval (profile likelihood)",
    "exponent_high": "upper end of its 95 % interval (profile likelihood)",
    "fixed_seconds": "a of the law, the part that does not grow, seconds",
    "law": "whether the law holds: holds, departs, or cannot tell",
    "law_worst": "by what factor the law misses the times of a size at most",
    "departures": "training sizes where the law does not hold",
    "smallest_size": "the fewest training images",
    "largest_size": "the most training images",
    "largest_seconds": "median training time with the most training images",
    "largest_accuracy": "mean accuracy with the most training images",
    "beyond_size": "training images that the accuracy is extrapolated to",
    "beyond_accuracy": "accuracy there by the law of the errors",
    "beyond_low": "lower end of its 95 % interval, if the law goes on there",
    "beyond_high": "upper end of its 95 % interval, if the law goes on there",
    "smallest_rss_bytes": "median peak memory with the fewest training images, bytes",
    "largest_rss_bytes": "median peak memory with the most training images, bytes",
    # inference and memory
    "latencies": "how many single images were timed",
    "latency_p50_seconds": "median time of predicting a single image",
    "latency_p95_seconds": "95th percentile of that time",
    "latency_p99_seconds": "99th percentile of that time",
    "cold_start_seconds": "wall time from a fresh process's start to its first prediction",
    "cold_import_seconds": "of it, importing",
    "cold_load_seconds": "of it, loading the saved model",
    "cold_predict_seconds": "of it, predicting one image",
    "serving_rss_bytes": "peak memory of a process that only loads the model and predicts, bytes",
    "peak_rss_bytes": "peak memory of the trial's processes, bytes",
    "baseline_rss_bytes": "memory of the trial's process before the training, bytes",
    "memory_source": "where the peak comes from: the kernel, or samples",
    "model_bytes": "size of the fitted estimator when pickled, bytes",
}
"""What a column holds, with its unit, in whichever frame it stands; see `Run.columns` for numbered ones."""

NUMBERED_COLUMNS = {
    "seconds_to_": ("seconds of training to an accuracy of {:g} %; empty if not reached", 10),
    "images_per_second_": ("images predicted a second, {:g} at a time", 1),
    "published_": ("accuracy that source {:g} has published for the model's family", 1),
}


@dataclass(frozen=True)
class Run:
    """A run that was loaded; see `load_run`."""

    folder: RunFolder

    @property
    def info(self) -> RunInfo:
        """The plan: data set, trials, limits, environment."""
        return self._contents.info

    @property
    def records(self) -> tuple[Record, ...]:
        """The finished trials, in the order in which they ended."""
        return tuple(self._contents.records)

    @property
    def headline(self) -> str:
        """The result in a sentence or two."""
        return self._contents.headline

    @property
    def frames(self) -> Mapping[str, pd.DataFrame]:
        """All frames of the run, by the names in `FRAMES`; shares run from 0 to 1, times are in seconds."""
        return self._contents.frames

    def columns(self, frame: str) -> Mapping[str, str]:
        """Say what each column of a frame holds, with its unit.

        Raises:
            UsageError: The run has no such frame.
        """
        if frame not in self.frames:
            raise UsageError(unknown("frame", frame, list(self.frames)))
        return {str(name): _described(str(name)) for name in self.frames[frame]}

    def predictions(self, trial_id: str) -> pd.DataFrame:
        """Return what a trial predicted, one row an image.

        Columns: image (its index), true_label, predicted_label, correct, and where the model gives
        probabilities one float32 column a class, "probability_7" and so on.

        Raises:
            UsageError: The run has no predictions of such a trial.
            MnistbenchError: The true labels are damaged.
        """
        try:
            stored = self.folder.predictions(trial_id)
        except (OSError, ValueError) as error:
            raise UsageError(
                f"{self.folder.name} has no predictions of a trial {trial_id!r}: {error}. "
                "Trials have their ids in the frame `trials`; those that are not ok predicted nothing."
            ) from error
        truth = self.folder.true_labels()
        frame = pd.DataFrame({"image": np.arange(len(stored.labels))})
        if truth is not None:
            frame["true_label"] = truth
        frame["predicted_label"] = stored.labels
        if truth is not None:
            frame["correct"] = stored.labels == truth
        if stored.probabilities is not None:
            for column, label in enumerate(self.info.dataset.classes):
                frame[f"probability_{label}"] = stored.probabilities[:, column]
        return frame

    @cached_property
    def _contents(self) -> Contents:
        return read_contents(self.folder)

    def __repr__(self) -> str:
        return f"<mnistbench run {self.folder.name}: {self.headline}>"

    def _repr_html_(self) -> str:
        """Show the headline and the table of results, as notebooks do."""
        contents = self._contents
        table = contents.tables["results"]
        cells = [[visible(cell) for cell in row] for row in table.cells()]
        shown = pd.DataFrame(cells, columns=[visible(column.heading) for column in table.columns])
        heading = f"<strong>{_escaped(title(contents.info))}</strong>, run {_escaped(contents.info.name)}"
        return f"<p>{heading}</p><p>{_escaped(contents.headline)}</p>{shown.to_html(index=False)}"


def load_run(path: str | Path) -> Run:
    """Load a run from its folder, or by its name in the folder `results`; train and change nothing.

    Raises:
        UsageError: There is no such run.
        MnistbenchError: The run folder is damaged.
    """
    run = Run(find_run(Path("results"), str(path)))
    run.folder.info()
    return run


def _described(column: str) -> str:
    for prefix, (text, scale) in NUMBERED_COLUMNS.items():
        if column.startswith(prefix):
            return text.format(int(column.removeprefix(prefix)) / scale)
    return COLUMNS[column]


def _escaped(text: str) -> str:
    return html.escape(visible(text))
