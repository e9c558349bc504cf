"""The template of a registry's account: its policies, what it keeps, what it serves, what it refuses."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

import pytest
from msgspec import structs
from support.builder_cli import call, document
from support.cfn_template import read_template, resolved
from support.components import missing
from support.edge_functions import edge_answers
from support.key_value_store import ARN
from support.places import REPOSITORY
from support.source_trees import Tree

from registry_builder.authoring.cloud._stack_realms import resource_id
from registry_builder.authoring.cloud.github_identity import Repository, Task, trust_policy
from registry_builder.authoring.cloud.stack import LOG_FIELDS, Stack, StackWish, account_template
from registry_builder.authoring.scaffold import TEMPLATES
from registry_builder.maintenance import access_documents
from registry_builder.maintenance.downloads._log_lines import reader_for
from registry_builder.source.config import ApiSection, RealmSection, RegistryConfig, read_config
from registry_builder.storage.access_policy import Audience
from sealdex.errors import UsageError

ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role"
REALMS = f"""
[realms.public]
storage = "s3://acme-plugins/public?region=us-east-1"
url = "https://plugins.example.org/"
cloudfront = "E2PUBLIC"
recovery_role = "{ROLE}/break-glass"

[realms.acme-team]
storage = "s3://acme-team"
url = "https://team.example.org/"
cloudfront = "E2TEAM"

[realms.acme-team.readers]
principals = ["{ROLE}/hosts"]
key_group = "stack"

[realms.hosts]
storage = "s3://acme-hosts"

