"""Corrupted copies: what each kind does, pixel by pixel, and that it does the same everywhere."""

import itertools
import math
from collections import deque

import numpy as np
import pytest
from support.python import run_python

from mnistbench.datasets import corruptions
from mnistbench.datasets.corruptions import CORRUPTIONS, Condition, conditions, corrupted, images_digest

KINDS = [name for name, corruption in CORRUPTIONS.items() if corruption.level is not None]


def drawing(count=3, height=28, width=28):
    """Return images with soft strokes and shades, float32 from 0 to 1."""
    rows, columns = np.indices((height, width))
    images = [
        np.exp(-(((np.hypot(rows - 13 - i, columns - 14) - 7 + i) / 1.6) ** 2))
        * (0.6 + 0.4 * columns / width)
        for i in range(count)
    ]
    return np.array(images, np.float32)


def pixel(image, row, column):
    """Return a pixel; black outside."""
    height, width = image.shape
    return float(image[row, column]) if 0 <= row < height and 0 <= column < width else 0.0


def blur(image, sigma):
    """Blur by a Gaussian cut off at four sigma, the outermost pixels continued."""
    reach = int(4 * sigma + 0.5)
    weights = [math.exp(-(d**2) / (2 * sigma**2)) for d in range(-reach, reach + 1)]
    for _ in range(2):  # along the columns, then along the rows
        padded = np.pad(image.astype(float), [(reach, reach), (0, 0)], "edge")
        image = sum(w * padded[i : i + image.shape[0]] for i, w in enumerate(weights)).T / sum(weights)
    return image


def warp(image, position_of):
    """Read each pixel at another position, given and returned as x and y from the centre; bilinear."""
    height, width = image.shape
    out = np.zeros_like(image, dtype=float)
    for row, column in np.ndindex(height, width):
        x, y = position_of(column - (width - 1) / 2, row - (height - 1) / 2)
        x, y = round(x + (width - 1) / 2, 9), round(y + (height - 1) / 2, 9)
        left, top = math.floor(x), math.floor(y)
        a, b = x - left, y - top
        out[row, column] = (1 - b) * ((1 - a) * pixel(image, top, left) + a * pixel(image, top, left + 1)) + (
            b * ((1 - a) * pixel(image, top + 1, left) + a * pixel(image, top + 1, left + 1))
        )
    return out


def slow_shot_noise(images, draw, photons):
    return draw.poisson(images * np.float32(photons)) / photons


def slow_impulse_noise(images, draw, share):
    drawn = draw.random(images.shape, np.float32)
    out = images.copy()
    for at in np.ndindex(images.shape):
        if drawn[at] < share:
            out[at] = 1 if drawn[at] < share / 2 else 0  # salt or pepper
    return out


def slow_glass_blur(images, draw, setting):
    sigma, reach, rounds = setting
    out = [np.floor(255 * blur(image, sigma)) for image in images]
    _, height, width = images.shape
    rows, columns = range(height - reach, reach, -1), range(width - reach, reach, -1)
    for _, row in itertools.product(range(rounds), rows):
        stays = draw.random((len(columns), len(images)), np.float32) < 0.5
        moves = draw.integers(-reach, reach, (2, len(columns), len(images)))
        for step, column in enumerate(columns):
            for i, image in enumerate(out):
                if not stays[step, i]:
                    there = row + moves[0, step, i], column + moves[1, step, i]
                    image[row, column], image[there] = image[there], image[row, column]
    return [blur(image / 255, sigma) for image in out]


def slow_motion_blur(images, draw, setting):
    radius, sigma = setting
    _, height, width = images.shape
    weights = [math.exp(-(i**2) / (2 * sigma**2)) for i in range(2 * radius + 1)]
    out = np.zeros(images.shape)
    for number, angle in enumerate(np.radians(draw.uniform(-45, 45, len(images)))):
        for row, column in np.ndindex(height, width):
            for i, weight in enumerate(weights):
                down, right = math.ceil(i * math.sin(angle) - 0.5), math.ceil(i * math.cos(angle) - 0.5)
                there = min(max(row + down, 0), height - 1), min(max(column + right, 0), width - 1)
                out[number, row, column] += weight / sum(weights) * images[number][there]
    return out


def slow_shear(images, draw, angle):
    ways = draw.integers(0, 2, len(images)) * 2 - 1
    return [
        warp(image, lambda x, y, way=way: (x - math.sin(way * angle) * y, math.cos(angle) * y))
        for image, way in zip(images, ways, strict=True)
    ]


def slow_rotate(images, draw, angle):
    def turned(x, y, angle):
        return math.cos(angle) * x - math.sin(angle) * y, math.sin(angle) * x + math.cos(angle) * y

    ways = draw.integers(0, 2, len(images)) * 2 - 1
    return [
        warp(image, lambda x, y, way=way: turned(x, y, way * angle))
        for image, way in zip(images, ways, strict=True)
    ]


