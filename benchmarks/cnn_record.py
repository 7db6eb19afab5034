"""Three convolutional networks on distorted digits: as written, deskewed, and size-normalised (Keras)."""

from sklearn.pipeline import make_pipeline

from mnistbench.estimators.distortions import RandomWarp
from mnistbench.estimators.neural import Committee, NeuralClassifier, Training
from mnistbench.estimators.preprocessing import MomentNormalizer


def hidden_layers(layers):
    return [
        layers.Conv2D(32, 5, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Conv2D(64, 3, activation="relu"),
        layers.Conv2D(64, 3, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dense(256, activation="relu"),
    ]


def build(
    seed,
    keras,
    image_shape,
    scaling=0.7,
    epochs=12,
    elastic=0.5,
    batch_size=128,
    peak_rate=0.004,
    label_smoothing=0.1,
    test_shift=1,
    sharpness=2.0,
):
    def network(**distortion):
        warp = RandomWarp(shift=1, elastic=elastic, **distortion)
        training = Training(epochs, batch_size, peak_rate, label_smoothing, average=0.995, distort=warp)
        return NeuralClassifier(
            hidden_layers,
            training,
            image_shape,
            min_side=20,
            test_shift=test_shift,
            sharpness=sharpness,
            **keras,
        )

    def upright(scaling):
        normalizer = MomentNormalizer(image_shape, scaling=scaling)
        return make_pipeline(normalizer, network(rotation=6, scale=0.1, shear=0.1))

    as_written = network(rotation=10, scale=0.12, shear=0.15)
    return Committee([as_written, upright(scaling=0.0), upright(scaling)], seed=seed)
