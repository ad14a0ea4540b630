"""What is in the packages: the same things in all kinds, each in its place with its mode, and the same bytes every time."""

import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from builder import packages, reproduce

from .support import PLACES, TABLE, Content, built, content_of, played_packages, tools

PROGRAM = "/usr/lib/flotilla-agent/package/flotilla-agent"
UNITS = "/usr/lib/systemd/system/"


class Contents(unittest.TestCase):
    def every(self) -> list[tuple[str, str, Content]]:
        """Target, kind and content of every package of every program that was built."""
        found = []
        for target in built():
            for kind in target.packages:
                file = PLACES.packages / packages.file_name(target, kind, PLACES.version)
                found.append((target.name, kind, content_of(file)))
        self.assertTrue(found, "run cross/build first")
        return found

    def test_the_program_is_in_all_of_them(self) -> None:
        for target, kind, content in self.every():
            with self.subTest(target=target, kind=kind):
                expected = (PLACES.binaries / target / "flotilla-agent").read_bytes()
                self.assertEqual(content.files[PROGRAM], (0o755, expected))
                self.assertEqual(content.files["/usr/lib/flotilla-agent/guard"][0], 0o755)
                self.assertEqual(content.files["/usr/bin/flotilla-agent"], (0o777, b"../lib/flotilla-agent/current/flotilla-agent"))
                mode, settings = content.files["/etc/flotilla/agent.toml"]
                # Where /var is in memory, the state is elsewhere.
                self.assertEqual((mode, b"state_folder" in settings), (0o644, kind == "ipk"))

    def test_each_has_what_starts_services_there(self) -> None:
        units = {UNITS + path.name for path in (PLACES.source / "systemd").iterdir() if packages.is_unit_of_the_agent(path.name)}
        self.assertLessEqual({UNITS + f"flotilla-agent{half}.service" for half in ("", "-link", "-guard")}, units)
        for target, kind, content in self.every():
            with self.subTest(target=target, kind=kind):
                there = {name for name in content.files if name.startswith(UNITS)}
                self.assertEqual(there, units if kind in packages.WITH_SYSTEMD else set())
                if kind in packages.WITH_SYSTEMD:
                    self.assertIn(b"flotilla-link", content.files["/usr/lib/sysusers.d/flotilla-agent.conf"][1])
                    self.assertIn(b"/run/flotilla-agent", content.files["/usr/lib/tmpfiles.d/flotilla-agent.conf"][1])
                else:
                    mode, text = content.files["/etc/init.d/flotilla-agent"]
                    self.assertEqual(mode, 0o755)
                    # By it a version that does not come up is found out without systemd.
                    self.assertIn(b"/usr/lib/flotilla-agent/guard", text)

    def test_each_says_its_own_machine_and_has_its_scripts(self) -> None:
        for target, kind, content in self.every():
            with self.subTest(target=target, kind=kind):
                said = "".join(content.scripts.get(name, "") for name in ("control", "PKGINFO", "arch"))
                self.assertIn(TABLE.targets[target].packages[kind], said)
                names = {"apk": {"post-install", "post-upgrade", "pre-deinstall", "post-deinstall"}}.get(kind, {"postinst", "prerm", "postrm"})
                self.assertLessEqual(names, set(content.scripts))
                for name in names:
                    checked = subprocess.run(["sh", "-n"], input=content.scripts[name], text=True, capture_output=True)
                    self.assertEqual(checked.stderr, "", name)
                    self.assertIn(f"packager='{kind}'", content.scripts[name])

    def test_settings_are_the_owners(self) -> None:
        for target, kind, content in self.every():
            if kind in ("deb", "ipk"):
                self.assertEqual(content.scripts["conffiles"].split(), ["/etc/flotilla/agent.toml"], target)

    def test_the_archive_has_all_kinds_of_services(self) -> None:
        for target in built():
            content = content_of(PLACES.packages / f"flotilla-agent-{PLACES.version}-{target.triple}.tar.gz")
            names = {"/install.sh", "/files/flotilla-agent", "/files/guard", "/files/openrc", "/files/procd", "/doc/LICENSE-MIT"}
            self.assertLessEqual(names | {"/files/systemd/flotilla-agent.service"}, set(content.files))

    def test_the_scripts_are_clean(self) -> None:
        shellcheck = Path(os.environ.get("FLOTILLA_VENV", PLACES.output.parent / "venv")) / "bin/shellcheck"
        if not shellcheck.is_file():
            self.skipTest("shellcheck is not in the virtual environment of tests/run")
        content = content_of(PLACES.packages / packages.file_name(built()[0], "deb", PLACES.version))
        with tempfile.TemporaryDirectory() as folder:
            files = []
            for name in ("postinst", "prerm", "postrm"):
                files.append(Path(folder) / name)
                files[-1].write_text(content.scripts[name])
            installer = PLACES.output / "stage" / built()[0].name / "install.sh"
            subprocess.run([shellcheck, "--exclude=SC2329,SC2317", *files, *([installer] if installer.is_file() else [])], check=True)


class Bytes(unittest.TestCase):
    def test_packing_twice_gives_the_same_bytes(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            first = played_packages(Path(folder), "0.8.0")
            digests = {kind: reproduce.digest(path) for kind, path in first.items()}
            shutil.rmtree(PLACES.output / "stage/x86_64")
            again = played_packages(Path(folder), "0.8.0")
            self.assertEqual({kind: reproduce.digest(path) for kind, path in again.items()}, digests)
            self.assertEqual(set(digests), {"gz", "deb", "rpm", "apk", "ipk"})

    def test_no_name_of_this_machine_is_in_them(self) -> None:
        for target in built():
            for kind in target.packages:
                content = content_of(PLACES.packages / packages.file_name(target, kind, PLACES.version))
                for text in content.scripts.values():
                    self.assertNotIn(str(PLACES.source), text)
        self.assertTrue(tools().nfpm.is_file())
