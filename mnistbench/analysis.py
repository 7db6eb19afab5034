"""A run as pandas frames, for notebooks and scripts: `mnistbench.load_run`."""

import html
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from mnistbench.errors import UsageError
from mnistbench.formats import visible
from mnistbench.records import Record, RunInfo
from mnistbench.report.contents import Contents, contents
from mnistbench.report.evidence import true_labels
from mnistbench.report.headline import title
from mnistbench.report.tables import Table
from mnistbench.runs import RunFolder, find_run

FRAMES: Mapping[str, str] = {
    "results": "one row a configuration, best first: accuracy with both intervals, scores, median times",
    "trials": "one row a trial: what was planned, how it ended, all that was measured",
    "quality": "one row a configuration: every score of its predictions and probabilities",
    "classes": "one row a configuration and class: support, precision, recall, F1",
    "confused_pairs": "one row a configuration and pair of classes: how often one was taken for the other",
    "pairs": "one row a pair of configurations: the paired test of their accuracies",
    "timings": "one row a configuration: times and memory in detail",
    "serving": "one row a configuration: latency, throughput, cold start; if the run measured them",
    "time_to_accuracy": "one row a configuration: seconds to an accuracy; if the run took learning curves",
    "doubts": "one row a doubtful time: its trust grade and the reasons; if there is one",
    "findings": "one row a finding of the checks",
    "models": "one row a configuration: engine, device, parameters, the model file's SHA-256",
    "ensemble": "the soft vote's scores; if the run has an ensemble",
    "ensemble_members": "one row a member: its weight; if the run has an ensemble",
}
"""What the frames of a run hold; their columns are described where `mnistbench.report` makes them."""


@dataclass(frozen=True)
class Run:
    """A run that was loaded; see `load_run`.

    Attributes:
        folder: The run's folder.
    """

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
        return {
            name: frame[[column for column in frame if not str(column).startswith("shown_")]]
            for name, frame in self._contents.frames.items()
        }

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
        truth = true_labels(self.folder)
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
        return contents(self.folder)

    def __repr__(self) -> str:
        return f"<mnistbench run {self.folder.name}: {self.headline}>"

    def _repr_html_(self) -> str:
        """Show the headline and the table of results, as notebooks do."""
        said = self._contents
        heading = f"<p><strong>{_escaped(title(said.info))}</strong>, run {_escaped(said.info.name)}</p>"
        return f"{heading}<p>{_escaped(said.headline)}</p>{_html_table(said.tables['results'])}"


def load_run(path: str | Path) -> Run:
    """Load a run from its folder, without training or changing anything.

    Args:
        path: The run's folder, or its name in the folder `results`.

    Raises:
        UsageError: There is no such run.
        MnistbenchError: The run folder is damaged.
    """
    run = Run(find_run(Path("results"), str(path)))
    run.folder.info()
    return run


def _html_table(shown: Table) -> str:
    heads = "".join(f"<th>{_escaped(column.heading)}</th>" for column in shown.columns)
    rows = "".join(
        "<tr>"
        + "".join(
            f'<td style="text-align:{"right" if column.right else "left"}">'
            f"{_escaped(column.show(row[column.name]))}</td>"
            for column in shown.columns
        )
        + "</tr>"
        for row in shown.frame.to_dict("records")
    )
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"


def _escaped(text: str) -> str:
    return html.escape("".join(c if c in "\N{NO-BREAK SPACE}" else visible(c) for c in text))
