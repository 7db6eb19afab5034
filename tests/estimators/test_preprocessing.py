"""The shared transformers: scikit-learn's own checks, and what each promises about images."""

import pickle

import numpy as np
import pytest
from scipy.ndimage import shift
from scipy.spatial.distance import pdist
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks
from support.files import peak_bytes

from mnistbench.estimators.preprocessing import (
    AugmentedPipeline,
    BlockMeans,
    BlurPixels,
    MomentNormalizer,
    OrientationHistograms,
    PrincipalComponents,
    QuantizePixels,
    components_and_discriminants,
    edge_pipeline,
)

SHAPE = (20, 24)


@parametrize_with_checks(
    [
        QuantizePixels(),
        BlockMeans(side=2),
        BlurPixels(),
        MomentNormalizer(scaling=0.7),
        OrientationHistograms(),
        PrincipalComponents(3),
    ]
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_transformers_keep_scikit_learns_contract(estimator, check):
    check(estimator)


@pytest.fixture
def images():
    return np.random.default_rng(0).random((7, SHAPE[0] * SHAPE[1]), dtype=np.float32)


def bar(slant=0.0, height=10, thickness=3.0, centre=(9.5, 11.5)):
    """Draw a soft bar, `height` rows high, whose middle moves `slant` columns a row."""
    rows, columns = np.indices(SHAPE).astype(np.float32)
    middle = centre[1] + slant * (rows - centre[0])
    ink = np.exp(-(((columns - middle) / thickness) ** 2)) * (np.abs(rows - centre[0]) < height / 2)
    return ink.reshape(1, -1).astype(np.float32)


def moments(row):
    """Return the centre (row, column) and the covariance matrix of an image's ink."""
    image = row.reshape(SHAPE).astype(float)
    grid = np.indices(SHAPE).reshape(2, -1)
    centre = np.average(grid, axis=1, weights=image.ravel())
    return centre, np.cov(grid, aweights=image.ravel(), ddof=0)


def test_pixels_are_rounded_to_levels_and_clipped():
    X = np.array([[0.0, 0.49, 0.51, 1.0, -3.0, 7.0]], dtype=np.float32)
    np.testing.assert_array_equal(QuantizePixels(2).fit_transform(X), [[0, 0, 1, 1, 0, 1]])


def test_256_levels_give_back_the_bytes_that_images_are_made_of():
    pixels = np.arange(256, dtype=np.uint8)[None]
    levels = QuantizePixels(256).fit_transform(pixels.astype(np.float32) / 255)
    assert levels.dtype == np.uint8
    np.testing.assert_array_equal(levels, pixels)


@pytest.mark.parametrize("levels", [1, 257])
def test_levels_that_no_byte_holds_are_refused(levels, images):
    with pytest.raises(ValueError, match="expected 2 to 256"):
        QuantizePixels(levels).fit(images)


@pytest.mark.parametrize(
    ("shape", "block"), [((28, 28), 2), ((27, 40), 1), ((45, 61), 3), ((8, 8), 1), ((60, 60), 4)]
)
def test_blocks_leave_so_many_a_side_and_keep_the_ink_of_the_first_grid(shape, block):
    images = np.random.default_rng(0).random((3, shape[0] * shape[1]), dtype=np.float32)
    shrunk = BlockMeans(shape, side=14).fit_transform(images)
    first = -(-shape[0] // block) * -(-shape[1] // block)
    np.testing.assert_allclose(block**2 * shrunk[:, :first].sum(axis=1), images.sum(axis=1), rtol=1e-5)
    assert (shrunk.shape[1] > first) == (block > 1)


def test_transformed_images_are_in_memory_once():
    images = np.zeros((30_000, 784), np.float32)
    blocks = BlockMeans((28, 28)).fit(images[:2])
    means, peak = peak_bytes(lambda: blocks.transform(images))
    assert peak < 1.5 * means.nbytes


def test_the_second_grid_lies_half_a_block_further():
    image = np.arange(16, dtype=np.float32).reshape(1, -1)
    first, second = np.split(BlockMeans((4, 4), side=2).fit_transform(image)[0], 2)
    np.testing.assert_array_equal(first, [2.5, 4.5, 10.5, 12.5])
    np.testing.assert_array_equal(second, [7.5, (7 + 11) / 4, (13 + 14) / 4, 15 / 4])


def test_a_blurred_dot_is_a_gaussian_that_keeps_its_ink():
    dot = np.zeros((9, 11), np.float32)
    dot[4, 5] = 1
    blurred = BlurPixels((9, 11), sigma=0.8).fit_transform(dot.reshape(1, -1)).reshape(9, 11)
    assert blurred.sum() == pytest.approx(1, rel=1e-5)
    assert blurred[4, 6] / blurred[4, 5] == pytest.approx(np.exp(-1 / (2 * 0.8**2)), rel=1e-4)
    np.testing.assert_allclose(blurred[3, 5], blurred[4, 6], rtol=1e-5)
    with pytest.raises(ValueError, match="sigma is 0; expected more than 0"):
        BlurPixels((9, 11), sigma=0).fit(dot.reshape(1, -1))


@pytest.mark.parametrize("slant", [-0.6, 0.3, 0.6])
def test_a_slanted_bar_is_set_upright_and_centred(slant):
    slanted = bar(slant, centre=(8.0, 13.0))
    centre, covariance = moments(MomentNormalizer(SHAPE).fit_transform(slanted))
    np.testing.assert_allclose(centre, [9.5, 11.5], atol=0.05)
    assert abs(covariance[0, 1]) < 0.05 * abs(moments(slanted)[1][0, 1])


def test_without_scaling_an_upright_centred_image_stays_as_it_is():
    upright = bar()
    np.testing.assert_allclose(MomentNormalizer(SHAPE).fit_transform(upright), upright, atol=1e-3)


def test_scaling_brings_images_to_the_spread_asked_for():
    model = MomentNormalizer(SHAPE, scaling=1.0, spread=(0.15, 0.1))
    for height, thickness in ((6, 2.0), (14, 4.0)):
        _, covariance = moments(model.fit_transform(bar(height=height, thickness=thickness)))
        np.testing.assert_allclose(np.sqrt(np.diag(covariance)), [3.0, 2.4], rtol=0.06)


def test_a_shift_by_whole_pixels_changes_nothing(images):
    image = np.zeros((1, *SHAPE), dtype=np.float32)
    image[0, 4:12, 6:14] = images[0, :64].reshape(8, 8)
    moved = shift(image, (0, 3, -2), order=0)
    model = MomentNormalizer(SHAPE, scaling=0.7)
    flat, shifted = (model.fit_transform(i.reshape(1, -1)) for i in (image, moved))
    np.testing.assert_allclose(flat, shifted, atol=1e-4)


def test_an_empty_image_stays_empty():
    empty = np.zeros((2, SHAPE[0] * SHAPE[1]), dtype=np.float32)
    assert not MomentNormalizer(SHAPE, scaling=1.0).fit_transform(empty).any()
    assert not OrientationHistograms(SHAPE).fit_transform(empty).any()


@pytest.mark.parametrize("model", [MomentNormalizer((5, 5)), OrientationHistograms((5, 5))])
def test_images_of_another_shape_are_refused(model, images):
    with pytest.raises(ValueError, match=r"480 pixels a row; image_shape is \(5, 5\)"):
        model.fit(images)


@pytest.mark.parametrize("parameters", [{"bins": 3}, {"strides": ()}, {"strides": (4, 0)}])
def test_impossible_grids_are_refused(parameters, images):
    with pytest.raises(ValueError, match="at least 4 bins"):
        OrientationHistograms(SHAPE, **parameters).fit(images)


@pytest.mark.parametrize("direction", range(8))
def test_an_edge_falls_into_the_bin_of_its_direction(direction):
    angle = 2 * np.pi * direction / 8
    rows, columns = np.indices(SHAPE)
    ramp = (0.01 * (np.cos(angle) * columns + np.sin(angle) * rows)).astype(np.float32)
    model = OrientationHistograms(SHAPE, strides=(4,))
    histograms = model.fit_transform(ramp.reshape(1, -1)).reshape(5, 6, 8)
    inside = histograms[1:-1, 1:-1]
    assert (inside.argmax(axis=2) == direction).all()
    np.testing.assert_allclose(np.delete(inside, direction, axis=2), 0, atol=1e-3)


def test_an_edge_between_two_directions_is_shared_as_vectors_add():
    angle = np.deg2rad(20)
    rows, columns = np.indices(SHAPE)
    ramp = (0.01 * (np.cos(angle) * columns + np.sin(angle) * rows)).reshape(1, -1)
    inside = OrientationHistograms(SHAPE, strides=(4,)).fit_transform(ramp).reshape(5, 6, 8)[2, 2] ** 2
    expected = np.sin(np.deg2rad(45 - 20)), np.sin(angle)
    np.testing.assert_allclose(inside[:2] / inside[0], np.array(expected) / expected[0], rtol=1e-5)


def test_histograms_do_not_depend_on_contrast(images):
    model = OrientationHistograms(SHAPE).fit(images)
    np.testing.assert_allclose(model.transform(images), model.transform(images / 3), atol=1e-5)


def test_each_stride_adds_its_grid(images):
    assert OrientationHistograms(SHAPE, strides=(4, 7)).fit_transform(images).shape == (7, 8 * (30 + 9))


@pytest.mark.parametrize("model", [MomentNormalizer(SHAPE, scaling=0.7), OrientationHistograms(SHAPE)])
def test_a_row_does_not_depend_on_its_batch(model, images):
    many = np.tile(images, (200, 1))
    model.fit(many)
    np.testing.assert_allclose(model.transform(many)[-7:], model.transform(images), atol=1e-5)


def test_a_pickled_transformer_transforms_alike(images):
    model = OrientationHistograms(SHAPE).fit(images)
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(model)).transform(images), model.transform(images)
    )


