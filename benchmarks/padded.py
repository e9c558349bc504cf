"""Publishes a tree as if it were part of a registry of N plugins: ``python -m benchmarks.padded TREE N [--rows]``.

The builder publishes as ever; only when it has planned, each bin is given the entries that so many more plugins would
have there. What a client reads on its way to one plugin (snapshot, bin, index document) is of the length it would have;
the index documents of the others are named in the bins and don't exist. With ``--rows`` the catalog has the rows of
all, sorted into shards by the builder's own code.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from benchmarks.synthetic import catalog_row, plugin_name
from registry_builder.baseline.diff import target_pin
from registry_builder.baseline.documents import target_key
from registry_builder.baseline.state import PublishedState
from registry_builder.compile.catalog import shard_bytes, shard_rows
from registry_builder.compile.catalog_names import name_shards
from registry_builder.compile.index import Ingestion
from registry_builder.publication.claims import ClaimDecision
from registry_builder.publication.plan import PublishPlan
from registry_builder.publication.publish import Publisher, open_publisher, publish_realm
from registry_builder.publication.uploads import Upload
from registry_builder.signing.metadata import TargetPin, bin_bits, bin_of, shard_count
from registry_builder.source.load import load_tree
from sealdex.model.catalog import names_target, shard_target
from sealdex.model.ids import PluginId
from sealdex.model.index import index_target

_DOCUMENT_BYTES = 10_000  # has to be some number of five digits, as most index documents' lengths are


@dataclass
class _PaddedPublisher(Publisher):
    """Attributes: ``plugins`` is how many there are to be in all, ``with_rows`` whether the catalog has them."""

    plugins: int = 0
    with_rows: bool = False

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
        plan = dataclasses.replace(plan, bins=bins)
        if not self.with_rows:
            return plan
        rows = [catalog_row(number) for number in range(self.plugins)]
        count = shard_count(plan.bits)
        files = {shard_target(n): shard_bytes(n, count, own) for n, own in shard_rows(rows, count).items()}
        files |= {names_target(first): data for first, data in name_shards(rows).items()}
        pins = {target: target_pin(data) for target, data in files.items()}
        uploads = [
            Upload(target_key(target, pins[target].sha256), len(data), pins[target].sha256, data)
            for target, data in files.items()
        ]
        return dataclasses.replace(plan, catalog=pins, shards=tuple(uploads))


def main() -> None:
    tree, plugins, with_rows = Path(sys.argv[1]), int(sys.argv[2]), "--rows" in sys.argv[3:]
    opened = open_publisher(load_tree(tree), "public", min_bits=bin_bits(plugins))
    fields = {field.name: getattr(opened, field.name) for field in dataclasses.fields(opened)}
    publish_realm(_PaddedPublisher(**fields, plugins=plugins, with_rows=with_rows))
    if with_rows:  # the page states how many there are; what was compiled are the tree's own
        for path in tree.glob("published/search/catalogue.json"):
            path.write_bytes(re.sub(rb'"plugins":[0-9]+', f'"plugins":{plugins}'.encode(), path.read_bytes()))


if __name__ == "__main__":
    main()
