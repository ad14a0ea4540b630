"""Postcard, table-driven ("Encoding"): every type of the contract's tables is an object that reads, writes and checks values.

Values are plain Python: numbers, booleans, text, bytes, None, lists, dictionaries for structs and maps, and for enums a pair
of the variant's name and what it holds. Reading and checking are two passes, because a body that can be read and has bytes
left over is "trailing bytes", whatever limits it breaks as well.
"""

from collections.abc import Callable, Iterator
from typing import Any

from .refusals import LARGEST_MESSAGE, Refusal, beyond_limit, malformed

LONGEST_NUMBER = {16: 3, 32: 5, 64: 10}


class Reader:
    """Bytes, and how far they have been read."""

    def __init__(self, data: bytes):
        self.data = data
        self.position = 0

    def take(self, length: int) -> bytes:
        """The next bytes, all of which must be there."""
        end = self.position + length
        if end > len(self.data):
            raise malformed(f"{length} bytes are due at {self.position} of {len(self.data)}")
        taken = self.data[self.position : end]
        self.position = end
        return taken

    def number(self, bits: int) -> int:
        """A varint. Longer forms than the shortest are read, within the bytes that the type may have."""
        value = 0
        for place in range(LONGEST_NUMBER[bits]):
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << (7 * place)
            if byte < 0x80:
                if value >> bits:
                    raise malformed(f"a number of more than {bits} bits")
                return value
        raise malformed("a number that does not end")


def number_bytes(value: int) -> bytes:
    """A varint in its shortest form."""
    written = bytearray()
    while value >= 0x80:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)


class Type:
    """One type of the tables."""

    def read(self, reader: Reader) -> Any:
        """The value that stands next."""
        raise NotImplementedError

    def write(self, value: Any) -> bytes:
        """The bytes of a value."""
        raise NotImplementedError

    def check(self, value: Any, where: str) -> None:
        """Refuses a value beyond its limits; `where` names it if the limit has no name of its own."""
        for part, content in self.parts(value):
            part.check(content, where)

    def parts(self, value: Any) -> Iterator[tuple["Type", Any]]:
        """The types and values directly inside a value."""
        return iter(())


class Limited(Type):
    """What types with a limit have in common: a smallest and greatest size, and a condition of its own."""

    def __init__(self, least: int = 0, most: int | None = None, name: str = "", suits: Callable[[Any], bool] | None = None):
        self.least, self.most, self.name, self.suits = least, most, name, suits

    def size(self, value: Any) -> int:
        """What is compared with the limits."""
        return len(value)

    def check(self, value: Any, where: str) -> None:
        size = self.size(value)
        if size < self.least or self.most is not None and size > self.most or self.suits and not self.suits(value):
            raise beyond_limit(self.name or where)
        super().check(value, where)


class Byte(Limited):
    """u8: the byte as it is."""

    def size(self, value):
        return value

    def read(self, reader):
        return reader.take(1)[0]

    def write(self, value):
        return bytes([value])


class Number(Limited):
    """u16, u32 and u64."""

    def __init__(self, bits: int, **limits):
        super().__init__(**limits)
        self.bits = bits

    def size(self, value):
        return value

    def read(self, reader):
        return reader.number(self.bits)

    def write(self, value):
        return number_bytes(value)


class Signed(Type):
    """i32: zigzag, then as u32."""

    def read(self, reader):
        folded = reader.number(32)
        return folded >> 1 if folded % 2 == 0 else -(folded >> 1) - 1

    def write(self, value):
        return number_bytes(2 * value if value >= 0 else -2 * value - 1)


class Flag(Type):
    """bool: 0 or 1."""

    def read(self, reader):
        byte = reader.take(1)[0]
        if byte > 1:
            raise malformed(f"a bool of {byte}")
        return byte == 1

    def write(self, value):
        return b"\x01" if value else b"\x00"


class Fixed(Type):
    """[u8; n], without a length before it."""

    def __init__(self, length: int):
        self.length = length

    def read(self, reader):
        return reader.take(self.length)

    def write(self, value):
        assert len(value) == self.length
        return value


class NodeIdentifier(Fixed):
    """A node id on the wire: 17 hexadecimal digits, one a byte ("Ids")."""

    def __init__(self):
        super().__init__(17)

    def read(self, reader):
        digits = super().read(reader)
        if max(digits) > 15:
            raise malformed("a node id with a digit above 15")
        return digits


class Bytes(Limited):
    """bytes: a length, then so many."""

    def read(self, reader):
        return reader.take(reader.number(64))

    def write(self, value):
        return number_bytes(len(value)) + value


class Text(Limited):
    """text: as bytes, and UTF-8. Limits count bytes."""

    def size(self, value):
        return len(value.encode())

    def read(self, reader):
        try:
            return reader.take(reader.number(64)).decode("utf-8")
        except UnicodeDecodeError:
            raise malformed("a text that is not UTF-8") from None

    def write(self, value):
        written = value.encode()
        return number_bytes(len(written)) + written


def decode(kind: Type, body: bytes) -> Any:
    """Reads a body by the four rules, in their order."""
    if len(body) > LARGEST_MESSAGE:
        raise Refusal("TooLarge", f"{len(body)} bytes")
    reader = Reader(body)
    value = kind.read(reader)
    if reader.position < len(body):
        raise Refusal("TrailingBytes", f"{len(body) - reader.position} of {len(body)} bytes are left over")
    kind.check(value, "a body")
    return value


def encode(kind: Type, value: Any) -> bytes:
    """Writes a body."""
    return kind.write(value)


def inside(kind: Type, value: Any, wanted: Type) -> Iterator[Any]:
    """All values of one type anywhere in a value, itself included; not in payloads and enclosed bytes."""
    if kind is wanted:
        yield value
    for part, content in kind.parts(value):
        yield from inside(part, content, wanted)