def test_normalised_digits_are_more_alike_within_a_class():
    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32)

    def within(rows):
        means = np.stack([rows[y == label].mean(axis=0) for label in range(10)])
        return ((rows - means[y]) ** 2).sum() / ((rows - rows.mean(axis=0)) ** 2).sum()

    assert within(MomentNormalizer((8, 8)).fit_transform(X)) < within(X)


def test_components_are_scaled_to_a_mean_squared_distance_of_two():
    X = np.random.default_rng(0).normal(5, (9, 4, 1, 0.1), (400, 4))
    Z = PrincipalComponents(4).fit_transform(X)
    distances = pdist(Z, "sqeuclidean")
    assert distances.mean() == pytest.approx(2)
    before = pdist(X, "sqeuclidean")
    np.testing.assert_allclose(distances / distances.max(), before / before.max(), atol=1e-9)


def test_few_rows_have_few_components(images):
    assert PrincipalComponents(64).fit_transform(images).shape == (7, 7)


def test_rows_that_are_all_alike_have_components_of_zero():
    assert not PrincipalComponents(2).fit(np.ones((5, 3))).transform(np.ones((5, 3))).any()


def test_grids_are_no_finer_than_the_pixels():
    X = np.random.default_rng(0).random((3, 6))
    histograms = OrientationHistograms((1, 6), strides=(0.2,)).fit_transform(X)
    assert histograms.shape == (3, 6 * 8)
    assert np.isfinite(histograms).all()


