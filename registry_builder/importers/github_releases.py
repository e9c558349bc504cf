"""Reads the releases of a repository on GitHub, from a saved answer of its API or from the API itself.

Files that people uploaded become artifacts; platforms are read from their names. Checksum files are paired by exact
name, and what proves or describes a file (signatures, SBOMs, attestations) comes along as an attachment. The source
archives that GitHub generates are never taken: their bytes change.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from registry_builder.importers._asset_names import ARCHIVES, checksums, is_sums, proof_kind, selectors_of
from registry_builder.importers._reading import MAX_EXPORT_BYTES, by_length, export_bytes, in_utf8, strict_json, utc
from registry_builder.importers.foreign import (
    ForeignAttachment,
    ForeignFile,
    ForeignPlugin,
    ForeignRelease,
    Found,
    RemoteFile,
    SourceError,
    keywords,
    present,
    shown,
    stated_problems,
    summary_of,
    web_address,
)
from sealdex.errors import SealdexError, UsageError
from sealdex.model.versions import version_problem
from sealdex.transport import Credentials, Grant, Transport, origin_of

SYSTEM = "github-releases"
GITHUB_API = "https://api.github.com"
DEFAULT_GITHUB_TYPE = "build"
REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}")
_PAGE = 100
_MAX_PAGES = 100
_MAX_SUMS_BYTES = 4 * 1024 * 1024
_YANKED = re.compile(r"\[YANKED\]", re.IGNORECASE)


class GitHubToken(Credentials):
    """The token of $GITHUB_TOKEN, for GitHub's API alone.

    Args:
        token: the token.
        api: the address of the API.
    """

    def __init__(self, token: str, api: str) -> None:
        self._token, self._origin = token, origin_of(api)

    def grant(self, url: str) -> Grant:
        """Return the token for the API, and nothing for other addresses."""
        if origin_of(url) != self._origin:
            return Grant()
        return Grant(headers={"Authorization": f"Bearer {self._token}"})


def read_github(
    source: str,
    transport: Transport,
    *,
    api: str = GITHUB_API,
    assets: tuple[str, ...] = (),
    plugin_type: str = DEFAULT_GITHUB_TYPE,
    ingests: bool = False,
) -> Found:
    """Read releases.

    Args:
        source: ``OWNER/REPO``, or a file with what the API answered: a list of releases, or an object with
            ``repository`` and ``releases``.
        transport: what asks the API, and fetches checksum files.
        api: the address of the API.
        assets: patterns of the files that are artifacts; archives by default.
        plugin_type: the plugin's type.
        ingests: whether files are copied; else a note says which releases aren't immutable.

    Raises:
        NotFoundError: there is no such file. UnavailableError: the API doesn't answer. UsageError: it isn't releases.
    """
    path, found = Path(source), Found()
    if REPOSITORY.fullmatch(source) and not path.is_file():
        name, about, releases = source, *_asked(source, transport, api, found)
        place = source
    else:
        about, releases = _saved(path)
        name, place = _named(about, releases, path), path.name
    reader = _Releases(name, transport, assets, found)
    changing = [release for number, release in enumerate(releases) if reader.release(release, place, number)]
    if found.releases:
        found.plugins[name] = _plugin(name, about, plugin_type)
    if changing and not ingests:
        found.notes.append(
            f"{len(changing)} of {len(releases)} releases of {name} aren't immutable: whoever can write there can "
            "replace their files, and installing would then fail; --ingest copies them into the registry"
        )
    return found


def _asked(name: str, transport: Transport, api: str, found: Found) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return what the API says of a repository, and its releases.

    A page may be shorter than was asked for: other forges, and proxies, have limits of their own. So the last one is
    the one that has nothing new.
    """
    about = _answer(transport, f"{api.rstrip('/')}/repos/{name}")
    releases: dict[str, dict[str, Any]] = {}
    for page in range(1, _MAX_PAGES + 1):
        url = f"{api.rstrip('/')}/repos/{name}/releases?per_page={_PAGE}&page={page}"
        answer = _answer(transport, url)
        if not isinstance(answer, list) or not all(isinstance(each, dict) for each in answer):
            raise UsageError("didn't answer with a list of releases", subject=url, untouched="nothing was imported")
        before = len(releases)
        for number, each in enumerate(answer):
            # a release that is published meanwhile moves the others: one of them comes twice
            releases.setdefault(str(each.get("id") or each.get("tag_name") or (page, number)), each)
        if len(releases) == before:
            break
    else:
        found.refuse(
            name, name, None, f"has more releases than the {_MAX_PAGES} pages that are read: save them in a file"
        )
    return about if isinstance(about, dict) else {}, list(releases.values())


