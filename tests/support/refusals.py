"""What holds for every refused attack: exit code 4, the reason, and nothing of the attacker's in the trust folder."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from support.tree_server import Endless
from support.trust_scene import SLACK, Scene

from sealdex.errors import VerificationError
from sealdex.model.ids import PluginId

Changes = Mapping[str, bytes | int | Endless]


def refused(scene: Scene, reason: str, *, plugin: PluginId = SLACK) -> VerificationError:
    """Run the client; it must refuse for that reason and keep nothing but what was honest or kept before."""
    before = scene.kept()
    with pytest.raises(VerificationError, match=reason) as caught:
        scene.index(plugin)
    assert caught.value.exit_code == 4
    assert caught.value.untouched is not None
    assert "nothing was installed or changed" in caught.value.untouched
    assert set(scene.kept().values()) <= {*before.values(), *scene.repository.files.values()}
    return caught.value


def refused_bytes(scene: Scene, changes: Changes, reason: str) -> None:
    """The same for an attacker who can only change bytes on the way or in the store."""
    with scene.serving(changes):
        refused(scene, reason)
    evil = [data for data in changes.values() if isinstance(data, bytes)]
    assert not [data for data in scene.kept().values() if data in evil]


def release(scene: Scene, version: str = "2.0.0") -> None:
    scene.repository.add(SLACK, version)
    scene.repository.publish()


def refused_role(scene: Scene, role: str, reason: str) -> None:
    """The same for a role that is published with signatures it must not have."""
    forged = scene.repository.files[scene.repository.key(role)]
    with pytest.raises(VerificationError, match=reason) as caught:
        scene.index()
    assert caught.value.exit_code == 4
    assert forged not in scene.kept().values()
