"""The policies of `access policy` on a real S3 server, as far as that enforces them, and all of them through a linter.

SeaweedFS takes what is allowed from the policy of a user (IAM's API) and enforces it by prefix and action. It takes no
Deny there and evaluates no ``s3:if-none-match``: that nothing published is overwritten is shown by
tests/builder/maintenance/test_write_once.py, over an emulation. What neither knows (KMS, CloudFront, condition keys by
action) is held by parliament alone, which knows AWS's services, actions, resources and conditions.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
import parliament
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from support.s3_server import S3Server, WeedMissingError, s3_server

from registry_builder.storage.access_policy import (
    AUDIENCES,
    Audience,
    Place,
    bucket_statements,
    identity_statements,
    policy_of,
)
from registry_builder.storage.headers import BUNDLE_KEY, TIMESTAMP_KEY

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET, OTHER = "private-team", "private-other"
PLACE = Place(BUCKET, "team")
ROOT, ARCHIVE, PAGE = "metadata/1.root.json", "plugins/acme/x/1.0.0/x.zip", "index.html"


@dataclass(frozen=True)
class Applied:
    """A server with two buckets, and who may do there what each audience may."""

    server: S3Server
    clients: dict[str, S3Client]

    def may(self, audience: str, do: Callable[[S3Client], object]) -> bool:
        """Whether something is allowed; all else that fails is an error."""
        try:
            do(self.clients[audience])
        except ClientError as error:
            if error.response["Error"]["Code"] == "AccessDenied":
                return False
            raise
        return True


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Applied]:
    try:
        with s3_server(tmp_path_factory.mktemp("s3"), options=["-s3.iam.readOnly=false"]) as server:
            admin = server.client()
            for bucket in (BUCKET, OTHER):
                admin.create_bucket(Bucket=bucket)
                for key in (f"team/{ROOT}", f"other/{ROOT}"):
                    admin.put_object(Bucket=bucket, Key=key, Body=b"1")
            for key in (TIMESTAMP_KEY, BUNDLE_KEY, ARCHIVE, PAGE):
                admin.put_object(Bucket=BUCKET, Key=f"team/{key}", Body=b"1")
            yield Applied(server, {audience: as_user(server, audience) for audience in AUDIENCES})
    except WeedMissingError as error:
        pytest.skip(str(error))


def as_user(server: S3Server, audience: Audience) -> S3Client:
    """Make a user who has what an audience's policy allows, and return a client of theirs."""
    keys = {"aws_access_key_id": server.access_key, "aws_secret_access_key": server.secret_key}
    iam: Any = boto3.client("iam", endpoint_url=server.endpoint, region_name="us-east-1", **keys)  # type: ignore[call-overload]  # no stubs
    allowed = [each for each in identity_statements(audience, PLACE) if each["Effect"] == "Allow"]
    iam.create_user(UserName=f"of-{audience}")
    document = json.dumps(policy_of(allowed))
    iam.put_user_policy(UserName=f"of-{audience}", PolicyName="allowed", PolicyDocument=document)
    key = iam.create_access_key(UserName=f"of-{audience}")["AccessKey"]
    return boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        region_name="us-east-1",
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
    )


def get(key: str, bucket: str = BUCKET) -> Callable[[S3Client], object]:
    return lambda client: client.get_object(Bucket=bucket, Key=key)


def put(key: str) -> Callable[[S3Client], object]:
    return lambda client: client.put_object(Bucket=BUCKET, Key=key, Body=b"1")


@pytest.mark.parametrize("audience", AUDIENCES)
def test_each_reads_its_own_realm_and_no_other(applied: Applied, audience: Audience) -> None:
    assert applied.may(audience, get(f"team/{ROOT}"))
    assert not applied.may(audience, get(f"other/{ROOT}"))
    assert not applied.may(audience, get(f"team/{ROOT}", OTHER))
    assert not applied.may(audience, lambda client: client.list_objects_v2(Bucket=OTHER))
    # in its bucket whoever needs a missing file to be a 404 lists; readers don't
    lists = applied.may(audience, lambda client: client.list_objects_v2(Bucket=BUCKET))
    assert lists == (audience != "readers")
    assert applied.may(audience, get(f"team/{ARCHIVE}")) == (audience not in {"refresher", "validators"})


@pytest.mark.parametrize("audience", AUDIENCES)
def test_each_writes_what_it_has_to_and_deletes_nothing(applied: Applied, audience: Audience) -> None:
    metadata = [f"metadata/7.{audience}.json", TIMESTAMP_KEY, BUNDLE_KEY]
    writes = {key for key in (*metadata, PAGE, f"plugins/{audience}") if applied.may(audience, put(f"team/{key}"))}
    everything = {*metadata, PAGE, f"plugins/{audience}"}
    expected: dict[str, set[str]] = {"readers": set(), "validators": set(), "refresher": set(metadata)}
    assert writes == expected.get(audience, everything)
    assert not applied.may(audience, put("other/x"))
    for key in (ROOT, ARCHIVE, PAGE, TIMESTAMP_KEY):
        assert not applied.may(audience, lambda client, key=key: client.delete_object(Bucket=BUCKET, Key=f"team/{key}"))  # type: ignore[misc]


def test_what_is_published_is_not_created_twice(applied: Applied) -> None:
    with pytest.raises(ClientError, match="PreconditionFailed"):
        applied.clients["publisher"].put_object(Bucket=BUCKET, Key=f"team/{ROOT}", Body=b"evil", IfNoneMatch="*")


# --- a linter ---------------------------------------------------------------------------------------------------------

ROLE = "arn:aws:iam::123456789012:role"
DISTRIBUTION = "arn:aws:cloudfront::123456789012:distribution/E2EXAMPLE"
# of KMS's keys parliament knows all conditions but this one, which is in the Service Authorization Reference
UNKNOWN_TO_IT = "Unknown condition kms:ResourceAliases for action kms:"


def findings(policy: dict[str, Any]) -> list[str]:
    found = parliament.analyze_policy_string(json.dumps(policy)).findings
    return [f"{each.issue}: {each.detail}" for each in found if UNKNOWN_TO_IT not in str(each.detail)]


@pytest.mark.parametrize("audience", AUDIENCES)
def test_a_linter_finds_nothing_in_the_policies_of_roles(audience: Audience) -> None:
    keys, aliases = ["arn:aws:kms:eu-central-1:123456789012:key/abc"], ["alias/online"]
    statements = identity_statements(audience, PLACE, distribution=DISTRIBUTION, kms_keys=keys, kms_aliases=aliases)
    assert findings(policy_of(statements)) == []


def test_a_linter_finds_nothing_in_the_policy_of_a_bucket() -> None:
    statements = bucket_statements(
        PLACE, recovery_role=f"{ROLE}/break-glass", readers=[f"{ROLE}/hosts"], distribution=DISTRIBUTION
    )
    assert findings(policy_of(statements)) == []
    misspelt = [{**each, "Action": "s3:PutObjects"} for each in statements]
    assert findings(policy_of(misspelt)) != []
