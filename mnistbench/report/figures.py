"""The figures of a report, all in one style: SVG that is crisp, small, and at home on light and dark pages.

Text stays text, so that a page can be searched and read aloud. The background is transparent; a style sheet
inside each file changes its few colours where the reader prefers dark. The two strong colours are from
M. Okabe and K. Ito, "Color Universal Design" (2008), safe for colour blindness. The same data give the same
bytes.
"""

import io
import itertools
import math
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb, to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, NullLocator
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

from mnistbench.report.formats import visible
from mnistbench.stats import Interval, pareto_front

INK, MUTED, RULE, BLUE, ORANGE = "#1f2328", "#59636e", "#d1d9e0", "#0072b2", "#d55e00"
_ON_DARK = {INK: "#f0f6fc", MUTED: "#9198a1", RULE: "#3d444d", BLUE: "#56b4e9", ORANGE: "#f0863a"}
_FONTS = "-apple-system, 'Segoe UI', 'Noto Sans', Helvetica, Arial, sans-serif"
_STYLE: Any = {  # a plain dict: matplotlib types the keys one by one
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "figure.dpi": 72,
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "svg.fonttype": "none",
    "svg.hashsalt": "mnistbench",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
}
_DETAILED_CLASSES = 40
_ERROR_TICKS = (0.9, 0.8, *(m / 10**e for e in range(6) for m in (5, 2, 1) if m / 10**e < 1))
_SECOND_TICKS = (
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800,
    3600, 7200, 18000, 36000, 86400, 172800, 604800,
)  # fmt: skip


@dataclass(frozen=True)
class Point:
    """One configuration in the plane of cost and accuracy.

    Attributes:
        label: What is written beside it.
        seconds: Its cost.
        accuracy: Mean over seeds.
        sampling: 95 % interval had other test images been drawn.
        seeds: The accuracy of each seed, where there are several.
    """

    label: str
    seconds: float
    accuracy: float
    sampling: Interval
    seeds: tuple[float, ...] = ()


def accuracy_against_time(points: Sequence[Point], images: int, cost: str = "training time") -> bytes:
    """Draw accuracy against cost, both so that equal ratios look alike, with the Pareto front.

    Args:
        points: What to draw; at least one.
        images: How many images the accuracies were measured on.
        cost: What the horizontal axis shows.

    Returns:
        An SVG file.
    """
    floor = 0.5 / images  # no error among n images is drawn as half an error: a logarithm has no zero

    def error(accuracy: float) -> float:
        return max(1 - accuracy, floor)

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        front = set(pareto_front({p.label: (p.accuracy, p.seconds) for p in points}))
        axes.set_xscale("log")
        axes.set_yscale("log")
        seconds = [p.seconds for p in points]
        bounds = [error(bound) for p in points for bound in (p.sampling.low, p.sampling.high, *p.seeds)]
        axes.set_xlim(min(seconds) / 1.6, max(seconds) * 1.9)
        axes.set_ylim(max(bounds) * 1.12, min(bounds) / 1.12)
        _ticks(axes.xaxis, _SECOND_TICKS, axes.get_xlim(), _duration_tick, most=8)
        _ticks(axes.yaxis, _ERROR_TICKS, axes.get_ylim(), _accuracy_tick, most=8)
        axes.grid(color=RULE, linewidth=0.6)
        axes.set_axisbelow(True)
        axes.tick_params(length=0)
        for side in ("left", "bottom"):
            axes.spines[side].set_visible(False)
        steps = sorted((p.seconds, error(p.accuracy)) for p in points if p.label in front)
        corners = [steps[0]]
        for after in [*steps[1:], (axes.get_xlim()[1], steps[-1][1])]:
            corners += [(after[0], corners[-1][1]), after]
        axes.plot(*zip(*corners, strict=True), color=BLUE, linewidth=1.2)
        for p in points:
            colour = BLUE if p.label in front else MUTED
            axes.plot(
                [p.seconds] * 2, [error(p.sampling.low), error(p.sampling.high)], color=colour, linewidth=1
            )
            if len(p.seeds) > 1:
                ends = [error(a) for a in p.seeds]
                axes.plot([p.seconds] * len(ends), ends, "_", color=colour, markersize=9, markeredgewidth=1)
            face = colour if p.label in front else "none"
            axes.plot(p.seconds, error(p.accuracy), "o", color=colour, markersize=6, markerfacecolor=face)
        axes.set_xlabel(f"{cost} (logarithmic)")
        axes.set_title("accuracy, % (logarithmic in errors)", fontsize=9, color=MUTED)
        places = [(p.seconds, error(p.accuracy)) for p in points]
        bars = [((p.seconds, error(p.sampling.low)), (p.seconds, error(p.sampling.high))) for p in points]
        front_line = list(itertools.pairwise(corners))
        _label_directly(figure, axes, [p.label for p in points], places, bars + front_line)

    best = max(points, key=lambda p: p.accuracy)
    return _svg((8.0, 4.4), f"Accuracy against {cost}; best is {best.label}", draw)


