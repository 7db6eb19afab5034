"""Figures are well-formed, the same for the same data, at home on dark pages, and legible."""

import itertools
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnistbench.report import figures
from mnistbench.stats.accuracy import wilson_interval
from mnistbench.stats.pairs import paired_tests
from mnistbench.stats.ranks import average_ranks
from mnistbench.stats.scores import reliability
from mnistbench.stats.verdicts import judged

SVG = "{http://www.w3.org/2000/svg}"


def texts(drawn: bytes) -> list[str]:
    return ["".join(t.itertext()) for t in ElementTree.fromstring(drawn.decode()).iter(f"{SVG}text")]


def point(label: str, seconds: float, accuracy: float, seeds: tuple[float, ...] = ()) -> figures.Point:
    return figures.Point(label, seconds, accuracy, wilson_interval(accuracy * 1000, 1000), seeds)


NAMES = [str(number) for number in range(60)]


def matrix(k: int) -> np.ndarray:
    drawn = np.random.default_rng(k).integers(0, 4, (k, k))
    np.fill_diagonal(drawn, 900)
    return drawn


def significance(margin: float = 0.002) -> bytes:
    draw = np.random.default_rng(1)
    correct = {name: draw.random(1000) > rate for name, rate in (("a", 0.01), ("b", 0.012), ("c", 0.2))}
    return figures.significance(list(correct), judged(paired_tests(correct), margin), 1000)


def diagram() -> bytes:
    probabilities = np.random.default_rng(2).dirichlet([0.1] * 10, 500)
    return figures.reliability(reliability(np.zeros(500, int), probabilities, range(10)), 0.0123, "svm")


FIGURES = {
    "accuracy": lambda: figures.accuracy_against_time([point("svm", 38, 0.98), point("cnn", 12, 0.99)], 1000),
    "confusion": lambda: figures.confusion(matrix(10), NAMES[:10], "svm"),
    "large confusion": lambda: figures.confusion(matrix(60), NAMES, "svm"),
    "reliability": diagram,
    "significance": significance,
    "ranks": lambda: figures.critical_difference(average_ranks({"svm": [0.9] * 5, "cnn": [0.95] * 5})),
}


@pytest.mark.parametrize("draw", FIGURES.values(), ids=FIGURES)
def test_every_figure_adapts_to_its_page_and_is_deterministic(draw):
    drawn = draw()
    assert drawn == draw()
    svg = drawn.decode()
    root = ElementTree.fromstring(svg)
    assert root.find(".//{http://purl.org/dc/elements/1.1/}title").text
    assert "@media (prefers-color-scheme:dark)" in svg
    colours = set(re.findall(r'style="[^"]*?(?:fill|stroke): (#[0-9a-f]{6})', svg)) - {"#ffffff"}
    adapted = set(re.findall(r'\[style\*="(?:fill|stroke): (#[0-9a-f]{6})"\]', svg))
    assert colours <= adapted, "a colour that stays as it is on a dark page"
    assert "DejaVu" not in svg
    assert len(drawn) < 300_000


def test_the_confusion_matrix_shows_every_count():
    counts = matrix(10)
    shown = texts(figures.confusion(counts, NAMES[:10], "svm"))
    assert sorted(t for t in shown if t.isdigit()) == sorted(
        [str(c) for c in counts.flat if c] + [str(c) for c in range(10)] * 2
    )


def test_thirty_two_classes_keep_their_names_and_counts():
    classes = list(range(4, 68, 2))
    shown = texts(figures.confusion(matrix(32), list(map(str, classes)), "svm"))
    assert all(shown.count(str(c)) >= 2 for c in classes)


@pytest.mark.parametrize("images", [1, 3, 30, 500, 3_000, 10_000, 200_000])
def test_the_counts_under_a_reliability_diagram_stand_apart(images):
    probabilities = np.full((images, 2), (0.9, 0.1))
    drawn = figures.reliability(reliability(np.zeros(images, int), probabilities, range(2)), 0.1, "svm")
    root = ElementTree.fromstring(drawn.decode())
    lower = next(group for group in root.iter(f"{SVG}g") if group.get("id") == "axes_2")
    axis = next(group for group in lower.iter(f"{SVG}g") if group.get("id") == "matplotlib.axis_4")
    heights = sorted(float(text.get("y")) for text in axis.iter(f"{SVG}text"))
    assert heights
    assert all(above - below >= 9 for below, above in itertools.pairwise(heights)), "they overlap"


