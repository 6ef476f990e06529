"""Keeping secrets: encryption at rest, references to where they are, comparing signatures.

What belongs here: the key, AES-256-GCM, `env:` and `file:` references. Not here: the table of secrets (`store.vault`).
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import hmac
import os
import secrets
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from oms_hub.errors import Misconfigured

KEY_FILE_NAME = "master.key"
_VERSION = b"oh1:"
_KEY_BYTES = 32
_NONCE_BYTES = 12
_KEY_ID_BYTES = 4
_KEY_REMEDY = "Set OMS_HUB_MASTER_KEY to 32 random bytes in base64 or hex (openssl rand -base64 32)"
_LARGEST_SECRET_BYTES = 64 * 1024


class SecretBox:
    """Encrypts and decrypts secrets with a list of keys: the first encrypts, all decrypt.

    A ciphertext is `oh1:` + key id + nonce + AES-256-GCM of the value, bound to its context: moved to another
    connection or name it does not decrypt.

    Args:
        keys: 32 bytes each, the present one first, retired ones after it.
    """

    __slots__ = ("_ciphers", "_current")

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys or any(len(key) != _KEY_BYTES for key in keys):
            raise Misconfigured("the master key is not 32 bytes long", remedy=_KEY_REMEDY)
        self._ciphers = {_key_id(key): AESGCM(key) for key in keys}
        self._current = _key_id(keys[0])

    def __repr__(self) -> str:
        return f"SecretBox({len(self._ciphers)} keys)"

    def encrypt(self, value: bytes, context: bytes) -> bytes:
        """Return the ciphertext of a value, different each time.

        Args:
            value: the secret.
            context: where it belongs (connection id and secret name); needed again to decrypt.
        """
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = self._ciphers[self._current].encrypt(nonce, value, _VERSION + context)
        return _VERSION + self._current + nonce + sealed

    def decrypt(self, ciphertext: bytes, context: bytes) -> bytes:
        """Return the value of a ciphertext that belongs to `context`.

        Raises:
            Misconfigured: encrypted with a key that is not here, moved from elsewhere, or damaged.
        """
        key_start, nonce_start = len(_VERSION), len(_VERSION) + _KEY_ID_BYTES
        body_start = nonce_start + _NONCE_BYTES
        cipher = self._ciphers.get(ciphertext[key_start:nonce_start])
        if not ciphertext.startswith(_VERSION) or cipher is None:
            raise Misconfigured(
                "a stored secret was encrypted with another master key",
                remedy="Add the earlier key to OMS_HUB_MASTER_KEY after a comma, or enter the secret again",
            )
        try:
            return cipher.decrypt(ciphertext[nonce_start:body_start], ciphertext[body_start:], _VERSION + context)
        except (InvalidTag, ValueError):
            raise Misconfigured(
                "a stored secret is damaged or belongs to another connection", remedy="Enter the secret again"
            ) from None

    def needs_renewal(self, ciphertext: bytes) -> bool:
        """Return whether a ciphertext was made with a retired key (encrypt it again to finish a rotation)."""
        return ciphertext[len(_VERSION) : len(_VERSION) + _KEY_ID_BYTES] != self._current


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(b"oms-hub key id" + key).digest()[:_KEY_ID_BYTES]


def open_box(home: Path, *, master_key: str | None = None) -> SecretBox:
    """Return the box of this installation.

    Args:
        home: where the key file stands (made at first start) if no key is given.
        master_key: one or more keys, separated by commas, base64 or hex; the first encrypts.

    Raises:
        Misconfigured: a key cannot be read, or others may read the key file.
    """
    if master_key is not None and master_key.strip():
        return SecretBox([_decode_key(part, "OMS_HUB_MASTER_KEY") for part in master_key.split(",")])
    path = home / KEY_FILE_NAME
    if not path.exists():
        _make_key_file(path)
    return SecretBox([_decode_key(part, str(path)) for part in _read_key_file(path).split(",")])


def _decode_key(text: str, source: str) -> bytes:
    plain = text.strip()
    try:
        if len(plain) == 2 * _KEY_BYTES:
            return bytes.fromhex(plain)
        padded = plain + "=" * (-len(plain) % 4)
        key = base64.b64decode(padded.replace("-", "+").replace("_", "/"), validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if len(key) != _KEY_BYTES:
        raise Misconfigured(f"{source} holds no key of 32 bytes in base64 or hex", remedy=_KEY_REMEDY)
    return key


def _make_key_file(path: Path) -> None:
    """Make the key file whole or not at all; where another process was faster, its file stays."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(secrets.token_bytes(_KEY_BYTES)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return
    except OSError as error:
        raise Misconfigured(f"the key file {path} cannot be made: {error.strerror}", remedy=_KEY_REMEDY) from None
    finally:
        with contextlib.suppress(OSError):  # where the folder cannot be, there is no draft either
            draft.unlink(missing_ok=True)


def _read_key_file(path: Path) -> str:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        if os.name == "posix" and mode & 0o077:
            raise Misconfigured(f"others than you may use the key file {path} ({mode:04o})", remedy=f"chmod 600 {path}")
        return path.read_text(encoding="ascii", errors="replace")
    except OSError as error:
        raise Misconfigured(
            f"the key file {path} cannot be read: {error.strerror}", remedy="Let this user read it"
        ) from None


def resolve_reference(reference: str, *, environment: Mapping[str, str] | None = None) -> str:
    """Return the secret that a reference names.

    Args:
        reference: `env:NAME` or `file:PATH`.
        environment: where names are looked up; default the process's.

    Raises:
        Misconfigured: another form, a name that is not set, a file that cannot be read, or nothing in it.

    Example:
        >>> resolve_reference("env:SHOP_TOKEN", environment={"SHOP_TOKEN": "t"})
        't'
    """
    scheme, _, place = reference.partition(":")
    readers: Mapping[str, Callable[[], str | None]] = {
        "env": lambda: (os.environ if environment is None else environment).get(place),
        "file": lambda: _read_secret_file(Path(place).expanduser()),
    }
    if scheme not in readers or not place:
        raise Misconfigured("a secret reference is neither env:NAME nor file:PATH", remedy="Use env:NAME or file:PATH")
    value = (readers[scheme]() or "").strip("\r\n")
    if not value:
        remedy = f"Set the environment variable {place}" if scheme == "env" else f"Write the secret into {place}"
        raise Misconfigured(f"the secret at {scheme}:{place} is not set", remedy=remedy)
    return value


def _read_secret_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_SECRET_BYTES + 1)
    except OSError as error:
        raise Misconfigured(
            f"the secret file {path} cannot be read: {error.strerror}", remedy=f"Put the secret into {path}"
        ) from None
    if len(content) > _LARGEST_SECRET_BYTES:
        raise Misconfigured(f"the secret file {path} is too large for a secret", remedy="Name the right file")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Misconfigured(f"the secret file {path} is not text", remedy="Name the right file") from None


def is_same_signature(given: str | bytes, expected: str | bytes) -> bool:
    """Return whether two signatures are equal, in a time that does not tell where they differ."""
    return hmac.compare_digest(_as_bytes(given), _as_bytes(expected))


def _as_bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()
