"""The one style of all figures: SVG that is crisp, small, and at home on light and dark pages.

Text stays text, so that a page can be searched and read aloud. The background is transparent; a style sheet
inside each file changes its few colours where the reader prefers dark. The two strong colours are from
M. Okabe and K. Ito, "Color Universal Design" (2008), safe for colour blindness. The same data give the same
bytes.
"""

import html
import io
import math
import re
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, NullLocator

from mnistbench.text import visible

INK, MUTED, RULE, BLUE, ORANGE = "#1f2328", "#59636e", "#d1d9e0", "#0072b2", "#d55e00"
_ON_DARK = {INK: "#f0f6fc", MUTED: "#9198a1", RULE: "#3d444d", BLUE: "#56b4e9", ORANGE: "#f0863a"}
_FONTS = "-apple-system, 'Segoe UI', 'Noto Sans', Helvetica, Arial, sans-serif"
_STYLE: Any = {  # a plain dict: matplotlib types the keys one by one
    "axes.axisbelow": True,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": MUTED,
    "axes.titlelocation": "left",
    "axes.titlesize": 9,
    "figure.dpi": 72,
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "image.composite_image": False,  # pictures on the same axes stay apart, and sharp
    "svg.fonttype": "none",
    "svg.hashsalt": "mnistbench",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": MUTED,
    "xtick.major.size": 0,
    "ytick.color": MUTED,
    "ytick.major.size": 0,
}
_ERROR_TICKS = (0.9, *(m / 10**e for e in range(6) for m in (5, 2, 1) if m / 10**e < 1))
_SECOND_TICKS = (
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800,
    3600, 7200, 18000, 36000, 86400, 172800, 604800,
)  # fmt: skip

Place = tuple[float, float]


TITLED = "titled"
"""The id of an artist whose markers carry titles, which a browser shows where the figure is pointed at."""


def svg(
    size: tuple[float, float],
    description: str,
    draw: Callable[[Figure], None],
    titles: Sequence[str] = (),
) -> bytes:
    """Draw a figure and return it as an SVG file.

    Args:
        size: Width and height in inches of 96 CSS pixels.
        description: What it shows, for those who do not see it.
        draw: Fills the figure.
        titles: Of the markers of the artists named `TITLED`, in the order drawn.
    """
    written = io.BytesIO()
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        # Whoever opens the file has the fonts for such names; only their width is guessed here.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=size)
        figure.patch.set_alpha(0)
        draw(figure)
        for axes in figure.axes:
            axes.patch.set_alpha(0)
        metadata = {"Date": None, "Creator": None, "Title": visible(description)}
        figure.savefig(written, format="svg", metadata=metadata)
    return _titled(_adapted(written.getvalue().decode()), titles).encode()


def _titled(drawn: str, titles: Sequence[str]) -> str:
    """Give markers their titles: https://www.w3.org/TR/SVG2/struct.html#TitleElement."""
    rest = iter(titles)

    def with_title(marker: re.Match[str]) -> str:
        return f"<use{marker[1]}><title>{html.escape(visible(next(rest)))}</title></use>"

    def group(match: re.Match[str]) -> str:
        return match[1] + re.sub(r"<use([^>]*)/>", with_title, match[2])

    # What follows the group's beginning, up to where the next one begins, is its markers.
    return re.sub(rf'(<g id="{TITLED}">)(.*?)(?=<g id=|</svg>)', group, drawn, flags=re.DOTALL).replace(
        f' id="{TITLED}"', ""
    )


def _adapted(drawn: str) -> str:
    """Let a figure change its colours with the page's, and use the reader's own fonts."""
    rules = "".join(
        f'[style*="{kind}: {light}"]{{{kind}:{dark}!important}}'
        for light, dark in _ON_DARK.items()
        for kind in ("fill", "stroke")
    )
    drawn = drawn.replace("</style>", f"@media (prefers-color-scheme:dark){{{rules}}}</style>", 1)
    drawn = re.sub(r"font-family: [^;\"]*", f"font-family: {_FONTS}", drawn)
    return re.sub(r"(font: [^\"]*?[\d.]+px) [^;\"]*", rf"\1 {_FONTS}", drawn)


