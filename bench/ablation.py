"""What is each part of the search worth? The loss without it, beside the loss with all of them.

    python -m bench.ablation --manifest M.json      tables that a manifest lists (see bench.automl)
    options: --budget 60s   --sets a,b   --parts head,racing   --seed 0

Each set is divided 80/20 by the seed and fitted once with all parts and once without each; the ONNX file is scored on
the test rows with onnxruntime alone. A ratio above 1 says that the loss grows without the part. One run each: read the
column means, and of single cells only what is far from 1.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import autopilot
from autopilot.candidates import choose
from autopilot.search.strategy import Strategy
from bench.automl import Set, divided, read_sets, run_file, scores

PARTS: dict[str, dict[str, Any]] = {
    "all": {},
    "prepared features": {
        "candidates": [one for one in choose(None) if one.recipe != "prepared"],
    },
    **{
        part: {"_strategy": Strategy(**{part: False})}
        for part in ("portfolio", "tpe", "racing", "sampling", "ensemble", "head")
    },
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--manifest", type=Path)
    parser.add_argument("--budget", default="60s")
    parser.add_argument("--sets", default="")
    parser.add_argument("--parts", default="")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    parts = [part for part in PARTS if part == "all" or not chosen.parts or part in chosen.parts.split(",")]
    print("| set | metric | " + " | ".join(f"without {part}" if part != "all" else part for part in parts) + " |")
    print("|---|---|" + "---|" * len(parts))
    ratios: list[list[float]] = []
    for one in read_sets(chosen.manifest, chosen.sets):
        name, losses = measure(one, parts, chosen.budget, chosen.seed)
        ratios.append([loss / losses[0] for loss in losses[1:]])
        cells = [f"{losses[0]:.5g}", *(f"{ratio:.4f}" for ratio in ratios[-1])]
        print(f"| {one.name} | {name} | " + " | ".join(cells) + " |", flush=True)
    means = np.exp(np.log(np.array(ratios)).mean(axis=0))
    print("| geometric mean | | | " + " | ".join(f"{mean:.4f}" for mean in means) + " |")


def measure(one: Set, parts: list[str], budget: str, seed: int) -> tuple[str, list[float]]:
    """The loss on the test rows with all parts, then without each; 1 - AUC for two classes."""
    train, test = divided(one, seed)
    name, losses = "", []
    for part in parts:
        with tempfile.TemporaryDirectory() as store:
            result = autopilot.fit(
                train, one.target, task=one.task, budget=budget, seed=seed, store=store, progress=False, **PARTS[part]
            )
            found = run_file(str(result.onnx_path), test)
            name, score, _ = scores(one, train, test, found, _same(found))
            losses.append(1 - score if name == "roc_auc" else score)
            result.store.close()
    return name, losses


def _same(found: dict[str, Any]) -> np.ndarray:
    """The file's own answers in the shape of the peer's, which `scores` compares with."""
    return found["prediction"][:, 0] if "prediction" in found else found["probabilities"].astype(np.float64)


if __name__ == "__main__":
    main()
