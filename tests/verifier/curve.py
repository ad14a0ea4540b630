"""Ed25519 on plain numbers: strict verification, signing, and which public keys are weak ("Verifying ed25519").

Points are in extended coordinates (X, Y, Z, T) with x = X/Z, y = Y/Z and xy = T/Z. A point that is multiplied often gets a
table of its multiples, so that one multiplication is 32 additions: the bit flips ask for tens of thousands of verifications.
Nothing here is safe against who measures time; all secrets are those of tests.
"""

import hashlib
from functools import lru_cache
from typing import NamedTuple

FIELD = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
CONSTANT = -121665 * pow(121666, -1, FIELD) % FIELD
ROOT_OF_MINUS_ONE = pow(2, (FIELD - 1) // 4, FIELD)
TWICE_CONSTANT = 2 * CONSTANT % FIELD


class Point(NamedTuple):
    """A point of the curve."""

    x: int
    y: int
    z: int
    t: int


NEUTRAL = Point(0, 1, 1, 0)


def add(left: Point, right: Point) -> Point:
    """The sum; the formula holds for equal points and for the neutral one, too (RFC 8032, 5.1.4)."""
    left_x, left_y, left_z, left_t = left
    right_x, right_y, right_z, right_t = right
    a = (left_y - left_x) * (right_y - right_x) % FIELD
    b = (left_y + left_x) * (right_y + right_x) % FIELD
    c = left_t * right_t * TWICE_CONSTANT % FIELD
    d = 2 * left_z * right_z % FIELD
    e, f, g, h = b - a, d - c, d + c, b + a
    return Point(e * f % FIELD, g * h % FIELD, f * g % FIELD, e * h % FIELD)


def negative(point: Point) -> Point:
    """The point that gives the neutral one when it is added."""
    return Point(-point.x % FIELD, point.y, point.z, -point.t % FIELD)


def is_neutral(point: Point) -> bool:
    """Whether it is the neutral point, whatever its coordinates' common factor."""
    return point.x == 0 and (point.y - point.z) % FIELD == 0


def is_of_small_order(point: Point) -> bool:
    """Whether its order divides 8."""
    for _ in range(3):
        point = add(point, point)
    return is_neutral(point)


def point_bytes(point: Point) -> bytes:
    """The one encoding of a point: y, and the lowest bit of x."""
    inverse = pow(point.z, -1, FIELD)
    x, y = point.x * inverse % FIELD, point.y * inverse % FIELD
    return (y | (x & 1) << 255).to_bytes(32, "little")


@lru_cache(maxsize=1024)
def point_of(encoded: bytes) -> Point | None:
    """The point of an encoding, or None. Only the canonical way counts (RFC 8032, 5.1.3): y < p, and no negative zero."""
    if len(encoded) != 32:
        return None
    number = int.from_bytes(encoded, "little")
    sign, y = number >> 255, number & (1 << 255) - 1
    if y >= FIELD:
        return None
    numerator, denominator = (y * y - 1) % FIELD, (CONSTANT * y * y + 1) % FIELD
    x = numerator * pow(denominator, 3, FIELD) * pow(numerator * pow(denominator, 7, FIELD), (FIELD - 5) // 8, FIELD) % FIELD
    if (denominator * x * x - numerator) % FIELD:
        x = x * ROOT_OF_MINUS_ONE % FIELD
        if (denominator * x * x - numerator) % FIELD:
            return None
    if x == 0 and sign:
        return None
    if x & 1 != sign:
        x = FIELD - x
    return Point(x, y, 1, x * y % FIELD)


def _base() -> Point:
    """The base point: y is 4/5, and x is even."""
    point = point_of((4 * pow(5, -1, FIELD) % FIELD).to_bytes(32, "little"))
    assert point is not None
    return point


BASE = _base()


@lru_cache(maxsize=64)
def _multiples(point: Point) -> list[list[Point]]:
    """Row i has 0 to 255 times 256^i times the point."""
    rows = []
    for _ in range(32):
        row = [NEUTRAL]
        for _ in range(255):
            row.append(add(row[-1], point))
        rows.append(row)
        point = add(row[-1], point)
    return rows


def multiply(scalar: int, point: Point, total: Point = NEUTRAL) -> Point:
    """`scalar` times the point, which is added to `total`. The scalar is below 2^256."""
    for row, byte in zip(_multiples(point), scalar.to_bytes(32, "little")):
        if byte:
            total = add(total, row[byte])
    return total


def _multiply_once(scalar: int, point: Point) -> Point:
    """The same by doubling: for a point that comes once, a table would cost more than it saves."""
    total = NEUTRAL
    for bit in reversed(range(scalar.bit_length())):
        total = add(total, total)
        if scalar >> bit & 1:
            total = add(total, point)
    return total


def _challenge(*parts: bytes) -> int:
    """SHA-512 of all, as a number modulo L."""
    return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little") % ORDER


def verifies(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the signature holds, by the five decisions of the contract."""
    if len(signature) != 64:
        return False
    r_bytes, s = signature[:32], int.from_bytes(signature[32:], "little")
    if s >= ORDER:
        return False
    public = point_of(public_key)
    if public is None or is_of_small_order(public):
        return False
    k = _challenge(r_bytes, public_key, message)
    expected = multiply(s, BASE, multiply(k, negative(public)))
    # R need not be decoded: it has the one encoding of this point or does not count, so their orders are the same as well.
    return point_bytes(expected) == r_bytes and not is_of_small_order(expected)


def _secret_parts(seed: bytes) -> tuple[int, bytes]:
    """The scalar and the prefix of a secret key of 32 bytes."""
    digest = hashlib.sha512(seed).digest()
    return int.from_bytes(digest[:32], "little") & (1 << 254) - 8 | 1 << 254, digest[32:]


@lru_cache(maxsize=64)
def public_key_of(seed: bytes) -> bytes:
    """The public key of a secret key."""
    return point_bytes(multiply(_secret_parts(seed)[0], BASE))


def sign(seed: bytes, message: bytes) -> bytes:
    """The one signature of RFC 8032: the same bytes for everybody ("Test keys")."""
    scalar, prefix = _secret_parts(seed)
    nonce = _challenge(prefix, message)
    r_bytes = point_bytes(multiply(nonce, BASE))
    s = (nonce + _challenge(r_bytes, public_key_of(seed), message) * scalar) % ORDER
    return r_bytes + s.to_bytes(32, "little")


@lru_cache(maxsize=256)
def is_weak(public_key: bytes) -> bool:
    """Whether a key is refused in bundles and claims: not canonical, of small order, or with a part of small order."""
    point = point_of(public_key)
    return point is None or is_of_small_order(point) or not is_neutral(_multiply_once(ORDER, point))
