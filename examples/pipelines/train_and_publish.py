"""Train a model and publish it: what a training job runs once its model is good enough.

    python train_and_publish.py TREE VERSION [--seed N]

Run again with the same seed and version it finds everything done and succeeds; with another seed under the same version
it fails, because a release never changes. TREE is a checkout of the registry's source tree; in a job that only opens a
pull request, leave out the publish and commit what was written.
"""

import argparse
import json
import random
import tempfile
from pathlib import Path

import registry_builder
from sealdex import SealdexError

PLUGIN = "vision/blob-model"
CENTRES = {"red": (0.0, 0.0), "green": (4.0, 0.0), "blue": (0.0, 4.0)}


def train(seed):
    """Return a nearest-centroid classifier of synthetic blobs."""
    rng = random.Random(seed)
    centroids = {
        label: [round(sum(rng.gauss(axis, 1.0) for _ in range(200)) / 200, 6) for axis in centre]
        for label, centre in CENTRES.items()
    }
    return {"kind": "nearest-centroid", "seed": seed, "centroids": centroids}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tree", type=Path)
    parser.add_argument("version")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        model = train(arguments.seed)
        Path(folder, "blobs.json").write_text(json.dumps(model, indent=2) + "\n", encoding="utf-8")
        try:
            released = registry_builder.release(arguments.tree, PLUGIN, arguments.version, [folder])
        except SealdexError as error:  # for instance another model under this version
            raise SystemExit(f"{PLUGIN} {arguments.version}: {error} ({error.subject}); {error.hint}") from error
    (published,) = registry_builder.publish(arguments.tree, only=[PLUGIN])
    print(f"{released.plugin} {released.version}: {'released' if released.written else 'was released already'}")
    print("published" if published.committed else "was published already")


if __name__ == "__main__":
    main()
