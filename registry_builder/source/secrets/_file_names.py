"""File names that identify keys or credentials, whatever the files contain. Pure."""

from __future__ import annotations

import re

_KINDS = {
    "an SSH private key": r"id_(rsa|dsa|ecdsa|ed25519|ecdsa_sk|ed25519_sk|xmss)|ssh_host_[a-z0-9]+_key",
    "a key store": r".*\.(p12|pfx|jks|jceks|bcfks|keystore|kdbx)",
    "a PuTTY private key": r".*\.ppk",
    "a file of environment secrets": r"\.env(\..*)?|.*\.env\.(local|prod|production)",
    "a file of passwords": r"[._]netrc|\.git-credentials|\.pgpass|\.htpasswd|\.my\.cnf|\.mylogin\.cnf|\.s3cfg|\.boto"
    r"|\.vault-token|\.dockercfg|gha-creds-[0-9a-f]+\.json|application_default_credentials\.json",
}
# Examples for others to fill in may be published.
_EXAMPLES = re.compile(r"\.env\.(example|sample|template|dist|defaults?|schema|test)(\..*)?", re.IGNORECASE)
_NAMES = {kind: re.compile(pattern, re.IGNORECASE) for kind, pattern in _KINDS.items()}
# Nearly all names begin and end differently, and are ruled out at once.
_SUSPICIOUS = re.compile(
    r"[._]|id_|ssh_host_|gha-creds|application_default|.*\.(p12|pfx|jks|jceks|bcfks|keystore|kdbx|ppk|local|prod"
    r"|production)$",
    re.IGNORECASE,
)


def secret_name(name: str) -> str | None:
    """Return what a file is by its name, such as ``a key store``, or None if its name doesn't say that it is secret.

    Args:
        name: the last part of its path.
    """
    if _SUSPICIOUS.match(name) is None or _EXAMPLES.fullmatch(name):
        return None
    return next((kind for kind, pattern in _NAMES.items() if pattern.fullmatch(name)), None)


__all__ = ["secret_name"]
