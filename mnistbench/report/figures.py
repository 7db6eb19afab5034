"""The figures of a report, each a function from values to an SVG file; `style` says how they look."""

import itertools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.colors import to_rgb, to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import NullLocator
from numpy.typing import NDArray

from mnistbench.analysis.configurations import Configuration
from mnistbench.report.style import (
    BLUE,
    INK,
    MUTED,
    ORANGE,
    RULE,
    TITLED,
    Place,
    add_axes,
    cell,
    hide_spines,
    label_directly,
    set_error_ticks,
    set_time_ticks,
    svg,
    text_width,
)
from mnistbench.stats.accuracy import Interval, wilson_interval
from mnistbench.stats.pairs import PairedTest
from mnistbench.stats.ranks import Ranks
from mnistbench.stats.scores import ReliabilityBin
from mnistbench.stats.times import pareto_front
from mnistbench.text import count, duration, percent, visible

_DETAILED_CLASSES = 40
_LABELLED_POINTS = 40
_SHEET_COLUMNS = 6
_DOTS_A_ROW = 200
_SIGNS = {"practically the same": "= ", "cannot tell": "? "}


@dataclass(frozen=True)
class Point:
    """One configuration in the plane of cost and accuracy.

    Attributes:
        accuracy: Mean over seeds.
        sampling: 95 % interval for the choice of test images.
        seeds: The accuracy of each seed.
        title: What is shown of it where the figure is pointed at.
    """

    label: str
    seconds: float
    accuracy: float
    sampling: Interval
    seeds: tuple[float, ...] = ()
    title: str = ""


def file_stem(label: str, taken: set[str]) -> str:
    """Turn a label into a file name that is safe everywhere and, letter case apart, not taken yet."""
    plain = re.sub(r"[^a-z0-9.]+", "-", label.lower()).strip("-.")[:60] or "model"
    stem, number = plain, 1
    while stem in taken:
        number += 1
        stem = f"{plain}-{number}"
    taken.add(stem)
    return stem


def points(rows: Sequence[Configuration], timing: str) -> list[Point]:
    """Place the configurations that were successful, and whose time the clock resolved."""
    placed = []
    for row in rows:
        found, fit, predict = row.estimate, row.median_time("fit_seconds"), row.median_time("predict_seconds")
        seconds = row.median_time(timing)
        if found is not None and fit is not None and predict is not None and seconds:
            title = (
                f"{row.label}: {percent(found.mean, found.test_count)} % right "
                f"({count(row.error_count)} of {found.test_count:,} wrong), "
                f"training {duration(fit)}, predicting {duration(predict)}"
            )
            placed.append(Point(row.label, seconds, found.mean, found.sampling, row.accuracies, title))
    return placed


def accuracy_against_time(points: Sequence[Point], images: int, cost: str = "training time") -> bytes:
    """Draw accuracy, of so many images, against cost, so that equal ratios look alike, with the Pareto front.

    Of very many points, only the most accurate of those on the front are named.
    """
    floor = 0.5 / images  # no error among n images is drawn as half an error: a logarithm has no zero

    def error(accuracy: float) -> float:
        return max(1 - accuracy, floor)

    front = set(pareto_front({p.label: (p.accuracy, p.seconds) for p in points}))

    def draw(figure: Figure) -> None:
        seconds = [p.seconds for p in points]
        bounds = [error(bound) for p in points for bound in (p.sampling.low, p.sampling.high, *p.seeds)]
        across, up = (min(seconds) / 1.6, max(seconds) * 1.9), (max(bounds) * 1.12, min(bounds) / 1.12)
        axes = _errors_by_time(figure, 3.5, across, up, cost, "accuracy")
        line = _draw_front(axes, [(p.seconds, error(p.accuracy)) for p in points if p.label in front])
        _draw_points(axes, [p for p in points if p.label not in front], error, colour=MUTED, filled=False)
        _draw_points(axes, [p for p in points if p.label in front], error, colour=BLUE, filled=True)
        bars = [((p.seconds, error(p.sampling.low)), (p.seconds, error(p.sampling.high))) for p in points]
        named = [p for p in points if len(points) <= _LABELLED_POINTS or p.label in front][:_LABELLED_POINTS]
        places = [(p.seconds, error(p.accuracy)) for p in named]
        label_directly(axes, [p.label for p in named], places, bars + line)

    best = max(points, key=lambda p: p.accuracy)
    titles = [p.title for p in points if p.label not in front] + [p.title for p in points if p.label in front]
    return svg((8.0, 4.4), f"Accuracy against {cost}; best is {best.label}", draw, titles)


