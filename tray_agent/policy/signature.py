"""Who made a shared bundle: an ed25519 signature over the digests of all that is in it (cryptography, if installed).

Keys are PEM files, as `openssl genpkey -algorithm ed25519 -out key.pem` and
`openssl pkey -in key.pem -pubout -out public.pem` make them.
"""

import hashlib
import json
from pathlib import Path

from tray_agent.errors import BundleError, PlatformUnavailable
from tray_agent.policy.share_zip import SIGNATURE_NAME

_HEAD = "tray-agent bundle, ed25519\n"


def signature_of(entries: dict[str, bytes], key: Path) -> bytes:
    """Content of signature.json for these entries, signed with the private key in that file.

    Raises:
        BundleError: the file holds no such key.
        PlatformUnavailable: `cryptography` is not installed.
    """
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    except ImportError as error:
        raise _not_installed() from error
    try:
        private = load_pem_private_key(key.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise BundleError(f"{key} is no private key in PEM without a password: {error}") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise BundleError(f"{key} is no ed25519 key; `openssl genpkey -algorithm ed25519 -out {key}` makes one")
    return json.dumps({"ed25519": private.sign(_signed_text(entries)).hex()}).encode()


def check_signature(entries: dict[str, bytes], trust: Path) -> None:
    """Whether the owner of that public key made all of it.

    Raises:
        BundleError: it is not signed, was changed, or was signed by somebody else; or the file holds no such key.
        PlatformUnavailable: `cryptography` is not installed.
    """
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.hazmat.primitives.serialization import load_pem_public_key
    except ImportError as error:
        raise _not_installed() from error
    try:
        public = load_pem_public_key(trust.read_bytes())
    except (OSError, ValueError) as error:
        raise BundleError(f"{trust} is no public key in PEM: {error}") from error
    if not isinstance(public, Ed25519PublicKey):
        raise BundleError(f"{trust} is no ed25519 key")
    if SIGNATURE_NAME not in entries:
        raise BundleError(f"it is not signed, and you asked for the signature of {trust}")
    try:
        signature = bytes.fromhex(json.loads(entries[SIGNATURE_NAME])["ed25519"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BundleError(f"its {SIGNATURE_NAME} is damaged") from error
    try:
        public.verify(signature, _signed_text(entries))
    except InvalidSignature as error:
        raise BundleError(f"it was not signed by the owner of {trust}, or was changed since") from error


def _signed_text(entries: dict[str, bytes]) -> bytes:
    lines = [f"{hashlib.sha256(entries[n]).hexdigest()}  {n}\n" for n in sorted(entries) if n != SIGNATURE_NAME]
    return "".join((_HEAD, *lines)).encode()


def _not_installed() -> PlatformUnavailable:
    return PlatformUnavailable("signatures need the package cryptography", "pip install 'tray-agent[signing]'")
