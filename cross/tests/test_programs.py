"""Every program that cross/build has made: static, for its machine, within its budget, with its crates inside, and running where it can."""

import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from builder import compile, elf, sbom
from builder.errors import BuildError
from builder.table import Target

from .support import PLACES, TABLE, built, tools

# What runs a program of another machine, where it is installed.
EMULATORS = {"aarch64": "qemu-aarch64-static", "armv7": "qemu-arm-static", "armv6": "qemu-arm-static", "riscv64": "qemu-riscv64-static"}
EMULATORS["i686"] = ""


def agent_of(target: Target) -> Path:
    return PLACES.binaries / target.name / "flotilla-agent"


def programs() -> list[tuple[Target, str, Path]]:
    """Every program that was built: the agent, and where they are there the bridge and the command line."""
    every = [(target, name, PLACES.binaries / target.name / name) for target in built() for name in target.programs]
    return [(target, name, file) for target, name, file in every if file.is_file()]


class Programs(unittest.TestCase):
    def test_something_is_built(self) -> None:
        self.assertTrue(built(), "run cross/build first")

    def test_each_is_what_it_must_be(self) -> None:
        for target, name, file in programs():
            with self.subTest(target=target.name, program=name):
                compile.check(tools(), PLACES, target, TABLE.programs[name], file)

    def test_each_runs_where_it_can(self) -> None:
        native = 0
        for target, name, file in programs():
            emulator = "" if target.name in ("x86_64", "i686") else shutil.which(EMULATORS[target.name])
            if emulator is None:
                print(f"SKIPPED: {target.name} does not run here, and {EMULATORS[target.name]} is not installed")
                continue
            # The first processor of that kind, and not the best one that the emulator plays.
            processor = ["-cpu", "arm1176"] if target.name == "armv6" else []
            command = [emulator, *processor] if emulator else []
            said = subprocess.run([*command, file, "--version"], capture_output=True, text=True, check=True).stdout
            self.assertEqual(said, f"{name} {PLACES.version}\n", target.name)
            native += not emulator
        self.assertTrue(native)

    def test_the_crates_inside_are_those_of_cargo_lock(self) -> None:
        locked = sbom.locked(PLACES.source / "Cargo.lock")
        for target, name, file in programs():
            with self.subTest(target=target.name, program=name):
                crates = sbom.unpacked(file)["packages"]
                named = {(crate["name"], crate["version"]): crate["source"] for crate in crates}
                self.assertEqual(len(named), len(crates))
                self.assertEqual({crate: locked.get(crate) for crate in named}, named)
                roots = [crate["name"] for crate in crates if crate.get("root")]
                self.assertEqual(roots, [TABLE.programs[name].package])
                # Some that must be there, some that are there while building alone, and what only tests have.
                kinds = {crate["name"]: crate.get("kind", "runtime") for crate in crates}
                self.assertEqual([kinds.get(name) for name in ("tokio", "rustls", "ring", "libc")], ["runtime"] * 4)
                self.assertEqual([kinds.get(name) for name in ("serde_derive", "cc")], ["build"] * 2)
                self.assertFalse({"proptest", "flotilla-tests", *({"rcgen", "tempfile"} if name == "flotilla-agent" else ())} & set(kinds))
                # Every one is reached from the root.
                reached, front = set(), [crates.index(next(crate for crate in crates if crate.get("root")))]
                while front:
                    place = front.pop()
                    if place not in reached:
                        reached.add(place)
                        front += crates[place].get("dependencies", [])
                self.assertEqual(reached, set(range(len(crates))))


class Checks(unittest.TestCase):
    """The checks find what they are for."""

    def setUp(self) -> None:
        self.target = TABLE.targets["x86_64"]
        self.program = TABLE.programs["flotilla-agent"]
        if not agent_of(self.target).is_file():
            self.skipTest("the agent is not built for x86_64")
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def refused(self, file: Path, why: str, target: Target | None = None) -> None:
        with self.assertRaisesRegex(BuildError, why):
            compile.check(tools(), PLACES, target or self.target, self.program, file)

    def test_a_program_past_its_budget(self) -> None:
        small = Target(**{**self.target.__dict__, "size_budget_bytes": {"flotilla-agent": 1_000_000}})
        self.refused(agent_of(self.target), "past its budget of 1,000,000", small)

    def test_a_program_of_another_machine(self) -> None:
        self.refused(agent_of(self.target), "not for aarch64", TABLE.targets["aarch64"])

    def test_a_dynamic_one_and_one_with_symbols(self) -> None:
        found = elf.problems(elf.read(Path(shutil.which("sh") or "/bin/sh")), "x86_64-unknown-linux-musl")
        self.assertIn("it wants a dynamic linker", found)
        self.assertIn("it wants shared libraries", found)

    def test_one_without_its_crates_or_cut_off(self) -> None:
        bare = Path(self.folder.name) / "bare"
        subprocess.run([tools().objcopy, "--remove-section", sbom.SECTION, agent_of(self.target), bare], check=True)
        self.refused(bare, "has no section .dep-v0")
        bare.write_bytes(agent_of(self.target).read_bytes()[:100_000])
        self.refused(bare, "no whole ELF file")

    def test_one_for_a_fixed_address_where_any_was_wanted(self) -> None:
        if tools().linker(self.target) != "rust-lld":
            self.skipTest("rust-lld or its start-up files are missing")
        content = bytearray(agent_of(self.target).read_bytes())
        content[16:18] = (2).to_bytes(2, "little")
        fixed = Path(self.folder.name) / "fixed"
        fixed.write_bytes(content)
        self.refused(fixed, "runs at one address only")

    def test_one_with_a_folder_of_this_machine_in_it(self) -> None:
        marked = Path(self.folder.name) / "marked"
        shutil.copyfile(agent_of(self.target), marked)
        with marked.open("ab") as file:
            file.write(f"{PLACES.source}/agent/src/main.rs".encode())
        self.refused(marked, "of this machine is in it")

    def test_an_arm_program_for_a_newer_processor(self) -> None:
        def attributes(architecture: int) -> bytes:
            return b"A\x1b\0\0\0aeabi\0\x01\x11\0\0\0\x05name\0\x06" + bytes([architecture])

        self.assertEqual([elf.arm_architecture(attributes(number)) for number in (6, 10)], [6, 10])
        newer = elf.Elf(32, 40, elf.ARM_HARD_FLOAT, sections={".ARM.attributes": (1, attributes(10))})
        self.assertEqual(elf.problems(newer, "armv7-unknown-linux-musleabihf"), [])
        self.assertIn("at most 6 runs on arm", elf.problems(newer, "arm-unknown-linux-musleabihf")[0])
        newer.flags = 0
        self.assertIn("it is not of the hard-float kind", elf.problems(newer, "armv7-unknown-linux-musleabihf"))
