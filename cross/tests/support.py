"""What the tests share: the places, packages of played programs, and what is inside the kinds of packages."""

import gzip
import io
import lzma
import os
import struct
import subprocess
import tarfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from builder import packages
from builder.errors import BuildError
from builder.places import Places
from builder.table import Table, Target
from builder.tools import Tools

from . import systems

PLACES = Places.usual()
TABLE = Table.read()


@cache
def tools() -> Tools:
    return Tools.install(PLACES, TABLE.tools)


def built() -> list[Target]:
    """The targets whose agent is there."""
    return [target for target in TABLE.targets.values() if (PLACES.binaries / target.name / "flotilla-agent").is_file()]


def played_packages(output: Path, version: str, program: str | None = None) -> dict[str, Path]:
    """Packages of a program that only knows its version, or of another script, by kind."""
    file = output / f"played-{version}"
    file.write_text(program or systems.played_program(version))
    made = packages.pack(tools(), PLACES, TABLE.targets["x86_64"], file, version=version, output=output)
    return {path.name.rsplit(".", 1)[1]: path for path in made}


@dataclass
class Content:
    """What a package holds."""

    files: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    """By path: mode and content; of a symbolic link where it goes."""
    scripts: dict[str, str] = field(default_factory=dict)


def content_of(file: Path) -> Content:
    kind = file.name.rsplit(".", 1)[1]
    readers = {"deb": of_deb, "ipk": of_ipk, "apk": of_apk, "rpm": of_rpm, "gz": of_archive}
    return readers[kind](file)


def of_tar(content: bytes) -> dict[str, tuple[int, bytes]]:
    found = {}
    # GzipFile reads one stream after the other, as an apk has them.
    with tarfile.open(fileobj=io.BytesIO(content), ignore_zeros=True) as tar:
        for entry in tar:
            name = "/" + entry.name.removeprefix("./").strip("/")
            if entry.issym():
                found[name] = (0o777, entry.linkname.encode())
            elif entry.isfile():
                opened = tar.extractfile(entry)
                assert opened is not None
                found[name] = (entry.mode, opened.read())
    return found


def of_deb(file: Path) -> Content:
    data = subprocess.run(["dpkg-deb", "--fsys-tarfile", file], capture_output=True, check=True).stdout
    control = subprocess.run(["dpkg-deb", "--ctrl-tarfile", file], capture_output=True, check=True).stdout
    return Content(of_tar(data), {name.strip("/"): text.decode() for name, (_, text) in of_tar(control).items()})


def of_ipk(file: Path) -> Content:
    outer = of_tar(gzip.decompress(file.read_bytes()))
    control = of_tar(gzip.decompress(outer["/control.tar.gz"][1]))
    data = of_tar(gzip.decompress(outer["/data.tar.gz"][1]))
    return Content(data, {name.strip("/"): text.decode() for name, (_, text) in control.items()})


def of_apk(file: Path) -> Content:
    every = of_tar(gzip.decompress(file.read_bytes()))
    own = {name for name in every if name.startswith("/.")}
    scripts = {name.removeprefix("/."): every[name][1].decode() for name in own}
    return Content({name: every[name] for name in every if name not in own}, scripts)


def of_archive(file: Path) -> Content:
    every = of_tar(gzip.decompress(file.read_bytes()))
    return Content({"/" + name.split("/", 2)[2]: entry for name, entry in every.items()})


# Tags of the RPM format that hold the scripts.
RPM_SCRIPTS = {1024: "postinst", 1025: "prerm", 1026: "postrm", 1022: "arch"}


def of_rpm(file: Path) -> Content:
    """Lead, signature, header, and a compressed cpio archive; the format is described by rpm itself."""
    content = file.read_bytes()
    if content[:4] != b"\xed\xab\xee\xdb":
        raise BuildError(f"{file} is no rpm")
    _, at = rpm_header(content, 96)
    tags, at = rpm_header(content, at + (-at % 8))
    return Content(of_cpio(lzma.decompress(content[at:])), tags)


def rpm_header(content: bytes, at: int) -> tuple[dict[str, str], int]:
    magic, entries, length = struct.unpack_from(">IIII", content, at)[0], *struct.unpack_from(">II", content, at + 8)
    assert magic >> 8 == 0x8EADE8
    store = at + 16 + 16 * entries
    tags = {}
    for index in range(entries):
        tag, kind, offset, _ = struct.unpack_from(">IIII", content, at + 16 + 16 * index)
        if tag in RPM_SCRIPTS and kind in (6, 9):
            begin = store + offset
            tags[RPM_SCRIPTS[tag]] = content[begin : content.index(b"\0", begin)].decode()
    return tags, store + length


def of_cpio(content: bytes) -> dict[str, tuple[int, bytes]]:
    found, at = {}, 0
    while True:
        numbers = [int(content[at + 6 + 8 * index : at + 14 + 8 * index], 16) for index in range(13)]
        mode, size, name_size = numbers[1], numbers[6], numbers[11]
        name = content[at + 110 : at + 110 + name_size - 1].decode()
        begin = at + 110 + name_size + (-(110 + name_size) % 4)
        if name == "TRAILER!!!":
            return found
        if mode & 0o170000 in (0o100000, 0o120000):
            # A link has no mode of its own, and nfpm writes none.
            mode = 0o777 if mode & 0o170000 == 0o120000 else mode & 0o777
            found["/" + name.removeprefix("./").strip("/")] = (mode, content[begin : begin + size])
        at = begin + size + (-size % 4)


def digest_of(system: systems.System, *but: str) -> dict[str, tuple]:
    """Everything written, with mode and content, so that two moments can be compared."""
    found = {}
    for name in system.tree(*but):
        path = system.written / name
        found[name] = ("link", os.readlink(path)) if path.is_symlink() else (path.stat().st_mode, path.read_bytes())
    return found
