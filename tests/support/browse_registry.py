"""A registry with every state that the browse site has a page for: the examples, hostile texts, and enough to search.

Made from ``examples/`` by the builder's own commands, as `make demo` does, and published into a folder.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any
from unittest import mock

from support.authoring import builder
from support.places import REPOSITORY
from support.source_trees import Tree

from registry_builder.authoring.release import Archive, write_release
from registry_builder.source import file_list
from sealdex.model.ids import PluginId

GENERATED = 120
NAMESPACE = "many"
LONG = "a-name-of-as-many-characters-as-a-name-of-a-plugin-can-ever-have"

LANGUAGES = ("en", "zh")
KINDS = {
    "home": ("home", ""),
    "search": ("search", "search.html"),
    "search of words": ("search", "search.html?q=helper&type=build&os=linux"),
    "search of nothing": ("search", "search.html?q=xyzzyplugh"),
    "search of a typo": ("search", "search.html?q=kalmen"),
    "types": ("list", "types/build/"),
    "namespace": ("list", f"{NAMESPACE}/"),
    "page of a list": ("list", f"namespaces/{NAMESPACE}/from/tool-037/"),
    "keyword": ("list", "keywords/generated/"),
    "keyword in another script": ("list", "keywords/%E6%B8%B8%E6%88%8F/"),
    "namespaces": ("names", "namespaces/"),
    "keywords": ("names", "keywords/"),
    "plugin": ("plugin", "robotics/kalman/"),
    "suite": ("plugin", "robotics/pick-and-place/"),
    "two artifacts": ("plugin", "robotics/hal-motor/"),
    "full": ("plugin", "edge/full/"),
    "wide": ("plugin", "edge/wide/"),
    "deprecated": ("plugin", "edge/old-slack/"),
    "unreleased": ("plugin", "edge/unreleased/"),
    "some yanked": ("plugin", "edge/regretted/"),
    "all yanked": ("plugin", "edge/withdrawn/"),
    "attacks": ("plugin", "edge/attacks/"),
    "chinese plugin": ("plugin", "edge/games/"),
    "arabic plugin": ("plugin", "edge/prayer-times/"),
    "long names": ("plugin", f"{LONG}/{LONG}/"),
    "release": ("release", "edge/full/1.0.0/"),
    "chinese release": ("release", "edge/games/1.1.0/"),
    "arabic release": ("release", "edge/prayer-times/1.0.0/"),
    "yanked release": ("release", "edge/withdrawn/1.0.0/"),
    "service release": ("release", "speech/echo-service/1.0.0/"),
    "long release": ("release", f"{LONG}/{LONG}/1.0.0/"),
    "comparison": ("compare", "docs/compare/?plugin=edge/games&from=1.0.0&to=1.2.0"),
    "comparison of files": ("compare", "docs/compare/?plugin=edge/listed&from=1.0.0&to=1.1.0"),
    "comparison of nothing": ("compare", "docs/compare/"),
    "verify": ("verify", "verify/"),
    "documents": ("documents", "docs/"),
    "not found": ("not_found", "404.html"),
    "offline verifier": ("", "verify/verify.html"),
}
"""Kind of page to its template and its address below the site."""

_ONE_LANGUAGE = {"not found", "offline verifier"}


def _pages() -> dict[str, str]:
    found = {name: path for name, (_, path) in KINDS.items()}
    for language in LANGUAGES[1:]:
        found |= {
            f"{name} in {language}": f"site/{language}/{path}"
            for name, (_, path) in KINDS.items()
            if name not in _ONE_LANGUAGE
        }
    return found


PAGES = _pages()
"""Each kind, in each language of the site, to its address below the site: ``home``, ``home in zh``."""

ATTACKS = """\
# Attacks <script>window.pwned = "heading"</script>

