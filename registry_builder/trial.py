"""Tries out a plugin as it is in its folder: packed, published, installed, loaded, run; every step with its outcome.

Nothing outside of a temporary folder is written. What runs the plugin's code is a process of its own
(`registry_builder.trial_host`), so that a plugin that exits, crashes or hangs fails its step and nothing else.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET  # a report that this machine's pytest wrote
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from registry_builder.source import load_tree
from registry_builder.throwaway import Added, Throwaway
from registry_builder.trial_host import STARTED, Plan
from sealdex.errors import SealdexError
from sealdex.model.ids import PluginId
from sealdex.runtime import Services
from sealdex.store.installations import find_installation
from sealdex.store.layout import Store
from sealdex.store.manifests import installed_manifest

_T = TypeVar("_T")
_NO_TESTS = "exit code 5"
"""As `_program` tells it: pytest.ExitCode.NO_TESTS_COLLECTED."""

Outcome = Literal["passed", "failed", "skipped"]
TIMEOUT_S = 60.0
_SHOWN_LINES = 30
_LOADABLE = ("python", "process")
PLUGIN_VARIABLE, FOLDER_VARIABLE = "SEALDEX_TEST_PLUGIN", "SEALDEX_TEST_FOLDER"


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        detail: what was found, or why it failed or was skipped.
        output: the end of what the plugin printed, where that helps.
    """

    name: str
    outcome: Outcome
    detail: str = ""
    seconds: float = 0.0
    output: str = ""


@dataclass
class Trial:
    """What came of trying out one plugin."""

    plugin: PluginId
    version: str | None = None
    steps: list[Step] = field(default_factory=list)
    archives: dict[str, str] = field(default_factory=dict)
    """SHA-256 of each archive that was tried, by its file name."""

    @property
    def passed(self) -> bool:
        """Whether no step failed, and some passed."""
        outcomes = {step.outcome for step in self.steps}
        return "failed" not in outcomes and "passed" in outcomes


def try_plugin(
    folder: Path,
    plugin: PluginId,
    *,
    tree: Path | None = None,
    allow_files: Collection[str] = (),
    timeout: float = TIMEOUT_S,
    run_tests: bool = True,
    on_step: Callable[[Step], None] | None = None,
) -> Trial:
    """Try out a plugin's working copy.

    Args:
        folder: plugin.yaml, release.yaml, README.md, src/, and tests if it has some.
        plugin: its id.
        tree: the source tree with what it depends on.
        allow_files: patterns of files that may hold secrets.
        timeout: seconds for each step that runs the plugin's code.
        run_tests: whether its own tests are run.
        on_step: told of each step when it is over.
    """
    with tempfile.TemporaryDirectory(prefix="sealdex-test-") as temporary:
        job = _Job(Path(temporary).resolve(), folder.resolve(), plugin, timeout, on_step)
        job.run(tree, allow_files)
        if run_tests:
            job.tests()
        return job.trial


