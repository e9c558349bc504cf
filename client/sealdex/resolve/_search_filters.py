"""What a search asks for: words, filters, an order; and whether a row of the catalog passes the filters. Pure."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Mapping
from typing import Literal, NamedTuple

from msgspec import Struct

from sealdex.model.catalog import CatalogRow
from sealdex.model.ids import normalise_type
from sealdex.resolve._search_text import fold

Sort = Literal["relevance", "recent", "name", "used"]
_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "=": operator.eq,
}
_METRIC = re.compile(r"\s*([^\s<>=]+)\s*(>=|<=|>|<|=)\s*([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)\s*")


class MetricBound(NamedTuple):
    """A demand on a measured value: ``top1>=0.8``."""

    name: str
    compare: str
    value: float

    def holds(self, metrics: Mapping[str, float]) -> bool:
        """Return whether a plugin was measured so; one without that metric wasn't."""
        return self.name in metrics and _COMPARE[self.compare](metrics[self.name], self.value)


class Query(Struct, frozen=True):
    """A search; all criteria must hold.

    Attributes:
        words: in any order, as people write them.
        type: a plugin type, in either spelling; or several, any of them.
        keywords, tags: each must be among the plugin's.
        labels: label key to value, or to several, any of them; a plugin that doesn't constrain the key matches.
        min_metrics, max_metrics: metric to the lowest (highest) accepted value of the latest release; a plugin without
            that metric doesn't match.
        metrics: further demands on metrics.
        platforms: any of these, each an operating system and, unless None, an architecture; a plugin that doesn't
            constrain one matches.
        namespaces, licenses, channels: any of these; licenses whatever their case.
        deprecated: only deprecated plugins, or only others.
        sort: ``relevance`` (without words as ``recent``, deprecated plugins last), ``recent`` (last release first),
            ``name``, ``used`` (most dependents first).
    """

    words: tuple[str, ...] = ()
    type: str | tuple[str, ...] | None = None
    keywords: tuple[str, ...] = ()
    labels: Mapping[str, str | tuple[str, ...]] = {}
    tags: tuple[str, ...] = ()
    min_metrics: Mapping[str, float] = {}
    max_metrics: Mapping[str, float] = {}
    metrics: tuple[MetricBound, ...] = ()
    platforms: tuple[tuple[str, str | None], ...] = ()
    namespaces: tuple[str, ...] = ()
    licenses: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    deprecated: bool | None = None
    sort: Sort = "relevance"

    @property
    def bounds(self) -> tuple[MetricBound, ...]:
        """All demands on metrics."""
        least = [MetricBound(name, ">=", value) for name, value in self.min_metrics.items()]
        most = [MetricBound(name, "<=", value) for name, value in self.max_metrics.items()]
        return (*least, *most, *self.metrics)


def parse_metric(text: str) -> MetricBound:
    """Read ``NAME>=NUMBER``, also with ``<=``, ``>``, ``<`` or ``=``.

    Raises:
        ValueError: it has another form; the message says which one.
    """
    found = _METRIC.fullmatch(text)
    if found is None:
        raise ValueError(f"'{text}' is not a valid metric: write NAME>=NUMBER, with >=, <=, >, < or =")
    return MetricBound(found[1], found[2], float(found[3]))


def filter_of(query: Query) -> Callable[[CatalogRow], bool]:
    """Return a test for the filters of a query, its words left aside."""
    types = {normalise_type(each) for each in _several(query.type)}
    keywords = {fold(keyword) for keyword in query.keywords}
    licenses = {each.lower() for each in query.licenses}
    labels = {key: set(_several(wanted)) for key, wanted in query.labels.items()}
    tests: list[Callable[[CatalogRow], bool]] = []
    if types:
        tests.append(lambda row: normalise_type(row.type) in types)
    if query.namespaces:
        tests.append(lambda row: row.namespace in query.namespaces)
    if keywords:
        tests.append(lambda row: keywords.issubset(map(fold, row.keywords)))
    if query.tags:
        tests.append(lambda row: set(query.tags).issubset(row.tags))
    if licenses:
        tests.append(lambda row: row.license is not None and row.license.lower() in licenses)
    if query.channels:
        tests.append(lambda row: not row.channels.keys().isdisjoint(query.channels))
    if query.deprecated is not None:
        tests.append(lambda row: (row.deprecated is not None) == query.deprecated)
    if bounds := query.bounds:
        tests.append(lambda row: all(bound.holds(row.metrics) for bound in bounds))
    if labels:
        tests.append(lambda row: all(_runs_with(row, key, wanted) for key, wanted in labels.items()))
    if query.platforms:
        tests.append(lambda row: any(_runs_on(row, *platform) for platform in query.platforms))
    return lambda row: all(passes(row) for passes in tests)


def _runs_with(row: CatalogRow, key: str, values: Collection[str]) -> bool:
    own = row.labels.get(key)
    return own is None or not set(values).isdisjoint(own)


def _runs_on(row: CatalogRow, system: str, machine: str | None) -> bool:
    return _runs_with(row, "os", (system,)) and (machine is None or _runs_with(row, "arch", (machine,)))


def _several(value: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return () if value is None else (value,) if isinstance(value, str) else tuple(value)
