"""Credentials of private registries: which request gets them, and reading them from where they are kept.

A request gets a registry's credentials only if its address is below that registry's: same scheme, host and port, and a
path under it. So they are sent neither to artifacts at another address, which the index may name, nor to another
registry on the same host, nor after a redirect to another origin (`sealdex.transport._http`). Secrets are read at each
request, so that a renewed token is used at once, and are never part of a message.
"""

from __future__ import annotations

import base64
import os
import re
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from sealdex.config.document import AuthSection, RegistrySection
from sealdex.errors import ConfigError
from sealdex.log import Log, hide
from sealdex.paths import home_folder
from sealdex.transport.types import origin_of, public_url

if TYPE_CHECKING:
    from botocore.credentials import Credentials as AwsCredentials
    from botocore.credentials import ReadOnlyCredentials

    from sealdex.config.config import Config
    from sealdex.transport import Credentials

_log = Log("sealdex.config")

MAX_SECRET_BYTES = 64 * 1024
_TOKEN = re.compile(r"[\x21-\x7e]+")


def covering(registries: Mapping[str, RegistrySection], url: str) -> str | None:
    """Return the registry whose address a URL is below, of several the one with the longest, or None. Pure."""
    found: str | None = None
    longest = -1
    for name, section in registries.items():
        if _is_below(section.url, url) and len(section.url.rstrip("/")) > longest:
            found, longest = name, len(section.url.rstrip("/"))
    return found


def _is_below(base: str, url: str) -> bool:
    try:
        if origin_of(base) != origin_of(url):
            return False
    except ValueError:
        return False
    path = urlsplit(url).path
    steps = unquote(path).replace("\\", "/").split("/")
    # a path with `..` would be normalized later, after this decision
    return path.startswith(urlsplit(base).path.rstrip("/") + "/") and not {".", ".."}.intersection(steps)


def credentials_of(config: Config) -> Credentials | None:
    """Return a function that adds the configured credentials to requests; None if there are none."""
    return credentials_for(config.registries, config.path.parent)


def credentials_for(registries: Mapping[str, RegistrySection], folder: Path) -> Credentials | None:
    """Return a function that adds the credentials of these registries to requests; None if none has any.

    That function raises ConfigError if a secret can't be read.

    Args:
        registries: sections by name.
        folder: what the files of their ``auth`` are relative to.
    """
    readers = {
        name: _reader(name, section.auth, folder) for name, section in registries.items() if section.auth is not None
    }
    if not readers:
        return None

    def headers(url: str) -> Mapping[str, str]:
        name = covering(registries, url)
        section = registries.get(name) if name is not None else None
        if name is None or section is None or section.auth is None:
            return {}
        _log.debug(
            "config.credentials",
            "{url} is asked with the {kind} credentials of '{registry}'",
            url=public_url(url),
            kind=section.auth.type,
            registry=name,
        )
        return readers[name](url)

    return headers


def _reader(name: str, auth: AuthSection, folder: Path) -> Callable[[str], Mapping[str, str]]:
    if auth.type == "sigv4":
        return S3Signer(name, auth.profile, auth.region or "")
    if auth.type == "bearer":
        return lambda _: {"Authorization": f"Bearer {_token(name, auth, folder)}"}
    if auth.type == "basic":
        return lambda _: _basic(auth.user or "", _secret(name, auth.password_env, auth.password_file, folder))
    return lambda url: _from_netrc(name, auth, folder, urlsplit(url).hostname or "")


def _token(name: str, auth: AuthSection, folder: Path) -> str:
    token = _secret(name, auth.token_env, auth.token_file, folder)
    if not _TOKEN.fullmatch(token):
        raise _missing(
            name,
            f"{_place(auth.token_env, auth.token_file)} does not hold a valid token: white space or other characters",
        )
    return token


def _basic(user: str, password: str) -> Mapping[str, str]:
    encoded = base64.b64encode(f"{user}:{password}".encode()).decode()
    hide(encoded)
    return {"Authorization": f"Basic {encoded}"}