def mirror(images, generator):
    """Turn images left to right, and add a little noise."""
    return images[:, :, ::-1] + generator.normal(0, 1e-3, images.shape).astype(images.dtype)


def augmented(**parameters):
    steps = [("pixels", QuantizePixels()), ("neighbours", KNeighborsClassifier(1))]
    return AugmentedPipeline(steps, image_shape=SHAPE, distort=mirror, **{"seed": 0, **parameters})


def test_an_augmented_pipeline_knows_the_distorted_images_too(images):
    y = np.arange(len(images))
    turned = images.reshape(-1, *SHAPE)[:, :, ::-1].reshape(images.shape)
    model = augmented().fit(images, y)
    np.testing.assert_array_equal(model.predict(images), y)
    np.testing.assert_array_equal(model.predict(turned), y)
    assert np.mean(augmented(copies=0).fit(images, y).predict(turned) == y) < 0.5


def test_every_step_sees_each_image_once_and_each_copy_once(images):
    model = augmented(copies=3).fit(images, np.arange(len(images)))
    assert model[-1].n_samples_fit_ == 4 * len(images)


def test_the_same_seed_distorts_alike(images):
    def fitted(seed):
        return augmented(seed=seed).fit(images, np.arange(len(images)))[-1]._fit_X

    np.testing.assert_array_equal(fitted(1), fitted(1))
    assert (fitted(1) != fitted(2)).any()


def test_an_augmented_pipeline_is_cloned_whole():
    assert clone(augmented(copies=5)).get_params()["copies"] == 5


def test_a_negative_number_of_copies_is_refused(images):
    with pytest.raises(ValueError, match="copies is -1; expected 0 or more"):
        augmented(copies=-1).fit(images, np.arange(len(images)))


def test_a_record_recipe_sees_the_edge_directions_of_the_deskewed_digits_and_of_their_copies(images):
    recipe = edge_pipeline(SHAPE, 0.7, KNeighborsClassifier(1), copies=2, seed=0)
    recipe.fit(images, np.arange(len(images)))
    deskewed = MomentNormalizer(SHAPE, scaling=0.7).fit_transform(images)
    side = min(SHAPE)
    edges = OrientationHistograms(SHAPE, strides=(side / 7, side / 4)).fit_transform(deskewed)
    np.testing.assert_allclose(recipe[-1]._fit_X[: len(images)], edges, atol=1e-6)
    assert len(np.unique(recipe[-1]._fit_X, axis=0)) == 3 * len(images)


def test_components_stand_before_discriminants(images):
    y = np.arange(len(images)) % 3
    axes = components_and_discriminants(4, seed=0).fit(images, y).transform(images)
    assert axes.shape == (len(images), 4 + 2)
    assert np.array_equal(axes[:, :4], PrincipalComponents(4, seed=0).fit_transform(images))
