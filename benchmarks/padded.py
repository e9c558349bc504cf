"""Publishes a source tree as if it were part of a registry of N plugins: ``python -m benchmarks.padded TREE N``.

The builder publishes as ever; only when it has planned, each bin is given the entries that so many more plugins would
have there. What a client reads on its way to one plugin (snapshot, bin, index document) is of the length it would have;
the index documents of the others are named in the bins and don't exist.
"""

from __future__ import annotations

import dataclasses
import hashlib
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from benchmarks.synthetic import plugin_name
from registry_builder.baseline.state import PublishedState
from registry_builder.compile.index import Ingestion
from registry_builder.publication.claims import ClaimDecision
from registry_builder.publication.plan import PublishPlan
from registry_builder.publication.publish import Publisher, open_publisher, publish_realm
from registry_builder.signing.metadata import TargetPin, bin_bits, bin_of
from registry_builder.source.load import load_tree
from sealdex.model.ids import PluginId
from sealdex.model.index import index_target

_DOCUMENT_BYTES = 10_000  # has to be some number of five digits, as most index documents' lengths are


@dataclass
class _PaddedPublisher(Publisher):
    """Attributes: ``plugins`` is how many there are to be in all."""

    plugins: int = 0

    def plan(
        self, state: PublishedState | None, claims: ClaimDecision, ingestion: Ingestion, now: datetime
    ) -> PublishPlan:
        """Plan as ever, then add the entries of all the others."""
        plan = super().plan(state, claims, ingestion, now)
        bins = {name: dict(pins) for name, pins in plan.bins.items()}
        for number in range(self.plugins):
            target = index_target(PluginId(*plugin_name(number)))
            pin = TargetPin(_DOCUMENT_BYTES, hashlib.sha256(target.encode()).hexdigest())
            bins[bin_of(target, plan.bits)].setdefault(target, pin)
        return dataclasses.replace(plan, bins=bins)


def main() -> None:
    tree, plugins = Path(sys.argv[1]), int(sys.argv[2])
    opened = open_publisher(load_tree(tree), "public", min_bits=bin_bits(plugins))
    fields = {field.name: getattr(opened, field.name) for field in dataclasses.fields(opened)}
    publish_realm(_PaddedPublisher(**fields, plugins=plugins))


if __name__ == "__main__":
    main()
