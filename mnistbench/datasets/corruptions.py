"""Corrupted copies of grey images: fifteen kinds in the style of MNIST-C, and three shifts by degrees.

The kinds and their settings are those of N. Mu and J. Gilmer, "MNIST-C: A Robustness Benchmark for Computer
Vision", 2019 (arXiv:1906.02337), and of the code published with it (github.com/google-research/mnist-c). The
code here is another: it works on many images at once and draws other random numbers, so its images are in the
style of MNIST-C and are not the published files. Where the authors give a kind one strength only (stripe,
dotted line, zigzag, Canny edges), the other four severities are ours.

Lengths are in pixels of an image 28 pixels wide, and grow with the image. Pixels are from 0 to 1 within this
module and are rounded to whole numbers from 0 to 255 at the end.
"""

import hashlib
import itertools
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mnistbench.datasets.arrays import Images

Pixels: TypeAlias = NDArray[np.float32]  # from 0 to 1, shape (n, height, width)
Generator: TypeAlias = np.random.Generator
Change: TypeAlias = Callable[[Pixels, Generator, Any], Pixels]

_SIDE = 28  # of the images that the settings are made for
_BLOCK_PIXELS = 512 * _SIDE**2


@dataclass(frozen=True)
class Corruption:
    """A way of changing images, at several strengths."""

    title: str  # its name for readers
    change: Change  # returns changed images, given images, a generator and one of the settings
    # The argument of `change` at each level, by level: 1 to 5 for the kinds of MNIST-C, the amount itself for
    # the shifts by degrees.
    settings: Mapping[float, Any]
    unit: str = "severity"  # what the levels count
    level: int | None = None  # the level of MNIST-C's kinds that its authors use; None for shifts by degrees
    # Whether it leaves the class of a digit alone, but not that of any image: a rotated or shifted image may
    # well be of another class elsewhere.
    for_digits: bool = False


@dataclass(frozen=True, order=True)
class Condition:
    """A corruption at one of its levels."""

    kind: str
    level: float

    @property
    def name(self) -> str:
        """The name of its copies: "shot_noise-5"."""
        return f"{self.kind}-{self.level:g}"


def conditions() -> tuple[Condition, ...]:
    """Return what the measurement `robustness` covers: each kind at the authors' level, each shift at all."""
    return tuple(
        Condition(kind, level)
        for kind, corruption in CORRUPTIONS.items()
        for level in ([corruption.level] if corruption.level is not None else corruption.settings)
    )


def corrupted(images: Images, condition: Condition, seed: int = 0) -> Images:
    """Return corrupted copies, uint8, shape (n, height, width); the same for the same arguments.

    Each block of images has a generator of its own, so that the result depends on nothing else. Other
    versions of NumPy and SciPy, and other processors, may round a pixel differently.
    """
    corruption, copies = CORRUPTIONS[condition.kind], np.empty(images.shape, np.uint8)
    kind = zlib.crc32(condition.name.encode())
    for number, block in enumerate(_blocks(images)):
        generator = np.random.default_rng([seed, kind, number])
        pixels = np.asarray(images[block], np.float32) / np.float32(255)
        changed = corruption.change(pixels, generator, corruption.settings[condition.level])
        copies[block] = np.rint(255 * np.clip(changed, 0, 1))
    return copies


def images_digest(images: Images) -> str:
    """Return the SHA-256 of some images' pixels, in hexadecimal."""
    return hashlib.sha256(images.tobytes()).hexdigest()


