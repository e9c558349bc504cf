"""A node of the Model Hub, written from its design (seed 004) alone: lists, downloads, resumes, checks, unpacks.

It knows nothing of Sealdex: the addresses, the fields and the order (the digest is checked before anything is unpacked)
are those of the design's sections 2.3 and 4.
"""

from __future__ import annotations

import hashlib
import json
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from typing import Any


class OldNode:
    """`ServicePackageManager` of the design.

    Args:
        hub: the Model Hub's address, without a slash at its end.
        services: the folder ``electron_node/services``.
        block_bytes: how much is asked for at once.
    """

    def __init__(self, hub: str, services: Path, *, block_bytes: int = 1 << 20) -> None:
        self.hub, self.services, self._block = hub, services, block_bytes
        self.ranges: list[str] = []

    def get_available_services(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._json("/api/services")
        return found

    def details(self, service_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self._json(f"/api/services/{service_id}")
        return found

    def models(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._json("/api/models")
        return found

    def model_file(self, model_id: str, version: str, name: str) -> bytes:
        sums = self._get(f"/storage/models/{model_id}/{version}/checksum.sha256")[0].decode()
        data = self._get(f"/storage/models/{model_id}/{version}/{name}")[0]
        assert f"{hashlib.sha256(data).hexdigest()}  {name}" in sums.splitlines()
        return data

    def install_service(self, service_id: str, version: str | None = None) -> Path:
        """Download (going on with what is there), check, and only then unpack."""
        if version is None:
            version = next(
                each["latest_version"] for each in self.get_available_services() if each["service_id"] == service_id
            )
        wanted = self._json(f"/api/services/{service_id}/{version}/checksum")
        assert (wanted["service_id"], wanted["version"]) == (service_id, version)
        part = self.services / f"{service_id}-{version}.zip.part"
        self.download(f"/storage/services/{service_id}/{version}.zip", part, wanted["size_bytes"])
        if hashlib.sha256(part.read_bytes()).hexdigest() != wanted["sha256"]:
            part.unlink()
            raise ValueError("checksum mismatch")
        folder = self.services / service_id / str(version)
        with zipfile.ZipFile(part) as archive:
            archive.extractall(folder)
        part.unlink()
        return folder

    def download(self, path: str, part: Path, size: int, *, blocks: int | None = None) -> None:
        """Append block by block from where the file ends; ``blocks`` stops early, as a cut connection would."""
        part.parent.mkdir(parents=True, exist_ok=True)
        done = 0
        with part.open("ab") as file:
            while file.tell() < size and (blocks is None or done < blocks):
                first = file.tell()
                last = min(first + self._block, size) - 1
                data, headers = self._get(path, Range=f"bytes={first}-{last}")
                assert headers["Content-Range"] == f"bytes {first}-{last}/{size}"
                assert headers["Content-Type"] == "application/zip"
                self.ranges.append(headers["Content-Range"])
                file.write(data)
                done += 1

    def status(self, path: str) -> tuple[int, str]:
        """Return the status of an address and where it leads, without going there."""

        class Stay(urllib.request.HTTPRedirectHandler):
            def redirect_request(self, *_: Any, **__: Any) -> None:
                return None

        try:
            with urllib.request.build_opener(Stay).open(f"{self.hub}{path}") as answer:
                return answer.status, answer.url
        except urllib.error.HTTPError as error:
            return error.code, error.headers.get("Location", "")

    def _json(self, path: str) -> Any:
        return json.loads(self._get(path)[0])

    def _get(self, path: str, **headers: str) -> tuple[bytes, Any]:
        request = urllib.request.Request(f"{self.hub}{path}", headers=headers)
        with urllib.request.urlopen(request) as answer:
            return answer.read(), answer.headers


__all__ = ["OldNode"]
