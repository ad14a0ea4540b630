//! `aws:runDockerAction`: one call of the program `docker`.

use super::{TIMEOUT_S, Template};
use crate::wire::{Check, DecodeError, limit};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Most volumes of one container.
pub const MAXIMUM_VOLUMES: usize = 64;

/// `aws:runDockerAction`. What an action does not use is without meaning for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunDockerAction {
    /// What is done.
    pub action: DockerAction,
    /// A container's name or id.
    pub container: Option<Template>,
    /// An image.
    pub image: Option<Template>,
    /// What runs in the container: words, as a shell would split them.
    pub cmd: Option<Template>,
    /// The container's memory: a number and `b`, `k`, `m` or `g`.
    pub memory: Option<Template>,
    /// The container's share of the processor: a number.
    pub cpu_shares: Option<Template>,
    /// Mounts; one that is a list parameter and nothing else becomes as many as the list has. At most [`MAXIMUM_VOLUMES`].
    pub volume: Vec<Template>,
    /// One environment variable: `NAME=value`.
    pub env: Option<Template>,
    /// Who runs in the container.
    pub user: Option<Template>,
    /// Published ports.
    pub publish: Option<Template>,
    /// Where `docker` runs; the job's own folder when absent or empty.
    pub working_directory: Option<Template>,
    /// How long it may run, in [`TIMEOUT_S`].
    pub timeout_s: u32,
}

/// What is done. Appended to only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DockerAction {
    /// `docker create`
    Create,
    /// `docker start`
    Start,
    /// `docker run`, in the background.
    Run,
    /// `docker stop`
    Stop,
    /// `docker rm`
    Rm,
    /// `docker exec`
    Exec,
    /// `docker inspect`
    Inspect,
    /// `docker logs`
    Logs,
    /// `docker ps`, of all containers.
    Ps,
    /// `docker stats`, once.
    Stats,
    /// `docker pull`
    Pull,
    /// `docker images`
    Images,
    /// `docker rmi`
    Rmi,
}

impl DockerAction {
    /// All of them. Source: the public agent's `aws:runDockerAction`.
    pub const ALL: [Self; 13] = [
        Self::Create,
        Self::Start,
        Self::Run,
        Self::Stop,
        Self::Rm,
        Self::Exec,
        Self::Inspect,
        Self::Logs,
        Self::Ps,
        Self::Stats,
        Self::Pull,
        Self::Images,
        Self::Rmi,
    ];

    /// As documents write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "Create",
            Self::Start => "Start",
            Self::Run => "Run",
            Self::Stop => "Stop",
            Self::Rm => "Rm",
            Self::Exec => "Exec",
            Self::Inspect => "Inspect",
            Self::Logs => "Logs",
            Self::Ps => "Ps",
            Self::Stats => "Stats",
            Self::Pull => "Pull",
            Self::Images => "Images",
            Self::Rmi => "Rmi",
        }
    }

    /// The action of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name() == name)
    }
}

impl RunDockerAction {
    pub(super) fn check_parameters(&self, parameters: usize) -> Result<(), DecodeError> {
        let single = [
            &self.container,
            &self.image,
            &self.cmd,
            &self.memory,
            &self.cpu_shares,
            &self.env,
            &self.user,
            &self.publish,
            &self.working_directory,
        ];
        single.into_iter().flatten().chain(&self.volume).try_for_each(|template| template.check(parameters))
    }
}

impl Check for RunDockerAction {
    fn check(&self) -> Result<(), DecodeError> {
        limit(self.volume.len() <= MAXIMUM_VOLUMES, "the volumes of a container")?;
        limit(TIMEOUT_S.contains(&self.timeout_s), "the time-out of a step")
    }
}