def _answer(transport: Transport, url: str) -> Any:
    try:
        return strict_json(in_utf8(transport.read(url, max_bytes=MAX_EXPORT_BYTES).data, "releases.json", url))
    except SourceError as error:
        raise UsageError(str(error), subject=url, untouched="nothing was imported") from error


def _saved(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    try:
        values = strict_json(export_bytes(path))
    except SourceError as error:
        raise UsageError(str(error), subject=str(path), untouched="nothing was imported") from error
    about: Any = {}
    if isinstance(values, dict):
        about = values.get("repository", {})
        values = values.get("releases", [values] if "tag_name" in values else None)
    if (
        not isinstance(values, list)
        or not all(isinstance(each, dict) for each in values)
        or not isinstance(about, dict)
    ):
        raise UsageError(
            "is not a list of releases as GitHub's API answers", subject=str(path), untouched="nothing was imported",
            hint="save it with: gh api repos/OWNER/REPO/releases --paginate",
        )  # fmt: skip
    return about, values


def _named(about: Mapping[str, Any], releases: Iterable[Mapping[str, Any]], path: Path) -> str:
    """Return ``OWNER/REPO``: of the repository, or in the address of a release."""
    stated = about.get("full_name")
    candidates = [stated] if isinstance(stated, str) else []
    for release in releases:
        parts = urlsplit(str(release.get("html_url") or "")).path.strip("/").split("/")
        candidates.append("/".join(parts[:2]))
    for candidate in candidates:
        if REPOSITORY.fullmatch(candidate):
            return candidate
    raise UsageError(
        "doesn't say of which repository it is: no release has an html_url",
        subject=str(path),
        untouched="nothing was imported",
    )


class _Releases:
    def __init__(self, name: str, transport: Transport, assets: tuple[str, ...], found: Found) -> None:
        self._name, self._transport, self._patterns, self._found = name, transport, assets, found

    def release(self, values: Mapping[str, Any], place: str, number: int) -> bool:
        """Add one release; return whether its files may be replaced at GitHub."""
        found = self._found
        found.entries += 1
        tag = str(values.get("tag_name") or "")
        where = f"{place}: {tag}" if tag else f"{place}: releases[{number}]"
        try:
            found.releases.append(self._read(values, tag, where))
        except SourceError as error:
            found.refuse(where, self._name, tag, str(error).split("\n"))
            return False
        return values.get("immutable") is not True

    def _read(self, values: Mapping[str, Any], tag: str, where: str) -> ForeignRelease:
        if not tag:
            raise SourceError("tag_name: is missing")
        if values.get("draft") is True:
            raise SourceError("draft: is not published yet")
        assets = self._assets(values)
        taken, left = self._taken(assets)
        sums = [asset for name, asset in assets.items() if is_sums(name, assets)]
        digests = self._digests(assets, taken, sums)
        problems: list[str] = []
        fields: dict[str, Any] = {
            "changelog": str(values.get("body") or "").replace("\r\n", "\n").strip() or None,
            "homepage": web_address(values.get("html_url")),
            "channel": "beta" if values.get("prerelease") is True else None,
        }
        if values.get("published_at") is not None:
            try:
                fields["released_at"] = utc(values["published_at"], "published_at")
            except SourceError as error:
                problems.append(str(error))
        files = []
        selectors = selectors_of(list(taken))
        for name, asset in taken.items():
            problems += (f"{name}: {said}" for said in stated_problems(digests[name], asset.get("size")))
            origin = RemoteFile(str(asset["browser_download_url"]))
            selector = {"selector": {"match_labels": selectors[name]}} if selectors[name] else {}
            files.append(ForeignFile(origin, name=name, digests=digests[name], size=asset.get("size"), fields=selector))
        if not files:
            problems.append(
                "assets: has no archive; source archives that GitHub generates aren't taken, since their bytes change"
                + (f": name the files with --asset, such as --asset '{next(iter(assets))}'" if assets else "")
            )
        if problems:
            raise SourceError("\n".join(problems))
        version = tag[1:] if tag[:1] in {"v", "V"} and version_problem(tag[1:]) is None else tag
        prefix = f"{self._name.partition('/')[2]}-"
        if version.startswith(prefix):
            rest = version.removeprefix(prefix).removeprefix("v")
            version = rest if version_problem(rest) is None else version
        return ForeignRelease(
            plugin=self._name,
            version=version,
            place=where,
            fields=present(fields),
            files=tuple(files),
            named={"changelog": "body", "homepage": "html_url", "released_at": "published_at"},
            yanked="" if _YANKED.search(f"{values.get('name') or ''}") else None,
            attachments=tuple(_attachments(assets)),
            left_out=tuple(left),
        )

    def _assets(self, values: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
        found: dict[str, Mapping[str, Any]] = {}
        listed = values.get("assets")
        for asset in listed if isinstance(listed, list) else []:
            if not isinstance(asset, dict) or not isinstance(asset.get("name"), str):
                raise SourceError("assets: has an entry without a name")
            if not str(asset.get("browser_download_url", "")).startswith(("http://", "https://")):
                raise SourceError(f"assets: '{shown(asset['name'])}' has no browser_download_url")
            if asset.get("state", "uploaded") != "uploaded":
                continue
            if asset["name"] in found:
                raise SourceError(f"assets: '{shown(asset['name'])}' is given twice")
            found[asset["name"]] = asset
        return found

    def _taken(self, assets: Mapping[str, Mapping[str, Any]]) -> tuple[dict[str, Mapping[str, Any]], list[str]]:
        taken: dict[str, Mapping[str, Any]] = {}
        left: list[str] = []
        for name, asset in assets.items():
            if is_sums(name, assets) or proof_kind(name) is not False:
                continue
            if self._patterns:
                if any(fnmatchcase(name, pattern) for pattern in self._patterns):
                    taken[name] = asset
            elif name.lower().endswith(ARCHIVES):
                taken[name] = asset
            else:
                left.append(f"assets: '{shown(name)}' is not an archive; to take it: --asset '{shown(name)}'")
        return taken, left

    def _digests(
        self,
        assets: Mapping[str, Mapping[str, Any]],
        taken: Mapping[str, Mapping[str, Any]],
        sums: list[Mapping[str, Any]],
    ) -> dict[str, dict[str, str]]:
        """Return what is stated of each file: by the API, and by checksum files that name it exactly."""
        digests: dict[str, dict[str, str]] = {name: {} for name in taken}
        problems: list[str] = []
        for name, asset in taken.items():
            if isinstance(asset.get("digest"), str):
                algorithm, digest = by_length(asset["digest"])
                digests[name][algorithm] = digest
        for asset in sums:
            url = str(asset["browser_download_url"])
            try:
                data = self._transport.read(url, max_bytes=_MAX_SUMS_BYTES).data
                listed = list(checksums(str(asset["name"]), in_utf8(data, str(asset["name"]), url), assets))
            except SealdexError as error:
                hint = f"; {error.hint}" if error.hint else ""
                problems.append(f"{shown(asset['name'])}: can't be read: {error.message}{hint}")
                continue
            for name, algorithm, digest in listed:
                if name in digests and digests[name].setdefault(algorithm, digest) != digest:
                    problems.append(
                        f"{shown(asset['name'])}: says {algorithm} {digest} of {name}, and GitHub or another file says "
                        f"{digests[name][algorithm]}"
                    )
        if problems:
            raise SourceError("\n".join(problems))
        return digests


def _attachments(assets: Mapping[str, Mapping[str, Any]]) -> Iterator[ForeignAttachment]:
    for name, asset in assets.items():
        kind = proof_kind(name)
        if kind is False or is_sums(name, assets):
            continue
        digest = asset.get("digest")
        sha256 = digest.removeprefix("sha256:") if isinstance(digest, str) and digest.startswith("sha256:") else None
        origin = RemoteFile(str(asset["browser_download_url"]))
        yield ForeignAttachment(origin, name, kind if isinstance(kind, str) else None, sha256)


def _plugin(name: str, about: Mapping[str, Any], plugin_type: str) -> ForeignPlugin:
    owner, _, repository = name.partition("/")
    license_ = about.get("license")
    spdx = license_.get("spdx_id") if isinstance(license_, dict) else None
    words, _ = keywords(about.get("topics"), "topics")
    description = about.get("description")
    return ForeignPlugin(
        name,
        (repository,),
        {
            "type": plugin_type,
            "summary": summary_of(description, repository),
            "license": spdx if isinstance(spdx, str) and spdx != "NOASSERTION" else None,
            "keywords": words,
            "owners": [{"name": owner, "github": owner}],
            "homepage": web_address(about.get("homepage")),
            "repository": web_address(about.get("html_url")) or f"https://github.com/{name}",
        },
        readme=str(description or ""),
        deprecated="the repository is archived" if about.get("archived") is True else None,
        namespace=owner.lower(),
    )


__all__ = ["DEFAULT_GITHUB_TYPE", "GITHUB_API", "SYSTEM", "GitHubToken", "read_github"]
