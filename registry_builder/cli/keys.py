"""``keys create|add|list|show|check``: signing keys, whose private halves stay outside the source tree."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from registry_builder import signing, source
from registry_builder.cli.markdown import keys_markdown
from registry_builder.cli.options import REALMS, SUMMARY, append, example, prompt_for_passphrase, tree_of
from registry_builder.cli.realms import realms_named, tree_without_plugins
from sealdex.cli.group import LazyGroup, output_of, output_options
from sealdex.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from registry_builder.signing.key_registration import KeyKind
    from registry_builder.source.config import KeySection, RegistryConfig

_KINDS: tuple[KeyKind, ...] = ("ed25519", "ecdsa-p256", "rsa-pss")


@click.group(cls=LazyGroup, epilog=example("sealdex-builder keys create root-3", "sealdex-builder keys list"))
@output_options
def keys() -> None:
    """Create and list signing keys.

    A private key is a file in $SEALDEX_KEYS, or in ~/.local/share/sealdex-builder/keys/NAME-ID/, never in the source
    tree. registry.toml has the public halves, and for each key a URI that says where the private half is.
    """


@keys.command(
    epilog=example(
        "sealdex-builder keys create root-3",
        "SEALDEX_KEY_PASSPHRASE_FILE=pass.txt sealdex-builder keys create online-2 --kind ecdsa-p256",
    )
)
@click.argument("name")
@click.option("--kind", type=click.Choice(_KINDS), default="ed25519", show_default=True, help="The algorithm.")
@click.option("--unencrypted", is_flag=True, help="Without a passphrase: for development keys only.")
@output_options
@click.pass_context
def create(ctx: click.Context, name: str, kind: KeyKind, unencrypted: bool) -> None:
    """Create key NAME and write its public half into registry.toml.

    The private half is encrypted with a passphrase: from a prompt, from the file named by
    $SEALDEX_KEY_PASSPHRASE_FILE, or from $SEALDEX_KEY_PASSPHRASE; never from an argument. No role trusts the key yet.
    """
    out, tree = output_of(ctx), tree_of(ctx)
    config = source.read_config(tree)
    passphrase = None if unencrypted else _new_passphrase(name)
    section, path = signing.create_key(tree, config, name, kind=kind, passphrase=passphrase)
    signing.register_keys(tree, {name: section})
    out.line(f"created key {name}: {path}")
    out.line(f"wrote [keys.{name}] to registry.toml: commit it")
    out.note(
        "no role trusts it yet: that needs a ceremony, signed with current keys: sealdex-builder ceremony start NAME"
    )
    out.result({"name": name, "file": path, **_public(section)})


@keys.command(
    epilog=example(
        "PYKCS11LIB=/usr/lib/softhsm/libsofthsm2.so sealdex-builder keys add root-4 'hsm:2?label=root'",
        "sealdex-builder keys add online-3 awskms:alias/sealdex-online",
        "sealdex-builder keys add online-4 env:SEALDEX_ONLINE_KEY",
        "sealdex-builder keys add kim \\",
        "  'sigstore:?identity=kim@example.org&issuer=https://github.com/login/oauth&ambient=false'",
    )
)
@click.argument("name")
@click.argument("uri")
@output_options
@click.pass_context
def add(ctx: click.Context, name: str, uri: str) -> None:
    """Write the public half of a key that exists elsewhere into registry.toml, as key NAME.

    URI says where it is: a PKCS#11 token (hsm:, an EC key; $PYKCS11LIB is the token's module), AWS KMS (awskms:), or
    an environment variable with a PEM file (env:), as in CI. A PIN is read like a passphrase.
    A Sigstore identity (sigstore:) has no stored key: whoever can log in with it can sign. Clients need
    sealdex[sigstore] to verify such signatures, and other TUF clients can't read metadata that lists it.
    """
    out, tree = output_of(ctx), tree_of(ctx)
    section = signing.import_key(source.read_config(tree), name, uri, prompt=prompt_for_passphrase())
    signing.register_keys(tree, {name: section})
    out.line(f"wrote [keys.{name}] to registry.toml: {section.scheme}, {section.uri}; commit it")
    out.note("no role trusts it yet: sealdex-builder ceremony start NAME --keys ROLE=...")
    out.result({"name": name, **_public(section)})


@keys.command(name="list", epilog=example("sealdex-builder keys list", "sealdex-builder keys list --json"))
@output_options
@click.pass_context
def list_(ctx: click.Context) -> None:
    """List the keys of registry.toml: their roles, and whether they can sign on this machine."""
    out, tree = output_of(ctx), tree_of(ctx)
    config = source.read_config(tree)
    keyring = signing.Keyring(config, tree)
    documents = []
    for name, section in config.keys.items():
        reach = keyring.reach(name)
        documents.append(
            {
                "name": name,
                "roles": _roles(config, name),
                "here": reach.here,
                "reason": reach.reason,
                **_public(section),
            }
        )
    out.table(
        ("key", "roles", "kind", "here", "keyid"),
        [
            (d["name"], ", ".join(d["roles"]) or "-", d["scheme"], "yes" if d["here"] else "no", d["keyid"][:16])
            for d in documents
        ],
        worded=("here",),
    )
    out.result({"keys": documents})


@keys.command(epilog=example("sealdex-builder keys show root-1"))
@click.argument("name")
@output_options
@click.pass_context
def show(ctx: click.Context, name: str) -> None:
    """Show the public half of key NAME, and where its private half is expected."""
    out, tree = output_of(ctx), tree_of(ctx)
    config = source.read_config(tree)
    section = config.keys.get(name)
    if section is None:
        raise NotFoundError(
            f"key '{name}' is not in registry.toml; keys are {', '.join(config.keys) or 'none'}", subject=name
        )
    reach = signing.Keyring(config, tree).reach(name)
    path = signing.key_file(section.uri, config, tree) if section.uri.startswith(signing.FILE_SCHEME) else None
    here = "yes" if reach.here else "no"
    out.line(f"key {name}: {section.scheme}, for {', '.join(_roles(config, name)) or 'no role'}")
    out.line(f"keyid {section.keyid}")
    out.line(f"uri {section.uri}" + (f" ({path})" if path else ""))
    out.line(f"can sign here: {here}" + (f" ({reach.reason})" if reach.reason else ""))
    out.block(section.public or f"{section.identity}, vouched for by {section.issuer}")
    out.result(
        {
            "name": name,
            "roles": _roles(config, name),
            "file": path,
            "here": reach.here,
            "reason": reach.reason,
            **_public(section),
        }
    )


@keys.command(epilog=example("sealdex-builder keys check", "sealdex-builder keys check --realm public --json"))
@REALMS
@SUMMARY
@output_options
@click.pass_context
def check(ctx: click.Context, realms: tuple[str, ...], summary: Path | None) -> int:
    """Sign a few bytes with each key of the online roles, and list the keys that can't sign here.

    Run it where publishing runs. Exits 1 if a role lacks keys. The signatures are discarded. With --summary, only
    missing keys are written, and nothing if all can sign.
    """
    out, tree = output_of(ctx), tree_of(ctx)
    named = realms_named(tree_without_plugins(tree), realms)
    found = signing.check_online_keys(
        tree, signing.Keyring(source.read_config(tree), tree, prompt=prompt_for_passphrase()), named
    )
    out.table(
        ("realm", "role", "needs", "can sign", ""),
        [
            (
                role.realm,
                role.role,
                str(role.threshold),
                ", ".join(role.able) or "-",
                "" if role.can_sign else "LACKS KEYS",
            )
            for role in found
        ],
        worded=("",),
    )
    for name, reason in {name: reason for role in found for name, reason in role.missing.items()}.items():
        out.warn(f"{name}: {reason}")
    if markdown := keys_markdown(found):
        append(summary, markdown)
    complete = all(role.can_sign for role in found)
    out.result(
        {
            "complete": complete,
            "roles": [
                {
                    "realm": role.realm,
                    "role": role.role,
                    "threshold": role.threshold,
                    "can_sign": role.can_sign,
                    "able": list(role.able),
                    "missing": dict(role.missing),
                }
                for role in found
            ],
        }
    )
    return 0 if complete else 1


def _new_passphrase(name: str) -> bytes:
    say = output_of(click.get_current_context()).say

    def twice(question: str) -> str:
        again = say("Repeat for confirmation")
        return str(click.prompt(say(question), hide_input=True, confirmation_prompt=again, err=True))

    passphrase = signing.find_passphrase(name, twice if sys.stdin.isatty() else None)
    if not passphrase:
        raise UsageError(
            "the passphrase is empty",
            untouched="no key was created",
            hint="for a development key: --unencrypted",
        )
    return passphrase


def _roles(config: RegistryConfig, name: str) -> list[str]:
    return [role for role, section in config.roles.items() if name in section.keys]


def _public(section: KeySection) -> dict[str, Any]:
    return {
        "uri": section.uri,
        "keyid": section.keyid,
        "keytype": section.keytype,
        "scheme": section.scheme,
        "public": section.public,
        "identity": section.identity,
        "issuer": section.issuer,
    }


__all__ = ["keys"]