[realms.hosts.readers]
principals = ["{ROLE}/hosts"]
"""
WISH = StackWish(repository="acme/plugins", owner_id=1001, repository_id=2002, validators=True)


def configured(tree: Tree, realms: str) -> RegistryConfig:
    path = tree.root / "registry.toml"
    text, count = re.subn(r"\[realms\.public\]\n.*?\n(?=\n|\[)", lambda _: "", path.read_text(), flags=re.DOTALL)
    assert count == 1
    path.write_text(text + realms)
    return read_config(tree.root)


@pytest.fixture
def config(tree: Tree) -> RegistryConfig:
    return configured(tree, REALMS)


def template(config: RegistryConfig, wish: StackWish = WISH) -> tuple[Stack, dict[str, Any]]:
    made = account_template(config, wish)
    return made, read_template(made.text)


def made_by_stack(config: RegistryConfig, provider: str = "") -> dict[str, str]:
    """What references stand for, in a stack in which each thing is named as registry.toml has it."""
    names = {f"{resource_id(name)}Distribution": section.cloudfront or "" for name, section in config.realms.items()}
    return {
        "AWS::AccountId": ACCOUNT,
        "GitHubOwner": "acme",
        "GitHubRepository": "plugins",
        "GitHubOwnerId": "1001",
        "GitHubRepositoryId": "2002",
        "GitHubProvider": provider,
        "GitHub": f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com",
        "MakesGitHubProvider": "" if provider else "yes",
        **names,
    }


# --- one source of policies ------------------------------------------------------------------------------------------


def printed(config: RegistryConfig, realm: str, audience: Audience | Literal["bucket"]) -> Any:
    moment = datetime(2026, 11, 29, tzinfo=timezone.utc)
    return access_documents(config, realm, audience, cookies_expire=moment, account=ACCOUNT)[0].policy


def test_its_policies_are_those_that_access_policy_prints(config: RegistryConfig) -> None:
    found = resolved(template(config)[1], made_by_stack(config, "arn:of:another"))["Resources"]
    for realm in config.realms:
        start = resource_id(realm)
        assert found[f"{start}BucketPolicy"]["Properties"]["PolicyDocument"] == printed(config, realm, "bucket")
        roles: dict[Audience, Task] = {"publisher": "publish", "refresher": "refresh", "validators": "validate"}
        for audience, task in roles.items():
            name = f"{start}{audience.capitalize()}Role"
            assert (name in found) == (audience != "validators" or realm != "public")
            if name not in found:
                continue
            role = found[name]["Properties"]
            assert [each["PolicyDocument"] for each in role["Policies"]] == [printed(config, realm, audience)]
            repository = Repository("acme", "plugins", "1001", "2002")
            trusted = trust_policy(repository, task=task, realm=realm, provider="arn:of:another")
            assert role["AssumeRolePolicyDocument"] == trusted


def test_keys_in_kms_sign_for_the_roles_that_publish(config: RegistryConfig) -> None:
    wish = StackWish(kms=True, recovery=True, validators=True)
    made, raw = template(config, wish)
    keys = {name: each for name, each in raw["Resources"].items() if each["Type"] == "AWS::KMS::Key"}
    assert list(keys) == ["PackagesKey", "CatalogKey", "OnlineKey"]
    for key in keys.values():
        assert (key["DeletionPolicy"], key["UpdateReplacePolicy"]) == ("Retain", "Retain")
        assert (key["Properties"]["KeyUsage"], key["Properties"]["KeySpec"]) == ("SIGN_VERIFY", "ECC_NIST_P256")
    stack = {**made_by_stack(config), **{f"{name}.Arn": f"arn:of:{name}" for name in keys}}
    stack["PublicRecoveryRole.Arn"] = f"{ROLE}/break-glass"
    stack[f"{resource_id('acme-team')}RecoveryRole.Arn"] = stack["HostsRecoveryRole.Arn"] = "arn:of:recovery"
    found = resolved({name: each for name, each in raw["Resources"].items() if "Role" in name}, stack)
    for name, role in found.items():
        signs = [
            each
            for each in role["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
            if each["Sid"] == "SignMetadata"
        ]
        may = [f"arn:of:{key}" for key in keys]
        assert [each["Resource"] for each in signs] == ([] if "Validators" in name else [may]), name
    # the break-glass role is the stack's own: with a second factor, and excepted in the bucket
    trust = found["PublicRecoveryRole"]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert [each["Condition"] for each in trust] == [{"Bool": {"aws:MultiFactorAuthPresent": "true"}}]
    bucket = resolved(raw["Resources"]["PublicBucketPolicy"], stack)["Properties"]["PolicyDocument"]
    assert bucket == printed(config, "public", "bucket")
    assert made.text == account_template(config, wish).text


# --- what is kept and what is served ---------------------------------------------------------------------------------


def of_type(found: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    return {name: each for name, each in found["Resources"].items() if each["Type"] == kind}


def test_buckets_keep_what_they_have_and_show_it_to_nobody(config: RegistryConfig) -> None:
    buckets = of_type(template(config)[1], "AWS::S3::Bucket")
    assert len(buckets) == 4  # a realm each, and the logs
    for name, bucket in buckets.items():
        assert (bucket["DeletionPolicy"], bucket["UpdateReplacePolicy"]) == ("Retain", "Retain")
        said = bucket["Properties"]
        assert set(said["PublicAccessBlockConfiguration"].values()) == {True}
        assert len(said["PublicAccessBlockConfiguration"]) == 4
        assert said["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
        assert said["BucketEncryption"]
        if name != "AccessLogBucket":
            assert said["VersioningConfiguration"] == {"Status": "Enabled"}
            (rule,) = said["LifecycleConfiguration"]["Rules"]
            assert rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] <= 7
            assert set(rule) == {"Id", "Status", "AbortIncompleteMultipartUpload"}  # nothing published expires


def test_cloudfront_keeps_no_error_and_no_timestamp(config: RegistryConfig) -> None:
    found = template(config)[1]
    for policy in of_type(found, "AWS::CloudFront::CachePolicy").values():
        assert policy["Properties"]["CachePolicyConfig"]["MinTTL"] == 0
    distributions = of_type(found, "AWS::CloudFront::Distribution")
    assert set(distributions) == {"PublicDistribution", f"{resource_id('acme-team')}Distribution"}
    for distribution in distributions.values():
        said = distribution["Properties"]["DistributionConfig"]
        assert said["HttpVersion"] == "http2and3"
        assert {each["ErrorCode"] for each in said["CustomErrorResponses"]} >= {403, 404, 500, 502, 503, 504}
        for error in said["CustomErrorResponses"]:
            assert set(error) == {"ErrorCode", "ErrorCachingMinTTL"}  # neither a page nor another status
            assert error["ErrorCachingMinTTL"] <= 10
        behaviors = {each["PathPattern"]: each for each in said["CacheBehaviors"]}
        assert set(behaviors) == {"metadata/*", "targets/*", "plugins/*"}
        assert not any("FunctionAssociations" in each for each in behaviors.values())
        plain = behaviors["plugins/*"]
        assert plain["Compress"] is False
        policy = found["Resources"][plain["CachePolicyId"]["Ref"]]["Properties"]["CachePolicyConfig"]
        parameters = policy["ParametersInCacheKeyAndForwardedToOrigin"]
        assert not parameters["EnableAcceptEncodingGzip"]
        assert not parameters["EnableAcceptEncodingBrotli"]


def test_only_readers_get_at_a_private_realm(config: RegistryConfig) -> None:
    """Attack: somebody without a signed cookie asks the distribution of a private realm."""
    found = template(config)[1]
    team = resource_id("acme-team")
    said = found["Resources"][f"{team}Distribution"]["Properties"]["DistributionConfig"]
    for behavior in (said["DefaultCacheBehavior"], *said["CacheBehaviors"]):
        assert behavior["TrustedKeyGroups"] == [{"Ref": f"{team}KeyGroup"}]
    assert "HostsDistribution" not in found["Resources"]  # IAM principals read from S3
    assert "cloudfront" not in json.dumps(found["Resources"]["HostsBucketPolicy"])


def test_a_private_realm_without_readers_is_refused(tree: Tree) -> None:
    """Attack: a template of a realm whose readers were forgotten would serve it to everybody."""
    config = configured(
        tree, REALMS.replace("[realms.acme-team.readers]", "[realms.other]\nstorage = 's3://o'\n[realms.other.readers]")
    )
    with pytest.raises(UsageError, match=r"realms\.acme-team\.readers is missing") as refused:
        account_template(config, WISH)
    assert "key_group" in refused.value.message


def test_logs_say_nothing_of_who_asked(config: RegistryConfig) -> None:
    deliveries = of_type(template(config)[1], "AWS::Logs::Delivery")
    assert len(deliveries) == 2
    for delivery in deliveries.values():
        assert tuple(delivery["Properties"]["RecordFields"]) == LOG_FIELDS
    assert not {"c-ip", "x-forwarded-for", "c-country", "cs(Cookie)", "asn"} & set(LOG_FIELDS)


def test_its_logs_are_what_downloads_are_counted_by() -> None:
    read = reader_for(f"#Fields: {' '.join(LOG_FIELDS)}")
    assert read(f"#Fields: {' '.join(LOG_FIELDS)}") is None
    values = [
        "2026-11-29",
        "08:00:00",
        "GET",
        "/plugins/acme/slack/1.0.0/slack.zip",
        "206",
        "4096",
        "0",
        "sealdex/0.2.0",
        "Ab",
    ]
    answer = read("\t".join(values))
    assert answer is not None
    assert (answer.path, answer.status, answer.start, answer.says_ranges, answer.id) == (values[3], 206, 0, True, "Ab")


def test_elsewhere_than_in_us_east_1_there_are_no_logs_and_it_says_so(tree: Tree) -> None:
    config = configured(tree, '\n[realms.public]\nstorage = "s3://acme?region=eu-central-1"\n')
    made, found = template(config, StackWish())
    assert made.region == "eu-central-1"
    assert found["Rules"]["Region"]["Assertions"][0]["Assert"] == {
        "Fn::Equals": [{"Ref": "AWS::Region"}, "eu-central-1"]
    }
    assert not of_type(found, "AWS::Logs::Delivery")
    assert "us-east-1 alone" in " ".join(made.notes)
    assert "Certificate" not in made.text
    assert made.parameters == ("GitHubOwner", "GitHubRepository", "GitHubOwnerId", "GitHubRepositoryId")


def test_pages_have_the_policy_that_the_guide_gives() -> None:
    guide = (REPOSITORY / "docs/site.md").read_text()
    (said,) = re.findall(r"Content-Security-Policy: (.*)", guide)
    stack = (REPOSITORY / "registry_builder/authoring/cloud/stack.py").read_text()
    assert said in stack.replace('"\n    "', "")


def test_names_of_resources_are_of_the_realm_alone_and_never_meet() -> None:
    names = ["a-b", "a.b", "a_b", "ab", "public", "log", "accesslog", "pages", "github", "packages", "a1", "a-1"]
    found = [resource_id(name) for name in names]
    assert len(set(found)) == len(names)
    assert all(each.isalnum() and each.isascii() for each in found)
    assert (resource_id("public"), resource_id("a-b")) == ("Public", "ABXd44362")


# --- the Model Hub's addresses ---------------------------------------------------------------------------------------


@pytest.fixture
def hub(config: RegistryConfig) -> RegistryConfig:
    public = structs.replace(config.realms["public"], key_value_store=ARN)
    return structs.replace(config, api=ApiSection(model_hub=True), realms={**config.realms, "public": public})


def test_its_function_finds_files_by_a_store_that_the_publisher_keeps(
    hub: RegistryConfig, config: RegistryConfig
) -> None:
    made, raw = template(hub)
    stack = {**made_by_stack(hub), "PublicHubStore.Arn": ARN}
    found = resolved(raw, stack)["Resources"]
    team = resource_id("acme-team")
    assert set(of_type(raw, "AWS::CloudFront::KeyValueStore")) == {"PublicHubStore", f"{team}HubStore"}
    function = found["PublicHub"]["Properties"]
    assert function["FunctionConfig"]["KeyValueStoreAssociations"] == [{"KeyValueStoreARN": ARN}]
    assert function["FunctionCode"] == (TEMPLATES / "aws/model_hub.js").read_text()
    assert re.search(r"['\"]Action['\"]: \[['\"]cloudfront-keyvaluestore", json.dumps(found["PublicPublisherRole"]))
    assert [each["PolicyDocument"] for each in found["PublicPublisherRole"]["Properties"]["Policies"]] == [
        printed(hub, "public", "publisher")
    ]
    for others in ("PublicRefresherRole", f"{team}ValidatorsRole"):
        assert "keyvaluestore" not in json.dumps(found[others])
    assert raw["Outputs"]["PublicHubStore"]["Value"] == {"Fn::GetAtt": "PublicHubStore.Arn"}
    names = [function["Name"], found["PublicHubStore"]["Properties"]["Name"], found["Pages"]["Properties"]["Name"]]
    assert names[0] == names[1] != names[2]
    assert len(made.text) - len(template(config)[0].text) < 12_000


def test_only_readers_get_at_the_addresses_of_a_private_realm(hub: RegistryConfig) -> None:
    """Attack: somebody without a signed cookie asks for a private service by the Model Hub's address."""
    found = template(hub)[1]["Resources"]
    for start in ("Public", resource_id("acme-team")):
        said = found[f"{start}Distribution"]["Properties"]["DistributionConfig"]
        behaviors = {each["PathPattern"]: each for each in said["CacheBehaviors"]}
        assert list(behaviors)[-3:] == ["storage/*", "api/services*", "api/models*"]
        for pattern in list(behaviors)[-3:]:
            each = behaviors[pattern]
            (association,) = each["FunctionAssociations"]
            assert association["FunctionARN"] == {"Fn::GetAtt": f"{start}Hub.FunctionMetadata.FunctionARN"}
            assert each.get("TrustedKeyGroups") == said["DefaultCacheBehavior"].get("TrustedKeyGroups")
            assert each["Compress"] is (pattern != "storage/*")  # a compressed answer has a weak ETag: nothing resumes
            assert each["CachePolicyId"] == {"Ref": "PlainCachePolicy" if pattern == "storage/*" else "CachePolicy"}
    assert "HostsHub" not in found  # its readers ask S3, which rewrites nothing


