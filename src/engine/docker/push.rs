//! Pushes, with their progress.

use bollard::query_parameters::PushImageOptionsBuilder;
use futures::StreamExt as _;

use super::pull::{event, kind};
use super::{DockerEngine, auth};
use crate::engine::{EngineError, OnPull, Result};
use crate::image::{Digest, Reference};

impl DockerEngine {
    pub(super) async fn push_image(
        &self,
        reference: &Reference,
        on_push: OnPull<'_>,
    ) -> Result<Digest> {
        let registry = reference.registry.as_deref();
        let credential = self.credentials.lookup(registry).await?;
        let credential = credential.map(|credential| auth::for_request(registry, credential));
        let tag = reference.tag.as_deref().unwrap_or("latest");
        let options = PushImageOptionsBuilder::new().tag(tag).build();
        let mut said = self
            .docker
            .push_image(&reference.name(), Some(options), credential);
        let mut digest = None;
        while let Some(line) = said.next().await {
            let line = line.map_err(|error| kind(self.error(error)))?;
            let status = line.status.unwrap_or_default();
            if let Some(found) = announced(&status, tag) {
                digest = Some(found);
            }
            on_push(event(None, status, line.progress_detail));
        }
        digest.ok_or_else(|| {
            EngineError::Unexpected(format!(
                "it pushed `{reference}` and does not say under which digest"
            ))
        })
    }
}

/// `TAG: digest: sha256:… size: 528`, the last line of a push.
fn announced(status: &str, tag: &str) -> Option<Digest> {
    let rest = status.strip_prefix(tag)?.strip_prefix(": digest: ")?;
    let digest = rest.split_whitespace().next()?;
    digest.starts_with("sha256:").then(|| Digest::new(digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_digest() {
        let digest = announced("1.0: digest: sha256:abc size: 528", "1.0");
        assert_eq!(digest, Some(Digest::new("sha256:abc")));
        for other in [
            "Pushed",
            "2.0: digest: sha256:abc size: 528",
            "1.0: digest: x",
        ] {
            assert_eq!(announced(other, "1.0"), None, "{other}");
        }
    }
}
