"""Who has signed an envelope: plain ed25519, SSH signatures and security keys ("Signatures", "SSH signatures")."""

import hashlib
from typing import NamedTuple

from . import curve
from .envelope import Envelope, Signature
from .identifiers import digest, key_identifier

PLAIN, SSH, SECURITY_KEY, SESSION_MAC = 1, 2, 3, 4
HASHES = {1: "sha256", 2: "sha512"}
NAMESPACE = b"flotilla"

USER_PRESENT = 0b1
ALLOWED_FLAGS = 0b11101  # user present, user verified, backup eligible, backed up


class Key(NamedTuple):
    """A public key with its algorithm, as a trust bundle has it: for a security key the application comes after 32 bytes."""

    algorithm: int
    content: bytes

    @property
    def point(self) -> bytes:
        """The 32 bytes of ed25519."""
        return self.content[:32]

    @property
    def application(self) -> bytes:
        """What a security key's signatures are made for."""
        return self.content[32:]


def ssh_string(content: bytes) -> bytes:
    """A string of SSH: its length, big endian, and its bytes."""
    return len(content).to_bytes(4, "big") + content


def ssh_frame(covered: bytes, number: int) -> bytes:
    """What an SSH key signs in the place of the covered bytes, with the hash of this number."""
    name = HASHES[number]
    hashed = hashlib.new(name, covered).digest()
    return b"SSHSIG" + b"".join(ssh_string(part) for part in (NAMESPACE, b"", name.encode(), hashed))


def security_key_message(application: bytes, flags_and_counter: bytes, frame: bytes) -> bytes:
    """What a security key signs."""
    return digest(application) + flags_and_counter + digest(frame)


def counts(key: Key, signature: Signature, covered: bytes) -> bool:
    """Whether this is a signature of this key over these bytes."""
    if signature.algorithm != key.algorithm or signature.key_identifier != key_identifier(key.point):
        return False
    content = signature.content
    if key.algorithm == PLAIN:
        return curve.verifies(key.point, covered, content)
    if key.algorithm == SSH and len(content) == 65 and content[0] in HASHES:
        return curve.verifies(key.point, ssh_frame(covered, content[0]), content[1:])
    if key.algorithm == SECURITY_KEY and len(content) == 70 and content[0] in HASHES:
        flags = content[1]
        if not flags & USER_PRESENT or flags & ~ALLOWED_FLAGS:
            return False
        message = security_key_message(key.application, content[1:6], ssh_frame(covered, content[0]))
        return curve.verifies(key.point, message, content[6:])
    return False


def has_signed(key: Key, envelope: Envelope) -> bool:
    """Whether the envelope has a signature of this key that holds."""
    return any(counts(key, signature, envelope.covered) for signature in envelope.signatures)


def sign_again(seed: bytes, application: bytes, signature: Signature, covered: bytes) -> Signature:
    """The signature that the key of a seed makes, in the form of one that is there: with its algorithm, hash, flags, counter."""
    content = signature.content
    if signature.algorithm == PLAIN:
        made = curve.sign(seed, covered)
    elif signature.algorithm == SSH:
        made = content[:1] + curve.sign(seed, ssh_frame(covered, content[0]))
    else:
        message = security_key_message(application, content[1:6], ssh_frame(covered, content[0]))
        made = content[:6] + curve.sign(seed, message)
    return Signature(signature.algorithm, key_identifier(curve.public_key_of(seed)), made)