def _blocks(images: Images) -> Iterator[slice]:
    size = max(1, _BLOCK_PIXELS // (images.shape[1] * images.shape[2]))
    return (slice(start, start + size) for start in range(0, len(images), size))


def _unit(x: Pixels) -> float:
    """Return how many pixels of these images one of an image 28 pixels wide is."""
    return float(min(x.shape[1:])) / _SIDE


def _blurred(x: Pixels, sigma: float) -> Pixels:
    from scipy.ndimage import gaussian_filter

    blurred: Pixels = gaussian_filter(x, sigma * _unit(x), axes=(1, 2), mode="nearest")
    return blurred


def _signs(generator: Generator, *shape: int) -> NDArray[np.int64]:
    """Draw a direction, -1 or 1, for each image."""
    return generator.integers(0, 2, shape) * 2 - 1


def _gaussian_noise(x: Pixels, generator: Generator, sigma: float) -> Pixels:
    return x + np.float32(sigma) * generator.standard_normal(x.shape, np.float32)


def _shot_noise(x: Pixels, generator: Generator, photons: float) -> Pixels:
    return (generator.poisson(x * photons) / photons).astype(np.float32)


def _impulse_noise(x: Pixels, generator: Generator, share: float) -> Pixels:
    drawn = generator.random(x.shape, np.float32)
    return np.where(drawn < share, np.float32(drawn < share / 2), x)


def _glass_blur(x: Pixels, generator: Generator, setting: tuple[float, int, int]) -> Pixels:
    """Blur, let pixels change places with near ones, and blur again.

    From the last pixel to the first, each changes places, with probability one half, with one up to `reach`
    rows and columns before it and `reach - 1` after it.
    """
    sigma, reach, rounds = setting
    reach = max(1, round(reach * _unit(x)))
    count, height, width = x.shape
    # One row a pixel, so that a step reads and writes runs of memory. Whole numbers, as in the original.
    pixels: Pixels = np.floor(255 * _blurred(x, sigma)).reshape(count, -1).T.copy()
    every = np.arange(count)
    for _ in range(rounds):
        for row in range(height - reach, reach, -1):
            columns = range(width - reach, reach, -1)
            stays = generator.random((len(columns), count), np.float32) < 0.5
            moves = generator.integers(-reach, reach, (2, len(columns), count))
            for step, column in enumerate(columns):
                here = row * width + column
                there = np.where(stays[step], here, here + moves[0, step] * width + moves[1, step])
                taken = pixels[there, every]
                pixels[there, every] = pixels[here]
                pixels[here] = taken
    mixed: Pixels = np.ascontiguousarray(pixels.T).reshape(x.shape) / np.float32(255)
    return _blurred(mixed, sigma)


def _motion_blur(x: Pixels, generator: Generator, setting: tuple[float, float]) -> Pixels:
    """Blur along a direction drawn within 45 degrees of the horizontal, as ImageMagick's -motion-blur does.

    The kernel is the falling half of a Gaussian, `2 * radius + 1` pixels long. Edges are continued.
    """
    radius, sigma = (length * _unit(x) for length in setting)
    count, height, width = x.shape
    reach = 2 * int(np.ceil(radius))
    angles = np.radians(generator.uniform(-45, 45, count))
    weights = np.exp(-(np.arange(reach + 1) ** 2) / (2 * sigma**2))
    weights /= weights.sum()
    padded = np.pad(x, [(0, 0), (reach, reach), (reach, reach)], "edge").reshape(count, -1)
    across = width + 2 * reach
    places = ((np.arange(height)[:, None] + reach) * across + np.arange(width) + reach).ravel()
    blurred = np.zeros((count, height * width), np.float32)
    for step, weight in enumerate(weights.astype(np.float32)):
        if weight > 1e-4:  # else no pixel changes by a fortieth of a grey level
            rows, columns = (np.ceil(step * turn(angles) - 0.5).astype(int) for turn in (np.sin, np.cos))
            moved = places + (rows * across + columns)[:, None]
            blurred += weight * np.take_along_axis(padded, moved, axis=1)
    return blurred.reshape(x.shape)


def _warped(x: Pixels, matrix: Any, shift: Any = (0, 0)) -> Pixels:
    """Return images whose pixel at p, seen from the centre, is the original's at matrix @ p + shift.

    Positions are (x, y) in pixels; between pixels the warp is bilinear, and outside the image it is black.
    """
    count, height, width = x.shape
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    rows, columns = np.indices((height, width))
    places = np.stack([columns.ravel(), rows.ravel()]) - middle[:, None]
    source = np.asarray(matrix) @ places + (middle + np.asarray(shift))[:, None]
    source = np.round(source, 9)  # whole positions stay whole whatever the rounding of the matrix
    low = np.floor(source).astype(int)
    part = (source - low).astype(np.float32)
    padded = np.pad(x, [(0, 0), (1, 1), (1, 1)]).reshape(count, (height + 2) * (width + 2))
    warped = np.zeros((count, height * width), np.float32)
    for right in (0, 1):
        for down in (0, 1):
            weight = np.abs(1 - right - part[0]) * np.abs(1 - down - part[1])
            column = np.clip(low[0] + right + 1, 0, width + 1)
            row = np.clip(low[1] + down + 1, 0, height + 1)
            warped += weight * padded[:, row * (width + 2) + column]
    return warped.reshape(x.shape)


def _either_way(x: Pixels, generator: Generator, warp: Callable[[Pixels, int], Pixels]) -> Pixels:
    """Warp each image in one direction or the other."""
    ways, changed = _signs(generator, len(x)), np.empty_like(x)
    for way in (-1, 1):
        changed[ways == way] = warp(x[ways == way], way)
    return changed


def _sheared(x: Pixels, generator: Generator, angle: float) -> Pixels:
    def warp(some: Pixels, way: int) -> Pixels:
        return _warped(some, [[1, -np.sin(way * angle)], [0, np.cos(angle)]])

    return _either_way(x, generator, warp)


def _rotated(x: Pixels, generator: Generator, angle: float) -> Pixels:
    def warp(some: Pixels, way: int) -> Pixels:
        sine, cosine = np.sin(way * angle), np.cos(angle)
        return _warped(some, [[cosine, -sine], [sine, cosine]])

    return _either_way(x, generator, warp)


def _shrunk(x: Pixels, _generator: Generator, size: float) -> Pixels:
    return _warped(x, np.eye(2) / size)


def _translated(x: Pixels, generator: Generator, distance: float) -> Pixels:
    step = distance * _unit(x)

    def across(some: Pixels, way: int) -> Pixels:
        return _warped(some, np.eye(2), (way * step, 0))

    def down(some: Pixels, way: int) -> Pixels:
        return _warped(some, np.eye(2), (0, way * step))

    return _either_way(_either_way(x, generator, across), generator, down)


def _brightened(x: Pixels, _generator: Generator, amount: float) -> Pixels:
    return x + np.float32(amount)


def _striped(x: Pixels, _generator: Generator, breadth: float) -> Pixels:
    """Invert so many columns at the left and at the right."""
    width = x.shape[2]
    stripe = round(breadth * width / _SIDE)
    column = np.arange(width)
    return np.where((column < stripe) | (column >= width - stripe), 1 - x, x)


_IMAGES_PER_FOG = 8


def _fogged(x: Pixels, generator: Generator, setting: tuple[float, float]) -> Pixels:
    """Add a plasma fractal; the brightest value stays what it was.

    The authors cut the corner of a fractal of its own for each image. Here `_IMAGES_PER_FOG` images share
    one, which repeats beyond its edges, each with a part drawn from all of it.
    """
    thickness, decay = setting
    count, height, width = x.shape
    size = max(256, 1 << (max(height, width) - 1).bit_length())
    fogs = _plasma(-(-count // _IMAGES_PER_FOG), size, decay, generator)
    top, left = generator.integers(0, size, (2, count, 1, 1))
    rows = (top + np.arange(height)[:, None]) % size
    columns = (left + np.arange(width)) % size
    which = np.arange(count)[:, None, None] // _IMAGES_PER_FOG
    brightest = x.max(axis=(1, 2), keepdims=True)
    foggy: Pixels = x + np.float32(thickness) * fogs[which, rows, columns]
    foggy *= brightest / (brightest + np.float32(thickness))
    return foggy


def _plasma(count: int, size: int, decay: float, generator: Generator) -> Pixels:
    """Make plasma fractals from 0 to 1, shape (count, size, size), by the diamond-square algorithm.

    A. Fournier, D. Fussell and L. Carpenter, "Computer rendering of stochastic models", Communications of the
    ACM 25 (1982). Each point is the mean of four around it and a uniform random number, whose range falls by
    the square of `decay` from one scale to the next. The edges join.
    """
    maps = np.zeros((count, size, size), np.float32)
    step, reach = size, 100.0**2

    def noisy(sums: Pixels) -> Pixels:
        drawn: Pixels = generator.random(sums.shape, np.float32)
        return sums / np.float32(4) + np.float32(reach) * (2 * drawn - np.float32(1))

    while step > 1:
        half = step // 2
        corners = maps[:, ::step, ::step]
        pairs = corners + np.roll(corners, -1, axis=1)
        maps[:, half::step, half::step] = noisy(pairs + np.roll(pairs, -1, axis=2))
        middles = maps[:, half::step, half::step]
        beside = corners + np.roll(corners, -1, axis=2) + middles + np.roll(middles, 1, axis=1)
        maps[:, ::step, half::step] = noisy(beside)
        beside = corners + np.roll(corners, -1, axis=1) + middles + np.roll(middles, 1, axis=2)
        maps[:, half::step, ::step] = noisy(beside)
        step, reach = half, reach / decay**2
    maps -= maps.min(axis=(1, 2), keepdims=True)
    maps /= maps.max(axis=(1, 2), keepdims=True)
    return maps


def _spattered(x: Pixels, generator: Generator, setting: tuple[float, ...]) -> Pixels:
    """Cover drops, where blurred noise is above a threshold, in dark grey."""
    mean, spread, sigma, threshold, edge = setting
    noise = np.float32(spread) * generator.standard_normal(x.shape, np.float32) + np.float32(mean)
    drops = _blurred((_blurred(noise, sigma) > threshold).astype(np.float32), edge)
    drops[drops < 0.8] = 0
    return x * (1 - drops) + np.float32(63 / 255) * drops


def _frame(x: Pixels) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the row, shape (h, 1), and the column, shape (1, w), of each pixel in a frame of 28 by 28."""
    height, width = x.shape[1:]
    rows, columns = np.linspace(0, _SIDE - 1, height), np.linspace(0, _SIDE - 1, width)
    return rows[:, None], columns[None]


_LINE_REACH = 2.3  # from its middle a line falls off as 1 + ln(1 - distance / 2.3), until that is 0


def _line(x: Pixels, start: tuple[Any, Any], end: tuple[Any, Any]) -> Pixels:
    """Draw a line for each image from one (column, row) to another, arrays of shape (n,), on black."""
    rows, columns = _frame(x)
    (column_a, row_a), (column_b, row_b) = ([at[:, None, None] for at in point] for point in (start, end))
    middle = row_a + (row_b - row_a) / (column_b - column_a) * (columns - column_a)
    distance = np.minimum(np.abs(rows - middle), _LINE_REACH - 1e-10)
    drawn = np.maximum(1 + np.log(1 - distance / _LINE_REACH), 0)
    inside = (columns >= np.floor(column_a)) & (columns < np.ceil(column_b))
    painted: Pixels = (drawn * inside).astype(np.float32)
    return painted


def _dotted(x: Pixels, generator: Generator, lines: int) -> Pixels:
    """Draw lines from edge to edge: two columns left out, two drawn, and so on."""
    _, columns = _frame(x)
    for _ in range(lines):
        first, last = generator.integers(0, _SIDE - 1, (2, len(x)))
        line = _line(x, (np.zeros(len(x)), first), (np.full(len(x), _SIDE - 1.0), last))
        x = np.minimum(x + line * (columns // 2 % 2 == 1), 1)
    return x


def _zigzagged(x: Pixels, generator: Generator, lines: int) -> Pixels:
    """Draw lines that swing two pixels either side of a slightly sloping one."""
    begin, end, swing = 2.0, 25.0, 2.0
    for _ in range(lines):
        first = generator.integers(0, _SIDE - 1, len(x))
        angle = np.arctan(generator.integers(-5, 5, len(x)) / (end - begin))
        length = (end - begin) / np.cos(angle)
        along = [np.zeros(len(x)), *(np.full(len(x), (2 * i + 1) * swing) for i in range(6)), length]
        aside = [swing * (-1) ** i * np.ones(len(x)) for i in range(6)]
        aside = [np.zeros(len(x)), *aside, aside[-1] / (2 * (length - 10 * swing))]
        corners = [
            (begin + np.cos(angle) * a - np.sin(angle) * b, first + np.sin(angle) * a + np.cos(angle) * b)
            for a, b in zip(along, aside, strict=True)
        ]
        for a, b in itertools.pairwise(corners):
            x = np.minimum(x + _line(x, a, b), 1)
    return x


def _edges(x: Pixels, _generator: Generator, sigma: float) -> Pixels:
    """Keep the edges: J. Canny, "A computational approach to edge detection", IEEE TPAMI 8 (1986).

    The gradient is Sobel's, of images blurred with black around them and divided by the blur's part inside. A
    pixel is an edge where no interpolated neighbour along its gradient is larger, the gradient is at least
    0.1, and a path of such pixels leads to one of at least 0.2. The outermost pixels are none.
    """
    from scipy.ndimage import correlate1d, gaussian_filter, label

    sigma *= _unit(x)
    inside = gaussian_filter(np.ones_like(x[:1]), sigma, axes=(1, 2), mode="constant")
    smooth = gaussian_filter(x, sigma, axes=(1, 2), mode="constant") / inside
    down = correlate1d(correlate1d(smooth, [-1, 0, 1], axis=1), [1, 2, 1], axis=2)
    across = correlate1d(correlate1d(smooth, [-1, 0, 1], axis=2), [1, 2, 1], axis=1)
    size = np.hypot(down, across)
    steep = np.abs(down) >= np.abs(across)
    longer, shorter = np.maximum(abs(down), abs(across)), np.minimum(abs(down), abs(across))
    slant = shorter / np.maximum(longer, np.float32(1e-12))
    rising = down * across >= 0
    padded = np.pad(size, [(0, 0), (1, 1), (1, 1)])

    def at(row: int, column: int) -> Pixels:
        return padded[:, 1 + row : 1 + row + x.shape[1], 1 + column : 1 + column + x.shape[2]]

    local = size >= np.float32(0.1)
    for way in (-1, 1):
        straight = np.where(steep, at(way, 0), at(0, way))
        diagonal = np.where(rising, at(way, way), np.where(steep, at(way, -way), at(-way, way)))
        local &= size >= slant * diagonal + (1 - slant) * straight
    local[:, [0, -1]] = local[:, :, [0, -1]] = False
    touching = np.zeros((3, 3, 3), int)
    touching[1] = 1  # pixels of different images do not touch
    paths, _ = label(local, touching)
    strong = np.unique(paths[local & (size >= np.float32(0.2))])
    kept: Pixels = (np.isin(paths, strong) & local).astype(np.float32)
    return kept


def _levels(*settings: Any) -> dict[float, Any]:
    return dict(enumerate(settings, start=1))


_ANGLES = _levels(0.2, 0.4, 0.6, 0.8, 1.0)  # radians

CORRUPTIONS: Mapping[str, Corruption] = {
    "shot_noise": Corruption("shot noise", _shot_noise, _levels(60, 25, 12, 5, 3), level=5),
    "impulse_noise": Corruption(
        "impulse noise", _impulse_noise, _levels(0.03, 0.06, 0.09, 0.17, 0.27), level=4
    ),
    "glass_blur": Corruption(
        "glass blur",
        _glass_blur,
        _levels((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2)),
        level=1,
    ),
    "motion_blur": Corruption(
        "motion blur", _motion_blur, _levels((10, 3), (15, 5), (15, 8), (15, 12), (20, 15)), level=1
    ),
    "shear": Corruption("shear", _sheared, _ANGLES, level=2, for_digits=True),
    "scale": Corruption("scale", _shrunk, _levels(0.9, 0.8, 0.7, 0.6, 0.5), level=3),
    "rotate": Corruption("rotate", _rotated, _ANGLES, level=2, for_digits=True),
    "brightness": Corruption("brightness", _brightened, _levels(0.1, 0.2, 0.3, 0.4, 0.5), level=5),
    "translate": Corruption("translate", _translated, _levels(1, 2, 3, 4, 5), level=3),
    "stripe": Corruption("stripe", _striped, _levels(3, 5, 7, 9, 11), level=3),
    "fog": Corruption("fog", _fogged, _levels((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)), level=5),
    "spatter": Corruption(
        "spatter",
        _spattered,
        _levels(
            (0.65, 0.3, 4, 0.69, 0.6),
            (0.65, 0.3, 3, 0.68, 0.6),
            (0.65, 0.3, 2, 0.68, 0.5),
            (0.65, 0.3, 1, 0.65, 1.5),
            (0.67, 0.4, 1, 0.65, 1.5),
        ),
        level=4,
    ),
    "dotted_line": Corruption("dotted line", _dotted, _levels(1, 2, 3, 4, 5), level=1),
    "zigzag": Corruption("zigzag", _zigzagged, _levels(1, 2, 3, 4, 5), level=1),
    "canny_edges": Corruption("Canny edges", _edges, _levels(1, 1.25, 1.5, 1.75, 2), level=1),
    "shift": Corruption("shift", _translated, {each: each for each in (1, 2, 3, 4)}, unit="pixels"),
    "rotation": Corruption(
        "rotation",
        _rotated,
        {each: float(np.radians(each)) for each in (15, 30, 45)},
        unit="degrees",
        for_digits=True,
    ),
    "noise": Corruption(
        "additive noise",
        _gaussian_noise,
        {each: each for each in (0.1, 0.2, 0.3, 0.4)},
        unit="standard deviation, of 1",
    ),
}
"""The fifteen kinds, in the authors' order, and the shifts by degrees."""