def _from_netrc(name: str, auth: AuthSection, folder: Path, host: str) -> Mapping[str, str]:
    import netrc  # noqa: PLC0415  # only for who has one

    path = (
        folder / auth.netrc_file if auth.netrc_file else Path(os.environ.get("NETRC") or Path(home_folder(), ".netrc"))
    )
    try:
        found = netrc.netrc(str(path)).authenticators(host)
    except OSError as error:
        raise _missing(name, f"{path} can't be read: {error.strerror}") from error
    except (netrc.NetrcParseError, UnicodeDecodeError):
        # from None: the parser's message may quote the password
        raise _missing(name, f"{path} is not a valid netrc file") from None
    if found is None:
        raise _missing(name, f"{path} has no entry for machine {host}")
    hide(found[2])
    return _basic(found[0], found[2] or "")


def _secret(name: str, variable: str | None, file: str | None, folder: Path) -> str:
    if variable is not None:
        text = os.environ.get(variable, "").strip()
        if not text:
            raise _missing(name, f"the environment variable {variable} is not set")
        hide(text)
        return text
    path = folder / (file or "")
    try:
        with path.open("rb") as opened:
            text = opened.read(MAX_SECRET_BYTES).decode().strip()
    except OSError as error:
        raise _missing(name, f"{path} can't be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise _missing(name, f"{path} is not a text file") from None
    if not text:
        raise _missing(name, f"{path} is empty")
    hide(text)
    return text


def _place(variable: str | None, file: str | None) -> str:
    return f"the environment variable {variable}" if variable is not None else str(file)


def _missing(name: str, why: str) -> ConfigError:
    return ConfigError(
        f"the credentials of registry '{name}' can't be read: {why}",
        subject=name,
        untouched="no request was made",
        hint=f"see auth under [registries.{name}] in config.toml",
    )


class S3Signer:
    """Signs requests to S3 (AWS Signature Version 4) with the keys that botocore finds; thread-safe.

    Args:
        name: of the registry or the bucket, for messages.
        profile: of AWS's configuration; None: the usual one.
        region: of the bucket; None: the usual one.
    """

    def __init__(self, name: str, profile: str | None, region: str | None) -> None:
        self._name = name
        self._profile = profile
        self._region = region
        self._lock = threading.Lock()
        self._keys: AwsCredentials | None = None

    @property
    def region(self) -> str:
        """The region: as given, as AWS's own tools find it, or the one that other servers call theirs."""
        if self._region is None:
            try:
                from botocore.session import Session  # noqa: PLC0415  # an extra
            except ImportError as error:
                raise self._without_botocore() from error
            self._region = Session(profile=self._profile).get_config_variable("region") or "us-east-1"
        return self._region

    def __call__(self, url: str) -> Mapping[str, str]:
        """Return the headers of a GET."""
        return self.signed("GET", url, {})

    def signed(self, method: str, url: str, headers: Mapping[str, str], sha256: str | None = None) -> dict[str, str]:
        """Return the headers that sign a request.

        Args:
            method: its verb.
            url: its address.
            headers: more of it, to be signed with it.
            sha256: of its body; None: there is none.

        Raises:
            ConfigError: there are no keys, or no botocore.
        """
        try:
            from botocore.auth import S3SigV4Auth  # noqa: PLC0415  # an extra
            from botocore.awsrequest import AWSRequest  # noqa: PLC0415  # an extra
        except ImportError as error:
            raise self._without_botocore() from error
        request = AWSRequest(method, url, headers=dict(headers))
        signer = S3SigV4Auth(self._frozen(), "s3", self.region)
        if sha256 is not None:
            signer.payload = lambda request: sha256  # type: ignore[method-assign]  # noqa: ARG005  # known
        signer.add_auth(request)
        return dict(request.headers.items())

    def _without_botocore(self) -> ConfigError:
        return _missing(self._name, "signing needs botocore: pip install 'sealdex[s3]'")

    def _frozen(self) -> ReadOnlyCredentials:
        """Return the current keys: botocore renews temporary ones."""
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415  # an extra
        from botocore.session import Session  # noqa: PLC0415  # an extra

        try:
            with self._lock:
                if self._keys is None:
                    self._keys = Session(profile=self._profile).get_credentials()
                if self._keys is None:
                    raise _missing(self._name, "no AWS credentials were found on this host")
                keys = self._keys.get_frozen_credentials()
                hide(keys.secret_key)
                hide(keys.token)
                return keys
        except BotoCoreError as error:
            raise _missing(self._name, str(error)) from error
