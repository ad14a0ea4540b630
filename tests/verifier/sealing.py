"""HPKE in base mode with X25519, HKDF-SHA256 and ChaCha20-Poly1305 (RFC 9180, 7748, 8439; "Deliveries", "Sessions").

Opening, and sealing from randomness that is known, so that sealed messages can be made again. All of it is from primitives of
the standard library, so that the verifier needs no package.
"""

import hmac
import struct
from typing import NamedTuple

FIELD = 2**255 - 19
TAG = 16
KEM_SUITE = b"KEM" + struct.pack(">H", 0x0020)
SUITE = b"HPKE" + struct.pack(">HHH", 0x0020, 0x0001, 0x0003)


def x25519(scalar: bytes, coordinate: bytes) -> bytes:
    """The Montgomery ladder of RFC 7748."""
    k = int.from_bytes(scalar, "little") & (1 << 254) - 8 | 1 << 254
    u = int.from_bytes(coordinate, "little") & (1 << 255) - 1
    x2, z2, x3, z3 = 1, 0, u, 1
    for bit in range(254, -1, -1):
        swap = k >> bit & 1
        if swap:
            x2, z2, x3, z3 = x3, z3, x2, z2
        plus, minus = x2 + z2, x2 - z2
        square_plus, square_minus = plus * plus % FIELD, minus * minus % FIELD
        difference = square_plus - square_minus
        first, second = (x3 - z3) * plus % FIELD, (x3 + z3) * minus % FIELD
        x3, z3 = (first + second) ** 2 % FIELD, u * (first - second) ** 2 % FIELD
        x2, z2 = square_plus * square_minus % FIELD, difference * (square_plus + 121_665 * difference) % FIELD
        if swap:
            x2, z2, x3, z3 = x3, z3, x2, z2
    return (x2 * pow(z2, -1, FIELD) % FIELD if z2 else 0).to_bytes(32, "little")


def x25519_public(scalar: bytes) -> bytes:
    """The public key of a secret one."""
    return x25519(scalar, (9).to_bytes(32, "little"))


def _extract(salt: bytes, suite: bytes, label: bytes, material: bytes) -> bytes:
    """LabeledExtract of RFC 9180."""
    return hmac.digest(salt, b"HPKE-v1" + suite + label + material, "sha256")


def _expand(secret: bytes, suite: bytes, label: bytes, context: bytes, length: int) -> bytes:
    """LabeledExpand of RFC 9180, of at most one block of HKDF."""
    labeled = struct.pack(">H", length) + b"HPKE-v1" + suite + label + context
    return hmac.digest(secret, labeled + b"\x01", "sha256")[:length]


def _quarter(state: list[int], a: int, b: int, c: int, d: int) -> None:
    for left, right, changed, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        state[left] = state[left] + state[right] & 0xFFFFFFFF
        mixed = state[changed] ^ state[left]
        state[changed] = (mixed << turn | mixed >> 32 - turn) & 0xFFFFFFFF


def _chacha20_block(key: bytes, counter: int, nonce: bytes) -> bytes:
    start = list(struct.unpack("<16I", b"expand 32-byte k" + key + struct.pack("<I", counter) + nonce))
    state = start.copy()
    for _ in range(10):
        for column in range(4):
            _quarter(state, column, 4 + column, 8 + column, 12 + column)
        for column in range(4):
            _quarter(state, column, 4 + (column + 1) % 4, 8 + (column + 2) % 4, 12 + (column + 3) % 4)
    return struct.pack("<16I", *((after + before) & 0xFFFFFFFF for after, before in zip(state, start)))


def _poly1305(key: bytes, message: bytes) -> bytes:
    r = int.from_bytes(key[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    total = 0
    for place in range(0, len(message), 16):
        block = message[place : place + 16]
        total = (total + int.from_bytes(block + b"\x01", "little")) * r % (2**130 - 5)
    return ((total + int.from_bytes(key[16:], "little")) % 2**128).to_bytes(16, "little")


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 16)


def _masked(key: bytes, nonce: bytes, text: bytes) -> bytes:
    """Encrypted or decrypted, which is the same: the key stream from its second block on."""
    blocks = (_chacha20_block(key, 1 + index, nonce) for index in range((len(text) + 63) // 64))
    return bytes(byte ^ mask for byte, mask in zip(text, b"".join(blocks)))


def _tag(key: bytes, nonce: bytes, encrypted: bytes, associated: bytes) -> bytes:
    lengths = struct.pack("<QQ", len(associated), len(encrypted))
    return _poly1305(_chacha20_block(key, 0, nonce)[:32], _padded(associated) + _padded(encrypted) + lengths)


class Context(NamedTuple):
    """What both sides come to: a key, and a nonce from which that of every message follows."""

    key: bytes
    base_nonce: bytes

    def _nonce(self, number: int) -> bytes:
        return bytes(left ^ right for left, right in zip(self.base_nonce, number.to_bytes(12, "big")))

    def open(self, number: int, ciphertext: bytes, associated: bytes) -> bytes | None:
        """The text under a sequence number, or None where the tag does not fit."""
        encrypted, tag = ciphertext[:-TAG], ciphertext[-TAG:]
        if _tag(self.key, self._nonce(number), encrypted, associated) != tag:
            return None
        return _masked(self.key, self._nonce(number), encrypted)

    def seal(self, number: int, text: bytes, associated: bytes) -> bytes:
        """The ciphertext, with its tag behind it."""
        encrypted = _masked(self.key, self._nonce(number), text)
        return encrypted + _tag(self.key, self._nonce(number), encrypted, associated)


def _context(shared: bytes, encapsulated: bytes, public_key: bytes, information: bytes) -> Context:
    """From the result of Diffie-Hellman to the context: ExtractAndExpand and KeySchedule of RFC 9180."""
    shared = _expand(
        _extract(b"", KEM_SUITE, b"eae_prk", shared), KEM_SUITE, b"shared_secret", encapsulated + public_key, 32
    )
    hashes = (
        _extract(b"", SUITE, label, content) for label, content in ((b"psk_id_hash", b""), (b"info_hash", information))
    )
    context = b"\x00" + b"".join(hashes)
    secret = _extract(shared, SUITE, b"secret", b"")
    return Context(_expand(secret, SUITE, b"key", context, 32), _expand(secret, SUITE, b"base_nonce", context, 12))


def receiving_context(secret_key: bytes, encapsulated: bytes, information: bytes) -> Context | None:
    """The context of the recipient, or None where the encapsulated key is of small order (RFC 9180, 7.1.4)."""
    shared = x25519(secret_key, encapsulated)
    if shared == bytes(32):
        return None
    return _context(shared, encapsulated, x25519_public(secret_key), information)


def sending_context(randomness: bytes, public_key: bytes, information: bytes) -> tuple[bytes, Context]:
    """The encapsulated key and the context of a sender whose ephemeral key is derived from this (DeriveKeyPair, 7.1.3)."""
    ephemeral = _expand(_extract(b"", KEM_SUITE, b"dkp_prk", randomness), KEM_SUITE, b"sk", b"", 32)
    encapsulated = x25519_public(ephemeral)
    return encapsulated, _context(x25519(ephemeral, public_key), encapsulated, public_key, information)
