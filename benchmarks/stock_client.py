"""What somebody writes who has python-tuf alone: reads one document of a registry, verified, on an empty host.

    python stock_client.py FOLDER URL ROOT NS/NAME [install]

With ``install`` it also fetches the newest artifact that the document pins, checks its digest, and unpacks it.
"""

import hashlib
import json
import sys
import zipfile
from io import BytesIO
from pathlib import Path

from tuf.ngclient import Updater, Urllib3Fetcher


def main() -> None:
    folder, url, root, plugin, *more = sys.argv[1:]
    metadata, targets = Path(folder) / "metadata", Path(folder) / "targets"
    metadata.mkdir(parents=True)
    targets.mkdir()
    fetcher = Urllib3Fetcher()
    updater = Updater(
        str(metadata), f"{url}/metadata/", str(targets), f"{url}/targets/", fetcher, bootstrap=Path(root).read_bytes()
    )
    updater.refresh()
    info = updater.get_targetinfo(f"index/{plugin}.json")
    if info is None:
        sys.exit(f"nobody signs {plugin}")
    document = json.loads(Path(updater.download_target(info)).read_bytes())
    release = document["releases"][-1]
    print(plugin, release["version"])
    if more == ["install"]:
        artifact = release["artifacts"][0]
        address = f"{url}/plugins/{plugin}/{release['version']}/{artifact['file']}"
        data = fetcher.download_bytes(address, artifact["size"])
        if hashlib.sha256(data).hexdigest() != artifact["sha256"]:
            sys.exit(f"{address} isn't what was signed")
        with zipfile.ZipFile(BytesIO(data)) as archive:
            archive.extractall(Path(folder) / "installed")


if __name__ == "__main__":
    main()
