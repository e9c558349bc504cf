"""The configuration of a host: ``config.toml``, variables, options, credentials and the labels of the host.

    config                a host's configuration as it holds for one run
    document              what config.toml says, and what is wrong with it
    layers                where a setting comes from: default, file, variable, option
    credentials           credentials of private registries: who gets them, and why they were refused
    secret_references     secrets in the configuration of plugins, by reference
    s3_signer             signing requests to S3
    _owner                whose credentials are meant
    _sources              what each type of auth sends
    _grants               what is sent, made of a token, a user and password, cookies, a query
    _helper               credential helpers: programs that print a token
    _keyring              the system's keyring
    _secret_places        reading a variable, a file, netrc
    _refusals             what is said of credentials that are missing, wrong or expired; pure
    _expiry               when credentials expire, as far as they say so
    attestation_policy    whose Sigstore bundles are accepted for which namespaces
    host_facts            what can be found out about this host: C library, CPUs, GPUs
    environment_file      the environments of other hosts, from JSON
    edit                  adding and removing a registry in config.toml; all else stays byte for byte
    toml_reader           TOML that people and tools write, as text
    toml_writer           writing TOML; pure

On disk: ``config.toml`` where `sealdex.paths.config_file` says, written by people and by `edit`. Nothing else is kept.
"""

from sealdex.lazy import exports

TYPE_CHECKING = False  # as type checkers read it, without the import
if TYPE_CHECKING:
    from sealdex.config.attestation_policy import AcceptedIdentity, AttestationPolicy, policy_problems
    from sealdex.config.config import MAX_ROOT_BYTES, Config, load_config
    from sealdex.config.credentials import credentials_for, credentials_of
    from sealdex.config.document import (
        ConfigDocument,
        EnvironmentSection,
        RegistrySection,
        auth_problem,
        registry_for,
        url_problem,
    )
    from sealdex.config.edit import add_registry, remove_registry, replace_file, with_registry
    from sealdex.config.host_facts import detect_environment
    from sealdex.config.layers import keys, sections_of, variable_of
else:
    __getattr__, __dir__ = exports(
        __name__,
        {
            "attestation_policy": ("AcceptedIdentity", "AttestationPolicy", "policy_problems"),
            "config": ("Config", "MAX_ROOT_BYTES", "load_config"),
            "credentials": ("credentials_for", "credentials_of"),
            "document": (
                "ConfigDocument",
                "EnvironmentSection",
                "RegistrySection",
                "auth_problem",
                "registry_for",
                "url_problem",
            ),
            "edit": ("add_registry", "remove_registry", "replace_file", "with_registry"),
            "host_facts": ("detect_environment",),
            "layers": ("keys", "sections_of", "variable_of"),
        },
    )

__all__ = [
    "MAX_ROOT_BYTES",
    "AcceptedIdentity",
    "AttestationPolicy",
    "Config",
    "ConfigDocument",
    "EnvironmentSection",
    "RegistrySection",
    "add_registry",
    "auth_problem",
    "credentials_for",
    "credentials_of",
    "detect_environment",
    "keys",
    "load_config",
    "policy_problems",
    "registry_for",
    "remove_registry",
    "replace_file",
    "sections_of",
    "url_problem",
    "variable_of",
    "with_registry",
]
