"""Keys, the folder that they are in, and the construction and signing of TUF roles.

    keystore            the key folder: the location of private key files
    signers             signers by URI, each loaded once, on first use
    passphrase          where a key's passphrase comes from
    key_registration    creates keys, and writes public halves into registry.toml
    key_check           which keys of the online roles can sign here
    dev_keys            development keys and a first trust root
    metadata            TUF roles from the configuration, unsigned
    role_signing        signs a role with the keys that its delegator trusts
    offline_metadata    trust/: metadata signed offline, and committed

On disk, outside the source tree (~/.local/share without XDG_DATA_HOME; $SEALDEX_KEYS replaces the folder)::

    $XDG_DATA_HOME/sealdex-builder/keys/<registry.name>-<registry.id>/
        root-1.pem      one PEM file (PKCS #8) per key, mode 0600, in a folder of mode 0700

and in the source tree, committed::

    trust/<realm>/<N>.root.json, <N>.targets.json, <N>.ns-<namespace>.json
"""

from sealdex.lazy import exports

TYPE_CHECKING = False  # as type checkers read it, without the import
if TYPE_CHECKING:
    from registry_builder.signing.dev_keys import check_key_place, make_dev_trust
    from registry_builder.signing.key_check import RoleKeys, check_online_keys
    from registry_builder.signing.key_registration import create_key, import_key, register_keys
    from registry_builder.signing.keystore import FILE_SCHEME, key_file
    from registry_builder.signing.offline_metadata import has_trust, trust_folder, without_trust_hint
    from registry_builder.signing.passphrase import find_passphrase
    from registry_builder.signing.signers import Keyring
else:
    __getattr__, __dir__ = exports(__name__, {
        "dev_keys": ("check_key_place", "make_dev_trust"),
        "key_check": ("RoleKeys", "check_online_keys"),
        "key_registration": ("create_key", "import_key", "register_keys"),
        "keystore": ("FILE_SCHEME", "key_file"),
        "offline_metadata": ("has_trust", "trust_folder", "without_trust_hint"),
        "passphrase": ("find_passphrase",),
        "signers": ("Keyring",),
    })  # fmt: skip

__all__ = [
    "FILE_SCHEME",
    "Keyring",
    "RoleKeys",
    "check_key_place",
    "check_online_keys",
    "create_key",
    "find_passphrase",
    "has_trust",
    "import_key",
    "key_file",
    "make_dev_trust",
    "register_keys",
    "trust_folder",
    "without_trust_hint",
]
