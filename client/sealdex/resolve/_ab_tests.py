"""Which side of an A/B test a host, or a job with labels of its own, is on. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import msgspec

from sealdex.model.decode import convert_to
from sealdex.model.index import AbEntry
from sealdex.model.selectors import Selector, mismatch


def refusal(test: AbEntry, namespace: str, host: str, labels: Mapping[str, str]) -> str | None:
    """Return why a release isn't offered here, in words; None: it is.

    Args:
        test: the release's A/B test.
        namespace: of the plugin.
        host: the host's random id; empty: unknown.
        labels: those of the host, and of the job.
    """
    try:
        selector = convert_to(test.selector, Selector)
    except msgspec.ValidationError:
        return f"A/B test {test.experiment}: its selector needs a newer sealdex"
    if reason := mismatch(selector, labels):
        return f"A/B test {test.experiment}: {reason}"
    if test.by is None:
        if not host:
            return f"A/B test {test.experiment}: it isn't known whether this host is among its {test.share}%"
        subject, shown = host, "this host"
    elif (value := labels.get(test.by)) is not None:
        subject, shown = f"{test.by}={value}", f"{test.by}={value}"
    else:
        return f"A/B test {test.experiment}: decided by label {test.by}, which this host doesn't have"
    if position(namespace, test.experiment, subject) * 100 < test.share << 64:
        return None
    return f"A/B test {test.experiment}: offered to {test.share}%, and {shown} is not among them"


def position(namespace: str, experiment: str, subject: str) -> int:
    """Return where somebody stands in an experiment, from 0 to 2^64 - 1.

    The first eight bytes of the SHA-256 of ``NAMESPACE/EXPERIMENT``, a line feed and the subject: a host id, or
    ``LABEL=VALUE``. So it is the same on every machine and for every release of the experiment, and whoever is in stays
    in as the share grows.
    """
    digest = hashlib.sha256(f"{namespace}/{experiment}\n{subject}".encode()).digest()
    return int.from_bytes(digest[:8], "big")
