"""The archive's install.sh, and the scripts of apk and ipk, on a root with busybox alone, and with a played OpenRC and procd."""

import os
import subprocess
import tempfile
import unittest
from pathlib import Path

from . import systems
from .support import content_of, digest_of, played_packages

WHY_NOT = systems.is_possible()
LIBRARY = "/usr/lib/flotilla-agent"


class Packages(unittest.TestCase):
    """Packages of two versions that every test here shares."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = tempfile.TemporaryDirectory(prefix="flotilla-packages-")
        cls.packages = {version: played_packages(Path(cls.folder.name), version) for version in ("0.8.0", "0.9.0")}

    @classmethod
    def tearDownClass(cls) -> None:
        cls.folder.cleanup()

    def unpack(self, version: str, folder: Path) -> Path:
        """The archive, unpacked."""
        subprocess.run(["tar", "xzf", self.packages[version]["gz"], "-C", folder], check=True)
        return next(path for path in folder.iterdir() if version in path.name)


@unittest.skipIf(WHY_NOT, WHY_NOT)
class Archive(Packages):
    """install.sh, on a system that runs."""

    def small(self, init: str) -> systems.Small:
        system = systems.Small(init)
        self.addCleanup(system.close)
        for version in self.packages:
            top = self.unpack(version, system.root / "tmp")
            top.rename(system.root / "tmp" / version)
        return system

    def install(self, system: systems.System, version: str, *options: str, expect: int = 0) -> str:
        done = system.run("/bin/sh", f"/tmp/{version}/install.sh", *options, expect=expect)
        return done.stdout + done.stderr

    def by_init(self, init: str, started: str, link: str, state: str) -> None:
        system = self.small(init)
        said = self.install(system, "0.8.0")
        self.assertIn("waits for its registration", said)
        self.assertEqual(system.calls(), [])
        self.assertTrue(system.link(link), link)
        self.assertEqual(system.run("flotilla-agent", "--version").stdout, "flotilla-agent 0.8.0\n")
        # The next free number, and the same of both kinds.
        self.assertIn("flotilla-link:x:998:998:", system.path("/etc/passwd").read_text())
        self.assertIn("flotilla-link:x:998:", system.path("/etc/group").read_text())
        self.assertEqual(system.run("stat", "-c", "%u %g %a", "/run/flotilla-agent").stdout, "0 998 750\n")

        before = digest_of(system, "tmp", "proc")
        self.install(system, "0.8.0")
        self.assertEqual(digest_of(system, "tmp", "proc"), before, "the same once more changes nothing")

        system.register("0.8.0", state)
        system.write("/played/active", "")
        self.install(system, "0.9.0")
        self.assertEqual(system.calls(), [started.format("restart")])
        self.assertEqual(system.link(f"{LIBRARY}/current"), "versions/0.9.0")
        self.assertEqual(system.link(f"{LIBRARY}/previous"), "versions/0.8.0")

        # Without a word of the agent that it has come up, too many starts are its end.
        for _ in range(6):
            system.run(f"{LIBRARY}/guard", "run")
        lines = system.calls()
        self.assertEqual([line.split(" ", 1)[1] for line in lines], ["0.9.0 run"] * 5 + ["0.8.0 run"])

        said = self.install(system, "0.9.0", "--uninstall")
        self.assertIn(f"are kept in {state}", said)
        self.assertEqual(system.calls(), [started.format("stop")])
        self.assertFalse(system.exists(link) or system.exists(LIBRARY) or system.exists("/etc/init.d/flotilla-agent"))
        self.assertTrue(system.exists(f"{state}/registered") and system.exists("/etc/flotilla/agent.toml"))

        self.install(system, "0.9.0")
        self.assertEqual(system.calls(), [started.format("start")])
        self.install(system, "0.9.0", "--uninstall", "--purge")
        for path in (state, "/etc/flotilla", LIBRARY, "/usr/bin/flotilla-agent", "/run/flotilla-agent", "/lib/upgrade/keep.d/flotilla-agent"):
            self.assertFalse(system.exists(path), path)
        # Nothing is there any more: that is no failure.
        self.install(system, "0.9.0", "--uninstall", "--purge")

    def test_with_openrc(self) -> None:
        self.by_init("openrc", "rc-service flotilla-agent {}", "/etc/runlevels/default/flotilla-agent", "/var/lib/flotilla-agent")

    def test_with_procd(self) -> None:
        # Where /var is in memory.
        self.by_init("procd", "flotilla-agent {}", "/etc/rc.d/S95flotilla-agent", "/srv/flotilla-agent")

    def test_with_systemd(self) -> None:
        system = systems.Debian()
        self.addCleanup(system.close)
        (system.written / "packages").mkdir()
        self.unpack("0.8.0", system.written / "packages").rename(system.written / "packages/0.8.0")
        system.run("sh", "/packages/0.8.0/install.sh")
        self.assertEqual(system.calls(), ["systemctl daemon-reload", "systemctl enable flotilla-agent.service"])
        self.assertEqual(system.run("id", "-nG", "flotilla-link").stdout, "flotilla-link\n")
        self.assertTrue(system.exists("/usr/lib/systemd/system/flotilla-agent-link.service"))
        system.run("sh", "/packages/0.8.0/install.sh", "--uninstall", "--purge")
        self.assertFalse(system.exists("/usr/lib/systemd/system/flotilla-agent-link.service"))
        # Where a package has it, the package manager is the one who changes it.
        system.write("/var/lib/dpkg/info/flotilla-agent.list", "/.\n")
        done = system.run("sh", "/packages/0.8.0/install.sh", expect=1)
        self.assertIn("installed as a package", done.stderr)

    def test_settings_of_the_owner_stay(self) -> None:
        system = self.small("none")
        system.write("/etc/flotilla/agent.toml", "maximum_jobs = 2\n")
        said = self.install(system, "0.8.0")
        self.assertIn("no service manager is known", said)
        self.assertIn("are left as they are", said)
        self.assertEqual(system.path("/etc/flotilla/agent.toml").read_text(), "maximum_jobs = 2\n")
        self.assertTrue(system.exists("/etc/flotilla/agent.toml.new"))


class Image(Packages):
    """install.sh --root, for which nobody needs to be root."""

    def test_an_image_gets_everything_and_nothing_runs(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            top = self.unpack("0.8.0", Path(folder))
            root = Path(folder) / "image"
            for name in ("etc", "usr/lib/systemd"):
                (root / name).mkdir(parents=True)
            (root / "usr/lib/systemd/systemd").write_text("")
            (root / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\n")
            (root / "etc/group").write_text("root:x:0:\n")
            # As on a build machine without systemd's programs: only these are found.
            programs = Path(folder) / "programs"
            programs.mkdir()
            names = "cat chmod chown cmp cp cut dirname grep id ln ls mkdir mv readlink rm rmdir sed sh sync uname".split()
            for name in names:
                found = next(path for path in (f"/usr/bin/{name}", f"/bin/{name}") if os.path.exists(path))
                (programs / name).symlink_to(found)
            environment = {"PATH": str(programs)}
            for _ in range(2):
                subprocess.run([programs / "sh", top / "install.sh", "--root", root], env=environment, check=True, capture_output=True)
            self.assertEqual(os.readlink(root / "usr/lib/flotilla-agent/current"), "versions/0.8.0")
            self.assertIn("flotilla-link:x:999:999:", (root / "etc/passwd").read_text())
            wants = root / "etc/systemd/system/multi-user.target.wants/flotilla-agent.service"
            self.assertEqual(os.readlink(wants), "/usr/lib/systemd/system/flotilla-agent.service")
            subprocess.run([programs / "sh", top / "install.sh", "--root", root, "--uninstall", "--purge"], env=environment, check=True)
            left = [path for path in root.rglob("*") if "flotilla" in path.name]
            self.assertEqual(left, [])

    def test_a_purge_leaves_what_is_somebody_elses(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            top = self.unpack("0.8.0", Path(folder))
            root = Path(folder) / "image"
            (root / "etc/flotilla").mkdir(parents=True)
            for name in ("srv/exec", "srv/link", "srv/photographs"):
                (root / name).mkdir(parents=True)
            (root / "etc/flotilla/agent.toml").write_text('state_folder = "/srv"\n')
            command = ["sh", top / "install.sh", "--root", root, "--init", "none"]
            subprocess.run(command, check=True, capture_output=True)
            subprocess.run([*command, "--uninstall", "--purge"], check=True, capture_output=True)
            self.assertEqual([path.name for path in (root / "srv").iterdir()], ["photographs"])

    def test_a_wrong_command_line_is_refused(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            top = self.unpack("0.8.0", Path(folder))
            for wrong in (["--purge"], ["--dance"], ["--root"], ["--init", "launchd"]):
                self.assertEqual(subprocess.run(["sh", top / "install.sh", *wrong], capture_output=True).returncode, 2, wrong)
            done = subprocess.run(["sh", top / "install.sh", "--root", "/nowhere"], capture_output=True, text=True)
            self.assertEqual(done.returncode, 1)
            self.assertIn("--uninstall", subprocess.run(["sh", top / "install.sh", "--help"], capture_output=True, text=True).stdout)


@unittest.skipIf(WHY_NOT, WHY_NOT)
class Scripts(Packages):
    """The scripts of apk and ipk as their package managers call them; neither of these runs here."""

    def put(self, system: systems.System, version: str, kind: str) -> dict[str, str]:
        content = content_of(self.packages[version][kind])
        for name, (mode, data) in content.files.items():
            path = system.path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            if mode == 0o777:
                path.symlink_to(data.decode())
            else:
                path.write_bytes(data)
                path.chmod(mode)
        for name, text in content.scripts.items():
            system.write(f"/scripts/{version}/{name}", text, 0o755)
        return content.scripts

    def take_away(self, system: systems.System, version: str, kind: str) -> None:
        for name in content_of(self.packages[version][kind]).files:
            if name != "/etc/flotilla/agent.toml":
                system.path(name).unlink(missing_ok=True)

    def by_packager(self, kind: str, init: str, names: dict[str, str], arguments: dict[str, list[str]]) -> None:
        system = systems.Small(init)
        self.addCleanup(system.close)

        def script(version: str, moment: str) -> str:
            done = system.run(f"/scripts/{version}/{names[moment]}", *arguments.get(moment, []))
            return done.stdout + done.stderr

        state = "/srv/flotilla-agent" if init == "procd" else "/var/lib/flotilla-agent"
        self.put(system, "0.8.0", kind)
        self.assertIn("waits for its registration", script("0.8.0", "installed"))
        system.register("0.8.0", state)
        self.put(system, "0.9.0", kind)
        script("0.9.0", "upgraded")
        self.assertEqual(system.link(f"{LIBRARY}/current"), "versions/0.9.0")
        self.assertEqual(system.link(f"{LIBRARY}/previous"), "versions/0.8.0")
        script("0.9.0", "removing")
        self.take_away(system, "0.9.0", kind)
        self.assertIn("are kept", script("0.9.0", "removed"))
        self.assertFalse(system.exists(LIBRARY))
        self.assertTrue(system.exists(f"{state}/registered"))

    def test_apk(self) -> None:
        names = {"installed": "post-install", "upgraded": "post-upgrade", "removing": "pre-deinstall", "removed": "post-deinstall"}
        self.by_packager("apk", "openrc", names, {"installed": ["0.8.0-r1"], "upgraded": ["0.9.0-r1", "0.8.0-r1"], "removing": ["0.9.0-r1"]})

    def test_ipk(self) -> None:
        names = {"installed": "postinst", "upgraded": "postinst", "removing": "prerm", "removed": "postrm"}
        self.by_packager("ipk", "procd", names, {moment: ["configure"] for moment in ("installed", "upgraded")} | {"removing": ["remove"]})

    def test_an_upgrade_of_an_ipk_stops_nothing(self) -> None:
        system = systems.Small("procd")
        self.addCleanup(system.close)
        self.put(system, "0.8.0", "ipk")
        system.run("/scripts/0.8.0/postinst", "configure")
        system.run("/scripts/0.8.0/prerm", "upgrade", "0.9.0-1")
        system.run("/scripts/0.8.0/postrm", "upgrade", "0.9.0-1")
        self.assertTrue(system.link("/etc/rc.d/S95flotilla-agent"))
        self.assertEqual(system.link(f"{LIBRARY}/current"), "versions/0.8.0")