def test_the_significance_matrix_marks_each_kind_of_tie():
    shown = texts(significance())
    assert sum(t.startswith("? ") for t in shown) == 1
    assert not any(t.startswith("= ") for t in shown)
    shown = texts(significance(margin=0.02))
    assert sum(t.startswith("= ") for t in shown) == 1
    assert not any(t.startswith("? ") for t in shown)
    assert {"a", "b", "c"} <= set(shown)


@settings(max_examples=20)
@given(
    st.lists(
        st.tuples(st.floats(1e-3, 1e5), st.floats(0, 1)).map(lambda p: (p[0], round(p[1] * 1000) / 1000)),
        min_size=1,
        max_size=8,
    )
)
def test_any_accuracies_and_times_can_be_drawn(places):
    points = [point(f"model {i}", seconds, accuracy) for i, (seconds, accuracy) in enumerate(places)]
    shown = texts(figures.accuracy_against_time(points, 1000))
    assert all(p.label in shown for p in points)


# Seconds and accuracy of the suite families, about; half of them crowd into one corner.
FAMILIES = {
    "cnn": (8.8, 0.994), "mlp": (8.8, 0.988), "svm": (22, 0.984), "xgboost": (30, 0.979), "rf": (17, 0.970),
    "logreg": (5.8, 0.926), "dummy": (0.002, 0.114), "gaussian_nb": (0.35, 0.81), "knn": (1, 0.975),
    "lda": (1.5, 0.875), "linear_svm": (25, 0.918), "ridge": (0.4, 0.86), "decision_tree": (4, 0.885),
    "extra_trees": (18, 0.972), "hist_gradient_boosting": (35, 0.975), "lightgbm": (36, 0.976),
    "nystroem_svm": (38, 0.977), "random_fourier_ridge": (12, 0.982), "pca_qda": (1.2, 0.964),
}  # fmt: skip
IN_A_ROW = {f"model {i}": (10 * 1.02**i, 0.98 + 0.0005 * i) for i in range(6)}


@pytest.mark.parametrize("places", [IN_A_ROW, FAMILIES], ids=["six in a row", "nineteen families"])
def test_labels_cover_neither_each_other_nor_a_point(places):
    points = [point(label, *place) for label, place in places.items()]
    root = ElementTree.fromstring(figures.accuracy_against_time(points, 1000).decode())
    boxes = []
    for t in root.iter(f"{SVG}text"):
        if (name := "".join(t.itertext())) in places:
            anchor = re.search(r"text-anchor: (\w+)", t.get("style") or "")
            width, x, y = 4.5 * len(name), float(t.get("x")), float(t.get("y"))
            left = x - {"start": 0, "middle": width / 2, "end": width}[anchor[1] if anchor else "start"]
            boxes.append((left, left + width, y - 7, y))
    assert len(boxes) == len(places)
    markers = [(float(use.get("x")), float(use.get("y"))) for use in root.iter(f"{SVG}use") if len(use)]
    assert len(markers) == len(places)
    boxes += [(x - 2, x + 2, y - 2, y + 2) for x, y in markers]
    for i, (a, b, c, d) in enumerate(boxes[: len(places)]):
        for e, f, g, h in boxes[i + 1 :]:
            assert not (a < f and e < b and c < h and g < d)


def test_names_with_dollars_brackets_and_unknown_glyphs_are_drawn_as_they_are():
    name = "$x_1$ <b> 東京 \x1b"
    shown = texts(figures.accuracy_against_time([point(name, 1, 0.9)], 1000))
    assert "$x_1$ <b> 東京 \\x1b" in shown
    figures.confusion(matrix(3), NAMES[:3], name)
