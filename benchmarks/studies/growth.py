"""What data of other shapes than MNIST's cost each model: more classes, few pixels, no black.

`make bench-growth` draws five data sets of the same number of images from MNIST, or from digits where MNIST
is not in the cache, and runs the models on each as on a user's own .npz file. Every digit is slightly warped,
so that images may be many. A class beyond ten is a two-digit number, its digits side by side at half their
width. A model should take at most the plain set's CPU time for each class and image, and at most 3 GB for
100,000 images of 784 pixels; what takes more is listed below the table, with the reason where it is the
method's own, and otherwise makes the exit status 1. CPU time hardly depends on what else runs on the machine.
How time grows with the images alone is what the suite `scaling` measures.

`make bench-growth ARGS="--images 5000"` takes a few minutes. Other options are those of `mnistbench run`.
"""

import argparse
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from mnistbench.datasets import cache_folder, open_arrays, resolve
from mnistbench.estimators.distortions import RandomWarp
from mnistbench.runs.folder import find_run

MOST_GROWTH = 1.0
MOST_GIGABYTES = 3.0
TEST_SHARE = 1 / 6  # of the training images, as in MNIST
WARP = RandomWarp(rotation=10, scale=0.1, shear=0.1)

# What a method takes of itself, by model, data and what there is too much of.
EXCEPTIONS = {
    ("rf", "no-black", "time"): "it sorts pixels at every node, and black ones tie",
    ("xgboost", "no-black", "time"): "black pixels are missing values, which cost a histogram nothing",
    ("extra_trees", "62-classes", "memory"): "every node of a tree keeps the share of every class",
    ("extra_trees", "47-classes", "memory"): "every node of a tree keeps the share of every class",
}


@dataclass(frozen=True)
class Shape:
    """How a data set differs from MNIST.

    Attributes:
        classes: Number of classes, up to 100.
        smallest: Images of the smallest class for each of the largest; those between fall off geometrically.
        side: Height and width in pixels; None for those of the original.
        darkest: The least value of a pixel, below which no noise takes it.
    """

    classes: int = 10
    smallest: float = 1.0
    side: int | None = None
    darkest: int = 0


SHAPES = {
    "plain": Shape(),
    "62-classes": Shape(classes=62, smallest=0.05),
    "47-classes": Shape(classes=47),
    "16x16": Shape(side=16),
    "no-black": Shape(darkest=16),
}


