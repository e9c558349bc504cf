"""Runs a function of CloudFront as its runtime would: in node, and in njs, the engine whose subset the runtime has."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from support.components import program
from support.node_tools import node

_HARNESS = """
const paths = %s;
const asked = paths.map((uri) => (
    { method: 'GET', uri, querystring: { q: { value: 'a b/' } }, headers: {}, cookies: {} }));
const answers = [];
function ask(i) {
    if (i === paths.length) {
        answers.forEach((answer, n) => console.log(JSON.stringify(
            { answer, same: answer === asked[n], query: JSON.stringify(asked[n].querystring) })));
        return;
    }
    Promise.resolve(handler({ request: asked[i] })).then((answer) => { answers.push(answer); ask(i + 1); });
}
ask(0);
"""
_STORE = """
const table = %s;
const get = (key) => (key in table ? Promise.resolve(table[key]) : Promise.reject(new Error('no such key')));
const cf = { kvs: () => ({ get }) };
"""


def edge_answers(
    function: Path, paths: Sequence[str], table: Mapping[str, str] | None, folder: Path
) -> dict[str, list[dict[str, Any]]]:
    """Return what a function makes of requests for paths, by engine: the answer, and whether it is the request itself.

    Args:
        function: its code.
        paths: as a browser sends them.
        table: what its key value store has; None: it has none.
        folder: for scratch files.
    """
    code = re.sub(r"^import cf from 'cloudfront';$", "", function.read_text(), flags=re.MULTILINE)
    store = "" if table is None else _STORE % json.dumps(table)
    script = folder / f"{function.stem}-try.js"
    script.write_text(store + code + _HARNESS % json.dumps(list(paths)))
    answers = {}
    for name, command in (("node", node()), ("njs", program("njs", "apt-get install njs"))):
        done = subprocess.run([command, str(script)], capture_output=True, text=True, check=True)
        answers[name] = [json.loads(line) for line in done.stdout.splitlines()]  # njs cuts lines off at 2 KiB
    return answers


__all__ = ["edge_answers"]
