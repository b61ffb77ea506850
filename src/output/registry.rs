//! Registries that are given a result by ourselves: an index of several platforms, attestations,
//! annotations and compressions are nothing an engine could push.

use std::sync::Arc;

use super::bundle::Bundle;
use super::{Product, Written};
use crate::diag::{Class, Diagnostic};
use crate::image::Reference;
use crate::progress::{Numbering, StepOutcome};
use crate::registry::{Content, Registries, RegistryError};
use crate::request::Output;

/// Pushes every name. What names the others comes last, so nobody finds half an image.
///
/// # Errors
/// With the first name that a registry refuses. What was pushed before it stays there.
pub async fn push_all(
    products: &[Arc<Product>],
    output: &Output,
    registries: &Registries,
    numbering: &Numbering,
) -> Result<Written, Diagnostic> {
    let (products, wanted) = (products.to_vec(), output.clone());
    let bundle = tokio::task::spawn_blocking(move || Bundle::new(&products, &wanted, true));
    let bundle = bundle.await.map_err(std::io::Error::other);
    let bundle = bundle.and_then(|bundle| bundle).map_err(|error| {
        Diagnostic::error(format!("the result cannot be written: {error}"))
            .with_class(Class::Environment)
    })?;
    for name in &output.names {
        let step = numbering.start(&format!("pushing {name}"));
        match push(&bundle, name, output.image.insecure, registries).await {
            Ok(()) => step.finish(StepOutcome::Done),
            Err(error) => {
                let error = refused(name, &error);
                step.finish(StepOutcome::Failed(error.message.clone()));
                return Err(error);
            }
        }
    }
    Ok(bundle.written())
}

async fn push(
    bundle: &Bundle,
    name: &Reference,
    insecure: bool,
    registries: &Registries,
) -> Result<(), RegistryError> {
    let repository = registries.repository(name, insecure);
    for layer in bundle.layers() {
        let content = Content::File(&layer.path);
        repository
            .put_blob(&layer.descriptor(true), content)
            .await?;
    }
    for document in bundle.small_blobs() {
        let content = Content::Bytes(&document.bytes);
        repository.put_blob(&document.descriptor, content).await?;
    }
    let manifests: Vec<_> = bundle.manifests().collect();
    let tag = name.tag.as_deref().unwrap_or("latest");
    for (index, document) in manifests.iter().enumerate() {
        let last = index + 1 == manifests.len();
        let named = &document.descriptor;
        let reference = if last { tag } else { named.digest.as_str() };
        repository
            .put_manifest(reference, &named.media_type, &document.bytes)
            .await?;
    }
    Ok(())
}

fn refused(name: &Reference, error: &RegistryError) -> Diagnostic {
    super::push::cannot_push(
        name,
        error.to_string(),
        matches!(error, RegistryError::Unauthorized(_)),
    )
}
