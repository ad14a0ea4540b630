"""The table of targets, and the command line: what is wrong is said, and by which exit code."""

import re
import subprocess
import tempfile
import unittest
from pathlib import Path

from builder import sbom
from builder.errors import BuildError
from builder.table import TABLE, Table

from .support import PLACES

BUILD = PLACES.source / "cross/build"


class Targets(unittest.TestCase):
    def read(self, change: tuple[str, str]) -> Table:
        text = TABLE.read_text()
        self.assertIn(change[0], text)
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
            file.write(text.replace(*change, 1))
            file.flush()
            return Table.read(Path(file.name))

    def test_all_promised_targets_are_there(self) -> None:
        self.assertEqual(list(Table.read().targets), ["x86_64", "i686", "aarch64", "armv7", "armv6", "riscv64"])
        for target in Table.read().targets.values():
            self.assertTrue(target.triple.endswith(("-linux-musl", "-linux-musleabihf")))
            self.assertEqual(set(target.packages), {"deb", "rpm", "apk", "ipk"})

    def test_what_is_wrong_in_the_table_is_said(self) -> None:
        for change, why in (
            (('std = "rustup"', 'std = "rustup"\nsize = 1'), "size, which is no field"),
            (('std = "rustup"\n', ""), "lacks std"),
            (('std = "rustup"', 'std = "hope"'), 'std is "hope"'),
            (('linker = "zig"', 'linker = "gold"'), 'linker is "gold"'),
            (('deb = "amd64"', 'msi = "amd64"'), "msi is no kind of package"),
            (("flotilla-agent = ", "other = "), "says nothing of flotilla-agent"),
            (("[programs.flotilla-agent]", "[programs.other]"), "no table programs.flotilla-agent"),
        ):
            with self.subTest(why), self.assertRaisesRegex(BuildError, re.escape(why)):
                self.read(change)


class CommandLine(unittest.TestCase):
    def command(self, *arguments: str) -> tuple[int, str]:
        done = subprocess.run([BUILD, *arguments], capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    def test_exit_codes_and_words(self) -> None:
        code, said = self.command("--list")
        self.assertEqual((code, said.count("linux-musl")), (0, 6))
        self.assertEqual(self.command("--help")[0], 0)
        for arguments, why in ((["sparc"], "sparc is no target"), (["armv7", "--program", "flotilla"], "is not built for armv7")):
            code, said = self.command(*arguments)
            self.assertEqual(code, 2)
            self.assertIn(why, said)


class Crates(unittest.TestCase):
    def test_a_tree_of_cargo_becomes_a_graph(self) -> None:
        text = "0a v1.0.0 (/x/a)\n1b v2.0.0\n2c v0.1.0+x (proc-macro)\n1c v0.1.0+x (proc-macro) (*)\n1d v1.0.0\n2b v2.0.0 (*)\n"
        every, edges, root = sbom.graph(text)
        b, c, d = ("b", "2.0.0"), ("c", "0.1.0+x"), ("d", "1.0.0")
        self.assertEqual((root, every), (("a", "1.0.0"), {("a", "1.0.0"), b, c, d}))
        self.assertEqual(edges, {("a", "1.0.0"): {b, c, d}, b: {c}, c: set(), d: {b}})
        for wrong in ("", "warning: what\n"):
            with self.assertRaises(BuildError):
                sbom.graph(wrong)
