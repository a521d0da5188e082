"""What is each part of the search worth? The loss without it, beside the loss with all of them.

    python -m bench.ablation --manifest M.json      tables that a manifest lists (see bench.automl)
    options: --budget 60s   --sets a,b   --parts head,racing   --folds 0,1

Each fold of a table (as bench.automl divides it) is fitted once with all parts, once more with another seed, and once
without each part; the ONNX file is scored on the fold with onnxruntime alone. A ratio above 1 says that the loss grows
without the part; what another seed gives is the noise to read it by. The last line has the geometric means.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import autopilot
from autopilot.candidates import choose
from autopilot.search.strategy import Strategy
from bench._ranking import METRICS, score_of
from bench._sets import Set, divided, read_sets
from bench.automl import answers_of, run_file, truth_of

PARTS: dict[str, dict[str, Any]] = {
    "all": {},
    "another seed": {"seed": 1},
    "prepared features": {
        "candidates": [one for one in choose(None) if one.recipe != "prepared"],
    },
    **{part: {"_strategy": Strategy(**{part: False})} for part in ("portfolio", "tpe", "racing", "ensemble", "head")},
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--manifest", type=Path)
    parser.add_argument("--budget", default="60s")
    parser.add_argument("--sets", default="")
    parser.add_argument("--parts", default="")
    parser.add_argument("--folds", default="0")
    chosen = parser.parse_args()
    parts = [part for part in PARTS if part == "all" or not chosen.parts or part in chosen.parts.split(",")]
    print("| set | fold | metric | all | " + " | ".join(_words(part) for part in parts[1:]) + " |")
    print("|---|---|---|---|" + "---|" * len(parts[1:]))
    ratios: list[list[float]] = []
    for one in read_sets(chosen.manifest, chosen.sets):
        for fold in map(int, chosen.folds.split(",")):
            losses = [loss_without(part, one, fold, chosen.budget) for part in parts]
            ratios.append([loss / losses[0] for loss in losses[1:]])
            cells = [METRICS[one.task], f"{losses[0]:.5g}", *(f"{ratio:.4f}" for ratio in ratios[-1])]
            print(f"| {one.name} | {fold} | " + " | ".join(cells) + " |", flush=True)
    means = np.exp(np.log(np.array(ratios)).mean(axis=0))
    print("| geometric mean | | | | " + " | ".join(f"{mean:.4f}" for mean in means) + " |")


def _words(part: str) -> str:
    return part if part == "another seed" else f"without {part}"


def loss_without(part: str, one: Set, fold: int, budget: str) -> float:
    """The loss on the fold; 1 - AUC for two classes."""
    train, test = divided(one, fold)
    with tempfile.TemporaryDirectory() as store:
        given = {"seed": 0, "guard": False, **PARTS[part]}
        result = autopilot.fit(train, one.target, task=one.task, budget=budget, store=store, progress=False, **given)
        answers = answers_of(one, train, run_file(str(result.onnx_path), test))
        result.store.close()
    score = score_of(one.task, truth_of(one, train, test), answers)
    return 1 - score if METRICS[one.task] == "roc_auc" else score


if __name__ == "__main__":
    main()
