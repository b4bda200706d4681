"""One element of a sweep: which regularisation and which features suit a tumour classifier best?

Each of the twenty elements takes its own setting by DURE_ARRAY_INDEX, fits a logistic regression to half of the Wisconsin
breast cancer set (569 real biopsies, shipped with scikit-learn) and scores it on the other half.
"""
# A tenant's own program: it prints what it finds, and scikit-learn tells no types.
# ruff: noqa: T201
# mypy: ignore-errors

from __future__ import annotations

import json
import os

from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

STRENGTHS = [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0]  # of the penalty's inverse, C
FEATURES = {"means": slice(0, 10), "all": slice(0, 30)}  # the set has ten measures: mean, error and worst of each


def main() -> None:
    index = int(os.environ["DURE_ARRAY_INDEX"])
    strength, kind = STRENGTHS[index % len(STRENGTHS)], list(FEATURES)[index // len(STRENGTHS) % len(FEATURES)]
    features, labels = load_breast_cancer(return_X_y=True)
    split = train_test_split(features[:, FEATURES[kind]], labels, test_size=0.5, random_state=3, stratify=labels)
    train_x, test_x, train_y, test_y = split
    model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=500)).fit(train_x, train_y)
    area = roc_auc_score(test_y, model.predict_proba(test_x)[:, 1])
    print("result " + json.dumps({"index": index, "C": strength, "features": kind, "auc": round(float(area), 4)}), flush=True)


if __name__ == "__main__":
    main()