def slow_scale(images, _draw, size):
    return [warp(image, lambda x, y: (x / size, y / size)) for image in images]


def slow_brightness(images, _draw, amount):
    return [[[min(p + amount, 1) for p in row] for row in image] for image in images]


def slow_translate(images, draw, step):
    across, down = (draw.integers(0, 2, len(images)) * 2 - 1 for _ in range(2))
    return [
        [
            [pixel(image, row + step * dy, column + step * dx) for column in range(image.shape[1])]
            for row in range(image.shape[0])
        ]
        for image, dx, dy in zip(images, across, down, strict=True)
    ]


def slow_stripe(images, _draw, breadth):
    out = images.copy()
    for i, row, column in np.ndindex(images.shape):
        if column < breadth or column >= 28 - breadth:
            out[i, row, column] = 1 - images[i, row, column]
    return out


def slow_fog(images, draw, setting):
    thickness, decay = setting
    size = 256
    fog, reach, step = np.zeros((size, size)), 100.0**2, size
    while step > 1:
        half, count = step // 2, size // step
        for top, left, near in (
            (half, half, [(-half, -half), (-half, half), (half, -half), (half, half)]),
            (0, half, [(0, -half), (0, half), (-half, 0), (half, 0)]),
            (half, 0, [(0, -half), (0, half), (-half, 0), (half, 0)]),
        ):
            noise = reach * (2 * draw.random((1, count, count), np.float32)[0] - 1)
            for i, j in np.ndindex(count, count):
                row, column = top + i * step, left + j * step
                mean = sum(fog[(row + a) % size, (column + b) % size] for a, b in near) / 4
                fog[row, column] = mean + noise[i, j]
        step, reach = half, reach / decay**2
    fog = (fog - fog.min()) / (fog.max() - fog.min())
    places = draw.integers(0, size, (2, len(images)))
    out = np.zeros(images.shape)
    for i, row, column in np.ndindex(images.shape):
        here = fog[(places[0, i] + row) % size, (places[1, i] + column) % size]
        brightest = images[i].max()
        out[i, row, column] = (
            (images[i, row, column] + thickness * here) * brightest / (brightest + thickness)
        )
    return out


def slow_spatter(images, draw, setting):
    mean, spread, sigma, threshold, edge = setting
    noise = draw.standard_normal(images.shape, np.float32) * spread + mean
    out = np.zeros(images.shape)
    for i, image in enumerate(images):
        drops = blur(np.where(blur(noise[i], sigma) > threshold, 1.0, 0.0), edge)
        for at in np.ndindex(image.shape):
            cover = drops[at] if drops[at] >= 0.8 else 0
            out[i][at] = (1 - cover) * image[at] + cover * 63 / 255
    return out


def add_line(image, start, end, leave_out=lambda _: False):
    (c0, r0), (c1, r1) = start, end
    for row, column in np.ndindex(image.shape):
        distance = abs(row - (r0 + (r1 - r0) / (c1 - c0) * (column - c0)))
        if math.floor(c0) <= column < math.ceil(c1) and distance < 2.3 and not leave_out(column):
            image[row, column] = min(image[row, column] + max(1 + math.log(1 - distance / 2.3), 0), 1)


def slow_dotted_line(images, draw, _lines):
    out = images.astype(float)
    for image, first, last in zip(out, *draw.integers(0, 27, (2, len(images))), strict=True):
        add_line(image, (0, first), (27, last), lambda column: column % 4 < 2)
    return out


def slow_zigzag(images, draw, _lines):
    out = images.astype(float)
    firsts, rises = draw.integers(0, 27, len(images)), draw.integers(-5, 5, len(images))
    for image, first, rise in zip(out, firsts, rises, strict=True):
        length = math.hypot(23, rise)
        flat = [(0, 0), (2, 2), (6, -2), (10, 2), (14, -2), (18, 2), (22, -2), (length, -1 / (length - 20))]
        cosine, sine = 23 / length, rise / length
        corners = [(2 + cosine * a - sine * b, first + sine * a + cosine * b) for a, b in flat]
        for start, end in itertools.pairwise(corners):
            add_line(image, start, end)
    return out


