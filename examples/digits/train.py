"""Trains one row of the grid: python3 train.py ROW FOLDER

Leaves FOLDER/score-ROW.json (accuracy by five-fold cross-validation) and FOLDER/model-ROW.joblib. Both are
renamed into place when complete, so that a task that was stopped half-way and run again leaves no half file.
"""

import json
import os
import sys
import time
from pathlib import Path

import joblib
from grid import GRID, SEED, classifier, digits
from sklearn.model_selection import StratifiedKFold, cross_val_score


def main(row: int, folder: Path) -> None:
    family, parameters = GRID[row]
    print(f"row {row} of {len(GRID)}: {family} {parameters} on {os.uname().nodename}", flush=True)
    started = time.perf_counter()
    images, _, labels, _ = digits()
    model = classifier(family, parameters)
    folds = StratifiedKFold(5, shuffle=True, random_state=SEED)
    scores = cross_val_score(model, images, labels, cv=folds)
    model.fit(images, labels)
    seconds = time.perf_counter() - started

    joblib.dump(model, folder / f"model-{row}.part")
    os.replace(folder / f"model-{row}.part", folder / f"model-{row}.joblib")
    result = {
        "row": row,
        "family": family,
        "parameters": parameters,
        "accuracy": scores.mean(),
        "spread": scores.std(),
        "seconds": seconds,
    }
    (folder / f"score-{row}.part").write_text(json.dumps(result))
    os.replace(folder / f"score-{row}.part", folder / f"score-{row}.json")
    print(f"accuracy {scores.mean():.4f} +- {scores.std():.4f} in {seconds:.1f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
