//! Images by name: look up, list, tag, remove.

use std::collections::HashMap;

use bollard::Docker;
use bollard::errors::Error;
use bollard::models::{ImageInspect, OciDescriptor};
use bollard::query_parameters::{
    ListImagesOptionsBuilder, RemoveImageOptionsBuilder, TagImageOptionsBuilder,
};

use super::{DockerEngine, if_there};
use crate::engine::{EngineError, ImageSummary, NamedImage, Result};
use crate::image::{Descriptor, Digest, Platform, Reference};

/// What an image of the containerd store hangs from.
#[derive(Debug, Clone)]
pub(super) struct Root {
    /// Of its index or, more often, its manifest.
    pub(super) descriptor: Descriptor,
    pub(super) diff_ids: Vec<Digest>,
}

impl DockerEngine {
    pub(super) async fn image_summary(&self, name: &str) -> Result<Option<ImageSummary>> {
        if !is_name(name) {
            return Ok(None);
        }
        let found = if_there(self.inspect_image(name).await)?;
        Ok(found.map(|found| ImageSummary {
            diff_ids: diff_ids(&found),
            labels: labels(&found),
            platform: platform(&found),
            id: found.id.unwrap_or_default(),
            repo_tags: found.repo_tags.unwrap_or_default(),
            repo_digests: found.repo_digests.unwrap_or_default(),
            created: found
                .created
                .and_then(|time| time.parse::<jiff::Timestamp>().ok())
                .map_or(0, jiff::Timestamp::as_second),
        }))
    }

    /// The history tells both, and of a containerd store it is asked in a third of the time
    /// that an inspect of many layers takes.
    pub(super) async fn image_names(&self, name: &str) -> Result<Option<NamedImage>> {
        if !is_name(name) {
            return Ok(None);
        }
        let lines = self.docker.image_history(name).await;
        let Some(lines) = if_there(lines.map_err(|error| self.error(error)))? else {
            return Ok(None);
        };
        match lines.into_iter().next() {
            Some(top) if top.id.starts_with("sha256:") => Ok(Some(NamedImage {
                id: top.id,
                tags: top.tags,
            })),
            // An image without a history.
            _ => Ok(self.image_summary(name).await?.map(|found| NamedImage {
                id: found.id,
                tags: found.repo_tags,
            })),
        }
    }

    pub(super) async fn inspect_image(&self, name: &str) -> Result<ImageInspect> {
        self.inspect_image_with(&self.docker, name).await
    }

    /// With the manifests of an index, where the engine tells them.
    pub(super) async fn inspect_index(&self, name: &str) -> Result<ImageInspect> {
        self.inspect_image_with(&self.detailed, name).await
    }

    async fn inspect_image_with(&self, docker: &Docker, name: &str) -> Result<ImageInspect> {
        if !is_name(name) {
            return Err(EngineError::NotFound {
                message: format!("no such image: {name}"),
            });
        }
        let found = docker.inspect_image(name).await;
        let found = found.map_err(|error| match error {
            // An index of the containerd store without a single manifest: `RootFS` is empty.
            Error::JsonDataError { message, .. } if message.contains("missing field `Type`") => {
                EngineError::NotFound {
                    message: format!("the image `{name}` is here, but nothing of its content"),
                }
            }
            error => self.error(error),
        })?;
        if self.is_containerd()
            && let Some(id) = &found.id
            && let Some(root) = found.descriptor.as_ref().and_then(descriptor)
        {
            self.remember(
                id,
                Root {
                    descriptor: root,
                    diff_ids: diff_ids(&found),
                },
            );
        }
        Ok(found)
    }

    pub(super) async fn list_images(
        &self,
        filters: HashMap<&str, Vec<&str>>,
    ) -> Result<Vec<ImageSummary>> {
        let options = ListImagesOptionsBuilder::new().filters(&filters).build();
        let listed = self
            .docker
            .list_images(Some(options))
            .await
            .map_err(|error| self.error(error))?;
        let summary = |image: bollard::models::ImageSummary| ImageSummary {
            id: image.id,
            diff_ids: Vec::new(),
            labels: image.labels.into_iter().collect(),
            platform: self.info.platform.clone(),
            repo_tags: image.repo_tags,
            repo_digests: image.repo_digests,
            created: image.created,
        };
        Ok(listed.into_iter().map(summary).collect())
    }

    pub(super) async fn history_sizes(&self, name: &str) -> Result<Vec<u64>> {
        let lines = self.docker.image_history(name).await;
        let lines = lines.map_err(|error| self.error(error))?;
        let sizes = lines.iter().rev().map(|line| line.size);
        Ok(sizes
            .map(|size| u64::try_from(size).unwrap_or_default())
            .collect())
    }

    pub(super) async fn tag_image(&self, image: &str, name: &str) -> Result<()> {
        let reference = Reference::parse(name)
            .map_err(|error| EngineError::Local(error.to_string()))?
            .with_default_tag();
        let options = TagImageOptionsBuilder::new()
            .repo(&reference.name())
            .tag(reference.tag.as_deref().unwrap_or_default())
            .build();
        loop {
            let tagged = self.docker.tag_image(image, Some(options.clone())).await;
            match tagged {
                // The containerd store, when somebody else gives the same name at the same time.
                Err(Error::DockerResponseServerError { message, .. })
                    if message.contains("already exists") => {}
                other => return other.map_err(|error| self.error(error)),
            }
        }
    }

    pub(super) async fn drop_image(&self, name: &str, force: bool) -> Result<()> {
        if !is_name(name) {
            return Ok(());
        }
        // An untagged parent may be a step that somebody still wants: it is not removed along.
        let options = RemoveImageOptionsBuilder::new()
            .force(force)
            .noprune(true)
            .build();
        let removed = self.docker.remove_image(name, Some(options), None).await;
        if_there(removed.map_err(|error| self.error(error)))?;
        Ok(())
    }
}

pub(super) fn diff_ids(found: &ImageInspect) -> Vec<Digest> {
    let layers = found.root_fs.as_ref().and_then(|fs| fs.layers.as_ref());
    layers.into_iter().flatten().map(Digest::new).collect()
}

pub(super) fn platform(found: &ImageInspect) -> Platform {
    Platform::new(
        found.os.as_deref().unwrap_or_default(),
        found.architecture.as_deref().unwrap_or_default(),
        found.variant.as_deref(),
    )
}

fn labels(found: &ImageInspect) -> std::collections::BTreeMap<String, String> {
    let labels = found
        .config
        .as_ref()
        .and_then(|config| config.labels.as_ref());
    labels
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

pub(super) fn descriptor(found: &OciDescriptor) -> Option<Descriptor> {
    Some(Descriptor {
        media_type: found.media_type.clone()?,
        digest: Digest::new(found.digest.clone()?),
        size: found.size?.try_into().ok()?,
    })
}

/// Whether this can be an image's name or ID, and may stand in a request's path.
fn is_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-/:@".contains(&b);
    !name.is_empty()
        && name.bytes().all(allowed)
        && name
            .split('/')
            .all(|part| part.starts_with(|c: char| c.is_ascii_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_into_paths() {
        for name in [
            "busybox",
            "a/b:c",
            "localhost:5000/a",
            "sha256:12",
            "a@sha256:12",
        ] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "../x", "a/../b", "a?b", "a b", "a//b", "a#b", "%2e"] {
            assert!(!is_name(name), "{name}");
        }
    }
}
