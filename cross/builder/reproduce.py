"""Whether the same sources give the same bytes in another folder: builds and packs them there, from nothing, and compares."""

import hashlib
import shutil
import tempfile
from pathlib import Path

from . import compile, packages
from .errors import BuildError
from .places import Places
from .progress import answer, say
from .table import Program, Target
from .tools import Tools


def digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def twice(tools: Tools, places: Places, target: Target, program: Program, first: Path, packed: list[Path]) -> None:
    """A BuildError names the first files that differ."""
    with tempfile.TemporaryDirectory(prefix="flotilla-again-") as folder:
        again = Places(Path(folder) / "another/place", Path(folder) / "made", places.date)
        copy_sources(places.source, again.source)
        second, _ = compile.program(tools.sharing(again), again, target, program)
        compare(target, first, second)
        if packed:
            made = packages.pack(tools.sharing(again), again, target, second)
            for one, other in zip(packed, made, strict=True):
                compare(target, one, other)


def compare(target: Target, first: Path, second: Path) -> None:
    if digest(first) != digest(second):
        kept = first.with_name(f"{first.name}.second")
        shutil.copyfile(second, kept)
        raise BuildError(f"{target.name}: {first.name} is not reproducible: compare {first} with {kept}")
    say(f"  the same bytes, built twice: {first.name} {digest(first)}")


def copy_sources(source: Path, to: Path) -> None:
    """What git knows or would add, as it is now."""
    names = answer(["git", "-C", str(source), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]).split("\0")
    for name in filter(None, names):
        if (source / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / name, to / name)