def drawn(shape, images, labels, count, generator):
    """Return so many images of a shape, uint8 (n, h, w), drawn from others, and their labels, int64 (n,)."""
    shares = np.geomspace(1, shape.smallest, shape.classes).cumsum()
    classes = np.searchsorted(shares / shares[-1], (np.arange(count) + 0.5) / count)
    classes = generator.permutation(classes)
    height, width = (shape.side, shape.side) if shape.side else images.shape[1:]
    if shape.classes > 10:
        halves = (classes // 10, width // 2), (classes % 10, width - width // 2)
    else:
        halves = ((classes, width),)
    parts = [
        resized(warped(digits, images, labels, generator), height, part_width)
        for digits, part_width in halves
    ]
    pixels = np.concatenate(parts, axis=2)
    if shape.darkest:
        pixels *= 0.75
        pixels += generator.uniform(shape.darkest, 64, pixels.shape)
    return pixels.astype(np.uint8), classes


def warped(digits, images, labels, generator):
    """Return a warped image of each digit, float32, each of the images equally often."""
    chosen = np.empty(len(digits), np.int64)
    for digit in range(10):
        places = np.flatnonzero(digits == digit)
        chosen[places] = np.resize(generator.permutation(np.flatnonzero(labels == digit)), len(places))
    return WARP(images[chosen].astype(np.float32), generator)


def resized(images, height, width):
    """Return images, float, shape (n, h, w), at another size; a pixel is the mean of what it covers."""
    return overlaps(images.shape[1], height) @ images @ overlaps(images.shape[2], width).T


def overlaps(before, after):
    """Return how much of each pixel after resizing comes from each before, shape (after, before)."""
    edges = np.linspace(0, before, after + 1)[:, None]
    starts = np.arange(before)
    shared = np.minimum(edges[1:], starts + 1) - np.maximum(edges[:-1], starts)
    return (np.maximum(shared, 0) * (after / before)).astype(np.float32)


def write(shape, count, path):
    """Write a data set of so many training images of a shape to a .npz file."""
    base = open_arrays(resolve(None, cache=cache_folder(), offline=True).arrays_folder)
    generator = np.random.default_rng(0)
    x_train, y_train = drawn(shape, base.x_train, base.y_train, count, generator)
    x_test, y_test = drawn(shape, base.x_test, base.y_test, round(count * TEST_SHARE), generator)
    np.savez(path, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)


def records_of(name, arguments, folder, options):
    """Run the models on data of a shape; return the record of each by name."""
    path = folder / f"{name}.npz"
    write(SHAPES[name], arguments.images, path)
    command = ["run", "--results", folder, "--name", name, "--dataset", path, "--cache-dir", folder / "cache"]
    command += ["--offline", "--measure", "none", *options]
    answer = subprocess.run([sys.executable, "-P", "-m", "mnistbench", *map(str, command)])
    if answer.returncode not in (0, 1):  # 1: a model failed, which is a row of the table
        sys.exit(answer.returncode)
    return {record.trial.model: record for record in find_run(folder, name).records()}


def cpu_seconds(record):
    """Return the CPU time of fit and predict together."""
    return record.measurement.fit_cpu_seconds + record.measurement.predict_cpu_seconds


def row(record, plain, classes):
    """Return a record's cells, and what is too much of it: "time", "memory" or how the trial ended."""
    measurement = record.measurement
    if measurement is None:
        return ["", "", "", "", ""], [str(record.status)]
    gigabytes = measurement.peak_rss_bytes / 1e9
    too_much = ["memory"] if gigabytes > MOST_GIGABYTES else []
    growth = ""
    if plain.measurement is not None:
        times = cpu_seconds(record) / cpu_seconds(plain) / (classes / SHAPES["plain"].classes)
        growth = f"{times:.2f}"
        too_much = ["time"] * (times > MOST_GROWTH) + too_much
    seconds = measurement.fit_seconds + measurement.predict_seconds
    accuracy = f"{100 * record.quality.accuracy:.2f}"
    return [accuracy, f"{seconds:.1f}", f"{cpu_seconds(record):.1f}", growth, f"{gigabytes:.2f}"], too_much


def main():
    """Print the table; exit with status 1 where a model takes more than its method has a reason for."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--images", type=int, default=100_000, help="training images of each set (100000)")
    parser.add_argument("--shapes", default=",".join(SHAPES), help="the sets to compare with plain (all)")
    arguments, options = parser.parse_known_args()
    wanted = {"plain", *arguments.shapes.split(",")}
    if unknown := wanted - set(SHAPES):
        parser.error(f"--shapes: there is no {', '.join(unknown)}; expected some of {', '.join(SHAPES)}")
    chosen = [name for name in SHAPES if name in wanted]
    with tempfile.TemporaryDirectory() as folder:
        runs = {name: records_of(name, arguments, Path(folder), options) for name in chosen}
    table = Table(box=None, pad_edge=False)
    for heading in ("model", "data", "accuracy, %", "s", "CPU s", "growth", "peak GB"):
        table.add_column(heading, justify="left" if heading in ("model", "data") else "right")
    table.add_column("too much")
    found = {}
    for model, plain in runs["plain"].items():
        for name in chosen:
            cells, too_much = row(runs[name][model], plain, SHAPES[name].classes)
            found |= {(model, name, what): EXCEPTIONS.get((model, name, what)) for what in too_much}
            table.add_row(model, name, *cells, ", ".join(too_much))
    console = Console(highlight=False)
    console.print(table)
    console.print("\ngrowth: CPU seconds for each class and image, over those of the plain set")
    for (model, name, what), reason in found.items():
        console.print(f"{model} on {name}, {what}: {reason or 'too much'}")
    sys.exit(None in found.values())


if __name__ == "__main__":
    main()
