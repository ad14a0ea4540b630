"""The files of golden and hostile messages, found by walking ("Golden messages", "Hostile messages")."""

import re
from pathlib import Path
from typing import NamedTuple

BYTES_A_LINE = 32


class FileFault(Exception):
    """A file or folder is not in the form that the contract says."""


class HostileMessage(NamedTuple):
    """A hostile message: who reads it, why it is refused, and its bytes."""

    reader: str
    refused: str
    data: bytes


def files_below(folder: Path, ending: str) -> tuple[dict[str, Path], list[Path]]:
    """All files by their name without the ending, folders included; and those that have another ending."""
    found, strangers = {}, []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix == ending:
            found[path.relative_to(folder).with_suffix("").as_posix()] = path
        elif not path.is_dir():
            strangers.append(path)
    return found, strangers


def newest_golden(protocol: Path) -> tuple[int, Path]:
    """The golden folder of the highest version, and that version: it says what the third byte of envelopes must be."""
    versions = {}
    for path in (protocol / "golden").iterdir():
        found = re.fullmatch(r"v(0|[1-9][0-9]*)", path.name)
        if not found or not path.is_dir():
            raise FileFault(f"{path} is not the folder of a version")
        versions[int(found[1])] = path
    if not versions:
        raise FileFault(f"{protocol / 'golden'} has no version")
    newest = max(versions)
    return newest, versions[newest]


def _bytes_of(lines: list[str], path: Path) -> bytes:
    try:
        data = bytes.fromhex("".join(lines))
    except ValueError:
        raise FileFault(f"{path} is not hexadecimal") from None
    if lines != hexadecimal_lines(data):
        raise FileFault(f"{path} is not lower case with {BYTES_A_LINE} bytes a line")
    return data


def hexadecimal_lines(data: bytes) -> list[str]:
    """Bytes as they stand in a file."""
    return [data[place : place + BYTES_A_LINE].hex() for place in range(0, len(data), BYTES_A_LINE)]


def read_golden(path: Path) -> bytes:
    """The bytes of a golden message."""
    return _bytes_of(path.read_text(encoding="ascii").splitlines(), path)


def read_hostile(path: Path) -> HostileMessage:
    """A hostile message."""
    lines = path.read_text(encoding="utf-8").splitlines()
    if len(lines) < 3 or not lines[0].startswith("reader: ") or not lines[1].startswith("refused: ") or lines[2]:
        raise FileFault(f"{path} does not begin with a reader, a reason and an empty line")
    return HostileMessage(lines[0].removeprefix("reader: "), lines[1].removeprefix("refused: "), _bytes_of(lines[3:], path))
