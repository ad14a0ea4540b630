"""The list of crates inside a program, in the format of cargo-auditable, so that its readers and scanners know it.

The section `.dep-v0` holds zlib-compressed JSON: {"packages": [{"name", "version", "source", "kind"?, "dependencies"?, "root"?}]},
sorted, where dependencies are places in that list. The format is described at
https://github.com/rust-secure-code/cargo-auditable (PARSING.md and its JSON schema).

The crates are those that cargo itself names for this package, target and these features (`cargo tree`), and not the whole of Cargo.lock.
"""

import json
import re
import tomllib
import zlib
from pathlib import Path

from . import elf
from .errors import BuildError
from .places import Places
from .progress import answer
from .table import Program, Target
from .tools import Tools

SECTION = ".dep-v0"
# cargo-auditable's own advice to readers, against what would unpack without end.
MOST_BYTES = 8 * 1024 * 1024
CRATES_IO = "registry+https://github.com/rust-lang/crates.io-index"
# Crates that run while building, macros among them, are named as such.
FORMAT = 1
LINE = re.compile(r"(?P<depth>\d+)(?P<name>[\w-]+) v(?P<version>\S+)(?P<rest>( \([^)]*\))*)")

Crate = tuple[str, str]


def of(tools: Tools, places: Places, target: Target, program: Program) -> dict:
    """The crates of a program."""
    every, edges, root = graph(tree(tools, places, target, program, "normal,build"))
    running, _, _ = graph(tree(tools, places, target, program, "normal,no-proc-macro"))
    sources = locked(places.source / "Cargo.lock")
    order = sorted(every)
    place = {crate: index for index, crate in enumerate(order)}
    packages = []
    for crate in order:
        name, version = crate
        if crate not in sources:
            raise BuildError(f"{name} {version} is built into {program.name}, and Cargo.lock does not name it")
        package = {"name": name, "version": version, "source": sources[crate]}
        if crate not in running:
            package["kind"] = "build"
        if below := sorted(place[other] for other in edges[crate]):
            package["dependencies"] = below
        if crate == root:
            package["root"] = True
        packages.append(package)
    return {"packages": packages, "format": FORMAT}


def tree(tools: Tools, places: Places, target: Target, program: Program, edges: str) -> str:
    command = [tools.cargo, "tree", "--locked", "-p", program.package, "--target", target.triple, *target.feature_arguments(program)]
    return answer([*command, "--edges", edges, "--prefix", "depth", "--charset", "ascii"], folder=places.source)


def graph(text: str) -> tuple[set[Crate], dict[Crate, set[Crate]], Crate]:
    """Crates, what each depends on, and the first one, from lines of depth, name and version."""
    path: list[Crate] = []
    edges: dict[Crate, set[Crate]] = {}
    for line in text.splitlines():
        found = LINE.match(line)
        if found is None:
            raise BuildError(f"cargo tree said something unknown: {line!r}")
        crate, depth = (found["name"], found["version"]), int(found["depth"])
        edges.setdefault(crate, set())
        del path[depth:]
        if path and path[-1] != crate:
            edges[path[-1]].add(crate)
        path.append(crate)
    if not path:
        raise BuildError("cargo tree named no crates")
    return set(edges), edges, path[0]


def locked(file: Path) -> dict[Crate, str]:
    """Where each crate of a Cargo.lock comes from, as cargo-auditable calls it."""
    with file.open("rb") as opened:
        packages = tomllib.load(opened)["package"]
    return {(one["name"], one["version"]): source(one.get("source")) for one in packages}


def source(text: str | None) -> str:
    if text is None:
        return "local"
    if text == CRATES_IO:
        return "crates.io"
    return "git" if text.startswith("git+") else "registry"


def packed(crates: dict) -> bytes:
    return zlib.compress(json.dumps(crates, separators=(",", ":"), sort_keys=True).encode(), 9)


def unpacked(file: Path) -> dict:
    """The list inside a program. A BuildError where it has none."""
    section = elf.read(file).sections.get(SECTION)
    if section is None:
        raise BuildError(f"{file} has no section {SECTION}")
    reader = zlib.decompressobj()
    try:
        text = reader.decompress(section[1], MOST_BYTES)
        return json.loads(text)
    except (zlib.error, ValueError) as error:
        raise BuildError(f"{file}: the section {SECTION} is damaged") from error
