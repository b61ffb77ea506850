//! A result as it leaves the engine: the images of its platforms, what they attest, and what
//! names them all.

use std::io;
use std::sync::Arc;

use super::attestation::{self, Attestation};
use super::image::{self, Described, Document, Image};
use super::layer::Blob;
use super::{Product, Written};
use crate::image::Reference;
use crate::request::Output;

/// Everything that is written to an archive or a registry.
pub(super) struct Bundle {
    pub(super) images: Vec<Image>,
    attestations: Vec<Attestation>,
    /// Where the image does not stand alone.
    index: Option<Document>,
    /// The image, or the index.
    pub(super) described: Described,
    pub(super) names: Vec<Reference>,
}

impl Bundle {
    /// `oci` says which media types when nothing else does.
    pub(super) fn new(products: &[Arc<Product>], output: &Output, oci: bool) -> io::Result<Self> {
        let options = &output.image;
        let attests = products.iter().any(|product| product.provenance.is_some());
        // Docker's types have no place for attestations.
        let oci = attests || options.oci_types.unwrap_or(oci);
        let mut images = Vec::new();
        let mut attestations = Vec::new();
        for product in products {
            let image = image::assemble(
                &product.saved,
                product.config.clone(),
                options,
                oci,
                product.epoch,
                product.base,
            )?;
            if let Some(asked) = &product.provenance {
                let manifest = &image.manifest.descriptor.digest;
                let statement = product.facts.statement(asked, &output.names, manifest);
                attestations.push(attestation::attestation(&statement, manifest)?);
            }
            images.push(image);
        }
        let epoch = products.first().and_then(|product| product.epoch);
        let now = || Ok(jiff::Timestamp::now());
        let created = epoch.map_or_else(now, jiff::Timestamp::from_second);
        let created = created.map_err(io::Error::other)?;
        let created = created.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let (index, described) = match images.as_slice() {
            [one] if attestations.is_empty() => (None, one.described(&created)),
            several => {
                let named = several.iter().map(Image::named_plainly);
                let named = named.chain(attestations.iter().map(|one| one.described.clone()));
                let index = image::index(named.collect(), options, oci)?;
                let described = image::describe_index(&index, options, &created);
                (Some(index), described)
            }
        };
        Ok(Self {
            images,
            attestations,
            index,
            described,
            names: output.names.clone(),
        })
    }

    pub(super) fn layers(&self) -> impl Iterator<Item = &Blob> {
        self.images.iter().flat_map(|image| &image.layers)
    }

    /// Small blobs: configs and statements.
    pub(super) fn small_blobs(&self) -> impl Iterator<Item = &Document> {
        let configs = self.images.iter().map(|image| &image.config);
        let attested = self.attestations.iter();
        configs.chain(attested.flat_map(|one| [&one.config, &one.statement]))
    }

    /// Manifests, and last what names the others.
    pub(super) fn manifests(&self) -> impl Iterator<Item = &Document> {
        let images = self.images.iter().map(|image| &image.manifest);
        let attested = self.attestations.iter().map(|one| &one.manifest);
        images.chain(attested).chain(&self.index)
    }

    pub(super) fn written(&self) -> Written {
        let config_digest = match (self.images.as_slice(), &self.index) {
            ([one], None) => Some(one.config.descriptor.digest.clone()),
            _ => None,
        };
        Written {
            config_digest,
            described: self.described.clone(),
            names: self.names.clone(),
        }
    }
}