class _Job:
    def __init__(
        self, temporary: Path, folder: Path, plugin: PluginId, timeout: float, on_step: Callable[[Step], None] | None
    ) -> None:
        self._temporary = temporary
        self._folder = folder
        self._timeout = timeout
        self._on_step = on_step
        self._registry: Throwaway | None = None
        self.trial = Trial(plugin)

    def run(self, tree: Path | None, allow_files: Collection[str]) -> None:
        plugin = self.trial.plugin
        added = self._done("pack", lambda: self._pack(allow_files))
        if added is None:
            return
        self.trial.version = added.version
        if self._done("publish", lambda: self._publish(tree)) is None:
            return
        if self._done("install", self._install) is None:
            return
        found = find_installation(Store(self._throwaway.store), plugin, added.version)
        if found is None:
            self._add(Step("load", "skipped", "it has no files: it consists of its dependencies"))
            return
        manifest = installed_manifest(found)
        kind = manifest.runtime.kind if manifest.runtime is not None else "python"
        entry = manifest.entry_point
        wanted = ["examples"] if manifest.config_schema or manifest.params_schema else []
        if manifest.service is not None:
            wanted += ["job", "service"]
        elif kind in _LOADABLE and entry is not None and (kind == "process" or ":" in entry):
            wanted += ["load", "job"]
        else:
            why = f"of the kind '{kind}'" if kind not in _LOADABLE else "without module:attribute as its entry point"
            self._add(Step("load", "skipped", f"{why}: hosts install it, and start its program themselves"))
        if wanted:
            self._host(tuple(wanted), added.version)

    @property
    def _throwaway(self) -> Throwaway:
        if self._registry is None:
            self._registry = Throwaway(self._temporary)
        return self._registry

    def _pack(self, allow_files: Collection[str]) -> tuple[Added, str]:
        added = self._throwaway.add(self._folder, self.trial.plugin, allow_files=allow_files)
        self.trial.archives |= {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in added.archives}
        names = ", ".join(path.name for path in added.archives)
        files = f", {added.files} files" if added.files is not None else ""
        return added, f"{added.version}: {names}{files}"

    def _publish(self, tree: Path | None) -> tuple[Throwaway, str]:
        registry = self._throwaway
        own = load_tree(registry.tree, only=[self.trial.plugin]).plugins[self.trial.plugin]
        if tree is not None and any(release.dependencies for release in own.releases.values()):
            registry.add_released(tree, self.trial.plugin)
        registry.publish()
        return registry, "signed by a trust root made for this"

    def _install(self) -> tuple[bool, str]:
        with self._throwaway.client() as client:
            client.install(f"{self.trial.plugin}@={self.trial.version}", fallback=False)
            labels = client.environment.labels
        return True, f"on {labels.get('os')}/{labels.get('arch')}, verified"

    def _done(self, name: str, do: Callable[[], tuple[_T, str]]) -> _T | None:
        """Carry out a step here; return None if it failed."""
        began = time.monotonic()
        try:
            value, detail = do()
        except (SealdexError, OSError) as error:
            hint = getattr(error, "hint", None)
            self._add(Step(name, "failed", f"{error}{f'; {hint}' if hint else ''}", time.monotonic() - began))
            return None
        self._add(Step(name, "passed", detail, time.monotonic() - began))
        return value

    def _add(self, step: Step) -> None:
        self.trial.steps.append(step)
        if self._on_step is not None:
            self._on_step(step)

    # --- in a process of its own ----------------------------------------------------------------------------------

    def _host(self, steps: tuple[str, ...], version: str) -> None:
        results, plan_file = self._temporary / "results.jsonl", self._temporary / "plan.json"
        plan = Plan(
            str(self._throwaway.store), str(self.trial.plugin), version, str(results), self._timeout, steps
        )  # fmt: skip
        plan_file.write_bytes(msgspec.json.encode(plan))
        command = [sys.executable, "-m", "registry_builder.trial_host", str(plan_file)]
        ended, output = self._program(command, self._temporary, len(steps) * self._timeout)
        told = {name: step for name, step in _told(results) if step is not None}
        running = next((name for name, step in reversed(list(_told(results))) if step is None), None)
        for name in steps:
            if name in told:
                step = told[name]
                self._add(step if step.outcome == "passed" else replace(step, output=output))
            elif name == running or running is None:
                why = "the plugin ended the process of its host"
                self._add(Step(name, "failed", f"{why}: {ended or 'exit code 0'}", output=output))
                break
        else:
            if ended is not None:  # a thread that runs on, or what it does at exit: hosts would end like that too
                self._add(Step("exit", "failed", f"its host didn't end as it should: {ended}", output=output))
        if "service" in steps and "service" not in told:
            with suppress(SealdexError, OSError):  # the host may have died before it stopped it
                Services(self._throwaway.store).stop(self.trial.plugin)

    def tests(self) -> None:
        """Run the plugin's own tests, if it has some."""
        if not any(_test_files(self._folder)):
            return
        report = self._temporary / "pytest.xml"
        # pytest's own folder for temporary files is shared by all its runs, each of which clears up after earlier ones
        options = ["-q", "-p", "no:cacheprovider", f"--basetemp={self._temporary / 'pytest'}", f"--junitxml={report}"]
        command = [sys.executable, "-m", "pytest", *options, str(self._folder)]
        environment = {
            PLUGIN_VARIABLE: str(self.trial.plugin),
            FOLDER_VARIABLE: str(self._folder),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": os.pathsep.join(filter(None, (str(self._folder / "src"), os.environ.get("PYTHONPATH")))),
        }
        began = time.monotonic()
        ended, output = self._program(command, self._folder, 10 * self._timeout, environment)
        seconds = time.monotonic() - began
        counts = _counts(report)
        if counts is None:
            why = f"they didn't run: {ended or 'no report'} (is pytest installed? pip install pytest)"
            self._add(Step("tests", "failed", why, seconds, output))
        elif counts["tests"] == 0 and ended in {None, _NO_TESTS}:
            self._add(Step("tests", "skipped", "pytest finds none in its files", seconds))
        elif ended is None and counts["skipped"] == counts["tests"]:
            self._add(Step("tests", "skipped", f"none of {counts['tests']} was run: all were skipped", seconds))
        else:
            bad = counts["failures"] + counts["errors"]
            detail = f"{counts['tests']} run, {bad} failed, {counts['skipped']} skipped"
            is_good = not bad and ended is None
            self._add(Step("tests", "passed" if is_good else "failed", detail, seconds, "" if is_good else output))

    def _program(
        self, command: list[str], folder: Path, seconds: float, environment: dict[str, str] | None = None
    ) -> tuple[str | None, str]:
        """Run a program to its end; return how it ended if that was badly, and the end of its output."""
        log = self._temporary / "output.txt"
        with log.open("wb") as file:
            process = subprocess.Popen(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )
            try:
                code = process.wait(seconds)
                ended = None if code == 0 else f"exit code {code}" if code > 0 else f"ended by signal {-code}"
            except subprocess.TimeoutExpired:
                ended = f"it took more than {seconds:g} s"
            finally:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)  # and what it started
                process.wait()
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        return ended, "\n".join(lines[-_SHOWN_LINES:])


def _told(results: Path) -> Iterator[tuple[str, Step | None]]:
    """Yield what the host wrote: each step when it began, and its outcome."""
    if not results.exists():
        return
    for line in results.read_text(encoding="utf-8").splitlines():
        with suppress(ValueError, KeyError):  # a last line that was cut off
            said = json.loads(line)
            is_over = said["outcome"] != STARTED
            step = Step(said["step"], said["outcome"], said["detail"], said["seconds"]) if is_over else None
            yield said["step"], step


def _test_files(folder: Path) -> Iterator[Path]:
    for pattern in ("test_*.py", "*_test.py"):
        yield from (p for p in folder.rglob(pattern) if "dist" not in p.relative_to(folder).parts[:1])


def _counts(report: Path) -> dict[str, int] | None:
    """Return how many tests there were, failed and so on, by a JUnit report; None if there is none."""
    try:
        suites = list(ET.parse(report).getroot().iter("testsuite"))  # noqa: S314  # see the import
        names = ("tests", "failures", "errors", "skipped")
        return {name: sum(int(suite.get(name, "0")) for suite in suites) for name in names}
    except (OSError, ET.ParseError, ValueError):
        return None


__all__ = ["FOLDER_VARIABLE", "PLUGIN_VARIABLE", "TIMEOUT_S", "Outcome", "Step", "Trial", "try_plugin"]