def slow_canny_edges(images, _draw, sigma):
    def edges(image):
        height, width = image.shape
        padded = np.pad(image, 30), np.pad(np.ones_like(image), 30)
        smooth = blur(padded[0], sigma)[30:-30, 30:-30] / blur(padded[1], sigma)[30:-30, 30:-30]
        size, candidates = np.zeros((height, width)), {}
        gradients = {}
        for row, column in np.ndindex(height, width):

            def near(down, right, row=row, column=column):
                return smooth[min(max(row + down, 0), height - 1), min(max(column + right, 0), width - 1)]

            down = sum(w * (near(1, k) - near(-1, k)) for k, w in ((-1, 1), (0, 2), (1, 1)))
            right = sum(w * (near(k, 1) - near(k, -1)) for k, w in ((-1, 1), (0, 2), (1, 1)))
            size[row, column], gradients[row, column] = math.hypot(down, right), (down, right)
        for row, column in itertools.product(range(1, height - 1), range(1, width - 1)):
            down, right = gradients[row, column]
            here = size[row, column]
            if here < 0.1:
                continue
            # Where the gradient's ray leaves the 3 x 3 pixels around: between two of them.
            longest = max(abs(down), abs(right))
            ahead = []
            for way in (-1, 1):
                y, x = row + way * down / longest, column + way * right / longest
                top, left = math.floor(round(y, 9)), math.floor(round(x, 9))
                a, b = y - top, x - left
                ahead.append(
                    sum(
                        weight * pixel(size, top + i, left + j)
                        for i, j, weight in (
                            (0, 0, (1 - a) * (1 - b)),
                            (0, 1, (1 - a) * b),
                            (1, 0, a * (1 - b)),
                            (1, 1, a * b),
                        )
                    )
                )
            if here >= max(ahead):
                candidates[row, column] = here
        kept, queue = set(), deque(at for at, here in candidates.items() if here >= 0.2)
        while queue:
            row, column = queue.popleft()
            if (row, column) in candidates and (row, column) not in kept:
                kept.add((row, column))
                queue.extend((row + i, column + j) for i in (-1, 0, 1) for j in (-1, 0, 1))
        out = np.zeros((height, width))
        for at in kept:
            out[at] = 1
        return out

    return [edges(image.astype(float)) for image in images]


def slow_noise(images, draw, sigma):
    return images + sigma * draw.standard_normal(images.shape, np.float32)


SLOW = {
    **{kind: globals()[f"slow_{kind}"] for kind in KINDS},
    "shift": slow_translate,
    "rotation": slow_rotate,
    "noise": slow_noise,
}


@pytest.mark.parametrize("condition", conditions(), ids=lambda condition: condition.name)
def test_each_kind_does_what_its_definition_says(condition):
    images, corruption = drawing(), CORRUPTIONS[condition.kind]
    setting = corruption.settings[condition.level]
    fast = corruption.change(images, np.random.default_rng(3), setting)
    slow = np.asarray(SLOW[condition.kind](images, np.random.default_rng(3), setting))
    assert fast.shape == images.shape
    assert np.abs(np.clip(fast, 0, 1) - np.clip(slow, 0, 1)).max() < 1.1 / 255
    assert np.abs(fast - images).max() > 0.1


def test_there_are_fifteen_kinds_each_at_the_authors_strength_and_three_shifts_by_degrees():
    assert len(KINDS) == 15
    assert all(len(CORRUPTIONS[kind].settings) == 5 for kind in KINDS)
    levels = {kind: CORRUPTIONS[kind].level for kind in KINDS}
    assert levels.items() >= {"shot_noise": 5, "impulse_noise": 4, "glass_blur": 1, "motion_blur": 1}.items()
    assert levels.items() >= {"shear": 2, "scale": 3, "rotate": 2, "brightness": 5, "translate": 3}.items()
    assert levels.items() >= {"fog": 5, "spatter": 4}.items()
    named = {condition.name for condition in conditions()}
    assert named > {"shift-1", "shift-4", "rotation-15", "rotation-45", "noise-0.1"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(28, 28), (8, 8), (48, 64)])
def test_a_kind_takes_images_of_any_size_at_any_severity(kind, shape):
    images = np.rint(64 + 127 * drawing(4, *shape)).astype(np.uint8)
    for severity in CORRUPTIONS[kind].settings:
        copies = corrupted(images, Condition(kind, severity))
        assert copies.shape == images.shape
        assert copies.dtype == np.uint8
        assert (copies != images).any()


_DIGESTS = """
import sys
import numpy as np
from mnistbench.datasets.corruptions import conditions, corrupted, images_digest
images = np.random.default_rng(1).integers(0, 256, (9, 28, 28), np.uint8)
for condition in conditions():
    print(condition.name, images_digest(corrupted(images, condition, 7)))
"""


def test_copies_are_the_same_in_every_process_and_with_any_number_of_threads():
    answers = [
        run_python(_DIGESTS, env={"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads})
        for threads in ("1", "4")
    ]
    assert answers[0].returncode == 0, answers[0].stderr
    assert answers[0].stdout == answers[1].stdout
    assert len(set(answers[0].stdout.split()[1::2])) == len(conditions())


def test_copies_depend_on_the_seed_and_not_on_the_images_after_them(monkeypatch):
    monkeypatch.setattr(corruptions, "_BLOCK_PIXELS", 2 * 28 * 28)
    images = np.rint(255 * drawing(5)).astype(np.uint8)
    noise = Condition("shot_noise", 5)
    assert (corrupted(images, noise)[:4] == corrupted(images[:4], noise)).all()
    assert images_digest(corrupted(images, noise)) != images_digest(corrupted(images, noise, seed=1))
    same = np.stack([images[0]] * 4)
    assert len({copy.tobytes() for copy in corrupted(same, noise)}) == 4
