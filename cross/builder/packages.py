"""Packages of a program that was built: deb, rpm, apk and ipk by nfpm from one template, and a tar.gz with an installer.

Every file in them has one date and a fixed mode, so that the same sources give the same packages, byte for byte.
"""

import gzip
import io
import os
import shutil
import tarfile
from pathlib import Path
from string import Template

from .errors import BuildError
from .places import Places
from .progress import answer
from .table import Target
from .tools import Tools

NAME = "flotilla-agent"
SCRIPTS = ("postinstall", "preremove", "postremove")
# What has systemd, and what starts services without it.
WITH_SYSTEMD = ("deb", "rpm")
SERVICE_SCRIPTS = {"apk": "openrc", "ipk": "procd"}
LICENSES = ("LICENSE-APACHE", "LICENSE-MIT")
SETTINGS_OF_OPENWRT = """# On OpenWrt /var is in memory, and a node that is registered there is none after the next boot.
state_folder = "/srv/flotilla-agent"
"""
# What an upgrade of the system keeps.
KEPT_BY_OPENWRT = "/etc/flotilla/\n/srv/flotilla-agent/\n"
COPYRIGHT = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: flotilla

Files: *
License: Apache-2.0 or MIT
Comment: The whole texts are LICENSE-APACHE and LICENSE-MIT in this folder. The crates inside the program are named in its section .dep-v0.
"""


def pack(tools: Tools, places: Places, target: Target, binary: Path, *, version: str | None = None, output: Path | None = None) -> list[Path]:
    """All packages of a target. Another version than the workspace's, and another folder, are for tests."""
    version = version or places.version
    output = output or places.packages
    stage = places.output / "stage" / target.name
    shutil.rmtree(stage, ignore_errors=True)
    output.mkdir(parents=True, exist_ok=True)
    stage_files(places, stage, binary)
    made = [archive(places, target, stage, version, output)]
    made += [by_nfpm(tools, places, target, kind, stage, version, output) for kind in target.packages]
    return made


def stage_files(places: Places, stage: Path, binary: Path) -> None:
    """Everything that any package has, each with its mode."""
    package, units = places.source / "cross/package", places.source / "systemd"
    put(binary, stage / "flotilla-agent", 0o755)
    put(package / "guard", stage / "guard", 0o755)
    put(units / "agent.toml", stage / "agent.toml", 0o644)
    put_text(stage / "agent.procd.toml", (units / "agent.toml").read_text() + SETTINGS_OF_OPENWRT, 0o644)
    put_text(stage / "procd.keep", KEPT_BY_OPENWRT, 0o644)
    for kind in SERVICE_SCRIPTS.values():
        put(places.source / f"cross/service/{kind}/{NAME}", stage / kind, 0o755)
    found = sorted(path for path in units.iterdir() if is_unit_of_the_agent(path.name))
    if not found:
        raise BuildError(f"there are no units of the agent in {units}")
    for unit in found:
        put(unit, stage / "systemd" / unit.name, 0o644)
    put(units / "flotilla-agent.sysusers.conf", stage / "sysusers.conf", 0o644)
    put(units / "flotilla-agent.tmpfiles.conf", stage / "tmpfiles.conf", 0o644)
    for license in LICENSES:
        put(places.source / license, stage / "doc" / license, 0o644)
    (stage / "doc/copyright").write_text(COPYRIGHT)


def is_unit_of_the_agent(name: str) -> bool:
    return name.endswith((".service", ".slice", ".socket", ".path", ".timer")) and name.startswith(("flotilla-agent", "flotilla-jobs"))


def put(source: Path, to: Path, mode: int) -> None:
    if not source.is_file():
        raise BuildError(f"{source} is missing, and belongs into the packages")
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, to)
    to.chmod(mode)


def script(places: Places, name: str, variables: dict[str, str]) -> str:
    """A script with what all of them have in common put before it."""
    folder = places.source / "cross/package"
    given = "".join(f"{key}='{value}'\n" for key, value in variables.items())
    return f"#!/bin/sh\nset -eu\n{given}{(folder / 'functions.sh').read_text()}\n{(folder / f'{name}.sh').read_text()}"


