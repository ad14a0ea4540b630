"""The guard alone, in a folder that stands for the system: by this machine's shell, and by busybox."""

import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from . import systems
from .support import PLACES

GUARD = PLACES.source / "cross/package/guard"


class Guarded:
    """A root with the guard's folder."""

    def __init__(self, shell: list[str], folder: Path) -> None:
        self.shell, self.root = shell, folder
        self.home = folder / "usr/lib/flotilla-agent"
        (self.home / "package").mkdir(parents=True)
        (folder / "proc").mkdir()
        self.uptime(100)

    def guard(self, *arguments: str, expect: int = 0) -> str:
        done = subprocess.run(
            [*self.shell, str(GUARD), *arguments], env={**os.environ, "FLOTILLA_ROOT": str(self.root)}, capture_output=True, text=True
        )
        assert done.returncode == expect, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def deliver(self, version: str) -> None:
        program = self.home / "package/flotilla-agent"
        program.unlink(missing_ok=True)
        program.write_text(f'#!/bin/sh\necho "{version} $*" >>{self.root}/calls\n')
        program.chmod(0o755)
        self.guard("switch", version)

    def came_up(self, version: str) -> None:
        file = self.root / "var/lib/flotilla-agent/exec/came-up"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{version}\n")

    def uptime(self, seconds: int) -> None:
        (self.root / "proc/uptime").write_text(f"{seconds}.25 17.00\n")

    def state(self) -> tuple[str | None, str | None, list[str]]:
        links = [os.readlink(path).removeprefix("versions/") if path.is_symlink() else None for path in self.links()]
        return links[0], links[1], sorted(path.name for path in (self.home / "versions").iterdir())

    def links(self) -> tuple[Path, Path]:
        return self.home / "current", self.home / "previous"

    def calls(self) -> list[str]:
        file = self.root / "calls"
        lines = file.read_text().splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return lines


