//! `COPY`, `ADD` and `WORKDIR`: which files, where they go, and the layer they make.
//!
//! [`gather`] finds the files and gives their digest, for the cache; [`place`] decides where
//! each goes; [`layer`] writes the tar. No container runs for any of it.

mod chmod;
mod gather;
mod layer;
mod place;
mod remote;
pub(super) mod send;
mod sent;
mod spool;
mod unpack;

pub(super) use gather::{Files, Problem};
pub(super) use place::{PlaceError, Placement};
pub use remote::one_file;
pub(super) use spool::tree_of;

use std::sync::Arc;

use super::author::{self, Names};
use super::builder::Builder;
use super::failure::{self, Failure};
use super::snapshot::Snapshot;
use super::user;
use crate::diag::Diagnostic;
use crate::image::Platform;
use crate::plan::{Copy, Step, Workdir};
use crate::progress::Running;

impl Builder {
    /// Copies gathered files and makes the step's image.
    #[expect(clippy::too_many_arguments, reason = "a step is all of these")]
    pub(super) async fn copy_step(
        &self,
        platform: &Platform,
        step: &Step,
        copy: &Copy,
        files: Files,
        names: Names,
        below: &Snapshot,
        progress: &Running,
    ) -> Result<Snapshot, Failure> {
        let owner = match &copy.chown {
            Some(text) => {
                let owner = user::owner(&below.rootfs, text).await;
                Some(owner.map_err(|error| failure::user(step, &error))?)
            }
            None => None,
        };
        let mut placement = Placement::new(&below.rootfs, owner, copy.chmod.clone());
        for source in &files.sources {
            let put = placement
                .put(source, &copy.dest, &self.settings.scratch)
                .await;
            put.map_err(|error| place_failed(step, &error))?;
        }
        let placed = placement
            .finish()
            .await
            .map_err(|error| place_failed(step, &error))?;
        let known = placed.metas();
        let layer = layer::new_layer(placed, progress).await;
        let layer = layer.map_err(|problem| Arc::new(problem.at(step)))?;
        let layers = below.layers.clone();
        let made = author::step_image(&self.engine, platform, step, names, layers, Some(layer));
        let authored = made.await.map_err(|error| failure::engine(step, &error))?;
        let image = authored.image.clone();
        let rootfs = below.rootfs.with_layer(image, known);
        Ok(authored.snapshot(rootfs))
    }

    /// Makes the directories of a `WORKDIR`.
    pub(super) async fn workdir_step(
        &self,
        platform: &Platform,
        step: &Step,
        workdir: &Workdir,
        names: Names,
        below: &Snapshot,
    ) -> Result<Snapshot, Failure> {
        let owner = match workdir.user.as_str() {
            "" => None,
            name => {
                let owner = user::owner(&below.rootfs, name).await;
                Some(owner.map_err(|error| failure::user(step, &error))?)
            }
        };
        let mut placement = Placement::new(&below.rootfs, owner, None);
        let made = placement.make_directory(&workdir.path).await;
        made.map_err(|error| place_failed(step, &error))?;
        let placed = placement
            .finish()
            .await
            .map_err(|error| place_failed(step, &error))?;
        let known = placed.metas();
        let layer = layer::of_directories(&placed).map_err(|problem| Arc::new(problem.at(step)))?;
        let layers = below.layers.clone();
        let made = author::step_image(&self.engine, platform, step, names, layers, Some(layer));
        let authored = made.await.map_err(|error| failure::engine(step, &error))?;
        let rootfs = below.rootfs.with_layer(authored.image.clone(), known);
        Ok(authored.snapshot(rootfs))
    }
}

fn place_failed(step: &Step, error: &PlaceError) -> Failure {
    match error {
        PlaceError::Engine(error) => failure::engine(step, error),
        other => {
            Arc::new(Diagnostic::error(other.to_string()).with_label(&step.source, step.span, ""))
        }
    }
}
