"""Reads one commit of a model on the Hugging Face Hub: from the Hub, a saved answer of its API, or a cache folder.

Commits have no order and no version: ``--version-map COMMIT=1.0.0`` says what one becomes. A branch isn't taken, since
it moves. Files in LFS have a SHA-256; the others only git's digest, which is checked while they are hashed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from urllib.parse import quote

from registry_builder.importers._packages import MAX_MANIFEST_BYTES, files_below
from registry_builder.importers._reading import MAX_EXPORT_BYTES, export_bytes, in_utf8, strict_json, utc
from registry_builder.importers.foreign import (
    GIT,
    ForeignFile,
    ForeignPlugin,
    ForeignRelease,
    Found,
    LocalFile,
    PackedMember,
    Packing,
    RemoteFile,
    SourceError,
    keywords,
    present,
    shown,
    stated_problems,
    summary_of,
)
from registry_builder.source.safe_open import Gate, UnreadableError
from registry_builder.source.text import other_encoding, without_mark
from sealdex.archive.entries import path_problem
from sealdex.errors import NotFoundError, UsageError
from sealdex.text import counted
from sealdex.transport import Transport

SYSTEM = "huggingface"
HUGGINGFACE = "https://huggingface.co"
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SOURCE = re.compile(r"(?P<repository>[\w.-]+(?:/[\w.-]+)?)@(?P<commit>[^\s@]+)", re.ASCII)
_FRONT_MATTER = re.compile(r"\A---\s*\n.*?\n---\s*\n", re.DOTALL)
_LICENSES = {
    "apache-2.0": "Apache-2.0", "mit": "MIT", "bsd": "BSD-2-Clause", "bsd-2-clause": "BSD-2-Clause",
    "bsd-3-clause": "BSD-3-Clause", "gpl-3.0": "GPL-3.0-only", "gpl-2.0": "GPL-2.0-only", "lgpl-3.0": "LGPL-3.0-only",
    "agpl-3.0": "AGPL-3.0-only", "mpl-2.0": "MPL-2.0", "cc0-1.0": "CC0-1.0", "cc-by-4.0": "CC-BY-4.0",
    "cc-by-sa-4.0": "CC-BY-SA-4.0", "cc-by-nc-4.0": "CC-BY-NC-4.0", "cc-by-nc-sa-4.0": "CC-BY-NC-SA-4.0",
    "unlicense": "Unlicense", "isc": "ISC", "wtfpl": "WTFPL", "afl-3.0": "AFL-3.0", "artistic-2.0": "Artistic-2.0",
    "ecl-2.0": "ECL-2.0", "epl-2.0": "EPL-2.0", "zlib": "Zlib", "bsl-1.0": "BSL-1.0", "ms-pl": "MS-PL",
}  # fmt: skip


def read_huggingface(
    source: str, transport: Transport, *, endpoint: str = HUGGINGFACE, files: tuple[str, ...] = ()
) -> Found:
    """Read one commit of a model.

    Args:
        source: ``REPO@COMMIT``, a file with an answer of the API, or a cache folder (``models--ORG--NAME``).
        transport: what asks the Hub.
        endpoint: the address of the Hub, or of a mirror of it.
        files: patterns of the files that are taken; all by default.

    Raises:
        NotFoundError, UsageError: the source isn't there, or isn't one. UnavailableError: the Hub doesn't answer.
    """
    path = Path(source.partition("@")[0]) if not Path(source).exists() else Path(source)
    hub = endpoint.rstrip("/")
    found = Found(entries=1)
    match = _SOURCE.fullmatch(source)
    try:
        if path.is_dir():
            commit = source.partition("@")[2] if path != Path(source) else None
            _cached(found, path, commit, files)
        elif path.is_file():
            _answered(found, strict_json(export_bytes(path)), path.name, hub, files)
        elif match is not None:
            if not _COMMIT.fullmatch(match["commit"]):
                raise UsageError(
                    f"'{shown(match['commit'])}' is not a commit: a branch or tag may be moved",
                    subject=source, untouched="nothing was imported", hint="write REPO@ and 40 hexadecimal digits",
                )  # fmt: skip
            url = f"{hub}/api/models/{match['repository']}/revision/{match['commit']}?blobs=true"
            data = in_utf8(transport.read(url, max_bytes=MAX_EXPORT_BYTES).data, "model.json", url)
            _answered(found, strict_json(data), source, hub, files, wanted=match["commit"])
        else:
            raise NotFoundError(
                "is neither a file, a folder nor REPO@COMMIT", subject=source, untouched="nothing was imported"
            )
    except SourceError as error:
        found.refuse(source, source, None, str(error).split("\n"))
    return found


# --- an answer of the API --------------------------------------------------------------------------------------------


def _answered(
    found: Found, values: Any, place: str, hub: str, patterns: tuple[str, ...], *, wanted: str | None = None
) -> None:
    if not isinstance(values, dict):
        raise SourceError("is not what the API answers of a model")
    problems: list[str] = []
    repository = values.get("id") or values.get("modelId")
    commit = values.get("sha")
    if not isinstance(repository, str) or _SOURCE.fullmatch(f"{repository}@x") is None:
        problems.append(f"id: is '{shown(repository)}', not ORG/NAME")
    if not isinstance(commit, str) or not _COMMIT.fullmatch(commit):
        problems.append("sha: is missing: ask for one commit, /api/models/REPO/revision/COMMIT?blobs=true")
    elif wanted is not None and commit != wanted:
        problems.append(f"sha: is {commit}, another commit than {wanted}")
    siblings = values.get("siblings")
    if not isinstance(siblings, list) or not siblings:
        problems.append("siblings: is missing or empty: there are no files")
    if problems:
        raise SourceError("\n".join(problems))
    base = f"{hub}/{repository}/resolve/{commit}/"
    members: dict[str, PackedMember] = {}
    for number, sibling in enumerate(siblings if isinstance(siblings, list) else []):
        where = f"siblings[{number}]"
        name = sibling.get("rfilename") if isinstance(sibling, dict) else None
        if not isinstance(name, str) or not name:
            problems.append(f"{where}: has no rfilename")
            continue
        if problem := path_problem(name):
            problems.append(f"{where}.rfilename: '{shown(name)}' {problem}")
        lfs = sibling.get("lfs")
        size = lfs.get("size", sibling.get("size")) if isinstance(lfs, dict) else sibling.get("size")
        sha256 = lfs.get("sha256") if isinstance(lfs, dict) else None
        digests = {"sha256": sha256} if sha256 is not None else {}
        if not digests and isinstance(sibling.get("blobId"), str):
            digests = {GIT: sibling["blobId"]}
        problems += (f"{where}.{said}" for said in stated_problems(digests, size))
        members[name] = PackedMember(RemoteFile(base + quote(name)), digests, size)
    if problems:
        raise SourceError("\n".join(problems))
    _add(found, str(repository), str(commit), place, members, values, patterns)


# --- a cache folder --------------------------------------------------------------------------------------------------


def _cached(found: Found, folder: Path, commit: str | None, patterns: tuple[str, ...]) -> None:
    if folder.parent.name == "snapshots":
        folder, commit = folder.parent.parent, folder.name
    kind, _, rest = folder.resolve().name.partition("--")
    if kind != "models" or not rest:
        raise SourceError(f"'{shown(folder.name)}' is not a cache folder: its name is models--ORG--NAME")
    gate, snapshots = Gate(folder), folder / "snapshots"
    there = sorted(path.name for path in snapshots.iterdir() if path.is_dir()) if snapshots.is_dir() else []
    if commit is None:
        commit = there[0] if len(there) == 1 else None
        if commit is None:
            raise SourceError(f"snapshots: has {len(there)}: say which one, with {folder}@COMMIT")
    if commit not in there:
        raise SourceError(f"snapshots: there is no '{shown(commit)}'; there is {', '.join(there) or 'none'}")
    if not _COMMIT.fullmatch(commit):
        raise SourceError(f"snapshots: '{shown(commit)}' is not a commit: a branch or tag may be moved")
    members = {}
    for name, member in files_below(snapshots / commit, root=folder).items():
        # the cache names its blobs by what the Hub calls their entity tag: SHA-256 in LFS, else git's digest
        path = member.origin.path if isinstance(member.origin, LocalFile) else folder
        blob = path.readlink().name if path.is_symlink() else ""
        digests = {"sha256": blob} if len(blob) == 64 else {GIT: blob} if len(blob) == 40 else {}
        members[name] = PackedMember(member.origin, {} if list(stated_problems(digests, None)) else digests)
    about: dict[str, Any] = {}
    left: list[str] = []
    readme = members.get("README.md")
    if readme is not None and isinstance(readme.origin, LocalFile):
        try:
            text = without_mark(gate.read(readme.origin.path, MAX_MANIFEST_BYTES))
        except UnreadableError as error:
            raise SourceError(f"README.md {error}") from error
        if (encoding := other_encoding(text)) is None:
            about["readme"] = text.decode()
        else:
            probably = f", probably in {encoding}" if encoding else ""
            left.append(f"README.md: is not in UTF-8{probably}: it isn't taken as the plugin's README")
    found.notes.append(
        f"{shown(folder.name)}: a cache folder has the files that were asked for, which needn't be all of the commit: "
        f"{counted(len(members), 'file')} of {commit[:12]} are there"
    )
    _add(found, rest.replace("--", "/"), commit, folder.name, members, about, patterns, left)


# --- both ------------------------------------------------------------------------------------------------------------


def _add(
    found: Found,
    repository: str,
    commit: str,
    place: str,
    members: dict[str, PackedMember],
    values: Mapping[str, Any],
    patterns: tuple[str, ...],
    left_out: Iterable[str] = (),
) -> None:
    if patterns:
        members = {name: m for name, m in members.items() if any(fnmatchcase(name, p) for p in patterns)}
    if not members:
        raise SourceError(f"has no file that matches {', '.join(patterns)}" if patterns else "has no files")
    owner, _, name = repository.rpartition("/")
    card = values.get("cardData")
    card = card if isinstance(card, dict) else {}
    tags = (
        [tag for tag in values.get("tags", []) if isinstance(tag, str)] if isinstance(values.get("tags"), list) else []
    )
    words, left = keywords([t for t in tags if ":" not in t], "tags")
    left += left_out
    task = values.get("pipeline_tag")
    is_closed = values.get("private") is True or values.get("gated") not in (None, False)
    if is_closed:
        left.append("private, gated: who may read it is decided by the realm that a plugin is in: see docs/private.md")
    fields: dict[str, Any] = {
        "license": _license(card, tags),
        "models": [present({"model_id": repository[:128], "model_type": task if isinstance(task, str) else None,
                            "version": commit, "path": "."})],
    }  # fmt: skip
    if isinstance(values.get("lastModified"), str):
        fields["released_at"] = utc(values["lastModified"], "lastModified")
    if len(members) == 1:
        ((path, member),) = members.items()
        fields["models"][0]["path"] = path.rpartition("/")[2]
        single = member.origin
        why = "it is private or gated at the Hub, so that hosts would need a login there" if is_closed else None
        file = ForeignFile(single, name=path.rpartition("/")[2], digests=member.digests, size=member.size, unstable=why)
    else:
        file = ForeignFile(Packing(members), name=f"{name}-{commit[:12]}.zip")
    readme = _FRONT_MATTER.sub("", str(values.get("readme") or ""), count=1)
    found.plugins[repository] = ForeignPlugin(
        repository,
        (name,),
        {
            "type": "model",
            "summary": summary_of(f"{name}: {task}" if isinstance(task, str) else name),
            "license": fields["license"],
            "keywords": words,
            "owners": [{"name": owner}] if owner else [],
            "homepage": f"{HUGGINGFACE}/{repository}",
        },
        readme=readme or f"{HUGGINGFACE}/{repository} at {commit}",
        namespace=owner.lower() or None,
    )
    found.releases.append(
        ForeignRelease(
            plugin=repository,
            version=commit,
            place=place,
            fields=present(fields),
            files=(file,),
            named={"released_at": "lastModified"},
            left_out=tuple(left),
        )
    )


def _license(card: Mapping[str, Any], tags: list[str]) -> str | None:
    """Return the SPDX identifier of the Hub's name of a license; a reference for those that SPDX doesn't have."""
    stated = card.get("license") or next((t.partition(":")[2] for t in tags if t.startswith("license:")), None)
    if not isinstance(stated, str) or stated in {"", "other", "unknown"}:
        name = card.get("license_name")
        stated = name if isinstance(name, str) else None
    if stated is None:
        return None
    plain = re.sub(r"[^A-Za-z0-9.-]+", "-", stated).strip("-")
    return _LICENSES.get(stated.lower(), f"LicenseRef-{plain}" if plain else None)


__all__ = ["HUGGINGFACE", "SYSTEM", "read_huggingface"]