def _draw_front(axes: Axes, front: Sequence[Place]) -> list[tuple[Place, Place]]:
    steps = sorted(front)
    corners = [steps[0]]
    for step in [*steps[1:], (axes.get_xlim()[1], steps[-1][1])]:
        corners += [(step[0], corners[-1][1]), step]
    axes.plot(*zip(*corners, strict=True), color=BLUE, linewidth=1.2)
    return list(itertools.pairwise(corners))


def _draw_points(
    axes: Axes, points: Sequence[Point], error: Callable[[float], float], *, colour: str, filled: bool
) -> None:
    seconds = [p.seconds for p in points]
    low, high = [error(p.sampling.low) for p in points], [error(p.sampling.high) for p in points]
    axes.vlines(seconds, low, high, color=colour, linewidth=1)
    strokes = [(p.seconds, error(accuracy)) for p in points if len(p.seeds) > 1 for accuracy in p.seeds]
    if strokes:
        axes.plot(*zip(*strokes, strict=True), "_", color=colour, markersize=9, markeredgewidth=1)
    face = colour if filled else "none"
    middles = [error(p.accuracy) for p in points]
    axes.plot(seconds, middles, "o", color=colour, markersize=6, markerfacecolor=face, gid=TITLED)


def _errors_by_time(figure: Figure, height: float, across: Place, up: Place, cost: str, title: str) -> Axes:
    """Add axes with these limits: seconds, and errors upside down, both logarithmic."""
    axes = add_axes(figure, 0.55, 0.55, 7.3, height)
    axes.set(xscale="log", yscale="log", xlim=across, ylim=up)
    set_time_ticks(axes.xaxis, across)
    set_error_ticks(axes.yaxis, up)
    axes.grid()
    hide_spines(axes)
    axes.set_xlabel(f"{cost} (logarithmic)")
    axes.set_title(f"{title}, % (logarithmic in errors)")
    return axes


def timings(rows: Sequence[Configuration]) -> dict[str, bytes]:
    """Draw every timing, one dot a trial: a figure of training, one of predicting; none without timings."""
    fits: dict[str, list[tuple[float, str]]] = {}
    predictions: dict[str, list[tuple[float, str]]] = {}
    for row in rows:
        timed = [(r.trial, r.measurement) for r in row.records if r.measurement is not None]
        for trial, measured in timed[:_DOTS_A_ROW]:
            fit, predict = measured.fit_seconds, measured.predict_seconds
            title = (
                f"{row.label}, seed {trial.seed}, repetition {trial.repeat}: "
                f"training {duration(fit)}, predicting {duration(predict)}"
            )
            fits.setdefault(row.label, []).append((fit, title))
            predictions.setdefault(row.label, []).append((predict, title))
    if not fits:
        return {}
    return {"timings-fit": _strips(fits, "training"), "timings-predict": _strips(predictions, "predicting")}


def _strips(timed: Mapping[str, Sequence[tuple[float, str]]], verb: str) -> bytes:
    labels = [visible(label) for label in timed]
    margin = 0.2 + text_width(labels, 9.0)
    height = 0.32 * len(labels) + 0.1

    def draw(figure: Figure) -> None:
        axes = add_axes(figure, margin, 0.55, 7.8 - min(margin, 5.0), height)
        values = {label: [max(seconds, 1e-6) for seconds, _ in each] for label, each in timed.items()}
        every = list(itertools.chain.from_iterable(values.values()))
        across = min(every) / 1.3, max(every) * 1.3
        axes.set(xscale="log", xlim=across, ylim=(len(labels) - 0.5, -0.5))
        set_time_ticks(axes.xaxis, across)
        axes.set_yticks(range(len(labels)), labels, color=INK)
        axes.grid(axis="x")
        hide_spines(axes)
        axes.set_xlabel(f"time of {verb} (logarithmic)")
        for place, each in enumerate(values.values()):
            axes.plot(each, [place] * len(each), "o", color=BLUE, markersize=6, alpha=0.55, gid=TITLED)
            axes.vlines(
                float(np.median(each)), place - 0.35, place + 0.35, color=INK, linewidth=1.2, zorder=1
            )

    titles = [title for each in timed.values() for _, title in each]
    size = (margin + 8.0 - min(margin, 5.0), height + 0.65)
    return svg(size, f"Every time of {verb}, one dot a trial", draw, titles)


