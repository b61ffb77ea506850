//! `WORKDIR`: the directories that are missing, owned by the step's user.

use std::collections::BTreeMap;

use super::copy::place::{PlaceError, missing_dirs};
use super::rootfs::{Meta, Rootfs};
use super::user::{self, UserError};
use crate::engine::EngineError;
use crate::plan::Workdir;

/// The directories to make, parents first, by their real paths.
///
/// # Errors
/// When the engine fails, or the owner cannot be told.
pub(super) async fn missing(
    rootfs: &Rootfs,
    workdir: &Workdir,
    now: i64,
) -> Result<BTreeMap<String, Meta>, WorkdirError> {
    let real = rootfs.resolve(&workdir.path, true).await?;
    let (uid, gid) = match workdir.user.as_str() {
        "" => (0, 0),
        name => user::owner(rootfs, name).await?,
    };
    let made = Meta { uid, gid, ..Meta::dir(now) };
    let missing = missing_dirs(rootfs, &real).await?;
    Ok(missing.into_iter().map(|path| (path, made.clone())).collect())
}

/// Why a directory cannot be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum WorkdirError {
    #[error("{0}")]
    Engine(#[from] EngineError),
    #[error("{0}")]
    User(#[from] UserError),
    #[error("{0}")]
    Place(#[from] PlaceError),
}
