"""Train and evaluate a classifier, in epochs, with checkpoints: the kind of job that a farm runs all day.

A small neural network learns handwritten digits (scikit-learn's `load_digits`, 1,797 real scans), every epoch on freshly
shifted copies, so that it does not learn positions by heart. With DATA=file.csv.gz it learns that table instead.
It writes a checkpoint on a timer and starts again from the last one; when it is stopped in between, the work since then is lost.

  EPOCHS        how many passes over the training set (120)
  CHECKPOINT_S  seconds between checkpoints (5)
  DATA          a CSV file, plain or .gz; LABEL: its label column, or several one-hot ones; DROP: columns not to learn from
"""
# A tenant's own program: it prints what it finds, and scikit-learn tells no types.
# ruff: noqa: T201
# mypy: ignore-errors

from __future__ import annotations

import csv
import gzip
import json
import os
import pickle
import sys
import time
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score, balanced_accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

EPOCHS = int(os.environ.get("EPOCHS", "120"))
CHECKPOINT_S = float(os.environ.get("CHECKPOINT_S", "5"))
CHECKPOINT = Path(os.environ.get("DURE_CHECKPOINT_DIR", ".")) / "train.pickle"
HELD_OUT = 0.25  # share of the rows that training never sees
SIDE = 8  # pixels of a digit, each way


def say(text):
    print(text, flush=True)


def load_table(path):
    """A CSV table: numbers as they are, words one-hot. LABEL of several columns means one-hot classes."""
    labels = os.environ["LABEL"].split(",")
    dropped = {*os.environ.get("DROP", "").split(","), *labels}
    opened = gzip.open if path.endswith(".gz") else open
    with opened(path, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    columns = []
    for name in (n for n in rows[0] if n not in dropped):
        values = [row[name] for row in rows]
        try:
            columns.append(np.array([float(v) for v in values]))
        except ValueError:
            columns += [np.array([float(v == word) for v in values]) for word in sorted(set(values))]
    marks = np.array([[float(row[label]) for label in labels] for row in rows])
    return np.column_stack(columns), (marks.argmax(axis=1) if len(labels) > 1 else marks[:, 0]).astype(int)


def shifted(images, random):
    """Each digit moved by up to one pixel, so that every epoch sees other pictures."""
    square = np.pad(images.reshape(-1, SIDE, SIDE), ((0, 0), (1, 1), (1, 1)))
    moved = np.empty_like(images)
    for down in range(3):
        for right in range(3):
            moved_so = random[:, 0] * 3 + random[:, 1] == down * 3 + right
            moved[moved_so] = square[moved_so, down : down + SIDE, right : right + SIDE].reshape(-1, SIDE * SIDE)
    return moved


class Training:
    """Data, model, and the number of epochs that are done. All of it but the data goes into a checkpoint."""

    def __init__(self):
        table = os.environ.get("DATA", "")
        features, labels = load_table(table) if table else load_digits(return_X_y=True)
        self.is_digits = not table
        split = train_test_split(features, labels, test_size=HELD_OUT, random_state=7, stratify=labels)
        self.train_x, self.test_x, self.train_y, self.test_y = split
        scaler = StandardScaler().fit(self.train_x)
        self.scale = (lambda x: x / 16.0) if self.is_digits else scaler.transform
        self.classes = np.unique(labels)
        self.model = MLPClassifier((384, 192), batch_size=128, learning_rate_init=4e-4, alpha=1e-4, random_state=7)
        self.epoch, self.resumed, self.test_x = 0, 0, self.scale(self.test_x)

    def resume(self):
        if not CHECKPOINT.exists():
            return
        with CHECKPOINT.open("rb") as file:
            self.epoch, self.resumed, self.model = pickle.load(file)
        self.resumed += 1
        say(f"resumed from the checkpoint of epoch {self.epoch}")

    def save(self):
        """Whole or not at all: a job that is killed while writing keeps the checkpoint before."""
        fresh = CHECKPOINT.with_suffix(".new")
        with fresh.open("wb") as file:
            pickle.dump((self.epoch, self.resumed, self.model), file)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(CHECKPOINT)
        say(f"checkpoint at epoch {self.epoch}")

    def one_epoch(self):
        random = np.random.default_rng(self.epoch)  # by epoch, so that a resumed run sees what an unbroken one would
        seen = self.train_x
        if self.is_digits:
            seen = np.concatenate([shifted(seen, random.integers(0, 3, (len(seen), 2))) for _ in range(3)])
        labels = np.tile(self.train_y, len(seen) // len(self.train_y))
        self.model.partial_fit(self.scale(seen), labels, classes=self.classes)
        self.epoch += 1

    def scores(self):
        guessed = self.model.predict(self.test_x)
        return accuracy_score(self.test_y, guessed), balanced_accuracy_score(self.test_y, guessed)


def main():
    training = Training()
    training.resume()
    saved_s = time.monotonic()
    while training.epoch < EPOCHS:
        training.one_epoch()
        if training.epoch % 10 == 0 or training.epoch == EPOCHS:
            accuracy, _ = training.scores()
            say(f"epoch {training.epoch}/{EPOCHS} loss {training.model.loss_:.4f} held-out accuracy {accuracy:.4f}")
        if time.monotonic() - saved_s >= CHECKPOINT_S:
            training.save()
            saved_s = time.monotonic()
    accuracy, balanced = training.scores()
    majority = float(np.bincount(training.test_y).max() / len(training.test_y))
    result = {"epochs": training.epoch, "resumed": training.resumed, "accuracy": round(float(accuracy), 4),
              "balanced_accuracy": round(float(balanced), 4), "majority_guess": round(majority, 4)}  # fmt: skip
    say("result " + json.dumps(result))
    return 0 if accuracy > majority or balanced > 0.6 else 1  # a model that learned nothing is a failed job


if __name__ == "__main__":
    sys.exit(main())
