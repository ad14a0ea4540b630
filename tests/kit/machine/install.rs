//! What is on a machine's disk: a bare system, and the agent as a package puts it there.

use super::Machine;
use crate::process::{self, binary};
use std::path::{Path, PathBuf};

/// Makes this system's root a bare one: none of the services that somebody has enabled here, and no log that is worth a disk.
pub(super) const BARE: &str = r#"
rm -rf /etc/systemd/system
mkdir -p /etc/systemd/system /etc/systemd/journald.conf.d
ln -s /lib/systemd/system/multi-user.target /etc/systemd/system/default.target
# What a namespace cannot or must not do, and what takes time at each boot.
for unit in systemd-udevd.service systemd-udevd-kernel.socket systemd-udevd-control.socket systemd-udev-trigger.service \
  systemd-sysctl.service systemd-modules-load.service systemd-binfmt.service proc-sys-fs-binfmt_misc.automount getty.target \
  dev-hugepages.mount sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount sys-fs-fuse-connections.mount \
  systemd-timesyncd.service systemd-random-seed.service systemd-update-utmp.service systemd-update-utmp-runlevel.service \
  systemd-remount-fs.service systemd-firstboot.service systemd-sysusers.service systemd-initctl.socket; do
  ln -s /dev/null "/etc/systemd/system/$unit"
done
printf '[Journal]\nStorage=volatile\nRuntimeMaxUse=8M\n' >/etc/systemd/journald.conf.d/test.conf
# Generators of other packages bring their services back.
mkdir -p /etc/systemd/system-generators
for generator in /lib/systemd/system-generators/* /usr/lib/systemd/system-generators/*; do
  ln -sf /dev/null "/etc/systemd/system-generators/${generator##*/}"
done
# As a device has none before its first boot.
rm -rf /etc/flotilla /var/lib/flotilla-agent /usr/lib/flotilla-agent /run/flotilla-agent
"#;

/// Puts the agent where its package puts it. The folder is /witness/delivery.
const BUILT: &str = r#"
cd /witness/delivery
library=/usr/lib/flotilla-agent
mkdir -p "$library/versions/$version" /etc/flotilla /usr/lib/systemd/system /usr/lib/sysusers.d /usr/lib/tmpfiles.d
cp flotilla-agent "$library/versions/$version/flotilla-agent"
chmod 755 "$library/versions/$version/flotilla-agent"
ln -sfn "versions/$version" "$library/current"
ln -sf "$library/current/flotilla-agent" /usr/bin/flotilla-agent
if [ -e guard ]; then cp guard "$library/guard" && chmod 755 "$library/guard"; fi
cp units/*.service units/*.slice /usr/lib/systemd/system/
cp units/flotilla-agent.sysusers.conf /usr/lib/sysusers.d/flotilla-agent.conf
cp units/flotilla-agent.tmpfiles.conf /usr/lib/tmpfiles.d/flotilla-agent.conf
cp units/agent.toml /etc/flotilla/agent.toml
systemd-sysusers flotilla-agent.conf
"#;

/// The bridge likewise.
const BRIDGE: &str = r#"
cd /witness/delivery
cp flotilla-bridge /usr/bin/flotilla-bridge
chmod 755 /usr/bin/flotilla-bridge
cp units/flotilla-bridge.service /usr/lib/systemd/system/
cp units/flotilla-bridge.sysusers.conf /usr/lib/sysusers.d/flotilla-bridge.conf
systemd-sysusers flotilla-bridge.conf
sync
"#;

/// What all deliveries get for tests: they are quick and gather no inventory unless they are told to, and what they log outlives the power. The boot id is named, because systemd mounts a /proc
/// of its own for the sandbox of exec, in which the id is the kernel's: on a device both are the same.
const FOR_TESTS: &str = r#"
printf 'keep_alive_s = 5\nreconnect_maximum_s = 1\nmaximum_jobs = 8\ninventory_interval_s = 0\nboot_id_file = "/witness/boot-id"\n' >>/etc/flotilla/agent.toml
for unit in flotilla-agent flotilla-agent-link flotilla-agent-guard; do
  mkdir -p "/etc/systemd/system/$unit.service.d"
  printf '[Service]\nStandardError=append:/witness/%s.log\n' "$unit" >"/etc/systemd/system/$unit.service.d/test.conf"
done
sync
"#;

/// Where an agent comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// What cargo has built, with the units of this repository.
    Built,
    /// A Debian package.
    Package(PathBuf),
}

impl Delivery {
    /// The package that `FLOTILLA_PACKAGE` names, or what cargo has built.
    #[must_use]
    pub fn of_environment() -> Self {
        std::env::var_os("FLOTILLA_PACKAGE").filter(|path| !path.is_empty()).map_or(Self::Built, |path| Self::Package(path.into()))
    }
}

impl Machine {
    /// Installs the agent on a machine that is off.
    ///
    /// # Panics
    /// When it cannot be.
    pub fn install(&self, delivery: &Delivery) {
        self.deliver("the agent", |place| match delivery {
            Delivery::Built => {
                copy(&binary("flotilla-agent"), place);
                process::copy_folder(&source().join("systemd"), &place.join("units"));
                let guard = source().join("cross/package/guard");
                if guard.exists() {
                    copy(&guard, place);
                }
                format!("version={}\n{BUILT}\n{FOR_TESTS}", env!("CARGO_PKG_VERSION"))
            }
            Delivery::Package(file) => {
                copy(file, &place.join("agent.deb"));
                format!("dpkg --install /witness/delivery/agent.deb >&2\n{FOR_TESTS}")
            }
        });
    }

    /// Installs the bridge that cargo has built, with its unit, on a machine that is off.
    ///
    /// # Panics
    /// When it cannot be.
    pub fn install_bridge(&self) {
        self.deliver("the bridge", |place| {
            copy(&binary("flotilla-bridge"), place);
            process::copy_folder(&source().join("systemd"), &place.join("units"));
            BRIDGE.to_owned()
        });
    }

    /// Runs the script that `prepare` gives, which finds in /witness/delivery what that has put there.
    fn deliver(&self, what: &str, prepare: impl FnOnce(&Path) -> String) {
        let place = self.witness().join("delivery");
        std::fs::create_dir(&place).expect("the witness can be written");
        let script = prepare(&place);
        let installed = self.once(&script);
        assert!(installed.status.success(), "{what} cannot be installed: {}", String::from_utf8_lossy(&installed.stderr));
        std::fs::remove_dir_all(&place).expect("it was made");
    }

    /// Registers the machine, and enables and starts its agent as a person does; returns the node's id.
    ///
    /// # Panics
    /// When one of them fails.
    #[must_use]
    pub fn register(&self, activation: &str) -> String {
        let id = self.said_with_input("flotilla-agent register --activation -", activation);
        let _nothing = self.said("systemctl enable --now flotilla-agent 2>&1");
        id
    }
}

/// The folder of this repository.
fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn copy(from: &Path, to: &Path) {
    let to = if to.is_dir() { to.join(from.file_name().expect("a file has a name")) } else { to.to_owned() };
    std::fs::copy(from, &to).unwrap_or_else(|error| panic!("{} cannot be copied: {error}", from.display()));
}