def learning_curves(curves: Mapping[str, Sequence[Sequence[Place]]], images: int) -> bytes:
    """Draw accuracy on so many images against seconds of training, one line a training.

    The curves have for each configuration its trainings, each as points of (seconds, accuracy).
    """
    floor = 0.5 / images

    def draw(figure: Figure) -> None:
        lines = {
            label: [[(seconds, max(1 - accuracy, floor)) for seconds, accuracy in line] for line in each]
            for label, each in curves.items()
        }
        points = [point for each in lines.values() for line in each for point in line]
        seconds, errors = zip(*points, strict=True)
        across = max(min(seconds), 1e-3) / 1.3, max(seconds) * 2.2
        up = max(errors) * 1.15, min(errors) / 1.15
        axes = _errors_by_time(figure, 3.0, across, up, "training time", "accuracy")
        colours = itertools.cycle((BLUE, ORANGE, MUTED))
        for each, colour in zip(lines.values(), colours, strict=False):
            for line in each:
                axes.plot(*zip(*line, strict=True), color=colour, linewidth=1.2)
                axes.plot(*line[-1], "o", color=colour, markersize=4)
        strokes = [pair for each in lines.values() for line in each for pair in itertools.pairwise(line)]
        label_directly(axes, list(lines), [each[0][-1] for each in lines.values()], strokes)

    names = ", ".join(curves)
    return svg((8.0, 3.9), f"Accuracy against training time: {names}", draw)


def confusion(matrix: NDArray[np.int64], names: Sequence[str], label: str) -> bytes:
    """Draw a confusion matrix, int64 (k, k), true classes by predicted ones, so that its mistakes stand out.

    Right answers are only counted, not coloured.
    """
    k = len(names)
    side = min(max(0.33 * k, 2.8), 7.2)
    step = math.ceil(k / _DETAILED_CLASSES)
    small = min(8.0, 0.55 * 72 * side * step / k)
    margin = 0.3 + text_width(names, small)
    upright = text_width(names, small) > 0.9 * side * step / k
    above = margin if upright else 0.42

    def draw(figure: Figure) -> None:
        axes = _square(figure, margin, 0.05, side, k)
        look: dict[str, Any] = {"fontsize": small, "color": MUTED}
        for i in range(0, k, step):
            axes.text(-0.7, i, names[i], ha="right", va="center_baseline", **look)
            axes.text(i, -0.7, names[i], ha="center", va="bottom", rotation=90 * upright, **look)
        middle, inch = (k - 1) / 2, k / side
        look = {"ha": "center", "va": "center", "color": MUTED}
        axes.text(middle, -0.7 - (above - 0.18) * inch, "predicted", **look)
        axes.text(-0.5 - (margin - 0.1) * inch, middle, "true", rotation=90, **look)
        _draw_cells(axes, matrix, fontsize=min(8.5, 0.36 * 72 * side / k))

    return svg((side + margin + 0.1, side + above + 0.1), f"Confusion matrix of {label}", draw)


def _square(figure: Figure, left: float, bottom: float, side: float, cells: int) -> Axes:
    """Add bare axes for a square of so many cells a side, row 0 at the top."""
    axes = add_axes(figure, left, bottom, side, side)
    axes.set(xlim=(-0.5, cells - 0.5), ylim=(cells - 0.5, -0.5))
    axes.set_axis_off()
    return axes


def _draw_cells(axes: Axes, matrix: NDArray[np.int64], fontsize: float) -> None:
    k = len(matrix)
    on_diagonal = np.eye(k, dtype=bool)
    shares = np.where(on_diagonal, 0.0, matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1))
    strength = 0.75 * np.sqrt(shares / max(float(shares.max()), 1e-12))
    if k > _DETAILED_CLASSES:
        colours = np.zeros((k, k, 4))
        colours[..., :3] = to_rgb(ORANGE)
        colours[..., 3] = strength
        colours[on_diagonal] = to_rgba(BLUE, 0.3)
        axes.imshow(colours, interpolation="none", aspect="auto")
        return
    filled = np.argwhere(matrix > 0)
    right_ones = filled[:, 0] == filled[:, 1]
    shade = np.where(right_ones, 0.14, np.maximum(strength[filled[:, 0], filled[:, 1]], 0.06))
    colours_of = [
        to_rgba(BLUE if right else ORANGE, strong)
        for right, strong in zip(right_ones, shade.tolist(), strict=True)
    ]
    # All cells as one artist: one by one, they took most of a large report's time.
    cells = [cell(row, column) for row, column in filled.tolist()]
    axes.add_collection(PatchCollection(cells, facecolors=colours_of, linewidths=0))
    for row, column in filled.tolist():
        written, colour = str(matrix[row, column]), MUTED if row == column else INK
        size = fontsize * min(1.0, 3.4 / len(written))
        axes.text(column, row, written, ha="center", va="center_baseline", fontsize=size, color=colour)


