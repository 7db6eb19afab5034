"""Never returns from fit, and ignores every signal that can be ignored."""

import signal
import time


class Stubborn:
    def fit(self, X, y):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        while True:
            time.sleep(1)

    def predict(self, X):
        return None


def build():
    return Stubborn()
