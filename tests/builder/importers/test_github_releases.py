"""`import github-releases`: assets, checksum files, platforms, provenance, and what isn't taken."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from support.import_scene import ImportScene, sha256, zip_with
from support.tree_server import TreeServer

from registry_builder.importers._asset_names import checksums, platform_in
from registry_builder.importers.github_releases import GitHubToken
from sealdex.model.plugin import fold_status

LINUX, MAC = zip_with({"tool": "linux"}), zip_with({"tool": "mac"})
SBOM = json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "components": []}).encode()


class GitHub:
    """Releases of acme/tool, and their files on a server."""

    def __init__(self, server: TreeServer) -> None:
        self.server = server
        self.releases: list[dict[str, Any]] = []

    def add(self, tag: str, assets: dict[str, bytes], *, digests: bool = True, **fields: Any) -> dict[str, Any]:
        listed = []
        for name, data in assets.items():
            self.server.files[f"dl/{tag}/{name}"] = data  # type: ignore[index]  # a dict in this test
            listed.append({
                "name": name, "size": len(data), "state": "uploaded", "content_type": "application/zip",
                "browser_download_url": f"{self.server.url}/dl/{tag}/{name}",
                **({"digest": f"sha256:{sha256(data)}"} if digests else {}),
            })  # fmt: skip
        release = {
            "tag_name": tag, "name": tag, "body": "Fixes\r\nmore", "draft": False, "prerelease": False,
            "published_at": "2025-01-16T08:00:00Z", "immutable": True, "assets": listed,
            "html_url": f"https://github.com/acme/tool/releases/tag/{tag}",
            "tarball_url": f"https://api.github.com/repos/acme/tool/tarball/{tag}", **fields,
        }  # fmt: skip
        self.releases.append(release)
        return release

    def save(self, path: Path) -> Path:
        about = {
            "full_name": "acme/tool", "description": "A tool", "license": {"spdx_id": "MIT"}, "topics": ["cli"],
            "html_url": "https://github.com/acme/tool", "archived": False,
        }  # fmt: skip
        path.write_text(json.dumps({"repository": about, "releases": self.releases}))
        self.server.files["repos/acme/tool"] = json.dumps(about).encode()  # type: ignore[index]
        self.answer([self.releases])
        return path

    def answer(self, pages: list[list[dict[str, Any]]]) -> None:
        """Answer with these pages, and then with an empty one."""
        for number, page in enumerate([*pages, []], 1):
            path = f"repos/acme/tool/releases?per_page=100&page={number}"
            self.server.files[path] = json.dumps(page).encode()  # type: ignore[index]


@pytest.fixture
def github(server: TreeServer) -> GitHub:
    return GitHub(server)


ALLOW = ("--allow-host", "127.0.0.1")


def test_releases_are_imported_published_and_installed(scene: ImportScene, tmp_path: Path, github: GitHub) -> None:
    names = {"tool_Linux_x86_64.zip": LINUX, "tool_macOS_arm64.zip": MAC}
    sums = "".join(f"{sha256(data)}  {name}\n" for name, data in names.items()).encode()
    github.add("v1.0.0", {**names, "SHA256SUMS": sums, "tool.cdx.json": SBOM, "tool_Linux_x86_64.zip.sig": b"sig"})
    github.add("v2.0.0-rc.1", {"tool_Linux_x86_64.zip": LINUX}, digests=False, prerelease=True, immutable=False)
    path = github.save(tmp_path / "releases.json")
    args = ("github-releases", path, *ALLOW)
    ran = scene.run(*args)
    assert (ran.code, ran.releases) == (0, ["acme/tool@1.0.0", "acme/tool@2.0.0-rc.1"])
    release = scene.release("acme/tool", "1.0.0")
    assert [a.selector.match_labels for a in release.artifacts] == [
        {"os": "linux", "arch": "amd64"},
        {"os": "darwin", "arch": "arm64"},
    ]
    assert [a.sha256 for a in release.artifacts] == [sha256(LINUX), sha256(MAC)]
    assert (release.released_at, release.changelog) == ("2025-01-16T08:00:00Z", "Fixes\nmore")
    assert scene.release("acme/tool", "2.0.0-rc.1").channel == "beta"
    assert scene.release("acme/tool", "2.0.0-rc.1").artifacts[0].sha256 == sha256(LINUX)
    attached = fold_status(scene.plugin("acme/tool").status.events).attachments["1.0.0"]
    assert {a.name: a.kind for a in attached} == {
        "tool.cdx.json": "cyclonedx",
        "tool_Linux_x86_64.zip.sig": "signature",
    }
    assert scene.plugin("acme/tool").plugin.license == "MIT"
    assert any("--ingest copies them" in note for note in ran.document["notes"])
    scene.assert_again_changes_nothing(*args)
    # the same by the API, into another namespace; its plugin is known already
    again = scene.run("github-releases", "acme/tool", "--api", github.server.url, *ALLOW)
    assert (again.releases, again.document["unchanged"]) == ([], 2)
    with scene.installed("acme/tool@1.0.0") as folder:
        assert (folder / "tool").read_text() == "linux"


def test_what_is_not_taken_is_named(scene: ImportScene, tmp_path: Path, github: GitHub) -> None:
    github.add("v1.0.0", {"tool.zip": LINUX, "tool.deb": b"deb"})
    github.add("v1.1.0", {})
    github.add("nightly", {"tool.zip": LINUX})
    github.add("v1.2.0", {"tool.zip": LINUX}, draft=True)
    github.add("v1.3.0", {"a.zip": LINUX, "b.zip": MAC})
    github.add("v1.4.0", {"tool.zip": LINUX, "tool.zip.sha256": b"0" * 64 + b"\n"})
    github.add("v1.5.0", {"tool.zip": LINUX, "TOOL.zip.sha256": b"0" * 64, "tool.zip.asc": b"x"}, digests=False)
    github.add("v1.6.0", {"tool.zip": LINUX}, published_at="gestern")
    github.add("v1.7.0", {"tool.zip": LINUX}, name="1.7.0 [YANKED]")
    ran = scene.run("github-releases", github.save(tmp_path / "r.json"), *ALLOW)
    assert ran.code == 1
    assert ran.releases == ["acme/tool@1.0.0", "acme/tool@1.5.0", "acme/tool@1.7.0"]
    assert "'tool.deb' is not an archive" in ran.reasons["1.0.0"]
    assert "source archives that GitHub generates aren't taken" in ran.reasons["v1.1.0"]
    assert "'nightly' is not a semantic version" in ran.reasons["nightly"]
    assert "draft" in ran.reasons["v1.2.0"]
    assert "overlap" in ran.reasons["1.3.0"]
    assert "says sha256" in ran.reasons["v1.4.0"]
    assert "published_at" in ran.reasons["v1.6.0"]
    assert "1.7.0" in fold_status(scene.plugin("acme/tool").status.events).yanked
    one = scene.run("github-releases", tmp_path / "r.json", *ALLOW, "--asset", "a.zip")
    assert one.releases == ["acme/tool@1.3.0"]


def test_an_asset_that_is_replaced_is_told(scene: ImportScene, tmp_path: Path, github: GitHub) -> None:
    """Attacker: can write to the repository. Change: another file under a released name. Refusal: ours stays."""
    github.add("v1.0.0", {"tool.zip": LINUX})
    path = github.save(tmp_path / "r.json")
    assert scene.run("github-releases", path, "--namespace", "own", *ALLOW).releases == ["own/tool@1.0.0"]
    github.releases.clear()
    github.add("v1.0.0", {"tool.zip": MAC})
    ran = scene.run("github-releases", github.save(path), *ALLOW)
    assert ran.code == 4
    assert scene.release("own/tool", "1.0.0").artifacts[0].sha256 == sha256(LINUX)


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("tool_1.2.0_Darwin_x86_64.tar.gz", {"os": "darwin", "arch": "amd64"}),
        ("tool-x86_64-unknown-linux-gnu.tar.gz", {"os": "linux", "arch": "amd64"}),
        ("tool-aarch64-apple-darwin.zip", {"os": "darwin", "arch": "arm64"}),
        ("tool-win64.zip", {"os": "windows"}),
        ("tool_windows_386.zip", {"os": "windows", "arch": "386"}),
        ("darwinism.zip", {}),
        ("tool-armv7l-linux.zip", {"os": "linux", "arch": "arm"}),
        ("charm-2.0.zip", {}),
    ],
)
def test_platforms_in_names(name: str, labels: dict[str, str]) -> None:
    assert platform_in(name) == labels


def test_checksum_files_pair_by_exact_name() -> None:
    digest = hashlib.sha512(b"x").hexdigest()
    assets = dict.fromkeys(["a.zip", "b.zip"])
    text = f"{digest}  a.zip\n{digest} *A.zip\nSHA512 (b.zip) = {digest}\nnot a line\n{digest}  ../a.zip\n".encode()
    assert list(checksums("checksums.txt", text, assets)) == [("a.zip", "sha512", digest), ("b.zip", "sha512", digest)]
    assert list(checksums("a.zip.sha512", digest.encode(), assets)) == [("a.zip", "sha512", digest)]
    assert list(checksums("c.zip.sha512", digest.encode(), assets)) == []


def test_the_token_goes_to_the_api_alone() -> None:
    """Attacker: wrote a release. Change: an asset at another address. Refusal: no token is sent there."""
    token = GitHubToken("secret", "https://api.github.com")
    assert token.grant("https://api.github.com/repos/a/b").headers == {"Authorization": "Bearer secret"}
    assert not token.grant("https://evil.example/a.zip")
    assert not token.grant("http://api.github.com/repos/a/b")


@pytest.mark.parametrize("text", ["{", "5", '[{"tag_name": "v1.0.0"}]', "[[]]"])
def test_files_that_are_no_releases(scene: ImportScene, tmp_path: Path, text: str) -> None:
    (tmp_path / "r.json").write_text(text)
    assert scene.run("github-releases", tmp_path / "r.json").code == 2


def test_pages_that_are_shorter_than_asked_for_are_all_read(scene: ImportScene, tmp_path: Path, github: GitHub) -> None:
    """Other forges and proxies have limits of their own; a release that is published meanwhile moves the others."""
    first, second, third = (github.add(f"v1.{n}.0", {"tool.zip": LINUX}) for n in range(3))
    github.save(tmp_path / "r.json")
    github.answer([[third, second], [second, first]])
    asked = ("github-releases", "acme/tool", "--api", github.server.url, *ALLOW)
    assert scene.run(*asked).releases == ["acme/tool@1.0.0", "acme/tool@1.1.0", "acme/tool@1.2.0"]
    # one that answers every page with the first ends as well
    github.answer([[third], [third], [third]])
    assert scene.run(*asked).document["unchanged"] == 1
