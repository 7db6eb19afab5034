"""The figures of the chapter on corrupted images, and pictures of the copies that models get wrong."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from mnistbench.analysis.contents import Contents
from mnistbench.analysis.robustness import SHIFTS, Robustness, Worst
from mnistbench.datasets.corruptions import CORRUPTIONS, corrupted
from mnistbench.report.figures import contact_sheet, file_stem
from mnistbench.report.pictures import Pictures, evaluation_images, keep_pictures, kept_pictures, shrunk
from mnistbench.report.style import BLUE, MUTED, ORANGE, add_axes, cell, hide_spines, svg, text_width
from mnistbench.runs.folder import RunFolder
from mnistbench.runs.records import RunInfo
from mnistbench.text import visible

_NAME = "copies.npz"


@dataclass(frozen=True)
class HardestKind:
    """What the pages show of the kind of corruption that a configuration errs under most."""

    worst: Worst
    images: str | None  # the figure of copies that it gets wrong; None without pictures, or such copies


def robustness_figures(found: Robustness) -> dict[str, bytes]:
    """Draw the errors by kind of corruption and the scores along shifts, by name; SVG."""
    errors = found.errors()
    titles = [
        CORRUPTIONS[kind].title if kind in CORRUPTIONS else "the images themselves"
        for kind in errors.columns.get_level_values(0)
    ]
    drawn = {"corruptions": errors_by_kind(errors, titles)}
    for score, measure in (("accuracy", "accuracy, %"), ("calibration_error", "calibration error (ECE), %")):
        if panels := _along(found, score):
            drawn[f"shifts-{score.replace('_', '-')}"] = along_shifts(panels, measure)
    if panels := _along(found, "log_loss"):
        drawn["shifts-log-loss"] = along_shifts(panels, "log loss, nats (logarithmic)", logarithmic=True)
    return drawn


def _along(found: Robustness, score: str) -> dict[str, pd.DataFrame]:
    """Return a score by the title of the axis of each shift; shares in per cent."""
    panels = {}
    for kind in SHIFTS:
        frame = found.along(kind, "error" if score == "accuracy" else score)
        if score == "accuracy":
            frame = 1 - frame
        if len(frame):
            title = f"{CORRUPTIONS[kind].title}, {CORRUPTIONS[kind].unit}"
            panels[title] = frame if score == "log_loss" else 100 * frame
    return panels


def errors_by_kind(errors: pd.DataFrame, kinds: Sequence[str]) -> bytes:
    """Draw shares of errors as a heat map, models by kinds of corruption; NaN where there is none."""
    names = [visible(str(label)) for label in errors.index]
    left, above, side = 0.15 + text_width(names, 9.0), 0.1 + text_width(kinds, 8.0), 0.42
    height = 0.28 * len(names)

    def draw(figure: Figure) -> None:
        axes = add_axes(figure, left, 0.05, side * len(kinds), height)
        axes.set(xlim=(-0.5, len(kinds) - 0.5), ylim=(len(names) - 0.5, -0.5))
        axes.set_axis_off()
        for column, kind in enumerate(kinds):
            axes.text(column, -0.6, kind, ha="center", va="bottom", rotation=90, fontsize=8, color=MUTED)
        for row, (name, values) in enumerate(zip(names, errors.to_numpy(float).tolist(), strict=True)):
            axes.text(-0.65, row, name, ha="right", va="center_baseline")
            for column, share in enumerate(values):
                if math.isfinite(share):
                    strength = 0.85 * math.sqrt(share)
                    axes.add_patch(cell(row, column, facecolor=ORANGE, alpha=strength, linewidth=0))
                    written = f"{100 * share:.1f}" if share < 0.0995 else f"{100 * share:.0f}"
                    axes.text(column, row, written, ha="center", va="center_baseline", fontsize=8)

    size = left + side * len(kinds) + 0.1, height + above + 0.1
    return svg(size, "Errors by model and kind of corruption, %", draw)


def along_shifts(panels: Mapping[str, pd.DataFrame], measure: str, *, logarithmic: bool = False) -> bytes:
    """Draw a score of each model along shifts by degrees: one panel a shift, by the title of its axis.

    The frames have a row for each model and a column for each level.
    """
    labels = list(dict.fromkeys(str(label) for frame in panels.values() for label in frame.index))
    looks: dict[str, dict[str, Any]] = {
        label: {
            "color": (BLUE, ORANGE, MUTED)[i % 3],
            "linestyle": ("-", (0, (4, 2)), (0, (1, 1.5)))[i // 3 % 3],
        }
        for i, label in enumerate(labels)
    }
    beside = text_width([visible(label) for label in labels], 7.0) + 0.15
    width, height = max((9.4 - 0.45 - 3 * beside) / 3 - 0.3, 1.0), max(2.4, 0.14 * len(labels))

    def draw(figure: Figure) -> None:
        for number, (title, frame) in enumerate(panels.items()):
            axes = add_axes(figure, 0.4 + number * (width + beside + 0.3), 0.5, width, height)
            if logarithmic:
                axes.set_yscale("log")
                axes.yaxis.set_minor_formatter(NullFormatter())
                axes.yaxis.set_major_formatter("{x:g}")
            for label, values in frame.iterrows():
                axes.plot(list(frame.columns), values.to_numpy(float), linewidth=1.2, **looks[str(label)])
            axes.set_xticks([float(level) for level in frame.columns])
            axes.set_xlim(float(frame.columns[0]), float(frame.columns[-1]))
            axes.grid()
            hide_spines(axes)
            axes.set_xlabel(title)
            if number == 0:
                axes.set_title(measure)
            _label_ends(axes, {str(label): float(end) for label, end in frame.iloc[:, -1].items()}, looks)

    size = 0.4 + 3 * (width + beside + 0.3), height + 0.85
    return svg(size, f"{measure} along shifts: {', '.join(labels)}", draw)


def _label_ends(axes: Axes, ends: Mapping[str, float], looks: Mapping[str, Mapping[str, Any]]) -> None:
    """Write each label at the right, at the height where its line ends, apart from the others."""
    figure: Any = axes.figure
    room = 10 / 72 * 0.9 / (axes.get_position().height * figure.get_size_inches()[1])
    low = -math.inf
    to_share = (axes.transData + axes.transAxes.inverted()).transform
    for label, end in sorted(ends.items(), key=lambda item: item[1]):
        at = max(float(to_share((axes.get_xlim()[1], end))[1]), low + room)
        low = at
        axes.text(
            1.03,
            at,
            visible(label),
            transform=axes.transAxes,
            fontsize=7,
            va="center",
            color=looks[label]["color"],
        )


def hardest_kinds(
    folder: RunFolder, contents: Contents, drawn: dict[str, bytes], cache: Path
) -> list[HardestKind]:
    """Describe the kind that each configuration errs under most, and draw copies that it gets wrong."""
    if contents.robustness is None or contents.truth is None:
        return []
    info, worst = contents.info, contents.robustness.worst
    made, stems = _pictures_of_copies(folder, info, worst, cache), set[str]()
    found = []
    for each in worst:
        name, small = None, made.get(each.condition.name)
        if small is not None and each.images and set(each.images) <= set(small.index):
            name = f"hardest-{file_stem(each.label, stems)}"
            classes = info.dataset.class_name
            drawn[name] = contact_sheet(
                [small.pixels[small.index.index(image)] for image in each.images],
                [
                    (f"{classes(int(contents.truth[image]))} as {classes(label)}", f"image {image}")
                    for image, label in zip(each.images, each.predicted, strict=True)
                ],
                is_dark=False,
                label=f"{each.label} under {each.title}",
            )
        found.append(HardestKind(each, name))
    return found


def _pictures_of_copies(
    folder: RunFolder, info: RunInfo, worst: Sequence[Worst], cache: Path
) -> dict[str, Pictures]:
    """Return pictures of the copies that each configuration's hardest kind of corruption shows, by kind.

    They are made from the cached data set and kept in the run folder, so that the report can be made again
    where the data set is not. Empty where neither has them.
    """
    images = evaluation_images(info, cache)
    if images is None or any(len(images) <= image for each in worst for image in each.images):
        return kept_pictures(folder, _NAME)
    made = {
        condition.name: shrunk(
            corrupted(images, condition),
            sorted({image for each in worst if each.condition == condition for image in each.images}),
        )
        for condition in sorted({each.condition for each in worst})
    }
    keep_pictures(folder, _NAME, made)
    return made
