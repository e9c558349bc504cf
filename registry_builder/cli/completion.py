"""``sealdex-builder completion``."""

from __future__ import annotations

from sealdex.cli.completion import completion_command

completion = completion_command("sealdex-builder")