def reliability(bins: Sequence[ReliabilityBin], calibration_error: float, label: str) -> bytes:
    """Draw accuracy against confidence, and below it how many images have that confidence."""

    def draw(figure: Figure) -> None:
        upper, lower = add_axes(figure, 0.5, 1.2, 2.9, 2.35), add_axes(figure, 0.5, 0.5, 2.9, 0.6)
        upper.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
        upper.text(0.03, 0.93, "underconfident", color=MUTED, fontsize=8, va="top")
        upper.text(0.97, 0.05, "overconfident", color=MUTED, fontsize=8, ha="right")
        points = [
            (each.mean_confidence, each.accuracy, wilson_interval(each.accuracy * each.count, each.count))
            for each in bins
            if each.accuracy is not None and each.mean_confidence is not None
        ]
        confidences = [confidence for confidence, _, _ in points]
        ends = [(spread.low, spread.high) for _, _, spread in points]
        upper.vlines(confidences, *zip(*ends, strict=True), color=BLUE, linewidth=1)
        upper.plot(confidences, [right for _, right, _ in points], "o", color=BLUE, markersize=4.5)
        bars = [Rectangle((b.lower, 0.5), b.upper - b.lower, b.count - 0.5) for b in bins if b.count]
        lower.add_collection(PatchCollection(bars, facecolors=BLUE, alpha=0.35, linewidths=0))
        quarters = (0, 0.25, 0.5, 0.75, 1), ("0", "25", "50", "75", "100")
        for axes in (upper, lower):
            axes.set_xlim(0, 1)
            axes.set_xticks(*quarters)
            axes.grid()
            hide_spines(axes)
        upper.tick_params(labelbottom=False)
        upper.set_ylim(-0.02, 1.02)
        upper.set_yticks(*quarters)
        upper.set_title(f"right, %  (calibration error {100 * calibration_error:.2g} %)")
        most = max(each.count for each in bins)
        decades = [10**e for e in range(10) if 10**e < 3 * most]
        shown = decades[:: math.ceil(len(decades) / 3)]
        lower.set(yscale="log", ylim=(0.5, 3 * most))
        lower.set_yticks(shown, [f"{images:,}" for images in shown])
        lower.yaxis.set_minor_locator(NullLocator())
        lower.set_xlabel("confidence, %   (bars: images, logarithmic)")

    return svg((3.6, 3.9), f"Reliability diagram of {label}", draw)


