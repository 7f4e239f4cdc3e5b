"""Collects what the array has found: python3 collect.py FOLDER

Ranks all rows, tries the best on the digits that no training has seen, and leaves FOLDER/summary.txt,
FOLDER/best.json and the picture FOLDER/confusion.png. A row without a score is an error: the winner must have
met everybody.
"""

import json
import sys
from pathlib import Path

import joblib
import matplotlib.pyplot as plt
import numpy as np
from grid import GRID, digits
from sklearn.metrics import ConfusionMatrixDisplay, accuracy_score, confusion_matrix


def main(folder: Path) -> int:
    absent = [row for row in range(len(GRID)) if not (folder / f"score-{row}.json").exists()]
    if absent:
        print(f"no score of row {', '.join(map(str, absent))} in {folder}/", file=sys.stderr)
        return 1
    results = [json.loads((folder / f"score-{row}.json").read_text()) for row in range(len(GRID))]
    ranking = sorted(results, key=lambda result: (-result["accuracy"], result["row"]))
    best = ranking[0]

    _, images, _, labels = digits()
    said = joblib.load(folder / f"model-{best['row']}.joblib").predict(images)
    held_out = accuracy_score(labels, said)

    lines = ["rank row  classifier           parameters                      accuracy  spread   time"]
    for rank, result in enumerate(ranking, 1):
        parameters = ", ".join(f"{name}={value}" for name, value in result["parameters"].items())
        lines.append(
            f"{rank:>4} {result['row']:>3}  {result['family']:<20} {parameters:<31}"
            f" {result['accuracy']:>8.4f} {result['spread']:>7.4f} {result['seconds']:>4.1f} s"
        )
    wrong = int(np.sum(said != labels))
    lines += [
        "",
        f"best: {best['family']} {best['parameters']}",
        f"on {len(labels)} digits that no training has seen: accuracy {held_out:.4f}, {wrong} wrong",
    ]
    (folder / "summary.txt").write_text("\n".join(lines) + "\n")
    (folder / "best.json").write_text(
        json.dumps({**best, "held_out_accuracy": held_out, "wrong": wrong}, indent=2) + "\n"
    )
    print("\n".join(lines))

    figure, axes = plt.subplots(figsize=(6, 5.6), layout="constrained")
    ConfusionMatrixDisplay(confusion_matrix(labels, said)).plot(ax=axes, cmap="Blues", colorbar=False)
    axes.set_title(f"{best['family']}: {held_out:.1%} of {len(labels)} unseen digits right")
    axes.set_xlabel("what the classifier said")
    axes.set_ylabel("what was written")
    figure.savefig(folder / "confusion.png", dpi=120)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
