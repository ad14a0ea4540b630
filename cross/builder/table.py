"""targets.toml as types: read once, with a sentence for whatever is wrong in it."""

import tomllib
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import TypeVar

from .errors import BuildError

TABLE = Path(__file__).resolve().parent.parent / "targets.toml"
STANDARD_LIBRARIES = ("rustup", "build-std")
LINKERS = ("zig", "rust-lld")
PACKAGE_KINDS = ("deb", "rpm", "apk", "ipk")


@dataclass(frozen=True)
class Program:
    """A program of the workspace."""

    name: str
    package: str
    profile: str
    is_packaged: bool
    std_for_size: bool = False
    """Its standard library is built with it, for size, where its source can be had."""
    ready_made_std_bytes: int = 0
    """How much more the budget is where it cannot."""


@dataclass(frozen=True)
class Target:
    """A kind of machine."""

    name: str
    triple: str
    std: str
    linker: str
    features: list[str]
    programs: list[str]
    size_budget_bytes: dict[str, int]
    memory_budget_bytes: int
    packages: dict[str, str]
    file_note: str = ""

    def feature_arguments(self, program: Program) -> list[str]:
        """What cargo is told of this target's features of a program."""
        own = [feature for feature in self.features if feature.split("/")[0] == program.package]
        return ["--features", ",".join(own)] if own else []


Entry = TypeVar("Entry", Program, Target)


@dataclass(frozen=True)
class Table:
    """The whole file."""

    tools: dict[str, str]
    programs: dict[str, Program] = field(default_factory=dict)
    targets: dict[str, Target] = field(default_factory=dict)

    @staticmethod
    def read(file: Path = TABLE) -> "Table":
        with file.open("rb") as opened:
            text = tomllib.load(opened)
        try:
            table = Table(
                tools=text["tools"],
                programs={name: entry(Program, name, given) for name, given in text["programs"].items()},
                targets={name: entry(Target, name, given) for name, given in text["targets"].items()},
            )
        except KeyError as missing:
            raise BuildError(f"{file.name}: the table {missing} is missing") from None
        for target in table.targets.values():
            check(table, target)
        return table


def entry(kind: type[Entry], name: str, given: dict) -> Entry:
    known = {one.name for one in fields(kind)} - {"name"}
    if unknown := sorted(set(given) - known):
        raise BuildError(f"targets.toml: {name} has {', '.join(unknown)}, which is no field; known are {', '.join(sorted(known))}")
    try:
        return kind(name=name, **given)
    except TypeError:
        missing = sorted(one.name for one in fields(kind) if one.name not in {"name", *given} and one.default is MISSING)
        raise BuildError(f"targets.toml: {name} lacks {', '.join(missing)}") from None


def check(table: Table, target: Target) -> None:
    def wrong(what: str) -> BuildError:
        return BuildError(f"targets.toml: {target.name}: {what}")

    if target.std not in STANDARD_LIBRARIES:
        raise wrong(f'std is "{target.std}", and must be one of {", ".join(STANDARD_LIBRARIES)}')
    if target.linker not in LINKERS:
        raise wrong(f'linker is "{target.linker}", and must be one of {", ".join(LINKERS)}')
    for program in target.programs:
        if program not in table.programs:
            raise wrong(f"there is no table programs.{program}")
        if program not in target.size_budget_bytes:
            raise wrong(f"size_budget_bytes says nothing of {program}")
    if unknown := sorted(set(target.packages) - set(PACKAGE_KINDS)):
        raise wrong(f"{', '.join(unknown)} is no kind of package; known are {', '.join(PACKAGE_KINDS)}")