def contact_sheet(
    images: Sequence[NDArray[np.uint8]], captions: Sequence[tuple[str, str]], *, is_dark: bool, label: str
) -> bytes:
    """Draw some images that a model gets wrong, uint8 (height, width) each, with two lines below each.

    Light ink on a dark ground is drawn the other way round.
    """
    # Inches of each, with its caption: long names of classes take more room and leave fewer in a row.
    width, height = max(0.95, 0.1 + text_width([first for first, _ in captions], 8.0)), 1.25
    across = max(1, min(len(images), int(_SHEET_COLUMNS * 0.95 / width)))
    down = -(-len(images) // across)

    def draw(figure: Figure) -> None:
        # All on the same axes, whose unit is an inch: axes for each take several times as long.
        axes = add_axes(figure, 0, 0, across * width, down * height)
        for number, (pixels, (first, second)) in enumerate(zip(images, captions, strict=True)):
            row, column = divmod(number, across)
            middle, bottom = (column + 0.5) * width, (down - 1 - row) * height + 0.42
            place = (middle - 0.375, middle + 0.375, bottom, bottom + 0.75)
            axes.imshow(255 - pixels if is_dark else pixels, cmap="gray", vmin=0, vmax=255, extent=place)
            axes.text(middle, bottom - 0.045, first, fontsize=8, ha="center", va="top")
            axes.text(middle, bottom - 0.21, second, fontsize=7, ha="center", va="top", color=MUTED)
        axes.set(xlim=(0, across * width), ylim=(0, down * height))
        axes.set_axis_off()

    return svg((across * width, down * height), f"Mistakes of {label}", draw)


def significance(labels: Sequence[str], tests: Sequence[PairedTest], images: int) -> bytes:
    """Draw which differences are real: each pair once, the worse one's row, the better one's column.

    The labels are best first, and each was tested on so many images.
    """
    n = len(labels)
    names = [visible(label) for label in labels]
    side = min(max(0.42 * n, 1.6), 7.0)
    small = min(9.0, 0.3 * 72 * side / n)
    margin = 0.15 + text_width(names, 9.0)
    of_pair = {frozenset((t.model_a, t.model_b)): t for t in tests}

    def draw(figure: Figure) -> None:
        axes = _square(figure, margin, 0.45, side, n)
        for i, name in enumerate(names):
            if i > 0:
                axes.text(-0.65, i, name, ha="right", va="center_baseline")
            if i < n - 1:  # a column begins below the diagonal, so its name stands on it
                axes.text(i - 0.4, i, name, ha="left", va="center_baseline", color=MUTED)
        for row in range(n):
            for column in range(row):
                test = of_pair[frozenset((labels[row], labels[column]))]
                more = abs(test.difference) * images
                colour, strength = (BLUE, 0.22) if test.better is not None else (RULE, 0.45)
                if test.better is not None and test.adjusted_p_value < 0.001:
                    strength = 0.55
                axes.add_patch(cell(row, column, facecolor=colour, alpha=strength, linewidth=0))
                written = f"{_SIGNS.get(test.verdict, '')}{more:.0f}"
                axes.text(column, row, written, ha="center", va="center_baseline", fontsize=small)
        below = n - 0.5 + 0.22 * n / side
        key = "errors more than the column's model; =: practically the same; ?: cannot tell"
        axes.text(-0.5, below, key, va="center", color=MUTED)

    width = max(side + margin + text_width(names, 9.0), margin + 5.6)
    return svg((width, side + 0.5), "Which differences are real", draw)


def critical_difference(ranks: Ranks) -> bytes:
    """Draw average ranks on a line, best on the left; bars join models that do not differ significantly.

    The diagram of J. Demsar, "Statistical comparisons of classifiers over multiple data sets", JMLR 7 (2006).
    """
    models = len(ranks.models)
    half = (models + 1) // 2
    margin, width, bars, step = 0.4 + text_width(ranks.models, 9.0), 4.5, 0.12, 0.22
    below = 0.25 + bars * len(ranks.cliques)
    height = 0.75 + below + step * half

    def draw(figure: Figure) -> None:
        axes = add_axes(figure, margin, 0.1, width, height - 0.2)
        axes.set_axis_off()
        axes.set_xlim(1, models)
        axes.set_ylim(-(height - 0.2 - 0.65), 0.65)  # inches above the line of the ranks
        inch = (models - 1) / width
        axes.plot([1, models], [0, 0], color=MUTED, linewidth=1)
        for rank in range(1, models + 1):
            axes.plot([rank, rank], [0, 0.06], color=MUTED, linewidth=1)
            axes.text(rank, 0.1, str(rank), ha="center", va="bottom", color=MUTED, fontsize=8)
        reach = min(ranks.critical_difference, models - 1)
        axes.plot([1, 1 + reach], [0.42, 0.42], color=ORANGE, linewidth=2, solid_capstyle="butt")
        axes.text(1, 0.47, f"critical difference {ranks.critical_difference:.2f}", va="bottom", fontsize=8)
        for number, (first, last) in enumerate(ranks.cliques, start=1):
            ends = [ranks.means[first] - 0.03 * inch, ranks.means[last] + 0.03 * inch]
            axes.plot(ends, [-bars * number] * 2, color=BLUE, linewidth=3, solid_capstyle="butt")
        for place, (name, mean) in enumerate(zip(ranks.models, ranks.means, strict=True)):
            on_left = place < half
            row = place if on_left else models - 1 - place
            y, x = -below - step * (row + 0.5), 1 - 0.1 * inch if on_left else models + 0.1 * inch
            axes.plot([mean, mean, x], [0, y, y], color=MUTED, linewidth=0.8, clip_on=False)
            gap = -0.06 * inch if on_left else 0.06 * inch
            axes.text(
                x + gap, y, visible(name), ha="right" if on_left else "left", va="center_baseline", fontsize=9
            )

    size = (2 * margin + width, height)
    return svg(size, f"Average ranks over {ranks.dataset_count} data sets; best is {ranks.models[0]}", draw)