# --- the linter ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_cfn_lint_finds_nothing(tree: Tree, tmp_path: Path) -> None:
    program = shutil.which("cfn-lint", path=str(Path(sys.executable).parent))
    if program is None and os.environ.get("PINS") == "lowest":
        pytest.skip("cfn-lint wants newer packages than the oldest that we work with")
    if program is None:
        missing("cfn-lint", "make setup")
    config = configured(tree, REALMS)
    files = []
    for name, wish in {
        "all": StackWish(kms=True, recovery=True, validators=True),
        "public": StackWish(realms=("public",), repository="acme/plugins", owner_id=1, repository_id=2),
        "hosts": StackWish(realms=("hosts",)),
        "hub": StackWish(kms=True),
    }.items():
        files.append(tmp_path / f"{name}.yaml")
        said = structs.replace(config, api=ApiSection(model_hub=name == "hub"))
        files[-1].write_text(account_template(said, wish).text)
    broken = tmp_path / "broken.yaml"  # in the same run: the linter takes longer to start than to read
    broken.write_text(files[1].read_text().replace("HttpVersion: http2and3", "HttpVersion: http9"))
    command = [str(program), "--format", "parseable", *map(str, files), str(broken)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    (found,) = done.stdout.splitlines()
    assert found.startswith(f"{broken}:")
    assert "http9" in found
    assert done.stderr == ""


# --- the function of pages -------------------------------------------------------------------------------------------

UNCHANGED = [
    "/metadata/", "/metadata/timestamp.json", "/metadata/sub/", "/targets/", "/targets/index/acme/", "/plugins/",
    "/plugins/acme/slack/1.0.0/", "/plugins", "/metadata", "/%6Detadata/", "/metadata%2F", "/api/", "/assets/",
    "/search.html", "/acme/slack/feed.xml", "/404.html", "/acme/slack/1.0.0", "/%E4%B8%AD%E6%96%87", "/%zz/", "/%ff/",
    "/a%5Cb.html%", "/favicon.ico",
]  # fmt: skip
PAGES = {
    "/": "/index.html",
    "/acme/": "/acme/index.html",
    "/acme/slack/": "/acme/slack/index.html",
    "/acme/slack/1.0.0/": "/acme/slack/1.0.0/index.html",
    "/%E4%B8%AD%E6%96%87/": "/%E4%B8%AD%E6%96%87/index.html",
    "/Metadata/": "/Metadata/index.html",
    "/metadata-of-mine/": "/metadata-of-mine/index.html",
    "/acme/metadata/": "/acme/metadata/index.html",
    "/a%20b/": "/a%20b/index.html",
}
MOVED = {"/acme": "/acme/", "/acme/slack": "/acme/slack/", "/verify": "/verify/"}
STRANGE = [
    "//", "//evil.example", "//evil.example/", "/acme//slack/", "/..", "/../", "/acme/../metadata/", "/./", "/.",
    "/%2e%2e/", "/acme/%2E%2E/targets/", "/%2F", "/%2Fevil.example/", "/\\evil.example", "/%5Cevil.example", "/a%00/",
    "/a%0d%0aSet-Cookie:x/", "/metadata//", "/metadata/../plugins/",
]  # fmt: skip


def test_the_function_appends_index_html_to_pages_and_to_nothing_else(tmp_path: Path) -> None:
    paths = [*UNCHANGED, *PAGES, *MOVED, *STRANGE]
    for engine in edge_answers(TEMPLATES / "aws/pages.js", paths, None, tmp_path).values():
        answers = dict(zip(paths, engine, strict=True))
        for path in UNCHANGED:
            assert answers[path]["answer"].get("uri") == path
            assert answers[path]["same"]
        for path, page in PAGES.items():
            assert answers[path]["answer"].get("uri") == page
        for path, target in MOVED.items():
            assert answers[path]["answer"]["statusCode"] == 301
            assert answers[path]["answer"]["headers"]["location"]["value"] == target
        for path in STRANGE:
            assert answers[path]["answer"]["statusCode"] == 404, path
        assert {each["query"] for each in answers.values()} == {'{"q":{"value":"a b/"}}'}


def test_the_function_in_the_template_is_the_one_that_was_tried(config: RegistryConfig) -> None:
    code = template(config)[1]["Resources"]["Pages"]["Properties"]["FunctionCode"]
    assert code == (TEMPLATES / "aws/pages.js").read_text()
    assert len(code) < 10_000  # CloudFront's limit
    assert not re.search(r"\b(?:let|const|class|async|import|require)\b", re.sub(r"//.*", "", code))  # of any runtime


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("storage", "url", "said"),
    [
        ("s3://acme.plugins", None, ["'acme.plugins'", "a dot breaks HTTPS"]),
        ("s3://ab", None, ["'ab'", "3 to 63"]),
        ("s3://acme/插件", None, ["prefix '插件'"]),
        ("s3://acme/team-*", None, ["prefix 'team-*'"]),
        ("s3://acme/${x}", None, ["prefix '${x}'"]),
        ("s3://acme?endpoint_url=http://127.0.0.1:9", None, ["endpoint_url"]),
        ("s3://acme?region=cn-north-1", None, ["cn-north-1", "aws-cn"]),
        ("s3://acme?region=us-gov-west-1", None, ["us-gov-west-1", "aws-us-gov"]),
        ("s3://acme?region=us-east-1%22%0A", None, ["which is not a region"]),
        ("s3://acme", "http://plugins.example.org/", ["https://"]),
        ("s3://acme", "https://plugins.example.org/registry/", ["no path"]),
        ("s3://acme", "https://u@plugins.example.org:8443/?a#b", ["neither port"]),
        ("s3://acme", "https://插件.例子/", ["xn--5nq612c.xn--fsqu00a"]),
        ("s3://acme", "https://-a.example/", ["not a name in DNS"]),
        ("s3://acme", "https://a.example:99999/", ["Port out of range"]),
        ("s3://a.b/*", "http://[::1/x", ["'a.b'", "prefix '*'", "realms.public.url is http://[::1/x"]),
        ("folder:published", None, ["the template is for realms in S3"]),
    ],
)
def test_what_a_template_can_not_hold_is_named(tree: Tree, storage: str, url: str | None, said: list[str]) -> None:
    config = read_config(tree.root)
    config = structs.replace(config, realms={"public": RealmSection(storage=storage, url=url)})
    with pytest.raises(UsageError) as refused:
        account_template(config, StackWish(realms=("public",)))
    for each in said:
        assert each in refused.value.message
    assert refused.value.untouched == "nothing was written"


