//! What the link gives up before it reads the first byte from the network.
//!
//! It becomes its own user where it has one, can never gain a right again, leaves no core, and lets the kernel (Landlock) refuse it all
//! files but those that it needs. What a kernel does not have is said in the log; what makes another user of it is required. Everything here
//! is given up by the thread that calls, so it happens before there are others, which inherit it.
//!
//! Why just this, and no filter of system calls, is in `docs/decisions/0025-link-without-privileges.md`.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, LandlockStatus, PathBeneath, PathFd, RestrictionStatus, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, RulesetStatus, Scope, make_bitflags,
};
use nix::sys::prctl::{set_dumpable, set_no_new_privs};
use nix::sys::resource::{Resource, setrlimit};
use nix::unistd::{Gid, Uid, close, geteuid, getgroups, getresuid, setgroups, setresgid, setresuid};
use thiserror::Error;

use crate::ownership::LinkUser;
use crate::settings::Settings;
use crate::state::{Layout, StateError};

/// The rules are those of Linux 6.12; older kernels keep those that they know, and what newer ones add is not asked for.
const ABI_OF_RULES: ABI = ABI::V6;
/// Where names are looked up: `resolv.conf`, `hosts`, `nsswitch.conf` and what they include. Whole folders, because a rule holds for a file and
/// not for its name, and these files are replaced by others whenever the network changes.
const LOOKED_UP_IN: [&str; 2] = ["/etc", "/run"];
/// A file that is often a link to somewhere else, which is where it is replaced.
const RESOLVER: &str = "/etc/resolv.conf";
/// From here the C library of GNU loads the modules that look names up; a static binary has them in itself.
#[cfg(target_env = "gnu")]
const LIBRARIES: &[&str] = &["/lib", "/lib64", "/usr/lib", "/usr/lib64"];
#[cfg(not(target_env = "gnu"))]
const LIBRARIES: &[&str] = &[];
/// A chain of symbolic links that is longer is a circle.
const MAXIMUM_LINKS: usize = 8;
/// Standard input, output and error; what comes after them is not the link's.
const FIRST_INHERITED: i32 = 3;