<script>window.pwned = "script"</script>
<img src=x onerror="window.pwned = 'onerror'">
<svg onload="window.pwned = 'svg'"><script>window.pwned = "svg script"</script></svg>
<iframe srcdoc="<script>parent.pwned = 'srcdoc'</script>"></iframe>
<body onload="window.pwned = 'body'">
<details open ontoggle="window.pwned = 'toggle'"><summary>open</summary></details>
<a href="javascript:window.pwned='raw link'" id="raw-link">raw</a>
<a href="&#106;avascript:window.pwned='entity'">entity</a>
<a href="java&#9;script:window.pwned='tab'">tab</a>
<a href="data:text/html,<script>alert(1)</script>">data</a>
<form action="https://attacker.example/"><button formaction="javascript:window.pwned='form'">Send</button></form>
<style>body { display: none } * { background: url(https://attacker.example/css) }</style>
<p style="position: fixed; inset: 0; background: url(https://attacker.example/style)">cover</p>
<link rel="stylesheet" href="https://attacker.example/link.css">
<meta http-equiv="refresh" content="0; url=https://attacker.example/refresh">
<base href="https://attacker.example/">
<math><mtext></mtext><mglyph><style><img src=x onerror="window.pwned='mutation'"></style></mglyph></math>
<noscript><p title="</noscript><img src=x onerror=window.pwned='noscript'>"></noscript>
<object data="https://attacker.example/object"></object><embed src="https://attacker.example/embed">
<input autofocus onfocus="window.pwned='focus'"><video><source onerror="window.pwned='video'"></video>

[markdown link](javascript:window.pwned='markdown')
[autolink]: javascript:window.pwned='reference'
[reference][autolink] <javascript:window.pwned='auto'>
![image](https://attacker.example/pixel.png) ![x](x"onerror="window.pwned='attribute')

```html"><script>window.pwned='fence'</script>
</code></pre><script>window.pwned='code'</script>
```

The end of the attacks.
"""
HOSTILE = "</script><script>window.pwned='field'</script><img src=x onerror=\"window.pwned='field'\">"

_WIDE_README = """\
# Wide

| a | b | c | d | e | f | g | h |
| - | - | - | - | - | - | - | - |
| aaaaaaaaaaaaaaaa | bbbbbbbbbbbbbbbb | cccccccccccccccc | dddddddddddddddd | e | f | g | hhhhhhhhhhhhhhhhhhhhhhhhh |

    a-line-of-code-that-is-far-wider-than-any-telephone-is-and-that-has-to-scroll-by-itself --with --options=many

A-word-without-a-break-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
"""


def make(folder: Path) -> Path:
    """Publish the registry to ``folder/tree/published`` and return that."""
    places = {"SEALDEX_KEYS": str(folder / "keys"), "XDG_STATE_HOME": str(folder / "state")}
    with mock.patch.dict(os.environ, places):
        tree = _examples(folder / "tree")
        _edges(tree)
        _many(tree)
        _run(tree, "publish")
        _downloads(tree)
    return tree.root / "published"


def _downloads(tree: Tree) -> None:
    """The numbers of a web server's log, 1,234 of them of one release."""
    line = '127.0.0.1 - - [20/Nov/2026:12:00:00 +0000] "GET {} HTTP/1.1" 200 {} "-" "sealdex"\n'
    file = next((tree.root / "published" / "plugins" / "robotics" / "kalman").rglob("*.zip"))
    path = f"/{file.relative_to(tree.root / 'published').as_posix()}"
    log = tree.root.parent / "access.log"
    log.write_text(line.format(path, file.stat().st_size) * 1234, encoding="utf-8")
    _run(tree, "stats", str(log), "--publish")


def _run(tree: Tree, *arguments: str) -> None:
    assert builder("--quiet", "--tree", tree.root, *arguments) == 0, arguments


def _examples(root: Path) -> Tree:
    assert builder("--quiet", "init", root, "--dev-keys") == 0
    shutil.copytree(REPOSITORY / "examples" / "plugins", root / "plugins", dirs_exist_ok=True)
    tree = Tree(root)
    with (root / "registry.toml").open("a", encoding="utf-8") as config:
        config.write('\n[site]\ndownloads = true\nlanguages = ["en", "zh"]\n')
    here = Path.cwd()
    os.chdir(root)  # the examples' commands are written to be run there
    try:
        for packs, release in _demo_releases():
            for arguments in packs:
                _run(tree, "pack", *arguments)
            _run(tree, "release", *release)
    finally:
        os.chdir(here)
    return tree


def _demo_releases() -> list[tuple[list[list[str]], list[str]]]:
    spec = importlib.util.spec_from_file_location("demo_of_browse_registry", REPOSITORY / "scripts" / "demo.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    releases: list[tuple[list[list[str]], list[str]]] = module.RELEASES
    return releases


def _edges(tree: Tree) -> None:
    tree.plugin("edge/attacks", readme=ATTACKS, summary=HOSTILE, description=HOSTILE, license=None)
    tree.release("edge/attacks", "1.0.0", description=HOSTILE, changelog=f"{HOSTILE}\n\n{ATTACKS}")
    tree.plugin("edge/old-slack", summary="Messages to a place that is no more", keywords=["chat"])
    tree.release("edge/old-slack", "1.0.0")
    tree.status("edge/old-slack", _event("deprecate", why="The service was shut down.", use="acme/console-notify"))
    tree.plugin("edge/withdrawn", summary="Whose releases are all yanked")
    tree.release("edge/withdrawn", "1.0.0")
    tree.release("edge/withdrawn", "1.1.0")
    yanks = [_event("yank", version=version, why="It leaks tokens") for version in ("1.0.0", "1.1.0")]
    tree.status("edge/withdrawn", *yanks)
    tree.plugin("edge/wide", summary="Wide tables and long words", readme=_WIDE_README, keywords=["wide"])
    for minor in range(30):
        tree.release("edge/wide", f"1.{minor}.0", channel="stable" if minor % 3 else "beta")
    tree.release("edge/wide", f"2.0.0-{'nightly.' * 8}1", channel="a-channel-of-a-long-name")  # stands on the home page
    tree.plugin("edge/regretted", summary="One release of three is yanked")
    for minor in range(3):
        tree.release("edge/regretted", f"1.{minor}.0")
    tree.status("edge/regretted", _event("yank", version="1.2.0", why="It deletes what it should keep"))
    tree.plugin("edge/unreleased", summary="Announced, and not released yet", readme="# Soon\n\nNot yet.\n")
    _chinese(tree)
    _arabic(tree)
    _long(tree)
    _listed(tree)
    tree.plugin("edge/full", summary="A release that says all that a release can say", **_FULL_PLUGIN)
    tree.release("edge/full", "1.0.0", **_FULL_RELEASE)


_CHINESE_README = """\
# 群聊游戏

> [!NOTE]
> 先在群里添加机器人。

- [x] 猜数字
- [ ] 狼人杀

## 安装

```python
from sealdex import Client

with Client() as client:  # 一次就够
    client.install("edge/games")
```

## 玩法

每局最多 `8` 人[^1]。

## 配置

## 常见问题

[^1]: 以后会更多。
"""


def _chinese(tree: Tree) -> None:
    """A plugin in Chinese with all that its pages draw: changelogs, evaluations, releases over time."""
    tree.plugin(
        "edge/games",
        title="群聊小游戏",
        summary="群聊小游戏合集",
        keywords=["游戏", "chat"],
        title_i18n={"en": "Games for group chats"},
        summary_i18n={"en": "A collection of small games for group chats"},
        readme=_CHINESE_README,
    )
    measured = []
    for number, (version, day) in enumerate(
        [("1.0.0", "2026-01-10"), ("1.1.0", "2026-03-02"), ("1.2.0", "2026-11-01")]
    ):
        tree.release(
            "edge/games",
            version,
            released_at=f"{day}T12:00:00Z",
            changelog=f"- 第 {number + 1} 个版本",
            dependencies={"acme/console-notify": "^1.2"},
        )
        measured.append(
            _event(
                "evaluate",
                version=version,
                metrics={"top1": 0.7 + number / 20, "latency-ms": 12.5 - number},
                dataset="coco",
            )
        )
    tree.status("edge/games", *measured)


_ARABIC_README = """\
# أوقات الصلاة

حساب أوقات الصلاة لكل مدينة، مع تنبيه قبل الأذان بعشر دقائق.

> [!WARNING]
> راجع التقويم المحلي أولا.

- [x] الفجر
- [ ] العشاء

## التثبيت

```sh
sealdex install edge/prayer-times  # مرة واحدة
```

| المدينة | الزاوية |
| --- | --- |
| القاهرة | 19.5 |

1. اختر المدينة
2. اختر `method`
"""


def _arabic(tree: Tree) -> None:
    """A plugin in a script that is written from right to left."""
    tree.plugin(
        "edge/prayer-times",
        language="ar",
        title="أوقات الصلاة",
        summary="يحسب أوقات الصلاة (v2) لكل مدينة، ويرسل تنبيها قبل الأذان",
        description="يحسب أوقات الصلاة لكل مدينة.\nيعمل بلا اتصال بالشبكة.",
        keywords=["تقويم", "أذان"],
        readme=_ARABIC_README,
    )
    tree.release("edge/prayer-times", "1.0.0", changelog="- الإصدار الأول", caveats="راجع التقويم المحلي أولا.")


def _long(tree: Tree) -> None:
    """A plugin whose every text is as long as it may be, and most of it without a place to break."""
    tree.plugin(
        f"{LONG}/{LONG}",
        title="T" * 80,
        summary="S" * 120 + " and more of it",
        license="LicenseRef-" + "L" * 60,
        keywords=[f"{'k' * 50}-{number}" for number in range(3)],
        owners=[{"name": "O" * 80, "email": f"{'o' * 50}@example.org"}],
        homepage=f"https://example.org/{'h' * 200}",
        links={"N" * 60: "https://example.org/"},
        readme=f"# {'H' * 100}\n\n`{'c' * 200}`\n\nhttps://example.org/{'p' * 200}\n",
    )
    tree.release(
        f"{LONG}/{LONG}",
        "1.0.0",
        channel="c" * 32,
        dependencies={f"{LONG}/{LONG[:-1]}": f">={'1' * 20}.0.0-pre"},
        selector={"match_labels": {"example.org/" + "l" * 40: "v" * 50}},
        default_config={"k" * 60: "v" * 200},
        entry_point="m" * 60 + ":" + "C" * 60,
    )
    tree.plugin(f"{LONG}/{LONG[:-1]}")
    tree.release(f"{LONG}/{LONG[:-1]}", f"{'1' * 20}.0.0-{'pre.' * 10}1+{'build.' * 6}1")


def _listed(tree: Tree) -> None:
    """A plugin with lists of files, which only larger archives have otherwise, and with needs that have needs."""
    tree.plugin("edge/listed", summary="Whose archives have lists of files")
    stored = {"stays.txt": b"stays", "lib/changes.py": b"a = 1\n", "goes.bin": bytes(1200)}
    now = {"stays.txt": b"stays", "lib/changes.py": b"a = 12345\n", "comes/here.bin": bytes(34_000)}
    with mock.patch.object(file_list, "MIN_ARCHIVE_BYTES", 1000):
        for version, files in (("1.0.0", stored), ("1.1.0", now)):
            path = tree.root.parent / f"listed-{version}.zip"
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("padding.bin", bytes(20_000))
                for name, data in files.items():
                    archive.writestr(name, data)
                link = zipfile.ZipInfo("lib/link")
                link.create_system, link.external_attr = 3, 0o120777 << 16
                archive.writestr(link, "changes.py")
            write_release(tree.root, [Archive(path)], plugin=PluginId("edge", "listed"), version=version)
    release = tree.root / "plugins/edge/listed/releases/1.1.0.json"
    needs = {"edge/full": "^1", "robotics/pick-and-place": ">=1"}
    release.write_text(json.dumps({**json.loads(release.read_text()), "dependencies": needs}))


def _event(action: str, **fields: Any) -> dict[str, Any]:
    return {"action": action, "at": "2026-11-21T12:00:00Z", "by": "kai", **fields}


def _many(tree: Tree) -> None:
    """Plugins whose searches have answers that a test can count."""
    kinds = ("build", "notify", "service")
    for number in range(GENERATED):
        name = f"{NAMESPACE}/tool-{number:03d}"
        system = ("linux", "darwin")[number % 2]
        tree.plugin(
            name,
            type=kinds[number % 3],
            summary=f"Generated helper number {number}" + (" for telemetry" if number % 10 == 0 else ""),
            license=("MIT", "Apache-2.0", "BSD-3-Clause")[number % 3],
            keywords=["generated", f"group-{number % 12}", *(["telemetry"] if number % 10 == 0 else [])],
        )
        tree.release(
            name,
            "1.0.0",
            released_at=f"2026-{1 + number % 9:02d}-{1 + number % 28:02d}T12:00:00Z",
            selector={"match_labels": {"os": system}} if number % 4 else {},
            tags=["cuda-11.8"] if number % 20 == 0 else [],
        )


_FULL_PLUGIN: dict[str, Any] = {
    "keywords": ["everything"],
    "owners": [{"name": "Ada", "email": "ada@example.org", "github": "ada"}],
    "homepage": "https://example.org/full",
    "repository": "https://example.org/full.git",
    "links": {"Chat": "https://example.org/chat"},
}
_SCHEMA = {
    "type": "object",
    "required": ["url"],
    "properties": {
        "url": {"type": "string", "format": "uri", "description": "Where messages go"},
        "retries": {"type": "integer", "minimum": 0, "maximum": 10, "default": 3},
        "mode": {"enum": ["fast", "safe"], "default": "safe"},
        "limits": {"type": "object", "properties": {"rate": {"type": "number", "description": "Messages a second"}}},
    },
}
_FULL_RELEASE: dict[str, Any] = {
    "description": "What it does at length.",
    "config_schema": _SCHEMA,
    "params_schema": _SCHEMA,
    "default_config": {"url": "https://example.org/hook", "retries": 3},
    "dependencies": {"robotics/kalman": ">=1.0 <2", "acme/console-notify": "^1.2"},
    "resources": {"cpu": "500m", "memory": "128Mi"},
    "runtime": {"kind": "python", "requires": {"python": ">=3.10"}},
    "entry_point": "full:Plugin",
    "service": {
        "command": ["python3", "serve.py", "--port", "8080"],
        "port": 8080,
        "env": {"LOG": "info"},
        "health_check": {"endpoint": "/health", "port": 8080},
    },
    "models": [{"model_id": "voice", "path": "models/voice", "model_type": "tts", "version": "1.0.0"}],
    "caveats": "Ask for a token first.",
    "changelog": "- the first release",
    "rollout": 50,
    "min_host_version": "1.0.0",
}
