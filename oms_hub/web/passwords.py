"""Passwords and one-time codes: making, checking, and refusing in a time that tells nothing.

What belongs here: Argon2 and TOTP. Not here: who they belong to (`oms_hub.store.users`).
"""

from __future__ import annotations

import unicodedata
from datetime import datetime

import pyotp
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from oms_hub.errors import Misconfigured

SHORTEST = 12
LONGEST = 200
_STEP_SECONDS = 30
_ISSUER = "oms-hub"
_FREQUENT = frozenset({"password", "contraseña", "qwertyuiop", "123456789012", "letmein", "iloveyou"})


def new_password(given: str, *, email: str) -> str:
    """Return a password that may be used, in its normal form.

    Raises:
        Misconfigured: too short, too long, or the first thing that anybody would try.
    """
    password = unicodedata.normalize("NFC", given)
    if not SHORTEST <= len(password) <= LONGEST:
        raise Misconfigured(
            f"A password has {SHORTEST} to {LONGEST} characters", remedy="Several words in a row are easy to remember"
        )
    plain = password.lower()
    is_obvious = len(set(plain)) < 5 or any(plain.startswith(word) and len(plain) < len(word) + 5 for word in _FREQUENT)
    if is_obvious or plain.startswith(email.partition("@")[0] + email.partition("@")[2]) or plain == email:
        raise Misconfigured("That password is easy to guess", remedy="Use several words in a row")
    return password


def hash_password(hasher: PasswordHasher, password: str) -> str:
    """Return what is stored of a password."""
    return hasher.hash(password)


def is_password(hasher: PasswordHasher, stored: str | None, given: str) -> bool:
    """Return whether a password is the stored one; without a stored one it takes as long and is wrong."""
    known = stored if stored is not None else _decoy(hasher)
    try:
        return hasher.verify(known, unicodedata.normalize("NFC", given[:LONGEST])) and stored is not None
    except (VerificationError, InvalidHashError):
        return False


_decoys: dict[int, str] = {}


def _decoy(hasher: PasswordHasher) -> str:
    """Return a hash that takes as long to check as any of this hasher's."""
    key = id(hasher)
    if key not in _decoys:
        _decoys[key] = hasher.hash("nobody's password")
    return _decoys[key]


def new_totp_secret() -> str:
    """Return a new secret for one-time codes, in base 32."""
    return pyotp.random_base32()


def totp_address(secret: str, email: str) -> str:
    """Return the `otpauth://` address that apps take a secret from."""
    return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=_ISSUER)


def totp_step(secret: str, code: str, *, now: datetime) -> int | None:
    """Return the time step that a code belongs to (the present one or a neighbour), None where it is wrong."""
    totp = pyotp.TOTP(secret)
    digits = code.replace(" ", "")
    present = int(now.timestamp()) // _STEP_SECONDS
    for step in (present, present - 1, present + 1):
        if pyotp.utils.strings_equal(totp.at(step * _STEP_SECONDS), digits):
            return step
    return None