def confusion(matrix: NDArray[np.int64], classes: Sequence[int], label: str) -> bytes:
    """Draw a confusion matrix whose mistakes stand out: right answers are only counted, not coloured.

    Args:
        matrix: int64 (k, k), true classes by predicted ones.
        classes: The k labels.
        label: The configuration's name.

    Returns:
        An SVG file.
    """
    k = len(classes)
    supports = np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    shares = np.where(np.eye(k, dtype=bool), 0.0, matrix / supports)
    strength = 0.75 * np.sqrt(shares / max(shares.max(), 1e-12))
    size = min(max(0.33 * k, 3.2), 7.6)

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.set_xlim(-0.5, k - 0.5)
        axes.set_ylim(k - 0.5, -0.5)
        axes.set_aspect("equal")
        if k <= _DETAILED_CLASSES:
            _cells(axes, matrix, strength, fontsize=min(8.0, 0.36 * 72 * size / k))
        else:
            colours = np.zeros((k, k, 4))
            colours[..., :3] = to_rgb(ORANGE)
            colours[..., 3] = strength
            colours[np.eye(k, dtype=bool)] = to_rgba(BLUE, 0.3)
            axes.imshow(colours, interpolation="none")
        step = max(1, math.ceil(k / 40))
        shown = range(0, k, step)
        small = min(8.0, 260 / k * step)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_ticks(list(shown), [str(classes[i]) for i in shown], fontsize=small)
        wide = max(len(str(c)) for c in classes) > 2 and k > 10
        axes.tick_params(length=0, labeltop=True, labelbottom=False, pad=2)
        axes.tick_params(axis="x", rotation=90 if wide else 0)
        for spine in axes.spines.values():
            spine.set_visible(False)
        axes.set_xlabel("predicted", fontsize=9)
        axes.xaxis.set_label_position("top")
        axes.set_ylabel("true", fontsize=9)

    return _svg((size + 0.7, size + 0.7), f"Confusion matrix of {label}", draw)


def _cells(axes: Axes, matrix: NDArray[np.int64], strength: NDArray[np.float64], fontsize: float) -> None:
    for row, column in np.argwhere(matrix > 0).tolist():
        right = row == column
        axes.add_patch(
            Rectangle(
                (column - 0.47, row - 0.47),
                0.94,
                0.94,
                facecolor=BLUE if right else ORANGE,
                alpha=0.14 if right else max(float(strength[row, column]), 0.06),
                linewidth=0,
            )
        )
        axes.text(
            column,
            row,
            str(matrix[row, column]),
            ha="center",
            va="center_baseline",
            fontsize=fontsize * (0.85 if matrix[row, column] > 999 else 1),
            color=MUTED if right else INK,
        )


def _duration_tick(seconds: float) -> str:
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"


def _accuracy_tick(error: float) -> str:
    return f"{100 * (1 - error):.6g}"