def by_nfpm(tools: Tools, places: Places, target: Target, kind: str, stage: Path, version: str, output: Path) -> Path:
    own = stage / kind
    own.mkdir()
    for name in SCRIPTS:
        variables = {"packager": kind} | ({"version": version} if name == "postinstall" else {})
        put_text(own / name, script(places, name, variables), 0o755)
    config = own / "nfpm.yaml"
    template = Template((places.source / "cross/package/nfpm.yaml").read_text())
    settings = stage / ("agent.procd.toml" if kind == "ipk" else "agent.toml")
    values = {"arch": target.packages[kind], "version": version, "stage": stage, "scripts": own, "settings": settings}
    config.write_text(template.substitute(values, services=services(kind, stage)))
    same_date(stage, places.date)
    file = output / file_name(target, kind, version)
    file.unlink(missing_ok=True)
    command = [str(tools.nfpm), "package", "--config", str(config), "--packager", kind, "--target", str(file)]
    answer(command, folder=stage, variables={"SOURCE_DATE_EPOCH": str(places.date)})
    return file


def services(kind: str, stage: Path) -> str:
    """The part of the template that is about services."""
    lines = []

    def line(source: str, to: str, mode: str = "0644") -> None:
        lines.append(f"  - {{ src: '{stage}/{source}', dst: '{to}', file_info: {{ mode: {mode} }} }}")

    if kind in WITH_SYSTEMD:
        for unit in sorted((stage / "systemd").iterdir()):
            line(f"systemd/{unit.name}", f"/usr/lib/systemd/system/{unit.name}")
        line("sysusers.conf", "/usr/lib/sysusers.d/flotilla-agent.conf")
        line("tmpfiles.conf", "/usr/lib/tmpfiles.d/flotilla-agent.conf")
        for document in sorted((stage / "doc").iterdir()):
            line(f"doc/{document.name}", f"/usr/share/doc/flotilla-agent/{document.name}")
    else:
        line(SERVICE_SCRIPTS[kind], "/etc/init.d/flotilla-agent", "0755")
    if kind == "ipk":
        line("procd.keep", "/lib/upgrade/keep.d/flotilla-agent")
    return "\n".join(lines)


def file_name(target: Target, kind: str, version: str) -> str:
    architecture = target.packages[kind] + (f"-{target.file_note}" if target.file_note else "")
    if kind == "rpm":
        return f"{NAME}-{version}-1.{architecture}.rpm"
    return f"{NAME}_{version}-1_{architecture}.{kind}"


def archive(places: Places, target: Target, stage: Path, version: str, output: Path) -> Path:
    """The tar.gz: install.sh, and beside it a folder with what it installs."""
    top = f"{NAME}-{version}-{target.triple}"
    installer = stage / "install.sh"
    put_text(installer, script(places, "install", {"version": version}), 0o755)
    same_date(stage, places.date)
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in [installer, *sorted(path for path in stage.rglob("*") if path.is_file() and path != installer)]:
            inside = path.relative_to(stage)
            add(tar, path, f"{top}/{inside}" if path == installer or inside.parts[0] == "doc" else f"{top}/files/{inside}", places.date)
    file = output / f"{top}.tar.gz"
    with file.open("wb") as opened, gzip.GzipFile(filename="", mode="wb", fileobj=opened, mtime=places.date) as zipped:
        zipped.write(content.getvalue())
    return file


def add(tar: tarfile.TarFile, path: Path, name: str, date: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime, entry.mode = path.stat().st_size, date, path.stat().st_mode & 0o777
    entry.uname = entry.gname = "root"
    with path.open("rb") as opened:
        tar.addfile(entry, opened)


def put_text(to: Path, text: str, mode: int) -> None:
    to.write_text(text)
    to.chmod(mode)


def same_date(folder: Path, date: int) -> None:
    for path in [folder, *folder.rglob("*")]:
        os.utime(path, (date, date))
