"""The time that the suite's recipes save: a plain script with the libraries' defaults against the suite.

`make bench-speed` runs it. The plain script is a newcomer's: each library's default classifier, fitted one
after the other in one process, and for Keras, which has no default network, the two networks of its own
introductions (the perceptron of TensorFlow's quickstart for beginners, the network of Keras's
"Simple MNIST convnet"). Right after it `mnistbench run` runs the standard suite. Nothing else may run on the
machine meanwhile. `make bench-speed ARGS="--dataset fashion-mnist"` does so on another data set, which is any
name, folder or file that `mnistbench run --dataset` takes.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mnistbench.runs.folder import find_runs
from mnistbench.runs.sessions import overhead

MODELS = ("logreg", "svm", "rf", "xgboost", "mlp", "cnn")


def plain_estimators(image_shape):
    """Return a function for each family that fits it on images and labels and returns its `predict`.

    The labels are 0 to k - 1.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # its notes on hardware would bury the tables
    import keras
    from keras import layers
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import SVC
    from xgboost import XGBClassifier

    def estimator(make):
        return lambda X, y: make().fit(X, y).predict

    def network(hidden, batch_size, epochs):
        def fit(X, y):
            outputs = layers.Dense(int(y.max()) + 1, activation="softmax")
            model = keras.Sequential([keras.Input((*image_shape, 1)), *hidden(), outputs])
            model.compile("adam", "sparse_categorical_crossentropy")
            model.fit(X.reshape(-1, *image_shape, 1), y, batch_size=batch_size, epochs=epochs, verbose=0)
            return lambda images: model.predict(images.reshape(-1, *image_shape, 1), verbose=0).argmax(axis=1)

        return fit

    def perceptron():
        return [layers.Flatten(), layers.Dense(128, activation="relu"), layers.Dropout(0.2)]

    def convolutions():
        # The network needs 10 pixels a side: smaller images get a frame.
        frame = [-(-max(0, 10 - side) // 2) for side in image_shape]
        return [
            layers.ZeroPadding2D(frame),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dropout(0.5),
        ]

    return {
        "logreg": estimator(LogisticRegression),
        "svm": estimator(SVC),
        "rf": estimator(RandomForestClassifier),
        "xgboost": estimator(XGBClassifier),
        "mlp": network(perceptron, batch_size=32, epochs=5),
        "cnn": network(convolutions, batch_size=128, epochs=15),
    }


def run_plain(dataset, train_size, only):
    """Fit and predict each family with its defaults; print a JSON line for each."""
    import warnings

    import numpy as np

    from mnistbench.datasets import cache_folder, open_arrays, resolve

    warnings.simplefilter("ignore")  # a newcomer's script would scroll past them
    data = open_arrays(resolve(dataset, cache=cache_folder(), offline=True).arrays_folder)
    size = train_size or len(data.x_train)
    x_train = data.x_train[:size].reshape(size, -1).astype(np.float32) / 255
    x_test = data.x_test.reshape(len(data.x_test), -1).astype(np.float32) / 255
    classes, labels = np.unique(data.y_train[:size], return_inverse=True)
    for name, fit in plain_estimators(data.x_train.shape[1:]).items():
        if name not in only:
            continue
        before = time.perf_counter()
        predict = fit(x_train, labels)
        fitted = time.perf_counter()
        predicted = predict(x_test)
        done = time.perf_counter()
        accuracy = float(np.mean(classes[predicted] == data.y_test))
        row = {"model": name, "fit_seconds": fitted - before, "predict_seconds": done - fitted}
        print(json.dumps(row | {"accuracy": accuracy}), flush=True)


def run_suite(dataset, train_size, only):
    """Run the standard suite through the command line; return its rows and what the harness cost."""
    with tempfile.TemporaryDirectory() as results:
        command = [sys.executable, "-m", "mnistbench", "run", "--json", "--results", results]
        command += ["--dataset", dataset, "--offline", "--measure", "none", "--only", ",".join(only)]
        command += ["--train-size", str(train_size)] if train_size else []
        answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        rows = [json.loads(line) for line in answer.stdout.splitlines()]
        (folder,) = find_runs(Path(results))
        return rows, overhead(folder.sessions(), folder.records())


def table(title, rows):
    """Return a table of one side."""
    side = Table(title=title, title_justify="left")
    for heading in ("model", "accuracy, %", "fit, s", "predict, s"):
        side.add_column(heading, justify="left" if heading == "model" else "right")
    for row in rows:
        seconds = (f"{row[key]:.2f}" for key in ("fit_seconds", "predict_seconds"))
        side.add_row(row["model"], f"{100 * row['accuracy']:.2f}", *seconds)
    return side


def ratios(plain, suite):
    """Return the table that compares the two, row by row and in sum."""
    comparison = Table(title="Suite against plain script: fit and predict together", title_justify="left")
    for heading in ("model", "plain, s", "suite, s", "suite / plain", "accuracy gained, points"):
        comparison.add_column(heading, justify="left" if heading == "model" else "right")

    def total(rows):
        return sum(row["fit_seconds"] + row["predict_seconds"] for row in rows)

    for before, after in zip(plain, suite, strict=True):
        gain = 100 * (after["accuracy"] - before["accuracy"])
        seconds = total([before]), total([after])
        comparison.add_row(before["model"], *_row(*seconds), f"{gain:+.2f}")
    comparison.add_section()
    comparison.add_row("all", *_row(total(plain), total(suite)), "")
    return comparison


def _row(plain_seconds, suite_seconds):
    return f"{plain_seconds:.1f}", f"{suite_seconds:.1f}", f"{suite_seconds / plain_seconds:.3f}"


def main():
    """Run both sides one after the other and print both tables, the ratios and the harness's overhead."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--dataset", default="mnist", help="what to train on, as for mnistbench run")
    parser.add_argument("--train-size", type=int, default=0, help="training images; 0 is all")
    parser.add_argument("--only", default=",".join(MODELS), help="families, separated by commas")
    parser.add_argument("--plain", action="store_true", help="run the plain side alone, as JSON lines")
    options = parser.parse_args()
    only = [name for name in MODELS if name in options.only.split(",")]
    if options.plain:
        run_plain(options.dataset, options.train_size, only)
        return
    command = [sys.executable, __file__, "--plain", "--dataset", options.dataset]
    command += ["--train-size", str(options.train_size)]
    answer = subprocess.run(
        [*command, "--only", ",".join(only)], stdout=subprocess.PIPE, text=True, check=True
    )
    plain = [json.loads(line) for line in answer.stdout.splitlines()]
    suite, cost = run_suite(options.dataset, options.train_size, only)
    console = Console()
    console.print(table("Plain script, the libraries' defaults", plain))
    console.print(table("mnistbench run, standard suite", suite))
    console.print(ratios(plain, suite))
    console.print(
        f"The harness took {cost.seconds:.1f} s of the suite's {cost.available_seconds:.1f} s, "
        f"{100 * cost.share:.1f} %, for starting processes and everything else beside the trials' own work."
    )


if __name__ == "__main__":
    main()
