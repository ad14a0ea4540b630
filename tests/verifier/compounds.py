"""The types of the tables that are made of other types ("Encoding"): lists, enums, structs, payloads and the like."""

from collections.abc import Callable
from typing import Any, NamedTuple

from .postcard import Limited, Text, Type, decode, encode, number_bytes
from .refusals import beyond_limit, malformed


class Optional(Type):
    """T?"""

    def __init__(self, content: Type):
        self.content = content

    def read(self, reader):
        byte = reader.take(1)[0]
        if byte > 1:
            raise malformed(f"an optional value that begins with {byte}")
        return self.content.read(reader) if byte else None

    def write(self, value):
        return b"\x00" if value is None else b"\x01" + self.content.write(value)

    def parts(self, value):
        return iter(() if value is None else ((self.content, value),))


class Sequence(Limited):
    """list of T."""

    def __init__(self, content: Type, **limits):
        super().__init__(**limits)
        self.content = content

    def read(self, reader):
        return [self.content.read(reader) for _ in range(reader.number(64))]

    def write(self, value):
        return number_bytes(len(value)) + b"".join(self.content.write(element) for element in value)

    def parts(self, value):
        return ((self.content, element) for element in value)


class Array(Sequence):
    """[T; n]: n of them, without a count."""

    def __init__(self, content: Type, count: int):
        super().__init__(content)
        self.count = count

    def read(self, reader):
        return [self.content.read(reader) for _ in range(self.count)]

    def write(self, value):
        assert len(value) == self.count
        return b"".join(self.content.write(element) for element in value)


class Mapping(Limited):
    """map of text to T. Of two entries with one key the last counts; they are written in the order of the keys' bytes."""

    def __init__(self, content: Type, **limits):
        super().__init__(**limits)
        self.content = content

    def read(self, reader):
        key = Text()
        return {key.read(reader): self.content.read(reader) for _ in range(reader.number(64))}

    def write(self, value):
        key = Text()
        entries = sorted(value.items(), key=lambda entry: entry[0].encode())
        return number_bytes(len(entries)) + b"".join(key.write(name) + self.content.write(held) for name, held in entries)

    def parts(self, value):
        return ((self.content, content) for content in value.values())


class Pair(Type):
    """(A, B)."""

    def __init__(self, first: Type, second: Type):
        self.both = first, second

    def read(self, reader):
        return tuple(part.read(reader) for part in self.both)

    def write(self, value):
        return b"".join(part.write(content) for part, content in zip(self.both, value))

    def parts(self, value):
        return zip(self.both, value)


class Choice(Type):
    """enum: variants by their index, each a name alone, or a name and the type that it holds."""

    def __init__(self, *variants: str | tuple[str, Type]):
        self.variants = [(variant, None) if isinstance(variant, str) else variant for variant in variants]

    def read(self, reader):
        index = reader.number(32)
        if index >= len(self.variants):
            raise malformed(f"variant {index} of {len(self.variants)}")
        name, content = self.variants[index]
        return name, content.read(reader) if content else None

    def write(self, value):
        for index, (name, content) in enumerate(self.variants):
            if name == value[0]:
                return number_bytes(index) + (content.write(value[1]) if content else b"")
        raise KeyError(value[0])

    def parts(self, value):
        content = dict(self.variants)[value[0]]
        return iter(((content, value[1]),) if content else ())


class Struct(Type):
    """struct: its fields, one after the other. `conditions` are limits between fields, each with its name."""

    def __init__(self, title: str, fields: dict[str, Type], conditions: dict[str, Callable[[dict], bool]] | None = None):
        self.title, self.fields, self.conditions = title, fields, conditions or {}

    def read(self, reader):
        return {name: field.read(reader) for name, field in self.fields.items()}

    def write(self, value):
        return b"".join(field.write(value[name]) for name, field in self.fields.items())

    def check(self, value, where):
        for name, field in self.fields.items():
            field.check(value[name], f"{name} of {self.title}")
        for name, holds in self.conditions.items():
            if not holds(value):
                raise beyond_limit(name)

    def parts(self, value):
        return ((field, value[name]) for name, field in self.fields.items())


class Enclosed(Limited):
    """bytes that hold the encoding of another type, such as the request in a claim. The value is those bytes, as they came."""

    def __init__(self, content: Type, **limits):
        super().__init__(**limits)
        self.content = content

    def read(self, reader):
        return reader.take(reader.number(64))

    def open(self, value: bytes) -> Any:
        """What the bytes hold; it is a body of its own."""
        return decode(self.content, value)

    def write(self, value):
        # Written from what it means, and not copied: otherwise encoding again would say nothing of what is inside.
        written = encode(self.content, self.open(value))
        return number_bytes(len(written)) + written


class Carried(NamedTuple):
    """The value of a payload: which type the body is, and the body as it came."""

    kind: int
    body: bytes


class Payload(Type):
    """payload: a kind and a body. A kind that is not in the list is read past."""

    def __init__(self, kinds: dict[int, Type]):
        self.kinds = kinds

    def read(self, reader):
        return Carried(reader.number(16), reader.take(reader.number(64)))

    def open(self, value: Carried) -> Any:
        """What the body holds, or None where the kind is not known."""
        content = self.kinds.get(value.kind)
        return decode(content, value.body) if content else None

    def write(self, value):
        content = self.kinds.get(value.kind)
        body = encode(content, decode(content, value.body)) if content else value.body
        return number_bytes(value.kind) + number_bytes(len(body)) + body
