"""A short urgent job: does every bottle of a batch come from the grower whose name is on it?

Discriminant analysis of thirteen chemical measures (178 real wines of three growers, shipped with scikit-learn). Every
bottle is judged by a model that has not seen it, and bottles that look like another grower's are named.
"""
# A tenant's own program: it prints what it finds, and scikit-learn tells no types.
# ruff: noqa: T201
# mypy: ignore-errors

from __future__ import annotations

import json

import numpy as np
from sklearn.datasets import load_wine
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def main() -> None:
    measures, growers = load_wine(return_X_y=True)
    model = make_pipeline(StandardScaler(), LinearDiscriminantAnalysis())
    judged = cross_val_predict(model, measures, growers, cv=LeaveOneOut())
    doubtful = [int(bottle) for bottle in np.flatnonzero(judged != growers)]
    print("result " + json.dumps({"bottles": len(growers), "doubtful": doubtful}), flush=True)


if __name__ == "__main__":
    main()
