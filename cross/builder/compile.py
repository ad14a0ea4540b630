"""One program for one target: cargo by cargo-zigbuild, the list of its crates put in, and every promise about it checked."""

import os
import shutil
from pathlib import Path

from . import elf, sbom
from .errors import BuildError
from .places import Places
from .progress import answer, run
from .table import Program, Target
from .tools import Tools

# Separates flags in CARGO_ENCODED_RUSTFLAGS.
UNIT_SEPARATOR = "\x1f"


def program(tools: Tools, places: Places, target: Target, program: Program) -> tuple[Path, float]:
    """Builds it, and gives the finished file and the seconds."""
    std = tools.standard_library(target)
    command = [tools.cargo, "zigbuild", "--locked", "--profile", program.profile, "--target", target.triple]
    command += ["-p", program.package, "--bin", program.name, *target.feature_arguments(program)]
    flags = remapped_paths(tools, places, std)
    variables = {
        **tools.environment(),
        "CARGO_TARGET_DIR": str(places.build(std)),
        "CARGO_INCREMENTAL": "0",
        "SOURCE_DATE_EPOCH": str(places.date),
    }
    if std == "build-std":
        command += ["-Zbuild-std=std,panic_abort"]
        # The start-up files that rustc would link itself are not there: zig's are.
        flags += ["-Clink-self-contained=no"]
        variables["RUSTC_BOOTSTRAP"] = "1"
    variables["CARGO_ENCODED_RUSTFLAGS"] = UNIT_SEPARATOR.join(flags)
    log = places.logs / f"{target.name}-{program.name}.log"
    seconds = run(f"{target.name} {program.name}", command, log, folder=places.source, variables=variables)
    linked = places.build(std) / target.triple / program.profile / program.name
    finished = places.binaries / target.name / program.name
    finish(tools, places, target, program, linked, finished)
    return finished, seconds


def remapped_paths(tools: Tools, places: Places, std: str) -> list[str]:
    """So that no folder of this machine gets into a program. The last one that fits counts, so the widest comes first."""
    names = [(cargo_home(), "/cargo"), (tools.sysroot, "/rust"), (places.source, "/flotilla"), (places.build(std), "/flotilla/target")]
    return [f"--remap-path-prefix={path}={name}" for path, name in names]


def cargo_home() -> Path:
    return Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo")


def finish(tools: Tools, places: Places, target: Target, program: Program, linked: Path, finished: Path) -> None:
    crates = sbom.of(tools, places, target, program)
    finished.parent.mkdir(parents=True, exist_ok=True)
    section = finished.with_name(f".{program.name}.crates")
    section.write_bytes(sbom.packed(crates))
    new = finished.with_name(f".{program.name}.new")
    put_in = ["--add-section", f"{sbom.SECTION}={section}", "--set-section-flags", f"{sbom.SECTION}=readonly"]
    answer([str(tools.objcopy), "--strip-all", *put_in, str(linked), str(new)])
    section.unlink()
    check(tools, places, target, program, new)
    os.replace(new, finished)


def check(tools: Tools, places: Places, target: Target, program: Program, file: Path) -> None:
    """Static, stripped, for this machine, within its budget, with its crates in it, and without a folder of this machine."""

    def wrong(what: str) -> BuildError:
        return BuildError(f"{target.name} {program.name}: {what} ({file})")

    read = elf.read(file)
    for problem in elf.problems(read, target.triple):
        raise wrong(problem)
    sbom.unpacked(file)
    content = file.read_bytes()
    for folder in (places.source, places.output, cargo_home(), tools.sysroot):
        if str(folder).encode() in content:
            raise wrong(f"the path {folder} of this machine is in it")
    budget = target.size_budget_bytes[program.name]
    if len(content) > budget:
        raise wrong(f"{len(content):,} bytes, which is {len(content) - budget:,} past its budget of {budget:,}")


def clear(places: Places, target: Target, programs: list[Program]) -> None:
    """Nothing of an earlier build is taken for one of now."""
    for program in programs:
        (places.binaries / target.name / program.name).unlink(missing_ok=True)
    shutil.rmtree(places.output / "stage" / target.name, ignore_errors=True)