def _ticks(
    axis: Any, ladder: Sequence[float], limits: tuple[float, float], write: Callable[[float], str], most: int
) -> None:
    """Set ticks from a ladder of round values, or evenly where the range holds too few of them."""
    low, high = sorted(limits)
    inside = [v for v in ladder if low <= v <= high]
    if len(inside) < 3:
        inside = [v for v in np.asarray(MaxNLocator(5).tick_values(low, high)).tolist() if low <= v <= high]
    step = math.ceil(len(inside) / most)
    axis.set_ticks(inside[::step], [write(v) for v in inside[::step]])
    axis.set_minor_locator(NullLocator())


_Place = tuple[float, float]


def _label_directly(
    figure: Figure,
    axes: Axes,
    labels: Sequence[str],
    places: Sequence[_Place],
    lines: Sequence[tuple[_Place, _Place]],
) -> None:
    """Write each label beside its point, where it covers no other label, point or line if there is room."""
    canvas = FigureCanvasAgg(figure)
    figure.draw_without_rendering()
    renderer = canvas.get_renderer()  # type: ignore[no-untyped-call] # matplotlib leaves it unannotated
    to_pixels = axes.transData.transform
    taken = [Bbox([to_pixels(a), to_pixels(b)]).padded(2) for a, b in lines]
    taken += [Bbox([to_pixels(p), to_pixels(p)]).padded(5) for p in places]
    for name, place in zip(labels, places, strict=True):
        best: tuple[float, Any] | None = None
        for dx, dy, ha, va in _AROUND:
            written = axes.annotate(
                visible(name),
                place,
                (dx, dy),
                textcoords="offset points",
                ha=ha,
                va=va,
                color=INK,
                fontsize=9,
                annotation_clip=False,
            )
            box = written.get_window_extent(renderer)
            overlap = sum(_overlap(box, other) for other in taken)
            overlap += box.width * box.height - _overlap(box, axes.bbox)
            if best is None or overlap < best[0] - 1:
                if best is not None:
                    best[1].remove()
                best = (overlap, written)
            else:
                written.remove()
        if best is not None:
            taken.append(best[1].get_window_extent(renderer))


_AROUND = tuple(
    (dx * far, dy * far, ha, va)
    for far in (1, 2)
    for dx, dy, ha, va in (
        (7, 0, "left", "center"),
        (6, 6, "left", "bottom"),
        (6, -6, "left", "top"),
        (-7, 0, "right", "center"),
        (-6, 6, "right", "bottom"),
        (-6, -6, "right", "top"),
        (0, 8, "center", "bottom"),
        (0, -8, "center", "top"),
    )
)


def _overlap(a: Bbox, b: Bbox) -> float:
    both = Bbox.intersection(a, b)
    return 0.0 if both is None else float(both.width * both.height)


def _svg(size: tuple[float, float], description: str, draw: Callable[[Figure], None]) -> bytes:
    """Draw a figure of so many inches and return it as an SVG file with the style sheet for dark pages."""
    written = io.BytesIO()
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        # Whoever opens the file has the fonts for such names; only their width is guessed here.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=size, layout="constrained")
        figure.patch.set_alpha(0)
        draw(figure)
        for axes in figure.axes:
            axes.patch.set_alpha(0)
        figure.savefig(
            written, format="svg", metadata={"Date": None, "Creator": None, "Title": visible(description)}
        )
    return _adapted(written.getvalue().decode()).encode()


def _adapted(svg: str) -> str:
    """Let a figure change its colours with the page's, and use the reader's own fonts."""
    rules = "".join(
        f'[style*="{kind}: {light}"]{{{kind}:{dark}!important}}'
        for light, dark in _ON_DARK.items()
        for kind in ("fill", "stroke")
    )
    svg = svg.replace("</style>", f"@media (prefers-color-scheme:dark){{{rules}}}</style>", 1)
    svg = re.sub(r"font-family: [^;\"]*", f"font-family: {_FONTS}", svg)
    return re.sub(r"(font: [^\"]*?[\d.]+px) [^;\"]*", rf"\1 {_FONTS}", svg)