def test_realms_that_can_not_share_are_named_all_at_once(tree: Tree) -> None:
    shared = REALMS.replace("s3://acme-team", "s3://acme-plugins/team").replace("team.example", "plugins.example")
    shared = shared.replace('"s3://acme-hosts"', '"s3://acme-hosts?region=eu-west-1"')
    with pytest.raises(UsageError) as refused:
        account_template(configured(tree, shared), WISH)
    for each in ("in bucket acme-plugins", "have one host, plugins.example.org", "hosts in eu-west-1"):
        assert each in refused.value.message


@pytest.mark.parametrize(
    "repository", ["acme", "a/b/c", "acme/", 'a"c/x', "acme/x y", "acme/${x}", "acme/..", "公司/x"]
)
def test_what_is_not_a_repository_is_refused(tree: Tree, capsys: pytest.CaptureFixture[str], repository: str) -> None:
    configured(tree, REALMS)
    assert call(tree.root, "cloud", "template", "--repository", repository, "--owner-id", "0") == 2
    said = capsys.readouterr().err
    assert "--repository" in said
    assert "--owner-id 0" in said


# --- the command -----------------------------------------------------------------------------------------------------


def test_the_command_prints_or_writes_the_template(
    tree: Tree, tmp_path: Path, capsys: pytest.CaptureFixture[str], config: RegistryConfig
) -> None:
    asked = ("cloud", "template", "--realm", "public", "--repository", "acme/plugins")
    assert call(tree.root, *asked) == 0
    shown = capsys.readouterr()
    wish = StackWish(realms=("public",), repository="acme/plugins")
    assert shown.out == account_template(config, wish).text
    assert "next: aws cloudformation deploy --region us-east-1 --stack-name sealdex-" in shown.err
    assert "GitHubOwnerId=$(gh api repos/acme/plugins --jq .owner.id)" in shown.err
    found = document(tree.root, capsys, *asked, "--output", tmp_path / "a/stack.yaml")
    assert (tmp_path / "a/stack.yaml").read_text() == shown.out
    assert found["template"] is None
    assert found["realms"] == ["public"]
    assert found["parameters"] == ["GitHubOwnerId", "GitHubRepositoryId", "PublicCertificate"]
    assert found["notes"] == ["not in the template: acme-team, hosts"]
    assert len(found["next"]) == 3
    assert call(tree.root, "cloud", "template", "--realm", "nobody") == 3
