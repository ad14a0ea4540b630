"""One program for one target: cargo by cargo-zigbuild, the list of its crates put in, and every promise about it checked."""

import os
import shutil
from pathlib import Path

from . import elf, sbom
from .errors import BuildError
from .places import Places
from .progress import answer, run, say
from .table import Program, Target
from .tools import Tools

# Separates flags in CARGO_ENCODED_RUSTFLAGS.
UNIT_SEPARATOR = "\x1f"


def program(tools: Tools, places: Places, target: Target, program: Program) -> tuple[Path, float]:
    """Builds it, and gives the finished file and the seconds. Unbuildable where this machine cannot."""
    std = tools.standard_library(target, program)
    command = [tools.cargo, "zigbuild", "--locked", "--profile", program.profile, "--target", target.triple]
    command += ["-p", program.package, "--bin", program.name, *target.feature_arguments(program)]
    command += std_arguments(std)
    flags = [*remapped_paths(tools, places, std), *compiler_flags(tools, target, std)]
    variables = {
        **tools.environment(),
        "CARGO_TARGET_DIR": str(places.build(std)),
        "CARGO_INCREMENTAL": "0",
        "SOURCE_DATE_EPOCH": str(places.date),
        "CARGO_ENCODED_RUSTFLAGS": UNIT_SEPARATOR.join(flags),
    }
    if std != "rustup":
        variables["RUSTC_BOOTSTRAP"] = "1"
    linker = tools.linker(target)
    if linker != target.linker:
        say(f"{target.name}: {target.linker} or its start-up files are missing; {linker} links it, for one address")
    if linker == "rust-lld":
        # cargo-zigbuild leaves a linker that is named alone; C is compiled by zig all the same.
        variables[f"CARGO_TARGET_{target.triple.upper().replace('-', '_')}_LINKER"] = "rust-lld"
    log = places.logs / f"{target.name}-{program.name}.log"
    seconds = run(f"{target.name} {program.name}", command, log, folder=places.source, variables=variables)
    linked = places.build(std) / target.triple / program.profile / program.name
    finished = places.binaries / target.name / program.name
    finish(tools, places, target, program, linked, finished)
    return finished, seconds


def std_arguments(std: str) -> list[str]:
    """What cargo is told of the standard library."""
    if std == "rustup":
        return []
    # Naming features leaves out those of rustup's: the printer of backtraces, and unwinding.
    return ["-Zbuild-std=std,panic_abort", *(["-Zbuild-std-features=optimize_for_size"] if std == "for-size" else [])]


def compiler_flags(tools: Tools, target: Target, std: str) -> list[str]:
    flags = []
    if std == "for-size":
        # A panic ends these programs, so nobody reads the tables; without them in the standard library they go altogether.
        flags.append("-Cforce-unwind-tables=no")
    if tools.linker(target) == "rust-lld":
        # With Rust's own musl, at any address; relr is the compact form of relocations, which that musl knows.
        flags += ["-Clink-self-contained=yes", "-Clink-arg=--pack-dyn-relocs=relr"]
    elif std != "rustup":
        # The start-up files that rustc would link itself may not be there: zig's are.
        flags.append("-Clink-self-contained=no")
    return flags


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
    if tools.linker(target) == "rust-lld" and not read.is_movable:
        raise wrong("it runs at one address only, and rust-lld was to link it for any")
    sbom.unpacked(file)
    content = file.read_bytes()
    for folder in (places.source, places.output, cargo_home(), tools.sysroot):
        if str(folder).encode() in content:
            raise wrong(f"the path {folder} of this machine is in it")
    budget = size_budget(tools, target, program)
    if len(content) > budget:
        raise wrong(f"{len(content):,} bytes, which is {len(content) - budget:,} past its budget of {budget:,}")


def size_budget(tools: Tools, target: Target, program: Program) -> int:
    """That of the table, with more room where the standard library could not be built for size."""
    is_ready_made = program.std_for_size and not tools.has_source()
    return target.size_budget_bytes[program.name] + (program.ready_made_std_bytes if is_ready_made else 0)


def clear(places: Places, target: Target, programs: list[Program]) -> None:
    """Nothing of an earlier build is taken for one of now."""
    for program in programs:
        (places.binaries / target.name / program.name).unlink(missing_ok=True)
    shutil.rmtree(places.output / "stage" / target.name, ignore_errors=True)
