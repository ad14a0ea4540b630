"""The command cross/build: what to build, in which order, and what is said of it in the end."""

import argparse
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from . import compile, packages, reproduce
from .errors import BuildError, Unbuildable
from .places import Places
from .progress import say
from .table import Program, Table, Target
from .tools import Tools

DONE, FAILED, USAGE, UNBUILDABLE = 0, 1, 2, 3

DESCRIPTION = """\
Builds static programs of Flotilla for every target of cross/targets.toml, with the list of their crates inside, and packages of the agent.
Programs go to target/cross/binaries/TARGET/, packages to target/cross/packages/."""

EPILOGUE = """\
examples:
  cross/build                                  everything that this machine can build
  cross/build x86_64 --program flotilla-agent  the agent for this kind of machine, and its packages
  cross/build aarch64 armv7 --no-packages      programs alone
  cross/build --twice aarch64                  also a second time elsewhere: the same bytes, or a failure
  cross/build --list                           the targets

exit codes:
  0  all that was asked for was built; without names: all that this machine can build, and the others are named with the reason
  1  something did not build, is past its budget, or is not what it must be
  2  the command line is wrong
  3  a target that was asked for by name cannot be built on this machine

CARGO names another cargo, CARGO_BUILD_JOBS bounds what runs at once, SOURCE_DATE_EPOCH is the date of every file in packages
(otherwise that of the last commit), CARGO_TARGET_DIR another folder than target."""


@dataclass
class Outcome:
    """What became of it all."""

    lines: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


def main(arguments: list[str]) -> int:
    try:
        table = Table.read()
        chosen = parse(arguments, table)
        if chosen.list:
            return listing(table)
        return build(table, chosen)
    except BuildError as error:
        print(f"cross/build: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("\ncross/build: stopped", file=sys.stderr)
        return FAILED


def parse(arguments: list[str], table: Table) -> argparse.Namespace:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="cross/build", description=DESCRIPTION, epilog=EPILOGUE, formatter_class=form)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(table.targets)}; all of them without one")
    parser.add_argument("--program", action="append", choices=sorted(table.programs), help="only this program; may be given again")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--no-packages", action="store_true", help="no packages")
    which.add_argument("--packages-only", action="store_true", help="pack what was built before, and build nothing")
    parser.add_argument("--twice", action="store_true", help="build a second time in another folder, and compare")
    parser.add_argument("--list", action="store_true", help="say which targets there are, and end")
    chosen = parser.parse_args(arguments)
    for name in chosen.targets:
        if name not in table.targets:
            parser.error(f"{name} is no target; there are {', '.join(table.targets)}")
        if chosen.program and not set(chosen.program) & set(table.targets[name].programs):
            parser.error(f"{', '.join(chosen.program)} is not built for {name}; see cross/targets.toml")
    return chosen


def listing(table: Table) -> int:
    for target in table.targets.values():
        say(f"{target.name:10} {target.triple:32} std {target.std:10} {', '.join(target.programs)}")
        kinds = ", ".join(f"{kind} {name}" for kind, name in target.packages.items())
        say(f"{'':10} {kinds}; at most {target.size_budget_bytes['flotilla-agent']:,} bytes")
    return DONE


def build(table: Table, chosen: argparse.Namespace) -> int:
    begun = time.monotonic()
    places = Places.usual()
    tools = Tools.install(places, table.tools)
    outcome = Outcome()
    if chosen.packages_only:
        return pack_only(table, chosen, places, tools)
    for target in [table.targets[name] for name in chosen.targets or table.targets]:
        programs = [table.programs[name] for name in target.programs if not chosen.program or name in chosen.program]
        compile.clear(places, target, programs)
        for program in programs:
            try:
                one(tools, places, target, program, chosen, outcome)
            except Unbuildable as reason:
                outcome.skipped.append(f"{target.name} {program.name}: {reason}")
            except BuildError as error:
                outcome.failures.append(str(error))
                print(f"cross/build: {error}", file=sys.stderr, flush=True)
    return conclude(outcome, chosen, time.monotonic() - begun)


def pack_only(table: Table, chosen: argparse.Namespace, places: Places, tools: Tools) -> int:
    outcome = Outcome()
    for target in [table.targets[name] for name in chosen.targets or table.targets]:
        for program in [table.programs[name] for name in target.programs if table.programs[name].is_packaged]:
            file = places.binaries / target.name / program.name
            if file.is_file():
                outcome.lines += [shown(path) for path in packages.pack(tools, places, target, file)]
            else:
                outcome.skipped.append(f"{target.name}: {program.name} was not built before")
    return conclude(outcome, chosen, 0)


def one(tools: Tools, places: Places, target: Target, program: Program, chosen: argparse.Namespace, outcome: Outcome) -> None:
    say(f"{target.name} {program.name}")
    file, seconds = compile.program(tools, places, target, program)
    size, budget = file.stat().st_size, compile.size_budget(tools, target, program)
    outcome.lines.append(f"{target.name:8} {program.name:15} {size:>10,} of {budget:>10,} bytes {seconds:5.0f} s  {shown(file)}")
    packed: list[Path] = []
    if program.is_packaged and not chosen.no_packages:
        packed = packages.pack(tools, places, target, file)
        outcome.lines += [f"{'':8} {'':15} {path.stat().st_size:>10,} {'':20}  {shown(path)}" for path in packed]
    if chosen.twice:
        reproduce.twice(tools, places, target, program, file, packed)


def shown(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def conclude(outcome: Outcome, chosen: argparse.Namespace, seconds: float) -> int:
    say("")
    for line in outcome.lines:
        say(line)
    for reason in outcome.skipped:
        say(f"skipped  {reason}")
    for failure in outcome.failures:
        say(f"FAILED   {failure.splitlines()[0]}")
    say(f"cross/build: {seconds:.0f} s")
    if outcome.failures:
        return FAILED
    return UNBUILDABLE if outcome.skipped and chosen.targets else DONE
