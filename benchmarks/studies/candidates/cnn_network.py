"""One network of a committee such as that of cnn_record (Keras)."""

from sklearn.pipeline import make_pipeline

from mnistbench.estimators.distortions import RandomWarp
from mnistbench.estimators.neural import NeuralClassifier, Training
from mnistbench.estimators.preprocessing import MomentNormalizer


def build(
    seed,
    keras,
    image_shape,
    scaling=None,  # images as written; otherwise as in cnn_record
    small_kernels=False,
    dropout=0.0,
    epochs=12,
    label_smoothing=0.1,
    sharpness=2.0,
):
    def hidden_layers(layers):
        first = [(32, 3), (32, 3)] if small_kernels else [(32, 5)]
        return [
            *(layers.Conv2D(channels, side, activation="relu") for channels, side in first),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, activation="relu"),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(256, activation="relu"),
            layers.Dropout(dropout),
        ]

    distortion = (10, 0.12, 0.15) if scaling is None else (6, 0.1, 0.1)
    warp = RandomWarp(*distortion, shift=1, elastic=0.5)
    training = Training(epochs, 128, 0.004, label_smoothing, average=0.995, distort=warp)
    # As in a committee, networks on different images start from different weights.
    keras["seed"] = seed + (0 if scaling is None else 1 + round(100 * scaling))
    network = NeuralClassifier(
        hidden_layers, training, image_shape, min_side=20, test_shift=1, sharpness=sharpness, **keras
    )
    return (
        network if scaling is None else make_pipeline(MomentNormalizer(image_shape, scaling=scaling), network)
    )
