"""Train a nearest-centroid classifier on synthetic blobs and write it as JSON."""

import argparse
import json
import random

CENTRES = {"red": (0.0, 0.0), "green": (4.0, 0.0), "blue": (0.0, 4.0)}


def sample(rng, count):
    """Return `count` (label, x, y) points around each centre."""
    return [(label, rng.gauss(x, 1.0), rng.gauss(y, 1.0)) for label, (x, y) in CENTRES.items() for _ in range(count)]


def classify(centroids, x, y):
    """Return the label of the nearest centroid."""
    return min(centroids, key=lambda label: (centroids[label][0] - x) ** 2 + (centroids[label][1] - y) ** 2)


def train(seed):
    """Return the model: centroids by label, and its accuracy on fresh points."""
    rng = random.Random(seed)
    points = sample(rng, 200)
    centroids = {}
    for label in CENTRES:
        mine = [(x, y) for other, x, y in points if other == label]
        centroids[label] = [round(sum(axis) / len(mine), 6) for axis in zip(*mine)]
    test = sample(rng, 200)
    accuracy = sum(classify(centroids, x, y) == label for label, x, y in test) / len(test)
    return {"kind": "nearest-centroid", "seed": seed, "centroids": centroids, "accuracy": round(accuracy, 4)}


def main():
    """Parse arguments, train, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="blobs.json")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    model = train(arguments.seed)
    with open(arguments.out, "w", encoding="utf-8") as file:
        json.dump(model, file, indent=2)
        file.write("\n")
    print(f"accuracy {model['accuracy']:.4f} -> {arguments.out}")


if __name__ == "__main__":
    main()
