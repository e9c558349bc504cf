"""CloudFront's key value store of the Model Hub's addresses follows each publish; what it missed is repaired."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from support.key_value_store import ARN, KEYS, KeyValueStore, key_value_store
from support.source_trees import Tree, ids

from registry_builder.publication import _hub_store
from registry_builder.publication._hub_store import MARK, MAX_CHANGES, changes, digest_of, fitting
from registry_builder.publication._sigv4a import AwsKeys, signed_headers, signing_key, string_to_sign
from registry_builder.publication.publish import PublishResult, open_publisher, publish_realm
from registry_builder.site.static_api.rewrites import read_table
from sealdex.errors import ConfigError

UNCHANGED = ["GET ", f"GET /keys/{MARK}"]


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[KeyValueStore]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEYS.id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEYS.secret)
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    with key_value_store() as (made, address):
        monkeypatch.setattr(_hub_store, "_endpoint", lambda _: address)
        yield made


@pytest.fixture
def tree(tree: Tree) -> Tree:
    config = tree.root / "registry.toml"
    line = f'[realms.public]\nkey_value_store = "{ARN}"\n'
    config.write_text(config.read_text().replace("[realms.public]\n", line) + "\n[api]\nmodel_hub = true\n")
    tree.plugin("hub/nmt", type="service")
    release(tree, "1.0.0")
    return tree


def release(tree: Tree, version: str) -> None:
    with zipfile.ZipFile(data := io.BytesIO(), "w") as archive:
        archive.writestr(zipfile.ZipInfo("nmt.py"), version)
    source, size = f"plugins/hub/nmt/dist/nmt-{version}.zip", len(data.getvalue())
    (tree.root / source).parent.mkdir(parents=True, exist_ok=True)
    (tree.root / source).write_bytes(data.getvalue())
    digest = hashlib.sha256(data.getvalue()).hexdigest()
    tree.release("hub/nmt", version, artifacts=[{"source": source, "sha256": digest, "size": size}])


def publish(tree: Tree, *only: str) -> PublishResult:
    publisher = open_publisher(tree.load(*only), "public", use_memory=False)
    return publish_realm(publisher, only=ids(*only) or None)


def table(tree: Tree) -> dict[str, str]:
    return read_table((tree.root.parent / "published/public/api/rewrites/model-hub.json").read_bytes())


def holds(store: KeyValueStore, tree: Tree) -> bool:
    said = table(tree)
    return store.data == {**said, MARK: digest_of(said)}


def asked(store: KeyValueStore) -> list[str]:
    done, store.asked = store.asked, []
    return done


def test_the_store_follows_each_complete_publish(tree: Tree, store: KeyValueStore) -> None:
    assert publish(tree).warnings == []
    assert holds(store, tree)
    assert asked(store) == [*UNCHANGED, "GET /keys", "POST /keys"]
    release(tree, "1.1.0")
    assert publish(tree).warnings == []
    assert holds(store, tree)
    assert asked(store) == [*UNCHANGED, "POST /keys"]  # it held what was published before, so nothing is listed
    assert store.data["/storage/services/nmt/latest.zip"].endswith("/1.1.0.zip")
    assert publish(tree).warnings == []
    assert asked(store) == UNCHANGED
    release(tree, "1.2.0")
    assert publish(tree, "hub/nmt").warnings == []
    assert asked(store) == []  # nor are pages of all written by --only
    publish(tree)
    assert holds(store, tree)
    config = tree.root / "registry.toml"
    config.write_text(config.read_text().replace("model_hub = true", "model_hub = false"))
    publish(tree)
    assert store.data == {MARK: digest_of({})}  # what was switched off leads nowhere


def test_a_store_that_lags_is_a_warning_and_the_next_publish_repairs_it(tree: Tree, store: KeyValueStore) -> None:
    publish(tree)
    release(tree, "1.1.0")
    store.refuses = 403
    result = publish(tree)
    assert result.committed
    (warning,) = result.warnings
    assert "refused (403): User is not authorized" in warning
    assert "until a complete publish succeeds" in warning
    assert not holds(store, tree)
    store.refuses = None
    asked(store)
    assert publish(tree).warnings == []
    assert holds(store, tree)
    assert asked(store) == [*UNCHANGED, "GET /keys", "POST /keys"]


def test_a_refusal_that_is_a_page_of_a_proxy_has_no_reason() -> None:
    assert _hub_store._why(b"<html>denied</html>") == "the answer is not JSON: a proxy may have given it"
    assert _hub_store._why(b'{"Message": "denied"}') == "denied"


def test_a_store_that_somebody_edited_is_repaired_once_its_mark_is_gone(tree: Tree, store: KeyValueStore) -> None:
    publish(tree)
    store.data = {"/storage/services/nmt/1.0.0.zip": "/elsewhere", "/storage/other": "/x"}
    publish(tree)
    assert holds(store, tree)


def test_a_publish_that_was_cut_off_between_two_batches_is_repaired(tree: Tree, store: KeyValueStore) -> None:
    for number in range(MAX_CHANGES + 10):
        release(tree, f"2.{number}.0")
    store.changes_left = 1
    (warning,) = publish(tree).warnings
    assert "refused (500)" in warning or "did not answer" in warning
    assert len(store.data) == MAX_CHANGES
    assert MARK not in store.data
    store.changes_left = 1000
    assert publish(tree).warnings == []
    assert holds(store, tree)


def test_of_two_publishers_at_once_the_newest_table_stays(tree: Tree, store: KeyValueStore) -> None:
    def other() -> None:
        store.before_change = lambda: None
        store.version += 1  # another publisher, which was a moment faster
        store.data["/storage/services/nmt/0.9.0.zip"] = "/plugins/old"

    store.before_change = other
    assert publish(tree).warnings == []
    assert holds(store, tree)
    release(tree, "1.1.0")
    store.before_change = lambda: setattr(store, "version", store.version + 1)
    (warning,) = publish(tree).warnings
    assert "kept changing" in warning


@pytest.mark.parametrize("secret", [None, "another-secret"])
def test_without_the_right_key_it_is_a_warning(
    tree: Tree, store: KeyValueStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Any, secret: str | None
) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    if secret is not None:
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    else:
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
            monkeypatch.setenv(name, str(tmp_path / "none"))
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    result = publish(tree)
    assert result.committed
    assert ("no credentials" if secret is None else "refused (403)") in result.warnings[0]
    assert store.data == {}


def test_what_is_too_long_for_the_store_is_named(tree: Tree, store: KeyValueStore) -> None:
    long, wide = f"/storage/{'a' * 510}", "/storage/models/b"
    assert fitting({long: "x", wide: "/" + "y" * 1020, "/storage/c": "z"}) == ({"/storage/c": "z"}, [long, wide])
    tree.plugin("hub/voice", type="service")
    source = f"https://models.example/{'a' * 1000}/voice.zip"
    tree.release("hub/voice", "1.0.0", artifacts=[{"source": source, "sha256": "a" * 64, "size": 9}])
    (warning,) = publish(tree).warnings
    assert "no room for 1 address: /storage/services/voice/1.0.0.zip" in warning
    assert source not in str(store.data)
    assert "/storage/services/nmt/1.0.0.zip" in store.data


def test_another_arn_than_a_store_s_is_refused(tree: Tree) -> None:
    config = tree.root / "registry.toml"
    config.write_text(config.read_text().replace(ARN, "arn:aws:s3:::bucket"))
    with pytest.raises(ConfigError, match=r"realms\.public\.key_value_store"):
        tree.load()


# --- decided purely ---------------------------------------------------------------------------------------------------

NAMES = st.sampled_from([f"/storage/services/{n}/{v}.zip" for n in "ab" for v in ("1.0.0", "latest")])
TABLES = st.dictionaries(
    NAMES | st.integers(0, 120).map(lambda n: f"/storage/services/c/{n}.zip"), st.sampled_from("xy")
)


@given(TABLES, TABLES, st.booleans())
def test_wherever_it_is_cut_off_a_mark_is_true(held: dict[str, str], wanted: dict[str, str], marked: bool) -> None:
    data = {**held, MARK: digest_of(held)} if marked else dict(held)
    for puts, deletes in changes(dict(data), wanted):
        assert 1 <= len(puts) + len(deletes) <= MAX_CHANGES
        assert not set(deletes) - set(data)
        data = {key: value for key, value in data.items() if key not in deletes} | puts
        rest = {key: value for key, value in data.items() if key != MARK}
        assert MARK not in data or data[MARK] == digest_of(rest)
    assert data == {**wanted, MARK: digest_of(wanted)}


# What AWS's own signer (awscrt 0.38) signed with these keys at this moment. An ECDSA signature is random, so that it
# verifies says that both signed the same text with the same key pair.
SIGNED = {
    "30460221009110acfccd9bc0ab4040ecbb3edc8e9973e403583be02e7cf22428f071f386450221"
    "009e1637f1672031207f5c04f774de40c5b9879ebb38dd9bf3227f8e11a5212d8c": (
        "POST", "/keys", {"if-match": "ABC", "content-type": "application/json"}, b'{"Puts":[]}', "token/with=",
    ),
    "304402206430dafd9fc007ff67b849fb082bbeaef0b292e9687d1dff7c72e69f9c274cbb0220"
    "5151a44f40a9707daa7e3549dacc4f77125c7648120d26f3fabc3588bb4cb3ff": (
        "GET", "/keys/%2Fstorage%2Fservices%2Fa%20b%2F%E4%B8%AD", {}, b"", "token",
    ),
    "304502203abe29c75327513ba821e9fc97ee84ec35c48267fb32606c2fdf23c2010fbe610221"
    "00a2d32da8c206a05f0a43c998f07cffffcce07703f5dc812a87ac3c53e7f74747": (
        "GET", "/keys?MaxResults=50&NextToken=a%2Bb%3D", {}, b"", None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("signature", SIGNED)
def test_it_signs_what_aws_s_own_signer_signs(signature: str) -> None:
    method, path, headers, body, token = SIGNED[signature]
    place = f"https://123456789012.cloudfront-kvs.global.api.aws/key-value-stores/{ARN}"
    url = place.replace(ARN, ARN.replace(":", "%3A").replace("/", "%2F")) + path
    keys = AwsKeys(KEYS.id, KEYS.secret, token)
    now = datetime(2026, 11, 29, 15, 0, 5, tzinfo=timezone.utc)
    service = "cloudfront-keyvaluestore"
    said = signed_headers(method, url, headers, body, service=service, keys=keys, now=now)
    credential, names, _ = said.pop("authorization").split(", ")
    assert credential == "AWS4-ECDSA-P256-SHA256 Credential=AKIDEXAMPLE/20261129/cloudfront-keyvaluestore/aws4_request"
    assert names == f"SignedHeaders={';'.join(sorted(said))}"
    assert said["x-amz-region-set"] == "*"
    text, _ = string_to_sign(method, url, said, body, service=service, moment="20261129T150005Z")
    signing_key(keys).public_key().verify(bytes.fromhex(signature), text.encode(), ec.ECDSA(hashes.SHA256()))


def test_it_is_in_the_dry_run_s_json_as_ever(tree: Tree, store: KeyValueStore) -> None:
    publisher = open_publisher(tree.load(), "public", use_memory=False)
    assert json.dumps(publish_realm(publisher, dry_run=True).warnings) == "[]"
    assert store.asked == []
