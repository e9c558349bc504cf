"""Images of READMEs: fetched from public addresses by content, recorded, shown by pages, and never by a publish."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
from support.builder_cli import call
from support.image_host import ImageHost, image_host
from support.pictures import gif, jpeg, png, png_that_says, webp
from support.site_pages import Publish, dead_links, parsed
from support.source_trees import Tree

from registry_builder.cli import images as command
from registry_builder.site._readme_html import image_addresses, render_readme
from registry_builder.site._readme_rewrite import ShownImage
from registry_builder.site.images import _fetch, image_problems, update
from registry_builder.site.images._fetch import NotFetchedError, RefusedAddressError, fetch
from registry_builder.site.images.update import Updated, update_images
from registry_builder.source.pictures import Picture, picture_of, picture_problem
from registry_builder.source.public_addresses import is_public
from registry_builder.source.readme_images import record_bytes, stored_image
from sealdex.model.ids import PluginId

SLACK = PluginId("acme", "slack")
SHOT = "https://img.example/shot.png"
README = f"# slack\n\n![A <shot>]({SHOT})\n\n[![](https://img.example/logo.webp)](https://acme.example/)\n"


@pytest.fixture(scope="module")
def started() -> Iterator[ImageHost]:
    with image_host() as made:
        yield made


@pytest.fixture
def host(started: ImageHost) -> ImageHost:
    started.clear()
    started.files |= {"img.example/shot.png": png(6, 4), "img.example/logo.webp": webp(width=30, height=10)}
    return started


@pytest.fixture
def tree(tree: Tree) -> Tree:
    tree.plugin("acme/slack", readme=README, keywords=["chat"])
    return tree


def updated(tree: Tree, host: ImageHost, **options: Any) -> Updated:
    (found,) = update_images([tree.load("acme/slack").plugins[SLACK]], wire=host.wire, **options)
    return found


def folder(tree: Tree) -> Path:
    return tree.root / "plugins/acme/slack/images"


def record(tree: Tree) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((folder(tree) / "images.json").read_bytes())
    return read


# --- what is stored --------------------------------------------------------------------------------------------------


def test_images_are_stored_by_content_with_a_record(tree: Tree, host: ImageHost) -> None:
    host.headers["img.example/shot.png"] = {"Content-Type": "text/html"}  # nobody asks the header
    done = updated(tree, host)
    digest = hashlib.sha256(png(6, 4)).hexdigest()
    assert record(tree) == {
        "format": 1,
        "images": {
            "https://img.example/logo.webp": {**record(tree)["images"]["https://img.example/logo.webp"], "width": 30},
            SHOT: {"file": f"{digest}.png", "sha256": digest, "size": len(png(6, 4)), "width": 6, "height": 4},
        },
    }
    assert (folder(tree) / f"{digest}.png").read_bytes() == png(6, 4)
    assert sorted(done.stored) == ["https://img.example/logo.webp", SHOT]
    assert image_problems(tree.load()) == []
    host.asked.clear()
    again = updated(tree, host)
    assert (host.asked, again.stored, len(again.kept)) == ([], {}, 2)


def test_a_readme_in_another_language_has_images_too(tree: Tree, host: ImageHost) -> None:
    host.files["img.example/zh.gif"] = gif()
    (tree.root / "plugins/acme/slack/README.zh.md").write_text("<img src='https://img.example/zh.gif' alt='x'>")
    assert "https://img.example/zh.gif" in updated(tree, host).stored


def test_a_dry_run_asks_nobody_and_writes_nothing(tree: Tree, host: ImageHost) -> None:
    assert list(updated(tree, host, dry_run=True).stored.values()) == [None, None]
    assert host.asked == host.dialled == []
    assert not folder(tree).exists()


def test_stale_images_are_told_and_pruned_only_by_request(tree: Tree, host: ImageHost) -> None:
    updated(tree, host)
    tree.plugin("acme/slack", readme=f"![x]({SHOT})\n", keywords=["chat"])
    said = [(each.where, each.severity) for each in image_problems(tree.load())]
    assert said == [('images["https://img.example/logo.webp"]', "warning")]
    assert updated(tree, host).stale == ["https://img.example/logo.webp"]
    assert len(record(tree)["images"]) == 2
    done = updated(tree, host, prune=True)
    assert len(done.removed) == 1
    assert sorted(path.name for path in folder(tree).iterdir()) == sorted(
        ["images.json", record(tree)["images"][SHOT]["file"]]
    )


def test_refresh_replaces_what_changed_at_its_address(tree: Tree, host: ImageHost) -> None:
    updated(tree, host)
    host.files["img.example/shot.png"] = png(8, 8)
    assert updated(tree, host).stored == {}
    done = updated(tree, host, refresh=True)
    assert list(done.stored) == [SHOT]
    assert record(tree)["images"][SHOT]["width"] == 8
    assert len(list(folder(tree).glob("*.png"))) == 1  # the old one is named by nothing
    assert image_problems(tree.load()) == []


def test_one_that_can_t_be_had_keeps_no_other_back(tree: Tree, host: ImageHost) -> None:
    del host.files["img.example/shot.png"]
    done = updated(tree, host)
    assert [(each.address, each.reason) for each in done.failed] == [(SHOT, "img.example answers 404")]
    assert list(done.stored) == ["https://img.example/logo.webp"]


def test_redirects_are_followed_to_other_hosts(tree: Tree, host: ImageHost) -> None:
    host.files["img.example/shot.png"] = "https://cdn.example/a/b.png?x=1"
    host.files["cdn.example/a/b.png?x=1"] = png()
    assert SHOT in updated(tree, host).stored
    host.files["cdn.example/a/b.png?x=1"] = SHOT  # in a circle
    shutil.rmtree(folder(tree))
    assert [each.reason for each in updated(tree, host).failed] == ["it redirects more than 5 times"]


def test_a_host_without_ipv6_here_is_reached_over_ipv4(tree: Tree, host: ImageHost) -> None:
    host.names["img.example"] = [["2606:2800:220:1::1", "93.184.216.34"]]
    place = ("127.0.0.1", host.port)
    wire = replace(host.wire, dial_for_tests=lambda address, _port: ("127.0.0.1", 1) if ":" in address else place)
    assert fetch(SHOT, 1000, wire) == png(6, 4)


def test_the_command_tells_all_and_fails_where_an_image_failed(
    tree: Tree, host: ImageHost, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    readme = f"{README}![b](https://img.example/badge.svg) ![r](docs/x.png) ![h](http://img.example/x.png)\n"
    tree.plugin("acme/slack", readme=f"{readme}![g](https://img.example/gone.png)\n", keywords=["chat"])
    host.files["img.example/badge.svg"] = b"<svg xmlns='http://www.w3.org/2000/svg'/>"
    monkeypatch.setattr(command, "update_images", lambda *a, **k: update_images(*a, **k, wire=host.wire))
    assert call(tree.root, "images", "update", "acme/slack", "--json") == 1
    (said,) = json.loads(capsys.readouterr().out)["plugins"]
    assert [each["address"] for each in said["stored"]] == [SHOT, "https://img.example/logo.webp"]
    assert {each["address"]: each["reason"].partition(",")[0] for each in said["links"]} == {
        "docs/x.png": "its address is relative",
        "http://img.example/x.png": "it isn't at an https address",
        "https://img.example/badge.svg": "it is an SVG drawing",
    }
    assert [each["address"] for each in said["failed"]] == ["https://img.example/gone.png"]
    assert call(tree.root, "images", "update") == 2
    assert call(tree.root, "images", "update", "acme/slack", "--all") == 2
    assert call(tree.root, "images", "update", "acme/none") == 2
    assert call(tree.root, "images", "update", "--all", "--dry-run") == 0


def test_a_record_that_can_t_be_read_keeps_no_other_plugin_back(tree: Tree, host: ImageHost) -> None:
    tree.plugin("acme/base", readme=f"![x]({SHOT})\n")
    folder(tree).mkdir()
    (folder(tree) / "images.json").write_text('{"format": 1, "images": {"a": 3}}')
    found = {each.plugin.name: each for each in update_images(list(tree.load().plugins.values()), wire=host.wire)}
    assert found["slack"].problem is not None
    assert list(found["base"].stored) == [SHOT]
    assert (folder(tree) / "images.json").read_text() == '{"format": 1, "images": {"a": 3}}'
    assert [each.file for each in image_problems(tree.load())] == ["plugins/acme/slack/images/images.json"]


# --- what pages show -------------------------------------------------------------------------------------------------


def test_a_page_shows_what_is_stored_and_links_the_rest(tree: Tree, run: Publish, host: ImageHost, site: Path) -> None:
    with (tree.root / "registry.toml").open("a", encoding="utf-8") as file:
        file.write('\n[site]\nlanguages = ["en", "zh"]\n')
    run()
    page = (site / "acme/slack/index.html").read_text()
    assert f'<a href="{SHOT}" rel="nofollow noopener noreferrer">A &lt;shot&gt;</a>' in page
    updated(tree, host)
    host.asked.clear()
    written = run().pages
    assert host.asked == []  # a publish fetches none
    image, logo = (f"assets/images/{each['file']}" for _, each in sorted(record(tree)["images"].items(), reverse=True))
    assert {"acme/slack/index.html", "site/zh/acme/slack/index.html", image, logo, "search/images.json"} <= set(written)
    assert not [key for key in written if key.startswith(("acme/base", "team/", "acme/slack/1.0.0"))]
    shown = [
        attributes for tag, attributes in parsed((site / "acme/slack/index.html").read_bytes()).elements if tag == "img"
    ]
    own = [each for each in shown if each.get("loading")]
    assert own == [
        {"src": f"../../{image}", "alt": "A <shot>", "width": "6", "height": "4", "loading": "lazy"},
        {"src": f"../../{logo}", "alt": "image", "width": "30", "height": "10", "loading": "lazy"},
    ]
    assert (site / image).read_bytes() == png(6, 4)
    assert dead_links(site) == []
    assert run().pages == []
    tree.plugin("acme/slack", readme=f"![x]({SHOT})\n", keywords=["chat"])
    updated(tree, host, prune=True)
    assert "acme/slack/index.html" in run().pages
    shutil.rmtree(folder(tree))
    assert "acme/slack/index.html" in run().pages
    assert "<img" not in re.sub(
        r'<p class="badges">.*', "", (site / "acme/slack/index.html").read_text().partition("readme")[2]
    )


def test_a_release_of_a_plugin_with_images_costs_no_put_more(tree: Tree, run: Publish, host: ImageHost) -> None:
    updated(tree, host)
    run()
    tree.release("acme/slack", "1.1.0")
    assert run("acme/slack").requests["PUT"] == 12


def test_a_picture_has_the_size_that_its_author_states_in_its_own_proportions() -> None:
    images = {SHOT: ShownImage("x.png", 400, 200)}

    def shown(tag: str) -> str:
        html = render_readme(tag.encode(), "x", images=images)
        return re.search(r"<img[^>]*>", html)[0] if "<img" in html else html  # type: ignore[index]

    assert 'width="400" height="200"' in shown(f"![a]({SHOT})")
    assert 'width="100" height="50"' in shown(f'<img src="{SHOT}" width="100">')
    assert 'width="20" height="10"' in shown(f'<img src="{SHOT}" height="10px">')
    assert 'width="400" height="200"' in shown(f'<img src="{SHOT}" width="50%" onerror="x">')
    assert shown(f'<img src="{SHOT}" alt="&quot; onload=&quot;x">').count("onload") == 1
    assert 'alt="&quot; onload=&quot;x"' in shown(f'<img src="{SHOT}" alt="&quot; onload=&quot;x">')


def test_which_images_a_readme_has() -> None:
    text = b'![a](https://a.example/1.png "t") `![c](no)` <img src=https://a.example/2.png> [r]: x\n\n    ![d](no)\n'
    assert image_addresses(text) == ("https://a.example/1.png", "https://a.example/2.png")
    assert image_addresses(b"![x](https://a.example/\xc3\xa9.png?a=1&b=2)") == ("https://a.example/%C3%A9.png?a=1&b=2",)
    assert image_addresses(b"no") == ()


# --- by content ------------------------------------------------------------------------------------------------------


def test_the_four_kinds_are_told_by_content_with_their_size() -> None:
    made = [png(7, 5), gif(7, 5), jpeg(7, 5), *(webp(kind, 7, 5) for kind in (b"VP8 ", b"VP8L", b"VP8X"))]
    assert [picture_of(each) for each in made] == [
        Picture(ending, 7, 5) for ending in ("png", "gif", "jpg", "webp", "webp", "webp")
    ]


@pytest.mark.parametrize(
    "data", [png(), gif(), jpeg(), webp(b"VP8 "), webp(b"VP8L"), webp(b"VP8X")], ids=lambda d: d[:4].hex()
)
def test_attack_headers_that_are_cut_or_changed_are_read_in_bounds(data: bytes) -> None:
    for length in range(len(data)):
        picture_problem(data[:length])
    for at in range(min(len(data), 60)):
        for value in (0, 1, 0xFF):
            picture_problem(data[:at] + bytes([value]) + data[at + 1 :])


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"<?xml version='1.0'?><svg onload='alert(1)'/>", "an SVG drawing"),
        (b"<!doctype html><script>alert(1)</script>", "a web page"),
        (b"", "empty"),
        (b"MZ\x90", "something else"),
        (b"\xff\xd8\xff\xda\x00\x02", "header is broken"),
        (b"\xff\xd8\xff" + b"\xe0\x00\x01" * 1000, "header is broken"),
        (png_that_says(0, 4), "header is broken"),
        (png_that_says(60_000, 2), "pixels"),
        (png_that_says(16_000, 16_000), "pixels"),
    ],
)
def test_attack_what_is_no_picture_or_too_many_pixels_is_refused(
    tree: Tree, host: ImageHost, data: bytes, said: str
) -> None:
    # Attack: an author serves a script, a page or a bomb as shot.png with the type of an image.
    host.files["img.example/shot.png"] = data
    done = updated(tree, host)
    assert [said in each.reason for each in (*done.links, *done.failed)] == [True]
    assert SHOT not in record(tree)["images"]
    assert len(list(folder(tree).iterdir())) == 2  # the other one and the record


# --- attacks by address: the author of a README chooses what this machine asks ---------------------------------------

PRIVATE = [
    "127.0.0.1", "127.9.9.9", "0.0.0.7", "10.0.0.7", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "100.100.100.200", "168.63.129.16", "192.0.0.192", "224.0.0.1", "255.255.255.255", "240.0.0.1", "198.18.0.1",
    "::1", "::", "fe80::1", "fe80::1%eth0", "fd00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "::ffff:127.0.0.1",
    "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "2002:7f00:1::", "64:ff9b::7f00:1", "64:ff9b::a00:1",
    "2001:0:7f00:1::", "not an address",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_attack_an_image_in_a_private_network_is_not_asked(tree: Tree, host: ImageHost, address: str) -> None:
    """Beside a public address as well: which one a connection takes isn't the author's to choose."""
    host.names["img.example"] = [["93.184.216.34", address]]
    done = updated(tree, host)
    assert [each.reason for each in done.failed] == [
        f"img.example is at {address}, which is not an address of the public internet"
    ] * 2
    assert host.dialled == host.asked == []
    assert not folder(tree).exists()


def test_public_addresses_are_public() -> None:
    for address in ("93.184.216.34", "2606:2800:220:1::1", "64:ff9b::5db8:d822", "::ffff:93.184.216.34"):
        assert is_public(address), address


@pytest.mark.parametrize(
    "target",
    [
        "https://metadata.example/latest", "https://169.254.169.254/latest", "https://[::1]/x", "https://2130706433/x",
        "http://img.example/x.png", "file:///etc/passwd", "https://img.example:8443/x", "https://a:b@img.example/x",
        "//localhost/x", "gopher://img.example/",
    ],
)  # fmt: skip
def test_attack_a_redirect_into_a_private_network_is_not_followed(tree: Tree, host: ImageHost, target: str) -> None:
    host.files["img.example/shot.png"] = target
    for name in ("metadata.example", "169.254.169.254", "::1", "2130706433", "localhost"):
        host.names[name] = [["127.0.0.1" if name in {"2130706433", "localhost"} else "169.254.169.254"]]
    assert [each.address for each in updated(tree, host).failed] == [SHOT]
    assert "metadata.example/latest" not in host.asked
    assert [key for key in host.asked if not key.startswith("img.example/")] == []
    assert set(host.dialled) == {"93.184.216.34"}
    with pytest.raises(RefusedAddressError):
        fetch(SHOT, 100, host.wire)


def test_attack_a_second_answer_of_dns_changes_nothing(tree: Tree, host: ImageHost) -> None:
    """DNS rebinding: the name is public when it is checked, and this machine when it is asked again."""
    host.files["rebound.example/x.png"] = png()
    host.names["rebound.example"] = [["93.184.216.34"], ["127.0.0.1"]]
    tree.plugin("acme/slack", readme="![x](https://rebound.example/x.png)\n", keywords=["chat"])
    assert len(updated(tree, host).stored) == 1
    assert host.dialled == ["93.184.216.34"]  # what was checked
    assert host.names["rebound.example"] == [["127.0.0.1"]]  # asked once
    shutil.rmtree(folder(tree))
    assert len(updated(tree, host).failed) == 1  # and refused where it is seen


def test_attack_a_server_without_the_hosts_certificate_is_not_believed(tree: Tree, host: ImageHost) -> None:
    host.files["stranger.example/x.png"] = png()
    tree.plugin("acme/slack", readme="![x](https://stranger.example/x.png)\n", keywords=["chat"])
    assert "can't be reached" in updated(tree, host).failed[0].reason
    assert host.asked == []


@pytest.mark.parametrize("stated", ["", "99999999999999999999999"], ids=["without a length", "with one"])
def test_attack_an_endless_image_is_not_read(tree: Tree, host: ImageHost, stated: str) -> None:
    host.files["img.example/shot.png"] = png() + bytes(300_000)
    host.headers["img.example/shot.png"] = {"Content-Length": stated, "Connection": "close"}
    with pytest.raises(NotFetchedError, match="larger than 1,000 bytes"):
        fetch(SHOT, 1000, host.wire)
    host.files["img.example/shot.png"] = png()
    host.headers["img.example/shot.png"] = {"Content-Encoding": "gzip"}
    with pytest.raises(NotFetchedError, match="encoding"):
        fetch(SHOT, 1000, host.wire)


# --- attacks by a pull request: the tree has what `update` never wrote ------------------------------------------------


def forged(tree: Tree, data: bytes, name: str | None = None, **fields: Any) -> None:
    image = stored_image(png(6, 4))
    folder(tree).mkdir(exist_ok=True)
    said = json.loads(record_bytes({SHOT: image}))
    said["images"][SHOT] |= fields
    (folder(tree) / "images.json").write_text(json.dumps(said))
    (folder(tree) / (name or image.file)).write_bytes(data)


@pytest.mark.parametrize(
    ("data", "fields", "said"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", {}, "an SVG drawing"),
        (png(6, 4, shade=9), {}, "another file than the one that images.json records"),
        (png(6, 4), {"width": 1}, "another file"),
        (png(6, 4), {"file": "../../../../registry.toml"}, "file"),
        (png(6, 4), {"file": "evil.html"}, "file"),
    ],
)
def test_attack_a_forged_image_or_record_is_not_shown(
    tree: Tree, run: Publish, site: Path, data: bytes, fields: dict[str, Any], said: str
) -> None:
    forged(tree, data, **fields)
    problems = image_problems(tree.load())
    assert [each.severity for each in problems] == ["error"]
    assert said in problems[0].message + problems[0].where
    assert run().committed
    assert not (site / "assets/images").exists()
    assert f'href="{SHOT}"' in (site / "acme/slack/index.html").read_text()


def test_attack_images_are_not_written_through_a_link(tree: Tree, host: ImageHost) -> None:
    # Attack: a pull request has a link in the place of the folder; whoever runs the command would write through it.
    (tree.root / "plugins/acme/base/images").mkdir()
    folder(tree).symlink_to("../base/images")
    assert "is a link" in (updated(tree, host).problem or "")
    assert list((tree.root / "plugins/acme/base/images").iterdir()) == []
    assert host.asked == []


def test_attack_a_publish_never_fetches(tree: Tree, run: Publish, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> bytes:
        raise AssertionError("fetched")

    monkeypatch.setattr(update, "fetch", fail)
    monkeypatch.setattr("socket.getaddrinfo", fail)
    assert run().committed


def time_is_over_after(event: Event, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the time that a file may take pass at an event, and not before, however busy this machine is."""
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + 1000 * event.is_set())
    monkeypatch.setattr(_fetch, "time", clock)
    monkeypatch.setattr(_fetch, "_LOOK_S", 0.01)


def test_attack_a_server_that_sends_headers_byte_by_byte_holds_nobody(
    tree: Tree, host: ImageHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Attack: names an image in a README whose server never comes to an end, and never pauses long enough to time out.
    time_is_over_after(host.trickling, monkeypatch)
    host.trickles.add("img.example/slow.png")
    with pytest.raises(NotFetchedError, match="too slowly"):
        fetch("https://img.example/slow.png", 1000, host.wire)
    assert host.asked == ["img.example/slow.png"]
    assert host.trickled == []


def test_attack_a_server_that_is_reached_when_the_time_is_over_holds_nobody(
    tree: Tree, host: ImageHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Attack: the same, by who lets connecting take all of the time: what isn't connected can't be broken off.
    over = Event()
    time_is_over_after(over, monkeypatch)
    host.trickles.add("img.example/slow.png")

    def dial(*_: object) -> tuple[str, int]:
        over.set()
        time.sleep(0.1)  # for who looks once
        return "127.0.0.1", host.port

    with pytest.raises(NotFetchedError, match="too slowly"):
        fetch("https://img.example/slow.png", 1000, replace(host.wire, dial_for_tests=dial))
    assert host.trickled == []
