//! `flotilla-bridge user`: works on the database directly, beside a running bridge too.

use crate::clock::Clock;
use crate::fleet::audit;
use crate::fleet::signer::{SignerError, heads_of};
use crate::fleet::user::{self, UserError};
use crate::platform::files;
use crate::platform::http::Access;
use crate::platform::seal::{SealError, Sealer};
use crate::platform::store::{Store, StoreError};
use crate::schema::MIGRATIONS;
use crate::settings::{Settings, SettingsError};
use clap::{Subcommand, ValueEnum};
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Role {
    Viewer,
    Auditor,
    Operator,
    Admin,
}

impl From<Role> for Access {
    fn from(role: Role) -> Self {
        match role {
            Role::Viewer => Self::Viewer,
            Role::Auditor => Self::Auditor,
            Role::Operator => Self::Operator,
            Role::Admin => Self::Admin,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Action {
    /// Add a user with an access key; the secret goes to a new file that only you can read
    Add {
        /// The user's name
        name: String,
        /// What the user may do
        #[arg(long, value_enum)]
        role: Role,
        /// A new file for the access key, in the form of operator.env
        #[arg(long)]
        output: PathBuf,
    },
    /// List the users with their roles and access key ids
    List,
    /// Remove a user and its access keys
    Remove {
        /// The user's name
        name: String,
    },
}

#[derive(Debug, thiserror::Error)]
pub(super) enum UserCommandError {
    #[error("the settings cannot be read")]
    Settings(#[from] SettingsError),
    #[error("the database cannot be opened")]
    Store(#[from] StoreError),
    #[error("the seal key cannot be used")]
    Seal(#[from] SealError),
    #[error("the audit log cannot be signed")]
    Signer(#[from] SignerError),
    #[error(transparent)]
    User(#[from] UserError),
    #[error("cannot write {path}; it must not exist yet. No user was added")]
    Output {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

pub(super) async fn perform(home: &Path, action: &Action, clock: &Clock) -> Result<String, UserCommandError> {
    let settings = Settings::load(home)?;
    let store = Store::open(&settings.home.database(), MIGRATIONS).await?;
    store.audit().sign_with(heads_of(settings.home.path())?);
    let message = match action {
        Action::Add { name, role, output } => {
            let sealer = Sealer::load(&settings.home.seal_key())?;
            let mut write = store.write().await?;
            let key = user::add(&mut write, &sealer, name, (*role).into(), clock.now_ms()).await?;
            write.record(
                audit::user("user-added", name, clock.now_ms()).with("Role", Access::from(*role).name()).with("AccessKey", &key.id),
            );
            // First the file, then the commit: a user whose secret nobody has would be of no use.
            let content = super::init::operator_environment(&settings, &key);
            files::create_secret(output, content.as_bytes()).map_err(|source| UserCommandError::Output { path: output.clone(), source })?;
            write.commit().await?;
            format!("Added {name}, access key {}. Its secret is in {}", key.id, output.display())
        }
        Action::List => table(&user::list(&store).await?),
        Action::Remove { name } => {
            let mut write = store.write().await?;
            user::remove(&mut write, name).await?;
            write.record(audit::user("user-removed", name, clock.now_ms()));
            write.commit().await?;
            format!("Removed {name}")
        }
    };
    store.close().await;
    Ok(message)
}

fn table(users: &[user::User]) -> String {
    let mut lines = vec![format!("{:<24} {:<9} ACCESS KEYS", "NAME", "ROLE")];
    lines.extend(users.iter().map(|user| format!("{:<24} {:<9} {}", user.name, user.role, user.access_key_ids.join(" "))));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{InitOptions, init};

    #[tokio::test]
    async fn a_user_comes_with_a_private_file_and_not_without() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::system();
        let home = folder.path().join("home");
        let options = InitOptions {
            home: home.clone(),
            name: "test".to_owned(),
            listen_host: Vec::new(),
            api_listen: None,
            broker_listen: None,
            claim_listen: None,
            if_missing: false,
        };
        init(&options, &clock).await.unwrap();
        let output = folder.path().join("otto.env");
        let add = Action::Add { name: "otto".to_owned(), role: Role::Operator, output: output.clone() };
        let message = perform(&home, &add, &clock).await.unwrap();
        let content = files::read_secret(&output).unwrap();
        let content = std::str::from_utf8(&content).unwrap();
        let secret = content.lines().find_map(|line| line.strip_prefix("AWS_SECRET_ACCESS_KEY=")).unwrap();
        assert!(secret.len() == 40 && !message.contains(secret), "the secret is in the file only");
        let taken = Action::Add { name: "ada".to_owned(), role: Role::Viewer, output };
        assert!(matches!(perform(&home, &taken, &clock).await, Err(UserCommandError::Output { .. })));
        let list = perform(&home, &Action::List, &clock).await.unwrap();
        assert!(list.contains("admin") && list.contains("otto") && !list.contains("ada"), "{list}");
        perform(&home, &Action::Remove { name: "otto".to_owned() }, &clock).await.unwrap();
        let list = perform(&home, &Action::List, &clock).await.unwrap();
        assert!(!list.contains("otto"), "{list}");
    }
}
