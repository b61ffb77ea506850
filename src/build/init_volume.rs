//! The volume that brings the init program into containers.
//!
//! It is mounted below `/dev`, a file system of the container's own, so that it leaves no trace
//! in any layer. It is made once per engine and named after the program's digest.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::ledger::Ledger;
use super::probe;
use crate::engine::{Engine, Mount, Result};
use crate::init;

/// Where the volume is mounted, and the program in it.
const FOLDER: &str = "/dev/.bowline";
pub(super) const PROGRAM: &str = "/dev/.bowline/init";

fn name() -> String {
    format!(
        "bowline-init-{}",
        &blake3::hash(init::PROGRAM).to_hex()[..16]
    )
}

pub(super) fn mount() -> Mount {
    Mount::Volume {
        name: name(),
        target: FOLDER.into(),
        read_only: true,
    }
}

/// Makes the volume when the engine has none.
pub(super) async fn ensure(
    engine: &Arc<dyn Engine>,
    ledger: &Arc<Ledger>,
    image: &str,
) -> Result<()> {
    if engine.ensure_volume(&name(), &labels()).await? {
        fill(engine, ledger, image).await?;
    }
    Ok(())
}

/// Puts the program into the volume, through a container of any image that is never started.
pub(super) async fn fill(
    engine: &Arc<dyn Engine>,
    ledger: &Arc<Ledger>,
    image: &str,
) -> Result<()> {
    let mut spec = probe::spec(ledger, image);
    spec.mounts = vec![Mount::Volume {
        name: name(),
        target: FOLDER.into(),
        read_only: false,
    }];
    ledger.create(&spec).await?;
    let written = engine.write(&spec.name, FOLDER, archive()).await;
    ledger.leave(&spec.name);
    written
}

fn labels() -> BTreeMap<String, String> {
    BTreeMap::from([("bowline.volume".into(), "init".into())])
}

/// A tar with the one program in it.
fn archive() -> Bytes {
    let mut header = tar::Header::new_ustar();
    header.set_mode(0o555);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(init::PROGRAM.len() as u64);
    let mut builder = tar::Builder::new(Vec::new());
    builder
        .append_data(&mut header, "init", init::PROGRAM)
        .and_then(|()| builder.into_inner())
        .expect("a tar in memory cannot fail")
        .into()
}
