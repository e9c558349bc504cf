"""Write docs/schema/*.schema.json from the structs (``make schema``)."""

from __future__ import annotations

from pathlib import Path

from sealdex.model.decode import encode_pretty
from sealdex.model.schema import DOCUMENTS, json_schema

FOLDER = Path(__file__).parent.parent / "docs" / "schema"


def main() -> None:
    """Write every schema; files are the same bytes as long as the structs are."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in DOCUMENTS:
        (FOLDER / f"{name}.schema.json").write_bytes(encode_pretty(json_schema(name)))


if __name__ == "__main__":
    main()
