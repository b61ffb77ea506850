//! What becomes of the result.
//!
//! The engine's own store and, through it, registries take a result as it is. Files and archives
//! are made here: the layers are taken out of the engine, given the form that was asked for, and
//! written. Nothing is half there when that fails, but a directory that files were put into.

mod archive;
mod destination;
mod engine;
mod files;
mod image;
mod layer;
mod push;
mod saved;
mod tree;

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::image::{Digest, ImageConfig, Reference};
use crate::request::{Destination, Output, OutputKind};

pub use engine::{rewritten, to_engine};
pub use image::Described;
pub use push::push;
pub use saved::{Saved, save};

/// What was built, in files.
pub struct Product {
    pub saved: Saved,
    pub config: ImageConfig,
    /// How many layers are the base image's.
    pub base: usize,
    /// `SOURCE_DATE_EPOCH`
    pub epoch: Option<i64>,
}

/// What an image became outside the engine.
#[derive(Debug, Clone)]
pub struct Written {
    pub config_digest: Digest,
    pub described: Described,
    pub names: Vec<Reference>,
}

/// Whether an output is made here, from the layers.
pub fn is_written(kind: &OutputKind) -> bool {
    !matches!(
        kind,
        OutputKind::Engine | OutputKind::Image { .. } | OutputKind::Nothing
    )
}

/// Writes one output.
///
/// # Errors
/// When the engine's layers cannot be read or the destination not be written.
pub async fn write(product: &Arc<Product>, output: &Output) -> io::Result<Option<Written>> {
    let (product, output) = (Arc::clone(product), output.clone());
    let work = move || write_now(&product, &output);
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)?
}

fn write_now(product: &Product, output: &Output) -> io::Result<Option<Written>> {
    match &output.kind {
        OutputKind::Local(root) => {
            let tree = tree::Tree::merge(&product.saved)?;
            let split = output.platform_split.unwrap_or(false);
            let below = split.then(|| product.config.platform().to_string().replace('/', "_"));
            let root = below.map_or_else(|| root.clone(), |below| root.join(below));
            files::write_directory(&tree, &root, product.epoch)?;
            if output.delete {
                files::remove_others(&tree, &root)?;
            }
            Ok(None)
        }
        OutputKind::Tar(destination) => {
            let tree = tree::Tree::merge(&product.saved)?;
            destination::write(destination, |out| {
                files::write_tar(&tree, out, product.epoch)
            })?;
            Ok(None)
        }
        OutputKind::DockerArchive(destination) => write_image(
            product,
            output,
            archive::Form::Docker,
            To::Archive(destination),
        )
        .map(Some),
        OutputKind::Oci(destination) => write_image(
            product,
            output,
            archive::Form::Oci,
            To::Archive(destination),
        )
        .map(Some),
        OutputKind::OciDirectory(root) => {
            write_image(product, output, archive::Form::Oci, To::Directory(root)).map(Some)
        }
        OutputKind::Engine | OutputKind::Image { .. } | OutputKind::Nothing => Ok(None),
    }
}

#[derive(Clone, Copy)]
enum To<'a> {
    Archive(&'a Destination),
    Directory(&'a Path),
}

fn write_image(
    product: &Product,
    output: &Output,
    form: archive::Form,
    to: To<'_>,
) -> io::Result<Written> {
    let options = &output.image;
    let oci = options.oci_types.unwrap_or(form == archive::Form::Oci);
    let config = product.config.clone();
    let image = image::assemble(
        &product.saved,
        config,
        options,
        oci,
        product.epoch,
        product.base,
    )?;
    let created = product
        .epoch
        .map_or_else(|| Ok(jiff::Timestamp::now()), jiff::Timestamp::from_second);
    let created = created.map_err(io::Error::other)?;
    let described = image.described(&created.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
    match to {
        To::Archive(destination) => destination::write(destination, |out| {
            archive::write(&image, &output.names, form, &described, out)
        })?,
        To::Directory(root) => {
            archive::write_directory(&image, &output.names, &described, root)?;
        }
    }
    Ok(Written {
        config_digest: image.config.descriptor.digest.clone(),
        described,
        names: output.names.clone(),
    })
}
