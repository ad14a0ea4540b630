"""Golden messages in which one bit is changed: not one may be believed (point 7 of "A verifier")."""

from collections.abc import Iterator

from .golden import Case, judge
from .judges import Setting
from .refusals import Refusal

# A message of up to so many bits is flipped bit by bit. Of a longer one it is all bits of its first bytes, where header,
# signatures and the first fields are, all of its last ones, where a delivery has its proof, and a spread of the others.
ALL_BITS = 16_384
FIRST_BYTES = 512
LAST_BYTES = 128
OTHERS = 4_096


def chosen_bits(length: int) -> Iterator[int]:
    """Which bits of a message of this length in bytes are changed, one at a time."""
    bits = 8 * length
    if bits <= ALL_BITS:
        yield from range(bits)
        return
    middle, end = 8 * FIRST_BYTES, bits - 8 * LAST_BYTES
    yield from range(middle)
    # A step that is odd, so that every place within a byte comes.
    yield from range(middle, end, max(1, (end - middle) // OTHERS) | 1)
    yield from range(end, bits)


def flipped(data: bytes, bit: int) -> bytes:
    """The bytes with one bit changed."""
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def survivors(case: Case, data: bytes, setting: Setting) -> tuple[int, list[int]]:
    """How many bits were changed, and which of them nobody noticed."""
    tried, unnoticed = 0, []
    for bit in chosen_bits(len(data)):
        tried += 1
        try:
            judge(case, flipped(data, bit), setting)
        except Refusal:
            continue
        unnoticed.append(bit)
    return tried, unnoticed
