"""The grid: classifiers and their parameters, one row per array task, and the digits they are judged on."""

from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import ParameterGrid, train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

SEED = 20260101

GRID: list[tuple[str, dict[str, Any]]] = [
    *(
        ("support vectors", point)
        for point in ParameterGrid({"C": [1.0, 10.0], "gamma": [0.0003, 0.001, 0.003]})
    ),
    *(("nearest neighbours", point) for point in ParameterGrid({"n_neighbors": [1, 3, 9]})),
    *(("random forest", point) for point in ParameterGrid({"n_estimators": [50, 150], "max_depth": [6, 14]})),
    *(("logistic regression", point) for point in ParameterGrid({"C": [0.001, 0.01, 0.1]})),
]


def classifier(family: str, parameters: dict[str, Any]) -> ClassifierMixin:
    """The untrained classifier of one row."""
    if family == "support vectors":
        return SVC(**parameters)
    if family == "nearest neighbours":
        return KNeighborsClassifier(**parameters)
    if family == "random forest":
        return RandomForestClassifier(**parameters, random_state=SEED)
    if family == "logistic regression":
        return make_pipeline(StandardScaler(), LogisticRegression(**parameters, max_iter=1000))
    raise ValueError(f"no classifier called {family!r}")


def digits() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Images to train on and held out, labels likewise: 1,797 of 8 x 8 pixels, one in four held out."""
    images, labels = load_digits(return_X_y=True)
    split: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray] = tuple(
        train_test_split(images, labels, test_size=0.25, stratify=labels, random_state=SEED)
    )
    return split
