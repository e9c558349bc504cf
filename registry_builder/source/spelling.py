"""Spellings of `os` and `arch`: corrected in a new release, reported in a release that was written by hand. Pure."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from sealdex.model.platforms import HOST_LABELS, KNOWN_VALUES, unusual_values, with_usual_spellings
from sealdex.model.release import Release
from sealdex.model.selectors import Selector


def with_usual_platforms(release: Release) -> tuple[Release, tuple[str, ...]]:
    """Return a release with `os` and `arch` as hosts report them, and one line for each value that was rewritten."""
    notes = tuple(
        dict.fromkeys(
            f"{where}: {key}={value} is rewritten to {key}={usual}"
            for where, key, value, usual in _unusual(release)
            if usual is not None
        )
    )
    if not notes:
        return release, ()
    artifacts = tuple([msgspec.structs.replace(a, **_selector(a.selector)) for a in release.artifacts])
    return msgspec.structs.replace(release, artifacts=artifacts, **_selector(release.selector)), notes


def platform_warnings(release: Release) -> Iterator[tuple[str, str]]:
    """Yield (field path, message) for each key, and each value of `os` and `arch`, that no host reports."""
    if all(_is_usual(selector) for _, selector in _selectors(release)):
        return  # nearly all releases, decided quickly
    for where, key, value, usual in _unusual(release):
        if usual is not None:
            yield where, f"no host reports {key}={value}: write {usual}"
        else:
            known = ", ".join(sorted(KNOWN_VALUES[key]))
            yield where, f"no host reports {key}={value}, unless its configuration does; known are {known}"
    for where, key, usual in _misspelled_keys(release):
        yield where, f"no host reports a label '{key}', unless its configuration does: write {usual}"


def _is_usual(selector: Selector) -> bool:
    return not selector.match_expressions and all(
        value in KNOWN_VALUES.get(key, ()) for key, value in selector.match_labels.items()
    )


def _misspelled_keys(release: Release) -> Iterator[tuple[str, str, str]]:
    """Yield (field path, key, label of a host) for keys that differ from such a label only in case or underscores."""
    for name, selector in _selectors(release):
        keyed = [(f"{name}.match_labels.{key}", key) for key in selector.match_labels]
        keyed += [(f"{name}.match_expressions[{i}].key", e.key) for i, e in enumerate(selector.match_expressions)]
        for where, key in keyed:
            usual = key.lower().replace("_", "-")
            if key not in HOST_LABELS and usual in HOST_LABELS:
                yield where, key, usual


def _selectors(release: Release) -> Iterator[tuple[str, Selector]]:
    yield "selector", release.selector
    for i, artifact in enumerate(release.artifacts):
        yield f"artifacts[{i}].selector", artifact.selector


def _unusual(release: Release) -> Iterator[tuple[str, str, str, str | None]]:
    for name, selector in _selectors(release):
        if selector:
            for where, key, value, usual in unusual_values(selector):
                yield f"{name}.{where}", key, value, usual


def _selector(selector: Selector) -> dict[str, Selector]:
    # the default instance is left alone: msgspec recognises it and doesn't write the field
    return {"selector": with_usual_spellings(selector)} if selector else {}


__all__ = ["platform_warnings", "with_usual_platforms"]
