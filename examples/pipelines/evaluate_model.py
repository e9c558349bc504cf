"""Measure a published model and add the report to its release: what an evaluation job runs.

    python evaluate_model.py TREE VERSION --config CONFIG

The model comes from the registry, verified, as any user gets it; CONFIG is the client's config.toml. The report is then
pinned by the model's index, shown by `sealdex info`, and found by `sealdex search --min-metric accuracy=0.9`.
"""

import argparse
import json
import random
import tempfile
import zipfile
from pathlib import Path

import registry_builder
import sealdex

PLUGIN = "vision/blob-model"
CENTRES = {"red": (0.0, 0.0), "green": (4.0, 0.0), "blue": (0.0, 4.0)}
POINTS = 500


def accuracy(centroids):
    """Return the share of fresh points whose nearest centroid is their own."""
    rng = random.Random(2026)
    right = 0
    for label, (cx, cy) in CENTRES.items():
        for _ in range(POINTS):
            x, y = rng.gauss(cx, 1.0), rng.gauss(cy, 1.0)
            nearest = min(centroids, key=lambda name: (centroids[name][0] - x) ** 2 + (centroids[name][1] - y) ** 2)
            right += nearest == label
    return right / (POINTS * len(CENTRES))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tree", type=Path)
    parser.add_argument("version")
    parser.add_argument("--config", required=True)
    arguments = parser.parse_args()

    with sealdex.Client(arguments.config) as client:
        (fetched,) = client.fetch(f"{PLUGIN}@{arguments.version}")
    with zipfile.ZipFile(fetched.path) as archive:
        model = json.loads(archive.read("blobs.json"))
    measured = {"accuracy": round(accuracy(model["centroids"]), 4)}
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "accuracy.json")
        details = {"metrics": measured, "dataset": f"blobs-{POINTS}", "evaluator": Path(__file__).name, "seed": 2026}
        report.write_text(json.dumps(details, indent=2) + "\n", encoding="utf-8")
        change = registry_builder.evaluate(arguments.tree, PLUGIN, arguments.version, report, by="evaluation job")
    registry_builder.publish(arguments.tree, only=[PLUGIN])
    print(f"{PLUGIN} {arguments.version}: accuracy {measured['accuracy']}", "" if change.event else "(known already)")


if __name__ == "__main__":
    main()
