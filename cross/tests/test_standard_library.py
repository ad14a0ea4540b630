"""Which standard library and which linker a program gets, by what the toolchain has; and what is said where it is not the best one."""

import contextlib
import io
import tempfile
import unittest
from dataclasses import dataclass
from pathlib import Path

from builder import compile
from builder.errors import Unbuildable
from builder.table import Program, Target
from builder.tools import Tools

from .support import PLACES, TABLE


@dataclass(frozen=True)
class Played(Tools):
    """A toolchain of empty files, and a rustup that can add nothing."""

    root: Path = Path()

    @property
    def sysroot(self) -> Path:
        return self.root

    def rustup(self, *arguments: str) -> str | None:
        return "no network"


SOURCE = "lib/rustlib/src/rust/library/Cargo.lock"
LINKER = "lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld"
START = "lib/rustlib/x86_64-unknown-linux-musl/lib/self-contained/rcrt1.o"


class StandardLibrary(unittest.TestCase):
    def setUp(self) -> None:
        self.agent, self.bridge = TABLE.programs["flotilla-agent"], TABLE.programs["flotilla-bridge"]
        self.x86_64, self.armv7 = TABLE.targets["x86_64"], TABLE.targets["armv7"]

    def toolchain(self, *files: str) -> Played:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        for name in files:
            (Path(folder.name) / name).parent.mkdir(parents=True, exist_ok=True)
            (Path(folder.name) / name).touch()
        return Played(PLACES, PLACES.output / "venv", Path(folder.name))

    def chosen(self, tools: Tools, target: Target, program: Program) -> tuple[str, str]:
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            return tools.standard_library(target, program), said.getvalue()

    def test_a_whole_toolchain(self) -> None:
        tools = self.toolchain(SOURCE, LINKER, START)
        self.assertEqual(self.chosen(tools, self.x86_64, self.agent), ("for-size", ""))
        self.assertEqual(self.chosen(tools, self.x86_64, self.bridge), ("rustup", ""))
        self.assertEqual(self.chosen(tools, self.armv7, self.agent), ("for-size", ""))
        self.assertEqual([tools.linker(target) for target in (self.x86_64, self.armv7)], ["rust-lld", "zig"])
        self.assertEqual(compile.size_budget(tools, self.x86_64, self.agent), self.x86_64.size_budget_bytes["flotilla-agent"])

    def test_without_the_source_the_ready_made_one_and_more_room(self) -> None:
        tools = self.toolchain(LINKER, START)
        std, said = self.chosen(tools, self.x86_64, self.agent)
        self.assertEqual(std, "rustup")
        self.assertIn("cannot add it: no network; it gets rustup's, and is larger", said)
        more = compile.size_budget(tools, self.x86_64, self.agent) - self.x86_64.size_budget_bytes["flotilla-agent"]
        self.assertEqual(more, self.agent.ready_made_std_bytes)
        self.assertEqual(compile.std_arguments(std), [])
        self.assertNotIn("-Cforce-unwind-tables=no", compile.compiler_flags(tools, self.x86_64, std))
        with self.assertRaisesRegex(Unbuildable, "source of the standard library is missing.* no network"):
            self.chosen(tools, self.armv7, self.agent)

    def test_without_the_ready_made_one_it_is_built_and_zig_links(self) -> None:
        tools = self.toolchain(SOURCE, LINKER)
        std, said = self.chosen(tools, self.x86_64, self.bridge)
        self.assertEqual(std, "build-std")
        self.assertIn("rustup has no standard library for it (no network); it is built from source", said)
        self.assertEqual(tools.linker(self.x86_64), "zig")
        self.assertEqual(compile.compiler_flags(tools, self.x86_64, std), ["-Clink-self-contained=no"])
        # What unwinds keeps its tables, and rustup's features.
        self.assertEqual(compile.std_arguments(std), ["-Zbuild-std=std,panic_abort"])

    def test_with_nothing_it_is_unbuildable(self) -> None:
        for target, program in ((self.x86_64, self.agent), (self.x86_64, self.bridge), (self.armv7, self.agent)):
            with self.assertRaises(Unbuildable):
                self.chosen(self.toolchain(), target, program)

    def test_only_a_program_whose_panics_end_it_is_without_tables(self) -> None:
        text = (PLACES.source / "Cargo.toml").read_text()
        for program in TABLE.programs.values():
            aborts = 'panic = "abort"' in text.split(f"[profile.{program.profile}]")[1].split("\n[")[0]
            self.assertEqual(program.std_for_size, aborts, program.name)
