"""The Debian package by the real dpkg, on this machine's own Debian under an overlay; systemd is played, and a real one is another test's."""

import tempfile
import unittest
from pathlib import Path

from . import systems
from .support import PLACES, digest_of, played_packages

WHY_NOT = systems.is_possible()
# What dpkg and the makers of users write for themselves, and what a test plays.
OF_THE_SYSTEM = ("var/lib/dpkg", "var/log", "var/cache", "etc/passwd", "etc/group", "etc/shadow", "etc/gshadow", "etc/.pwd.lock", "etc/subuid")
OF_THE_SYSTEM += ("etc/subgid", "usr/bin/systemctl", "calls", "played", "packages", "run/systemd", "proc", "var/lib/systemd", "usr/lib/sysusers.d")


@unittest.skipIf(WHY_NOT, WHY_NOT)
class DebianPackage(unittest.TestCase):
    """One after the other: installed, registered, upgraded, fallen back, removed."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = tempfile.TemporaryDirectory(prefix="flotilla-packages-")
        made = {version: played_packages(Path(cls.folder.name), version)["deb"] for version in ("0.8.0", "0.9.0", "0.9.1")}
        cls.packages = made

    @classmethod
    def tearDownClass(cls) -> None:
        cls.folder.cleanup()

    def setUp(self) -> None:
        self.system = systems.Debian()
        self.addCleanup(self.system.close)
        for package in self.packages.values():
            self.system.take(package, f"/packages/{package.name}")

    def dpkg(self, *arguments: str, expect: int = 0) -> str:
        done = self.system.run("dpkg", "--force-unsafe-io", "--force-confdef", "--force-confold", *arguments, expect=expect)
        return done.stdout + done.stderr

    def install(self, version: str) -> str:
        return self.dpkg("--install", f"/packages/{self.packages[version].name}")

    def current(self) -> tuple[str | None, str | None]:
        return self.system.link("/usr/lib/flotilla-agent/current"), self.system.link("/usr/lib/flotilla-agent/previous")

    def version(self) -> str:
        return self.system.run("flotilla-agent", "--version").stdout.split()[-1]

    def test_a_device_that_is_no_node_gets_everything_and_nothing_is_started(self) -> None:
        said = self.install("0.9.0")
        self.assertIn("waits for its registration", said)
        self.assertEqual((self.version(), self.current()), ("0.9.0", ("versions/0.9.0", None)))
        self.assertEqual(self.system.run("id", "-nG", "flotilla-link").stdout, "flotilla-link\n")
        folder = self.system.run("stat", "-c", "%U %G %a", "/run/flotilla-agent").stdout
        self.assertEqual(folder, "root flotilla-link 750\n")
        self.assertEqual(self.system.calls(), ["systemctl daemon-reload", "systemctl enable flotilla-agent.service"])
        self.assertEqual(self.dpkg("--verify", "flotilla-agent"), "")

    def test_a_registered_node_is_started_at_the_first_installation(self) -> None:
        self.system.register(None)
        self.install("0.9.0")
        self.assertTrue(any(call.endswith("start flotilla-agent.service") for call in self.system.calls()))

    def test_an_upgrade_keeps_the_former_version_and_restarts_what_ran(self) -> None:
        self.install("0.8.0")
        self.system.register("0.8.0")
        self.system.write("/played/active", "")
        self.system.write("/etc/flotilla/agent.toml", "maximum_jobs = 2\n")
        self.system.calls()
        self.install("0.9.0")
        self.assertEqual((self.version(), self.current()), ("0.9.0", ("versions/0.9.0", "versions/0.8.0")))
        former = self.system.run("/usr/lib/flotilla-agent/previous/flotilla-agent", "--version").stdout
        self.assertEqual(former, "flotilla-agent 0.8.0\n")
        calls = self.system.calls()
        self.assertTrue(any(call.endswith("restart flotilla-agent.service") for call in calls), calls)
        self.assertFalse(any("stop" in call or "disable" in call or " enable " in call for call in calls), calls)
        self.assertEqual(self.system.path("/etc/flotilla/agent.toml").read_text(), "maximum_jobs = 2\n")
        # The one after that: the first has gone.
        self.system.register("0.9.0")
        self.install("0.9.1")
        self.assertEqual(self.current(), ("versions/0.9.1", "versions/0.9.0"))
        self.assertEqual(self.system.run("ls", "/usr/lib/flotilla-agent/versions").stdout, "0.9.0\n0.9.1\n")

    def test_an_agent_that_its_owner_has_stopped_stays_stopped(self) -> None:
        self.install("0.8.0")
        self.system.register("0.8.0")
        self.system.calls()
        self.install("0.9.0")
        self.assertFalse(any("start" in call for call in self.system.calls()))

    def test_a_version_that_does_not_come_up_is_fallen_back_from(self) -> None:
        self.install("0.8.0")
        self.system.register("0.8.0")
        self.install("0.9.0")
        self.system.calls()
        self.system.run("/usr/lib/flotilla-agent/guard")
        self.assertEqual((self.version(), self.current()), ("0.8.0", ("versions/0.8.0", None)))
        reset = "systemctl reset-failed flotilla-agent.service flotilla-agent-link.service"
        self.assertEqual(self.system.calls(), [reset, "systemctl --no-block restart flotilla-agent.service"])
        # It fails too: nothing more happens.
        self.system.run("/usr/lib/flotilla-agent/guard")
        self.assertEqual((self.system.calls(), self.current()), ([], ("versions/0.8.0", None)))
        # And the way forward is open.
        self.install("0.9.1")
        self.assertEqual((self.version(), self.current()), ("0.9.1", ("versions/0.9.1", "versions/0.8.0")))

    def test_a_downgrade_is_an_installation_like_another(self) -> None:
        self.install("0.9.0")
        self.system.register("0.9.0")
        self.install("0.8.0")
        self.assertEqual((self.version(), self.current()), ("0.8.0", ("versions/0.8.0", "versions/0.9.0")))

    def test_the_same_package_again_changes_nothing(self) -> None:
        self.install("0.8.0")
        self.system.register("0.8.0")
        self.install("0.9.0")
        before = digest_of(self.system, *OF_THE_SYSTEM)
        self.install("0.9.0")
        self.assertEqual(digest_of(self.system, *OF_THE_SYSTEM), before)

    def test_a_removal_keeps_the_state_and_a_purge_does_not(self) -> None:
        self.install("0.8.0")
        self.system.register("0.8.0")
        self.install("0.9.0")
        self.system.calls()
        self.assertIn("are kept in /var/lib/flotilla-agent", self.dpkg("--remove", "flotilla-agent"))
        calls = self.system.calls()
        units = "flotilla-agent-guard.service flotilla-agent.service flotilla-agent-link.service"
        self.assertTrue(any(call.endswith(f"stop {units}") for call in calls), calls)
        self.assertIn("systemctl disable flotilla-agent.service", calls)
        self.assertTrue(self.system.exists("/var/lib/flotilla-agent/registered"))
        self.assertTrue(self.system.exists("/etc/flotilla/agent.toml"))
        self.assertFalse(self.system.exists("/usr/lib/flotilla-agent"))
        self.assertFalse(self.system.exists("/usr/bin/flotilla-agent"))
        self.install("0.9.0")
        self.assertEqual((self.version(), self.current()), ("0.9.0", ("versions/0.9.0", None)))
        self.assertTrue(any(call.endswith("start flotilla-agent.service") for call in self.system.calls()))
        self.dpkg("--purge", "flotilla-agent")
        self.assertEqual(self.system.tree(*OF_THE_SYSTEM), set())
        for folder in ("/var/lib/flotilla-agent", "/etc/flotilla", "/usr/lib/flotilla-agent", "/run/flotilla-agent"):
            self.assertFalse(self.system.exists(folder), folder)

    def test_a_program_for_another_machine_is_refused_and_the_old_one_stays(self) -> None:
        self.install("0.8.0")
        # As one for another processor it ends before it can say its version.
        broken = played_packages(Path(self.folder.name), "0.9.9", program="#!/bin/sh\nexit 126\n")["deb"]
        self.system.take(broken, f"/packages/{broken.name}")
        said = self.dpkg("--install", f"/packages/{broken.name}", expect=1)
        self.assertIn("does not run on this machine", said)
        self.assertEqual((self.version(), self.current()), ("0.8.0", ("versions/0.8.0", None)))


@unittest.skipIf(WHY_NOT, WHY_NOT)
@unittest.skipUnless((PLACES.binaries / "x86_64/flotilla-agent").is_file(), "the agent is not built for x86_64")
class RealPackage(unittest.TestCase):
    """The package with the real program in it."""

    def test_it_installs_runs_and_goes(self) -> None:
        package = PLACES.packages / f"flotilla-agent_{PLACES.version}-1_amd64.deb"
        system = systems.Debian()
        self.addCleanup(system.close)
        system.take(package, "/packages/agent.deb")
        system.run("dpkg", "--force-unsafe-io", "--install", "/packages/agent.deb")
        self.assertEqual(system.run("flotilla-agent", "--version").stdout, f"flotilla-agent {PLACES.version}\n")
        self.assertEqual(system.link("/usr/lib/flotilla-agent/current"), f"versions/{PLACES.version}")
        system.run("dpkg", "--purge", "flotilla-agent")
        self.assertEqual(system.tree(*OF_THE_SYSTEM), set())
