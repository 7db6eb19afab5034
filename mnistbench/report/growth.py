"""The figures of the chapter on training sizes: how accuracy, time and memory grow with the images."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mnistbench.analysis.growth import BEYOND, Family
from mnistbench.report.figures import learning_curves
from mnistbench.report.style import (
    BLUE,
    INK,
    MUTED,
    ORANGE,
    RULE,
    Place,
    add_axes,
    hide_spines,
    label_directly,
    set_error_ticks,
    set_ticks,
    set_time_ticks,
    svg,
)
from mnistbench.text import visible

_PANELS_ACROSS = 4
_SYNTHETIC = ", partly synthetic"
_SIZE_TICKS = tuple(m * 10**e for e in range(1, 8) for m in (1, 2, 5))
_MEMORY_TICKS = tuple(m * 10**e for e in range(6, 13) for m in (1, 2, 5))


def growth_figures(families: Sequence[Family], images: int) -> dict[str, bytes]:
    """Draw the figures of families that were trained on three sizes or more, by name; SVG.

    Their accuracies are on so many images.
    """
    if not families:
        return {}
    by_seconds = {
        f"{family.label}{_SYNTHETIC if family.synthetic_sizes else ''}": [line]
        for family in families
        if (line := family.against_seconds)
    }
    return {
        "accuracy-size": accuracy_by_size(families),
        "costs-size": costs_by_size(families),
        "accuracy-cost": learning_curves(by_seconds, images),
    }


def accuracy_by_size(families: Sequence[Family]) -> bytes:
    """Draw accuracy against training size, a panel a family: what was measured, the law, and its interval.

    The law goes on, dashed, to `BEYOND` times the largest size. The other families are in grey.
    """
    images = max(row.test_count for family in families for row in family.rows)
    floor = 0.5 / images
    sizes = [size for family in families for size in family.sizes]
    errors = [max(1 - right, floor) for family in families for _, right in family.accuracies]
    laws = [(family.error, family.sizes[-1] * BEYOND) for family in families]
    bands = [band for law, beyond in laws if law and (band := law.interval_at(beyond))]
    errors += [max(band.low, floor) for band in bands]
    across, up = (min(sizes) / 1.3, max(sizes) * BEYOND * 1.1), (max(errors) * 1.2, min(errors) / 1.2)
    down = -(-len(families) // _PANELS_ACROSS)
    width, height = 1.85, 1.6  # inches of each panel

    def draw(figure: Figure) -> None:
        for number, family in enumerate(families):
            row, column = divmod(number, _PANELS_ACROSS)
            bottom = (down - 1 - row) * height + 0.5
            axes = add_axes(figure, 0.5 + column * width, bottom, width - 0.2, height - 0.35)
            axes.set(xscale="log", yscale="log", xlim=across, ylim=up)
            set_ticks(axes.xaxis, _SIZE_TICKS, across, _size_tick, most=4)
            set_error_ticks(axes.yaxis, up, most=5)
            axes.tick_params(
                labelleft=column == 0, labelbottom=number + _PANELS_ACROSS >= len(families), labelsize=8
            )
            axes.grid()
            hide_spines(axes)
            axes.set_title(visible(family.label), color=INK)
            for each in families:
                points = [(size, max(1 - right, floor)) for size, right in each.accuracies]
                if each is not family:
                    axes.plot(*zip(*points, strict=True), color=RULE, linewidth=0.8)
            _draw_law(axes, family, floor)
        note = f"{_size_axis(families)}; accuracy, % (logarithmic in errors)"
        figure.text(0.06, 0.015, note, color=MUTED)

    size = (0.5 + _PANELS_ACROSS * width, down * height + 0.5)
    return svg(size, "Accuracy against the number of training images, a panel a model", draw)


def _draw_law(axes: Axes, family: Family, floor: float) -> None:
    """Draw what was measured of a family, and its law of errors with the interval."""
    points = [(size, max(1 - right, floor)) for size, right in family.accuracies]
    first, last = family.sizes[0], family.sizes[-1]
    if family.error is not None:
        within = np.geomspace(first, last, 24).tolist()
        beyond = np.geomspace(last, last * BEYOND, 8).tolist()
        bands = [(n, family.error.interval_at(n)) for n in (*within, *beyond[1:])]
        ends = [(n, max(band.low, floor), max(band.high, floor)) for n, band in bands if band]
        if ends:
            places, low, high = zip(*ends, strict=True)
            axes.fill_between(places, low, high, color=BLUE, alpha=0.18, linewidth=0)
        for part, style in ((within, "-"), (beyond, (0, (3, 2)))):
            law = [max(family.error.at(n), floor) for n in part]
            axes.plot(part, law, color=BLUE, linewidth=1.2, linestyle=style)
    _draw_points(axes, family, points, BLUE)


def _draw_points(axes: Axes, family: Family, points: Sequence[Place], colour: str) -> None:
    """Draw the points of a family by size, hollow ones where images are synthetic."""
    for face, is_synthetic in ((colour, False), ("none", True)):
        drawn = [point for point in points if (point[0] in family.synthetic_sizes) == is_synthetic]
        if drawn:
            axes.plot(*zip(*drawn, strict=True), "o", color=colour, markerfacecolor=face, markersize=3.5)


def _size_axis(families: Sequence[Family]) -> str:
    """Name the axis of the training sizes, and say which points are synthetic, if any."""
    is_marked = any(family.synthetic_sizes for family in families)
    return "training images (logarithmic" + ("; hollow: partly synthetic)" if is_marked else ")")


def costs_by_size(families: Sequence[Family]) -> bytes:
    """Draw training time and memory against training size, one line a family, side by side."""

    def draw(figure: Figure) -> None:
        panels = (
            ("fit_seconds", "training time", set_time_ticks),
            ("peak_rss_bytes", "peak RAM", _set_memory_ticks),
        )
        for number, (cost, title, set_cost_ticks) in enumerate(panels):
            lines = [(family, points) for family in families if (points := family.against_size(cost))]
            if not lines:
                continue
            every = [point for _, points in lines for point in points]
            sizes, costs = zip(*every, strict=True)
            across, up = (min(sizes) / 1.2, max(sizes) * 8), (min(costs) / 1.3, max(costs) * 1.3)
            axes = add_axes(figure, 0.55 + 3.95 * number, 0.55, 3.3, 3.6)
            axes.set(xscale="log", yscale="log", xlim=across, ylim=up)
            set_ticks(axes.xaxis, _SIZE_TICKS, across, _size_tick, most=6)
            set_cost_ticks(axes.yaxis, up)
            axes.grid()
            hide_spines(axes)
            axes.set_xlabel(_size_axis(families))
            axes.set_title(f"{title} (logarithmic)")
            colours = itertools.cycle((BLUE, ORANGE, MUTED))
            for (family, points), colour in zip(lines, colours, strict=False):
                axes.plot(*zip(*points, strict=True), color=colour, linewidth=1.2)
                _draw_points(axes, family, points, colour)
            strokes = [pair for _, points in lines for pair in itertools.pairwise(points)]
            labels = [family.label for family, _ in lines]
            label_directly(axes, labels, [points[-1] for _, points in lines], strokes)

    return svg((8.0, 4.5), "Training time and memory against the number of training images", draw)


def _size_tick(size: float) -> str:
    return f"{size / 1000:g}k" if size >= 1000 else f"{size:g}"


def _set_memory_ticks(axis: Any, limits: Place) -> None:
    set_ticks(axis, _MEMORY_TICKS, limits, _memory_tick)


def _memory_tick(size: float) -> str:
    return f"{size / 1e9:g} GB" if size >= 1e9 else f"{size / 1e6:g} MB"
