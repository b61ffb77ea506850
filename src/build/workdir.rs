//! `WORKDIR`: the directories that are missing, owned by the step's user.

use std::collections::BTreeMap;

use super::rootfs::{Meta, MetaKind, Rootfs};
use super::user::{self, UserError};
use crate::plan::Workdir;

/// The directories to make, parents first, by their real paths.
///
/// # Errors
/// When the engine fails, or the owner cannot be told.
pub(super) async fn missing(
    rootfs: &Rootfs,
    workdir: &Workdir,
    now: i64,
) -> Result<BTreeMap<String, Meta>, UserError> {
    let real = rootfs.resolve(&workdir.path, true).await?;
    let (uid, gid) = match workdir.user.as_str() {
        "" => (0, 0),
        name => user::owner(rootfs, name).await?,
    };
    let made = Meta { kind: MetaKind::Dir, mode: 0o755, uid, gid, mtime: now, xattrs: Vec::new() };
    super::copy::make_parents(rootfs, &real, &made).await
}