class GuardCase:
    """The cases, for each shell."""

    shell: list[str]

    def setUp(self) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="flotilla-guard-")
        self.addCleanup(self.folder.cleanup)
        self.it = Guarded(self.shell, Path(self.folder.name))

    def test_one_previous_version_is_kept_and_no_more(self) -> None:
        it = self.it
        it.deliver("1.0.0")
        self.assertEqual(it.state(), ("1.0.0", None, ["1.0.0"]))
        it.came_up("1.0.0")
        it.deliver("1.1.0")
        self.assertEqual(it.state(), ("1.1.0", "1.0.0", ["1.0.0", "1.1.0"]))
        it.came_up("1.1.0")
        it.deliver("1.2.0")
        self.assertEqual(it.state(), ("1.2.0", "1.1.0", ["1.1.0", "1.2.0"]))
        # Nothing is left of how the links were changed.
        self.assertEqual(sorted(path.name for path in it.home.iterdir()), ["current", "package", "previous", "versions"])

    def test_the_same_version_again_changes_nothing(self) -> None:
        it = self.it
        it.deliver("1.0.0")
        it.came_up("1.0.0")
        it.deliver("1.1.0")
        before = it.state()
        it.deliver("1.1.0")
        self.assertEqual(it.state(), before)

    def test_the_previous_version_outlives_its_package(self) -> None:
        it = self.it
        it.deliver("1.0.0")
        it.came_up("1.0.0")
        it.deliver("1.1.0")
        (it.home / "package/flotilla-agent").unlink()
        subprocess.run([it.home / "previous/flotilla-agent", "x"], check=True)
        self.assertEqual(it.calls(), ["1.0.0 x"])

    def test_a_version_that_never_came_up_is_fallen_back_from_once(self) -> None:
        it = self.it
        it.deliver("1.0.0")
        it.came_up("1.0.0")
        it.deliver("1.1.0")
        self.assertIn("back to version 1.0.0", it.guard())
        self.assertEqual(it.state()[:2], ("1.0.0", None))
        self.assertIn("fallen back from: 1.1.0", it.guard("status"))
        # The former version fails as well: nothing more is tried.
        for _ in range(3):
            self.assertIn("stays", it.guard())
            self.assertEqual(it.state()[:2], ("1.0.0", None))
        # Its next version counts again.
        it.deliver("1.2.0")
        self.assertEqual(it.state(), ("1.2.0", "1.0.0", ["1.0.0", "1.2.0"]))
        self.assertNotIn("fallen back", it.guard("status"))

    def test_a_version_that_came_up_stays(self) -> None:
        it = self.it
        it.deliver("1.0.0")
        it.came_up("1.0.0")
        it.deliver("1.1.0")
        it.came_up("1.1.0")
        self.assertIn("stays", it.guard("fall-back"))
        self.assertEqual(it.state()[:2], ("1.1.0", "1.0.0"))

    def test_what_never_came_up_is_nothing_to_fall_back_to_where_something_better_is(self) -> None:
        it = self.it
        it.deliver("1.0.0")
        it.came_up("1.0.0")
        it.deliver("1.1.0")
        it.deliver("1.2.0")
        self.assertEqual(it.state(), ("1.2.0", "1.0.0", ["1.0.0", "1.2.0"]))
        it.deliver("1.0.0")
        self.assertEqual(it.state(), ("1.0.0", None, ["1.0.0"]))

    def test_a_first_version_that_fails_is_left_alone(self) -> None:
        it = self.it
        it.deliver("1.0.0")
        self.assertIn("no version before it", it.guard())
        self.assertEqual(it.state()[:2], ("1.0.0", None))

    def test_a_cut_between_the_two_links_does_no_harm(self) -> None:
        it = self.it
        it.deliver("1.0.0")
        it.deliver("1.1.0")
        # As a cut leaves it after the fall, before the second link has gone.
        (it.home / "current").unlink()
        os.symlink("versions/1.0.0", it.home / "current")
        it.guard()
        self.assertEqual(it.state()[0], "1.0.0")

    def test_without_systemd_quick_starts_are_counted(self) -> None:
        it = self.it
        it.deliver("1.0.0")
        it.came_up("1.0.0")
        it.deliver("1.1.0")
        for start in range(5):
            it.uptime(100 + start)
            it.guard("run", "--settings", "/x")
        self.assertEqual(it.calls(), ["1.1.0 run --settings /x"] * 5)
        it.uptime(110)
        it.guard("run")
        self.assertEqual((it.calls(), it.state()[0]), (["1.0.0 run"], "1.0.0"))
        # The former version is never left, however often it is started.
        for _ in range(10):
            it.guard("run")
        self.assertEqual((it.calls(), it.state()[0]), (["1.0.0 run"] * 10, "1.0.0"))

    def test_without_systemd_slow_starts_and_reboots_are_not_counted(self) -> None:
        it = self.it
        it.deliver("1.0.0")
        it.came_up("1.0.0")
        it.deliver("1.1.0")
        for start in range(8):
            it.uptime(100 + 60 * start)
            it.guard("run")
        for _ in range(8):
            # /run is in memory.
            (it.root / "run/flotilla-agent.starts").unlink()
            it.guard("run")
        self.assertEqual((it.calls(), it.state()[0]), (["1.1.0 run"] * 16, "1.1.0"))

    def test_what_is_no_version_and_no_command_is_refused(self) -> None:
        it = self.it
        for wrong in ("../x", "", ".new", "a/b"):
            it.guard("switch", wrong, expect=2)
        it.guard("dance", expect=2)
        self.assertIn("is not there", it.guard("switch", "1.0.0", expect=1))
        self.assertIn("no version is installed", it.guard(expect=1))
        self.assertIn("guard switch VERSION", it.guard("--help"))


class ByThisShell(GuardCase, unittest.TestCase):
    shell = ["sh"]


@unittest.skipUnless(systems.BUSYBOX, "busybox is not installed")
class ByBusybox(GuardCase, unittest.TestCase):
    shell = [str(systems.BUSYBOX), "sh"]

    @classmethod
    def setUpClass(cls) -> None:
        # Its own programs too, and not this machine's.
        cls.programs = tempfile.mkdtemp(prefix="flotilla-busybox-")
        subprocess.run([str(systems.BUSYBOX), "--install", "-s", cls.programs], check=True)
        cls.path = os.environ["PATH"]
        os.environ["PATH"] = cls.programs

    @classmethod
    def tearDownClass(cls) -> None:
        os.environ["PATH"] = cls.path
        shutil.rmtree(cls.programs)
