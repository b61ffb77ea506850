//! Pulls, with their progress.

use bollard::query_parameters::CreateImageOptionsBuilder;
use futures::StreamExt as _;

use super::{DockerEngine, auth};
use crate::engine::{EngineError, OnPull, PullEvent, Result};
use crate::image::{Platform, Reference};

impl DockerEngine {
    pub(super) async fn pull_image(
        &self,
        reference: &Reference,
        platform: Option<&Platform>,
        on_pull: OnPull<'_>,
    ) -> Result<()> {
        let registry = reference.registry.as_deref();
        let credential = self.credentials.lookup(registry).await?;
        let credential = credential.map(|credential| auth::for_request(registry, credential));
        // With both a tag and a digest, the digest says which image it is.
        let version = reference.digest.as_deref().or(reference.tag.as_deref());
        let name = reference.name();
        let options = CreateImageOptionsBuilder::new()
            .from_image(&name)
            .tag(version.unwrap_or("latest"))
            .platform(&platform.map(ToString::to_string).unwrap_or_default())
            .build();
        let mut events = self.docker.create_image(Some(options), None, credential);
        while let Some(event) = events.next().await {
            let event = event.map_err(|error| kind(self.error(error)))?;
            on_pull(self::event(
                event.id,
                event.status.unwrap_or_default(),
                event.progress_detail,
            ));
        }
        Ok(())
    }
}

/// A line of a pull or a push.
pub(super) fn event(
    id: Option<String>,
    status: String,
    detail: Option<bollard::models::ProgressDetail>,
) -> PullEvent {
    let progress = detail.and_then(|detail| {
        let bytes = |n: Option<i64>| n.and_then(|n| u64::try_from(n).ok());
        Some((
            bytes(detail.current)?,
            bytes(detail.total).unwrap_or_default(),
        ))
    });
    PullEvent {
        id: id.unwrap_or_default(),
        status,
        progress,
    }
}

/// Engines pass a registry's answer on as text, with a status that says little.
pub(super) fn kind(error: EngineError) -> EngineError {
    let (EngineError::Api { message, .. } | EngineError::NotFound { message }) = &error else {
        return error;
    };
    let lower = message.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let message = message.clone();
    if says(&[
        "unauthorized",
        "denied",
        "authentication required",
        "no basic auth",
        "forbidden",
    ]) {
        EngineError::Unauthorized { message }
    } else if says(&[
        "not found",
        "unknown",
        "no matching manifest",
        "does not exist",
    ]) {
        EngineError::NotFound { message }
    } else {
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_what_registries_say() {
        let of = |message: &str| {
            kind(EngineError::Api {
                status: 500,
                message: message.into(),
            })
        };
        for message in [
            "pull access denied for x, repository does not exist or may require 'docker login': \
             denied: requested access to the resource is denied",
            "Head \"https://r/v2/x/manifests/1\": unauthorized: authentication required",
            "Get \"https://r/v2/x/manifests/1\": no basic auth credentials",
            "unexpected status from HEAD request to https://r/v2/: 403 Forbidden",
        ] {
            assert!(
                matches!(of(message), EngineError::Unauthorized { .. }),
                "{message}"
            );
        }
        for message in [
            "manifest for busybox:nope not found: manifest unknown: manifest unknown",
            "docker.io/library/busybox:nope: not found",
            "no matching manifest for linux/s390x in the manifest list entries",
            "name unknown: repository name not known to registry",
        ] {
            assert!(
                matches!(of(message), EngineError::NotFound { .. }),
                "{message}"
            );
        }
        let other = of("Get \"https://r/v2/\": dial tcp: lookup r: no such host");
        assert!(matches!(other, EngineError::Api { .. }));
    }
}
