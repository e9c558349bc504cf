"""The Homebrew formula: made from the pins, read by ruby and rubocop, run in a stand-in. Homebrew can't be had here."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
from pathlib import Path
from types import ModuleType

import pytest
from support.components import program
from support.places import REPOSITORY

STYLE = REPOSITORY / "packaging/homebrew/rubocop.yml"
_STAND_IN = """
require "json"
module Language; module Python; module Virtualenv; end; end; end
class Place
  def initialize(name) = @name = name
  def install(path) = ($said["installed"][@name] = path)
end
$said = { "resources" => {}, "depends" => [], "installed" => {}, "calls" => [] }
class Formula
  def self.url(value) = ($said["url"] = value)
  def self.sha256(value) = ($said["sha256"] = value)
  def self.desc(value) = ($said["desc"] = value)
  def self.homepage(value) = ($said["homepage"] = value)
  def self.license(value) = ($said["license"] = value)
  def self.depends_on(value) = ($said["depends"] << value)
  def self.test(&block) = ($said["tested"] = block.source_location[1])
  def self.resource(name, &block)
    part = Class.new { attr_reader :all; def initialize = @all = {}
      def url(value) = (@all["url"] = value)
      def sha256(value) = (@all["sha256"] = value) }.new
    part.instance_eval(&block)
    $said["resources"][name] = part.all
  end
  def virtualenv_install_with_resources = ($said["calls"] << "virtualenv")
  %w[bash zsh fish].each { |shell| define_method("#{shell}_completion") { Place.new(shell) } }
end
load ARGV[0]
Sealdex.new.install
puts JSON.generate($said)
"""


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("formula", REPOSITORY / "scripts/formula.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.fixture(scope="module")
def names(maker: ModuleType) -> list[str]:
    return re.findall(r"^(\S+)==", maker.requirements(), flags=re.MULTILINE)


@pytest.fixture(scope="module")
def formula(maker: ModuleType, names: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    resources = {name: (f"https://files.example/{name}.tar.gz", f"{number:064x}") for number, name in enumerate(names)}
    path: Path = tmp_path_factory.mktemp("formula") / "sealdex.rb"
    path.write_text(maker.formula("https://sealdex.example/", "https://sealdex.example/s.tar.gz", "a" * 64, resources))
    return path


def test_every_package_of_the_client_comes_from_somewhere(maker: ModuleType, names: list[str]) -> None:
    pinned = set(re.findall(r"^(\S+)==", (REPOSITORY / "pins/client.txt").read_text(), flags=re.MULTILINE))
    of_older_pythons = {"tomli", "typing-extensions"}
    assert set(names) | maker.BREWED | of_older_pythons == pinned
    assert len(names) == len(set(names))


def test_a_source_that_is_not_pinned_is_refused(maker: ModuleType) -> None:
    """Attack: the index names a source of other bytes than those that were pinned."""
    pins = f"tuf==7.0.1 \\\n    --hash=sha256:{'a' * 64}\n"
    package = {"name": "tuf", "sdist": {"url": "https://files.example/t.tar.gz", "hashes": {"sha256": "a" * 64}}}
    assert maker.resources_of({"packages": [package]}, pins) == {"tuf": ("https://files.example/t.tar.gz", "a" * 64)}
    for other in ({**package, "sdist": {"url": "x", "hashes": {"sha256": "b" * 64}}}, {"name": "tuf"}):
        with pytest.raises(ValueError, match="tuf has no source with a digest of pins"):
            maker.resources_of({"packages": [other]}, pins)


def test_ruby_and_rubocop_take_it(formula: Path) -> None:
    rubocop = program("rubocop", "apt-get install rubocop")
    done = subprocess.run([rubocop, "--config", str(STYLE), str(formula)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    formula_text = formula.read_text()
    bad = formula.with_name("bad.rb")
    bad.write_text(formula_text.replace('license "Apache-2.0"', "license 'Apache-2.0'"))
    command = [rubocop, "--config", str(STYLE), str(bad)]
    assert "double-quoted" in subprocess.run(command, capture_output=True, text=True, check=False).stdout


def test_it_says_and_does_what_a_formula_has_to(formula: Path, names: list[str]) -> None:
    ruby = program("ruby", "apt-get install ruby")
    done = subprocess.run([ruby, "-e", _STAND_IN, str(formula)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert set(said["resources"]) == set(names)
    assert all(set(each) == {"url", "sha256"} for each in said["resources"].values())
    assert said["depends"] == ["cryptography", "python@3.13"]
    assert said["calls"] == ["virtualenv"]
    client = REPOSITORY / "client"
    assert sorted(said["installed"]) == ["bash", "fish", "zsh"]
    assert all((client / path).is_file() for path in said["installed"].values())
    # Homebrew's rules of descriptions: no article, no name of the formula, no full stop, at most 80 characters
    assert not re.match(r"(?i)(an?|the|sealdex)\b", said["desc"])
    assert len(f"sealdex: {said['desc']}") <= 80
    assert not said["desc"].endswith(".")
    text = formula.read_text()
    order = ["desc ", "homepage ", "url ", "sha256 ", "license ", "depends_on ", "resource ", "def install", "test do"]
    places = [text.index(f"\n  {word}") for word in order]
    assert places == sorted(places)
    assert "@" not in text.replace("python@3.13", "")
