"""Systems to install on: this Debian under an overlay, and a root with nothing but busybox. Both need root; nothing of this machine changes.

Each command runs in a mount namespace of its own, whose mounts end with it; what it wrote stays in the system's folder.
Service managers are played: their programs note how they were called, and answer what a test has told them to.
"""

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

BUSYBOX = shutil.which("busybox")
# Says how it was called, and answers "is-active" and "is-failed" by files; what is installed is enabled.
PLAYED_SYSTEMCTL = """\
#!/bin/sh
echo "systemctl $*" >>/calls
for word in "$@"; do
  case "$word" in is-active) [ -e /played/active ]; exit ;; is-failed) [ -e /played/failed ]; exit ;; is-enabled) echo enabled && exit ;; esac
done
exit 0
"""
PLAYED_RC = """\
#!/bin/sh
case "$2" in
  status) [ -e /played/active ] || exit 3 ;;
  *) echo "${0##*/} $*" >>/calls ;;
esac
"""
PLAYED_PROCD = """\
#!/bin/sh
case "$2" in
  enabled) [ -e /etc/rc.d/S95flotilla-agent ] ;;
  *) echo "${1##*/} $2" >>/calls ;;
esac
"""


def played_program(version: str) -> str:
    """What stands for the agent: it knows its version, and how it was run."""
    return f'#!/bin/sh\ncase "$1" in --version) echo "flotilla-agent {version}" ;; *) echo "$0 {version} $*" >>/calls ;; esac\n'


def is_possible() -> str | None:
    """Why systems cannot be made here, or nothing."""
    if os.geteuid() != 0:
        return "only root can make namespaces and change root"
    if BUSYBOX is None:
        return "busybox is not installed"
    return None


class System:
    """A root file system that commands run in."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="flotilla-system-"))
        self.root = self.folder / "root"
        self.root.mkdir()
        self.mounts = ""

    def close(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, *command: str, expect: int | None = 0) -> subprocess.CompletedProcess:
        """A command in the system; a failure of the test where it ends otherwise than expected."""
        root = self.root
        proc = f"mkdir -p {root}/proc {root}/dev && mount -t proc none {root}/proc"
        devices = f"mount -t tmpfs none {root}/dev && mknod -m 666 {root}/dev/null c 1 3"
        text = f'{self.mounts} {proc} && {devices} && exec chroot {root} /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/ "$@"'
        whole = ["unshare", "--mount", "--propagation", "private", "sh", "-c", text, "sh", *command]
        done = subprocess.run(whole, capture_output=True, text=True, check=False)
        if expect is not None and done.returncode != expect:
            raise AssertionError(f"{' '.join(command)} ended with {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def path(self, name: str) -> Path:
        """Where a file that was written is, seen from outside."""
        return self.written / name.lstrip("/")

    @property
    def written(self) -> Path:
        return self.root

    def write(self, name: str, text: str, mode: int = 0o644) -> None:
        to = self.path(name)
        to.parent.mkdir(parents=True, exist_ok=True)
        to.unlink(missing_ok=True)
        to.write_text(text)
        to.chmod(mode)

    def take(self, file: Path, name: str) -> None:
        """Copies a file of this machine into the system."""
        self.path(name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, self.path(name))

    def calls(self) -> list[str]:
        """What was called since this was last asked."""
        file = self.path("calls")
        lines = file.read_text().splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return lines

    def link(self, name: str) -> str | None:
        path = self.path(name)
        return os.readlink(path) if path.is_symlink() else None

    def exists(self, name: str) -> bool:
        """Whether a file that was written is there; a removed one of an overlay is a device without a number."""
        path = self.path(name)
        return path.is_symlink() or (path.exists() and not path.is_char_device())

    def register(self, came_up: str | None, state: str = "/var/lib/flotilla-agent") -> None:
        """As a registered agent leaves it, whose version has come up or not."""
        self.write(f"{state}/registered", "node\n")
        if came_up:
            self.write(f"{state}/exec/came-up", f"{came_up}\n")

    def tree(self, *but: str) -> set[str]:
        """Names of everything written, except what begins with one of the given words."""
        names = set()
        for path in self.written.rglob("*"):
            name = str(path.relative_to(self.written))
            if path.is_file() or path.is_symlink():
                names.add(name)
        return {name for name in names if not name.startswith(but)}


class Debian(System):
    """This machine's own system with a played systemd; what is written goes to a folder above it."""

    def __init__(self) -> None:
        super().__init__()
        for name in ("upper", "work"):
            (self.folder / name).mkdir()
        layers = f"lowerdir=/,upperdir={self.folder}/upper,workdir={self.folder}/work"
        self.mounts = f"mount -t overlay overlay -o {layers} {self.root} &&"
        # Some tests of Debian's packages keep services from starting; whether they do here is up to a test.
        self.run("rm", "-f", "/usr/sbin/policy-rc.d")
        self.run("mkdir", "-p", "/run/systemd/system", "/played", "/etc")
        for name in ("/usr/bin/systemctl", "/bin/systemctl"):
            self.run("sh", "-c", f"rm -f {name}")
        self.run("sh", "-c", f"cat >/usr/bin/systemctl <<'END'\n{PLAYED_SYSTEMCTL}END\nchmod 755 /usr/bin/systemctl")

    @property
    def written(self) -> Path:
        return self.folder / "upper"


class Small(System):
    """A root with busybox alone, and a played OpenRC or procd, or neither."""

    def __init__(self, init: str) -> None:
        super().__init__()
        assert BUSYBOX is not None
        for name in ("bin", "sbin", "usr/bin", "usr/sbin", "usr/lib", "etc", "var/run", "run", "played", "dev", "tmp"):
            (self.root / name).mkdir(parents=True)
        shutil.copy2(BUSYBOX, self.root / "bin/busybox")
        self.run_busybox_install()
        # As on OpenWrt, which has no program that adds users.
        for name in ("adduser", "addgroup"):
            for folder in ("bin", "sbin", "usr/bin", "usr/sbin"):
                (self.root / folder / name).unlink(missing_ok=True)
        self.write("/etc/passwd", "root:x:0:0:root:/root:/bin/ash\nsomebody:x:999:999::/:/bin/false\n")
        self.write("/etc/group", "root:x:0:\nsomebody:x:999:\n")
        self.write("/etc/shadow", "root:!:0:0:99999:7:::\n")
        if init == "openrc":
            self.write("/sbin/openrc-run", "#!/bin/sh\nexit 0\n", 0o755)
            self.write("/sbin/rc-service", PLAYED_RC, 0o755)
            (self.root / "run/openrc").mkdir()
        elif init == "procd":
            self.write("/sbin/procd", "#!/bin/sh\nexit 0\n", 0o755)
            self.write("/etc/rc.common", PLAYED_PROCD, 0o755)
            # By its socket one knows that procd is what runs.
            (self.root / "var/run/ubus").mkdir()
            with socket.socket(socket.AF_UNIX) as bus:
                bus.bind(str(self.path("/var/run/ubus/ubus.sock")))

    def run_busybox_install(self) -> None:
        chroot = ["chroot", str(self.root), "/bin/busybox", "--install", "-s"]
        subprocess.run(chroot, check=True, capture_output=True)