/// Why the link does not run: it would have more rights than it is meant to have.
#[derive(Debug, Error)]
pub enum ConfinementError {
    /// The device is no node.
    #[error(transparent)]
    State(#[from] StateError),
    /// It was started as somebody else, who cannot become the link's user.
    #[error("with the setting link_user the link runs as \"{name}\", and it was started as user {uid}; start it as root or as \"{name}\"")]
    OtherUser {
        /// The user that it is to run as.
        name: String,
        /// The user that it was started as.
        uid: u32,
    },
    /// The kernel refuses a step.
    #[error("the link cannot {step}")]
    Refused {
        /// What it was to do.
        step: &'static str,
        /// Why.
        source: nix::Error,
    },
    /// It has changed its user, and could change it back.
    #[error("the link could become root again, so it does not run; has it been given capabilities that outlast a change of user?")]
    StillRoot,
}

/// Gives up every right that the link does not need, for this thread and all that it starts. To be called before there are other threads.
///
/// # Errors
/// See [`ConfinementError`]; the process should end then. That a kernel has no Landlock is no error.
pub fn confine(settings: &Settings) -> Result<(), ConfinementError> {
    let layout = Layout::new(settings);
    layout.require_registered()?;
    close_inherited();
    if let Some(user) = &settings.link_user {
        become_user(user)?;
        // Whoever else runs as this user can neither look into its memory nor be shown it in a core.
        set_dumpable(false).map_err(|source| ConfinementError::Refused { step: "hide its memory", source })?;
    }
    setrlimit(Resource::RLIMIT_CORE, 0, 0).map_err(|source| ConfinementError::Refused { step: "do without a core", source })?;
    set_no_new_privs().map_err(|source| ConfinementError::Refused { step: "renounce new rights", source })?;
    let restricted = restrict(&layout.link(""));
    say(&restricted, settings.link_user.as_ref());
    Ok(())
}

/// Descriptors that whoever started it had open and forgot.
fn close_inherited() {
    let Ok(entries) = fs::read_dir("/proc/self/fd") else { return };
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    // All are read before the first is closed; the one that reads them is closed by then.
    let inherited: Vec<i32> = numbers.filter(|number| *number >= FIRST_INHERITED).collect();
    for number in inherited {
        if close(number).is_ok() {
            tracing::debug!(number, "a descriptor that the link inherited is closed");
        }
    }
}

fn become_user(user: &LinkUser) -> Result<(), ConfinementError> {
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    if geteuid().is_root() {
        let refused = |step| move |source| ConfinementError::Refused { step, source };
        setgroups(&[]).map_err(refused("leave the groups of root"))?;
        setresgid(gid, gid, gid).map_err(refused("become a member of its user's group"))?;
        setresuid(uid, uid, uid).map_err(refused("become its user"))?;
        let has_groups = getgroups().is_ok_and(|groups| groups.iter().any(|group| *group != gid));
        if has_groups || setresuid(Uid::from_raw(0), Uid::from_raw(0), Uid::from_raw(0)).is_ok() {
            return Err(ConfinementError::StillRoot);
        }
    }
    let is_user = getresuid().is_ok_and(|now| [now.real, now.effective, now.saved] == [uid; 3]);
    if is_user { Ok(()) } else { Err(ConfinementError::OtherUser { name: user.name.clone(), uid: geteuid().as_raw() }) }
}

/// From now on: reads where names are looked up, reads and writes in its own folder, connects to whom it wants, and listens to nobody.
fn restrict(own_folder: &Path) -> Result<RestrictionStatus, Box<dyn Error>> {
    let own_rights = make_bitflags!(AccessFs::{ReadFile | ReadDir | WriteFile | Truncate | MakeReg | RemoveFile});
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(ABI_OF_RULES))?
        .handle_access(AccessNet::BindTcp)?
        .scope(Scope::from_all(ABI_OF_RULES))?
        .create()?;
    let folders = LOOKED_UP_IN.iter().chain(LIBRARIES).map(PathBuf::from).chain(folder_of(Path::new(RESOLVER)));
    for folder in folders {
        // One that is not there needs no rule.
        if let Ok(folder) = PathFd::new(folder) {
            rules = rules.add_rule(PathBeneath::new(folder, BitFlags::from(AccessFs::ReadFile)))?;
        }
    }
    Ok(rules.add_rule(PathBeneath::new(PathFd::new(own_folder)?, own_rights))?.restrict_self()?)
}

/// The folder in which a file lies or will lie, also where its name is a symbolic link to a file that is not there yet.
fn folder_of(path: &Path) -> Option<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MAXIMUM_LINKS {
        let Ok(target) = fs::read_link(&path) else { return path.parent().map(Path::to_owned) };
        path = path.parent()?.join(target);
    }
    None
}

fn say(restricted: &Result<RestrictionStatus, Box<dyn Error>>, user: Option<&LinkUser>) {
    let user = user.map_or("the agent's own", |user| user.name.as_str());
    match restricted {
        Ok(RestrictionStatus { ruleset: RulesetStatus::FullyEnforced, .. }) => tracing::info!(user, "the link is confined"),
        Ok(RestrictionStatus { ruleset: RulesetStatus::PartiallyEnforced, .. }) => {
            tracing::info!(user, "the link is confined as far as this kernel's Landlock goes; Linux 6.12 has all of it");
        }
        Ok(RestrictionStatus { landlock: LandlockStatus::NotEnabled, .. }) => {
            tracing::info!(user, "the link is not confined to its files: this kernel has Landlock, and it is not enabled (lsm=)");
        }
        Ok(_) => tracing::info!(user, "the link is not confined to its files: this kernel has no Landlock"),
        Err(error) => tracing::warn!(user, %error, "the link is not confined to its files"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_file_behind_links_is_looked_for_where_it_will_be_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("run")).unwrap();
        assert_eq!(folder_of(&path("resolv.conf")), Some(path("")), "it need not be there");
        symlink("run/stub", path("resolv.conf")).unwrap();
        symlink(path("elsewhere/real"), path("run/stub")).unwrap();
        assert_eq!(folder_of(&path("resolv.conf")), Some(path("elsewhere")));
        symlink("circle", path("circle")).unwrap();
        assert_eq!(folder_of(&path("circle")), None);
    }
}
