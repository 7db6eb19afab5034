"""Größer — für «alle», 大きい."""


class Foreign:
    def fit(self, X, y):
        print("Größer, 大きい", flush=True)  # noqa: T201
        raise ValueError("größer als erlaubt: 大きい → ∞")

    def predict(self, X): ...


def build():
    return Foreign()