def add_axes(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Add axes at a place given in inches."""
    across, up = figure.get_size_inches()
    axes: Axes = figure.add_axes((left / across, bottom / up, width / across, height / up))
    return axes


def hide_spines(axes: Axes) -> None:
    """Take the frame away: gridlines, or cells, are enough."""
    for spine in axes.spines.values():
        spine.set_visible(False)


def text_width(labels: Sequence[str], fontsize: float) -> float:
    """Estimate the inches that the longest of some labels takes, on the generous side."""
    return max(map(len, labels), default=0) * 0.62 * fontsize / 72


def set_ticks(
    axis: Any, ladder: Sequence[float], limits: Place, write: Callable[[float], str], most: int = 8
) -> None:
    """Set ticks from a ladder of round values, or evenly where the range holds too few of them."""
    low, high = sorted(limits)
    inside = [value for value in ladder if low <= value <= high]
    if len(inside) < 3:
        even = np.asarray(MaxNLocator(5).tick_values(low, high)).tolist()
        inside = [value for value in even if low <= value <= high]
    step = math.ceil(len(inside) / most)
    axis.set_ticks(inside[::step], [write(value) for value in inside[::step]])
    axis.set_minor_locator(NullLocator())


def set_time_ticks(axis: Any, limits: Place) -> None:
    """Set ticks at round seconds, minutes and hours."""
    set_ticks(axis, _SECOND_TICKS, limits, _duration_tick)


def _duration_tick(seconds: float) -> str:
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"


def set_error_ticks(axis: Any, limits: Place, most: int = 8) -> None:
    """Set ticks at round shares of errors, each written as the accuracy in per cent."""
    set_ticks(axis, _ERROR_TICKS, limits, lambda error: f"{100 * (1 - error):.6g}", most)


def cell(row: int, column: int, **look: Any) -> Rectangle:
    """Return one cell of a matrix drawn with rows and columns a unit apart."""
    return Rectangle((column - 0.47, row - 0.47), 0.94, 0.94, **look)


def label_directly(
    axes: Axes, labels: Sequence[str], places: Sequence[Place], lines: Sequence[tuple[Place, Place]]
) -> None:
    """Write each label beside its point, where it covers no other label, point or line if there is room.

    A thin line leads to a label that found no room close by. Places are in data coordinates, and so are the
    ends of the horizontal and vertical lines to keep clear of. The limits and scales of the axes must be
    final.
    """
    figure: Any = axes.figure
    renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call] # not annotated
    to_pixels = axes.transData.transform
    offsets: Any = {"xytext": (0, 0), "textcoords": "offset points", "annotation_clip": False}
    written = [axes.annotate(visible(label), p, **offsets) for label, p in zip(labels, places, strict=True)]
    offered = [
        _offers(to_pixels(place), text.get_window_extent(renderer))
        for text, place in zip(written, places, strict=True)
    ]
    taken = [_box(to_pixels([a, b]), 2) for a, b in lines] + [_box(to_pixels([p]), 5) for p in places]
    inside = np.array([[*axes.bbox.min, *axes.bbox.max]])
    steps = np.arange(len(_AROUND)) // len(_DIRECTIONS)
    costs = [
        _covered(each, np.array(taken)) - _covered(each[:, :1], inside) + _COST_OF_A_STEP * steps
        for each in offered
    ]
    for text, place, best in zip(written, places, _apart(offered, costs), strict=True):
        dx, dy, across, up = _AROUND[best]
        text.set(position=(dx, dy), ha=_SIDES[across], va=_EDGES[up], in_layout=False)
        if steps[best]:
            axes.annotate("", place, **{**offsets, "xytext": (dx, dy)}, arrowprops=_LEADER)


_SIDES = {0: "left", 0.5: "center", 1: "right"}
_EDGES = {0: "bottom", 0.5: "center", 1: "top"}
# Offset in points, and which part of the label is put there: 0 its left or bottom, 1 its right or top.
_DIRECTIONS = (
    (7, 0, 0, 0.5),
    (6, 5, 0, 0),
    (6, -5, 0, 1),
    (-7, 0, 1, 0.5),
    (-6, 5, 1, 0),
    (-6, -5, 1, 1),
    (0, 8, 0.5, 0),
    (0, -8, 0.5, 1),
    (3, 8, 0, 0),
    (3, -8, 0, 1),
    (-3, 8, 1, 0),
    (-3, -8, 1, 1),
)
_AROUND = tuple((dx * step, dy * step, *part) for step in range(1, 7) for dx, dy, *part in _DIRECTIONS)
_COST_OF_A_STEP = 4  # square points of another's margin that a label may cover before it moves further away
_LEADER = {"arrowstyle": "-", "color": MUTED, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 3}
_ALONG_LEADER = (
    0.4,
    0.5,
    0.6,
    0.7,
    0.8,
    0.9,
)  # shares of the way to a label; nearer ones lie on its own point
_ROUNDS = 10


def _offers(point: Any, extent: Any) -> Any:
    """Return where a label may stand, one offer for each of `_AROUND`, shape (m, 1 + k, 4).

    An offer is the label's box, and k small ones along the line that leads to it; the nearest offers have no
    line, and theirs are empty.
    """
    dx, dy, across, up = np.array(_AROUND).T
    left, bottom = point[0] + dx - across * extent.width, point[1] + dy - up * extent.height
    boxes = [np.stack([left, bottom, left + extent.width, bottom + extent.height], axis=1)]
    far = np.arange(len(_AROUND))[:, np.newaxis] >= len(_DIRECTIONS)
    for share in _ALONG_LEADER:
        dot = np.stack([point[0] + share * dx, point[1] + share * dy], axis=1)
        boxes.append(np.concatenate([dot - 2, dot + 2], axis=1) * far)
    return np.stack(boxes, axis=1)


def _apart(offered: Sequence[Any], costs: Sequence[Any]) -> list[int]:
    """Choose one offer for each label, so that labels and their lines cover each other least.

    Each label in turn takes its best offer, until none moves; `costs` are those of the offers by themselves.
    """
    chosen: dict[int, int] = {}
    for _ in range(_ROUNDS):
        before = dict(chosen)
        for label, offers in enumerate(offered):
            others = [offered[other][offer] for other, offer in chosen.items() if other != label]
            cost = costs[label] + (_covered(offers, np.concatenate(others)) if others else 0)
            chosen[label] = int(np.argmin(np.round(cost, 3)))
        if chosen == before:
            break
    return list(chosen.values())


def _covered(offers: Any, boxes: Any) -> Any:
    """Return the area of some boxes that each offer covers, (m,)."""
    flat = offers.reshape(-1, 4)
    left, bottom, right, top = flat[flat[:, 2] > flat[:, 0]].T
    # Most boxes of a full figure are out of reach of all offers.
    near = (boxes[:, :2] < (right.max(), top.max())) & (boxes[:, 2:] > (left.min(), bottom.min()))
    reached = boxes[near.all(axis=1)]
    return sum(_shared(part, reached).sum(axis=1) for part in offers.swapaxes(0, 1))


def _box(points: Any, padding: float) -> Any:
    """Return left, bottom, right and top of what holds some points, and a padding around it."""
    return np.concatenate([points.min(axis=0) - padding, points.max(axis=0) + padding])


def _shared(boxes: Any, others: Any) -> Any:
    """Return the area that each of n boxes shares with each of m others, shape (n, m)."""
    width, height = (
        np.minimum(boxes[:, np.newaxis, low + 2], others[:, low + 2])
        - np.maximum(boxes[:, np.newaxis, low], others[:, low])
        for low in (0, 1)
    )
    return np.maximum(width, 0) * np.maximum(height, 0)
