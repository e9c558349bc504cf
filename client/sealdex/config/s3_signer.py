"""Signs requests to S3 with the keys that AWS's own tools find; needs botocore, an extra."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

from sealdex.config._secret_places import unreadable
from sealdex.errors import CredentialsError
from sealdex.log import hide

if TYPE_CHECKING:
    from botocore.credentials import Credentials as AwsCredentials
    from botocore.credentials import ReadOnlyCredentials


class S3Signer:
    """Signs requests to S3 (AWS Signature Version 4) with the keys that botocore finds; thread-safe.

    Args:
        owner: whose keys they are, for messages: "registry 'team'", an address.
        profile: of AWS's configuration; None: the usual one.
        region: of the bucket; None: the usual one.
    """

    def __init__(self, owner: str, profile: str | None, region: str | None) -> None:
        self._owner = owner
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

    def signed(self, method: str, url: str, headers: Mapping[str, str], sha256: str | None = None) -> dict[str, str]:
        """Return the headers that sign a request.

        Args:
            method: its verb.
            url: its address.
            headers: more of it, to be signed with it.
            sha256: of its body; None: there is none.

        Raises:
            CredentialsError: there are no keys, or no botocore.
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

    def _without_botocore(self) -> CredentialsError:
        return unreadable(self._owner, "signing needs botocore: pip install 'sealdex[s3]'")

    def _frozen(self) -> ReadOnlyCredentials:
        """Return the current keys: botocore renews temporary ones."""
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415  # an extra
        from botocore.session import Session  # noqa: PLC0415  # an extra

        try:
            with self._lock:
                if self._keys is None:
                    self._keys = Session(profile=self._profile).get_credentials()
                if self._keys is None:
                    raise unreadable(self._owner, "no AWS credentials were found on this host")
                keys = self._keys.get_frozen_credentials()
                hide(keys.secret_key)
                hide(keys.token)
                return keys
        except BotoCoreError as error:
            raise unreadable(self._owner, str(error)) from error
