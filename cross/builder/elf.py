"""Reads of an ELF file what a static program is judged by: for which machine, how it is linked, and its sections."""

import struct
from dataclasses import dataclass, field
from pathlib import Path

from .errors import BuildError

PROGRAM_INTERPRETER = 3
PROGRAM_DYNAMIC = 2
PROGRAM_STACK = 0x6474E551
SECTION_SYMBOLS = 2
SECTION_EMPTY = 8
DYNAMIC_NEEDED = 1
EXECUTABLE = 1
FILE_OF_ANY_ADDRESS = 3
ARM_HARD_FLOAT = 0x400
# Machine numbers and classes of the ABI documents.
MACHINES = {
    "x86_64": (62, 64),
    "i686": (3, 32),
    "aarch64": (183, 64),
    "armv7": (40, 32),
    "arm": (40, 32),
    "riscv64gc": (243, 64),
}
# Tag_CPU_arch of the ABI for ARM: what the code may use at most.
ARM_ARCHITECTURES = {"armv7": 10, "arm": 6}
TAG_CPU_ARCH = 6
# Tags whose value is a string; those from 32 on are strings where they are odd.
STRING_TAGS = (4, 5, 67)


@dataclass
class Elf:
    """One file."""

    bits: int
    machine: int
    flags: int
    is_movable: bool = False
    """Position-independent: it runs at any address."""
    segments: list[tuple[int, int, bytes]] = field(default_factory=list)
    """Kind, flags, content."""
    sections: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    """By name: kind and content."""


def read(file: Path) -> Elf:
    """A BuildError where it is no whole little-endian ELF file."""
    content = file.read_bytes()
    try:
        return parse(content)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise BuildError(f"{file} is no whole ELF file") from error


def parse(content: bytes) -> Elf:
    if content[:4] != b"\x7fELF" or content[5] != 1:
        raise IndexError
    is_64 = content[4] == 2
    header = struct.unpack_from("<HHIQQQIHHHHHH" if is_64 else "<HHIIIIIHHHHHH", content, 16)
    kind_of_file, machine, _, _, program_at, section_at, flags, _, program_size, programs, section_size, sections, names = header
    found = Elf(64 if is_64 else 32, machine, flags, kind_of_file == FILE_OF_ANY_ADDRESS)
    for index in range(programs):
        at = program_at + index * program_size
        if is_64:
            kind, mode, offset, _, _, length = struct.unpack_from("<IIQQQQ", content, at)
        else:
            kind, offset, _, _, length, _, mode = struct.unpack_from("<IIIIIII", content, at)
        found.segments.append((kind, mode, content[offset : offset + length]))
    table = []
    for index in range(sections):
        at = section_at + index * section_size
        name, kind, _, _, offset, length = struct.unpack_from("<IIQQQQ" if is_64 else "<IIIIII", content, at)
        table.append((name, kind, b"" if kind == SECTION_EMPTY else content[offset : offset + length]))
    texts = table[names][2]
    for name, kind, part in table:
        found.sections[texts[name : texts.index(b"\0", name)].decode()] = (kind, part)
    return found


def problems(found: Elf, triple: str) -> list[str]:
    """What keeps it from being a static program for this machine; nothing where all is well."""
    cpu = triple.split("-")[0]
    wrong = []
    if (found.machine, found.bits) != MACHINES[cpu]:
        wrong.append(f"it is for machine {found.machine} with {found.bits} bits, not for {cpu}")
    if any(kind == PROGRAM_INTERPRETER for kind, _, _ in found.segments):
        wrong.append("it wants a dynamic linker")
    if any(needed(content, found.bits) for kind, _, content in found.segments if kind == PROGRAM_DYNAMIC):
        wrong.append("it wants shared libraries")
    if any(kind == SECTION_SYMBOLS for kind, _ in found.sections.values()):
        wrong.append("it is not stripped")
    if any(kind == PROGRAM_STACK and mode & EXECUTABLE for kind, mode, _ in found.segments):
        wrong.append("its stack can be executed")
    if triple.endswith("hf") and not found.flags & ARM_HARD_FLOAT:
        wrong.append("it is not of the hard-float kind")
    most = ARM_ARCHITECTURES.get(cpu)
    if most is not None:
        is_for = arm_architecture(found.sections.get(".ARM.attributes", (0, b""))[1])
        if is_for is None or is_for > most:
            wrong.append(f"its code is for ARM architecture {is_for} of the ABI, and at most {most} runs on {cpu}")
    return wrong


def needed(dynamic: bytes, bits: int) -> bool:
    size = 16 if bits == 64 else 8
    entries = struct.iter_unpack("<QQ" if bits == 64 else "<II", dynamic[: len(dynamic) // size * size])
    return any(tag == DYNAMIC_NEEDED for tag, _ in entries)


def arm_architecture(attributes: bytes) -> int | None:
    """Tag_CPU_arch of the section .ARM.attributes: version, then length, vendor, and tags for the whole file."""
    vendor_end = attributes.find(b"\0", 5)
    if not attributes.startswith(b"A") or attributes[5:vendor_end] != b"aeabi":
        return None
    at = vendor_end + 1 + 1 + 4
    while at < len(attributes):
        tag, at = variable_length(attributes, at)
        if tag in STRING_TAGS or (tag >= 32 and tag % 2 == 1):
            at = attributes.index(b"\0", at) + 1
            continue
        value, at = variable_length(attributes, at)
        if tag == TAG_CPU_ARCH:
            return value
    return None


def variable_length(content: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at
