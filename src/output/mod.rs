//! What becomes of the result.
//!
//! The engine's own store and, through it, registries take a result as it is. Files and archives
//! are made here: the layers are taken out of the engine, given the form that was asked for, and
//! written. Nothing is half there when that fails, but a directory that files were put into.

mod archive;
mod attestation;
mod bundle;
mod destination;
mod engine;
mod files;
mod image;
mod layer;
mod provenance;
mod push;
mod registry;
mod saved;
mod tree;

use std::io;
use std::path::Path;
use std::sync::Arc;

use bundle::Bundle;

use crate::image::{Digest, ImageConfig, Reference};
use crate::request::attest::Provenance;
use crate::request::{Destination, Output, OutputKind};

pub use engine::{rewritten, to_engine};
pub use image::Described;
pub use layer::packed;
pub use provenance::{Facts, Material};
pub use push::push;
pub use registry::push_all;
pub use saved::{Saved, save};

/// What was built, in files.
pub struct Product {
    pub saved: Saved,
    pub config: ImageConfig,
    /// How many layers are the base image's.
    pub base: usize,
    /// `SOURCE_DATE_EPOCH`
    pub epoch: Option<i64>,
    pub facts: Facts,
    /// What the result shall attest.
    pub provenance: Option<Provenance>,
}

/// What an image became outside the engine.
#[derive(Debug, Clone)]
pub struct Written {
    /// Of one image; an index has none.
    pub config_digest: Option<Digest>,
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
pub async fn write(products: &[Arc<Product>], output: &Output) -> io::Result<Option<Written>> {
    let (products, output) = (products.to_vec(), output.clone());
    let work = move || write_now(&products, &output);
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)?
}

fn write_now(products: &[Arc<Product>], output: &Output) -> io::Result<Option<Written>> {
    let split = output.platform_split.unwrap_or(products.len() > 1);
    let below = |product: &Product| {
        let platform = product.config.platform().to_string();
        split.then(|| platform.replace('/', "_"))
    };
    match &output.kind {
        OutputKind::Local(root) => {
            for product in products {
                let tree = tree::Tree::merge(&product.saved)?;
                let root = below(product).map_or_else(|| root.clone(), |below| root.join(below));
                files::write_directory(&tree, &root, product.epoch)?;
                if split {
                    files::open_to_all(&root)?;
                }
                if output.delete {
                    files::remove_others(&tree, &root)?;
                }
            }
            Ok(None)
        }
        OutputKind::Tar(destination) => {
            let mut trees = Vec::new();
            for product in products {
                trees.push((below(product), tree::Tree::merge(&product.saved)?));
            }
            trees.sort_by(|(one, _), (other, _)| one.cmp(other));
            let epoch = products.first().and_then(|product| product.epoch);
            destination::write(destination, |out| files::write_tar(&trees, out, epoch))?;
            Ok(None)
        }
        OutputKind::DockerArchive(destination) => write_image(
            products,
            output,
            archive::Form::Docker,
            To::Archive(destination),
        )
        .map(Some),
        OutputKind::Oci(destination) => write_image(
            products,
            output,
            archive::Form::Oci,
            To::Archive(destination),
        )
        .map(Some),
        OutputKind::OciDirectory(root) => {
            write_image(products, output, archive::Form::Oci, To::Directory(root)).map(Some)
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
    products: &[Arc<Product>],
    output: &Output,
    form: archive::Form,
    to: To<'_>,
) -> io::Result<Written> {
    let bundle = Bundle::new(products, output, form == archive::Form::Oci)?;
    match to {
        To::Archive(destination) => {
            destination::write(destination, |out| archive::write(&bundle, form, out))?;
        }
        To::Directory(root) => archive::write_directory(&bundle, root)?,
    }
    Ok(bundle.written())
}
