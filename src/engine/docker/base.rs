//! What is needed to build on an image: its config and its layers.
//!
//! With a graph driver the config is put together again from what the API tells of it. The
//! containerd store keeps the very documents; `peek` gets them out.

use bollard::models::{HealthConfig, ImageConfig as ApiConfig, ImageInspect, ImageManifestSummary};

use super::history::{self, Line};
use super::image::{descriptor, diff_ids, platform};
use super::manifest::{Document, Manifest, rank};
use super::{DockerEngine, export};
use crate::engine::{BaseImage, EngineError, Result};
use crate::image::{Config, Descriptor, Digest, Empty, Healthcheck, ImageConfig, Layer, Platform};

impl DockerEngine {
    pub(super) async fn read_base(&self, name: &str, platform: &Platform) -> Result<BaseImage> {
        let found = self.inspect_index(name).await?;
        let id = found.id.clone().unwrap_or_default();
        let repo_digests = found.repo_digests.clone().unwrap_or_default();
        let (config, layers) = if self.is_containerd() {
            self.stored(name, &id, &found, platform).await?
        } else {
            self.restored(&id, found).await?
        };
        Ok(BaseImage {
            id,
            config,
            layers,
            repo_digests,
        })
    }

    /// The config of an image of a graph driver.
    async fn restored(&self, id: &str, found: ImageInspect) -> Result<(ImageConfig, Vec<Layer>)> {
        let lines = self
            .docker
            .image_history(id)
            .await
            .map_err(|error| self.error(error))?;
        let lines: Vec<Line> = lines
            .into_iter()
            .rev()
            .map(|line| Line {
                created: line.created,
                created_by: line.created_by,
                comment: line.comment,
                size: line.size,
            })
            .collect();
        let config = restore(found, &lines);
        let layers = config.rootfs.diff_ids.iter();
        let layers = layers
            .map(|id| Layer {
                diff_id: id.clone(),
                blob: None,
            })
            .collect();
        Ok((config, layers))
    }

    /// The config of an image of the containerd store.
    async fn stored(
        &self,
        name: &str,
        id: &str,
        found: &ImageInspect,
        platform: &Platform,
    ) -> Result<(ImageConfig, Vec<Layer>)> {
        let (manifest, config) = match self.peek_image(found, platform).await {
            Ok(both) => both,
            Err(error) => {
                tracing::debug!(%error, name, "exporting the image instead");
                self.export_image(id, platform).await?
            }
        }
        .ok_or_else(|| EngineError::NotFound {
            message: format!("the image `{name}` is here, but not for {platform}"),
        })?;
        let config: ImageConfig = serde_json::from_slice(&config)
            .map_err(|error| EngineError::Unexpected(format!("the config of `{name}`: {error}")))?;
        let layers = manifest.layers(&config.rootfs.diff_ids)?;
        Ok((config, layers))
    }

    /// Manifest and config by way of `peek`: one look each, one more for an index when the
    /// engine does not say what is in it. `None` when there is nothing for the platform.
    async fn peek_image(
        &self,
        found: &ImageInspect,
        platform: &Platform,
    ) -> Result<Option<(Manifest, bytes::Bytes)>> {
        let root = found.descriptor.as_ref().and_then(descriptor);
        let root = root.ok_or_else(|| EngineError::Unexpected("no descriptor".into()))?;
        let mut wanted = match listed(found, &root, platform) {
            Listed::Manifest(manifest) => manifest,
            Listed::Nothing => return Ok(None),
            Listed::Unknown => root,
        };
        // An index may hold indexes; nobody goes deeper than this.
        for _ in 0..4 {
            let blob = self.peek(&wanted).await?;
            match Document::parse(&blob) {
                Some(Document::Manifest(manifest)) => {
                    let config = self.peek(&manifest.config).await?;
                    return Ok(Some((manifest, config)));
                }
                Some(Document::Index(index)) => match index.choose(platform) {
                    Some(entry) => wanted = entry.descriptor.clone(),
                    None => return Ok(None),
                },
                None => break,
            }
        }
        Err(EngineError::Unexpected(format!(
            "`{}` is no manifest",
            wanted.digest
        )))
    }

    async fn export_image(
        &self,
        id: &str,
        platform: &Platform,
    ) -> Result<Option<(Manifest, bytes::Bytes)>> {
        export::read(self.export(id), &Digest::new(id), platform).await
    }

    pub(super) async fn read_layers(&self, image: &str, known: &[Layer]) -> Result<Vec<Layer>> {
        let known_root = self.root(image);
        let root = if let Some(root) = known_root {
            root
        } else {
            let found = self.inspect_image(image).await?;
            let diff_ids = diff_ids(&found);
            if !self.is_containerd() {
                return Ok(plain(&diff_ids, known));
            }
            let id = found.id.unwrap_or_default();
            match self.root(&id) {
                Some(root) => root,
                // An engine that does not tell the descriptor.
                None => return self.exported_layers(&id, &diff_ids).await,
            }
        };
        if root.diff_ids.len() <= known.len() && is_prefix(&root.diff_ids, known) {
            return Ok(known[..root.diff_ids.len()].to_vec());
        }
        let peeked = match self.peek(&root.descriptor).await {
            Ok(blob) => Document::parse(&blob),
            Err(error) => {
                tracing::debug!(%error, image, "exporting the image instead");
                None
            }
        };
        match peeked {
            Some(Document::Manifest(manifest)) => manifest.layers(&root.diff_ids),
            _ => {
                self.exported_layers(root.descriptor.digest.as_str(), &root.diff_ids)
                    .await
            }
        }
    }

    async fn exported_layers(&self, id: &str, diff_ids: &[Digest]) -> Result<Vec<Layer>> {
        match self.export_image(id, &self.info.platform).await? {
            Some((manifest, _)) => manifest.layers(diff_ids),
            None => Err(EngineError::Unexpected(format!(
                "no manifest in the image `{id}`"
            ))),
        }
    }
}

/// What the engine's list of an image's manifests has for a platform.
enum Listed {
    Manifest(Descriptor),
    Nothing,
    /// There is no list, or no index.
    Unknown,
}

fn listed(found: &ImageInspect, root: &Descriptor, wanted: &Platform) -> Listed {
    let manifests = found.manifests.as_deref().unwrap_or_default();
    let is_root =
        |one: &ImageManifestSummary| one.descriptor.digest.as_deref() == Some(root.digest.as_str());
    if manifests.is_empty() || manifests.iter().any(is_root) {
        return Listed::Unknown;
    }
    let best = manifests
        .iter()
        .filter(|one| one.available)
        .filter_map(|one| {
            let found = &one.image_data.as_ref()?.platform;
            let platform = Platform::new(
                found.os.as_deref()?,
                found.architecture.as_deref()?,
                found.variant.as_deref(),
            );
            Some((rank(&platform, wanted)?, descriptor(&one.descriptor)?))
        })
        .min_by_key(|(rank, _)| *rank);
    best.map_or(Listed::Nothing, |(_, descriptor)| {
        Listed::Manifest(descriptor)
    })
}

fn is_prefix(diff_ids: &[Digest], known: &[Layer]) -> bool {
    diff_ids
        .iter()
        .zip(known)
        .all(|(id, layer)| *id == layer.diff_id)
}

/// Layers of a graph driver, which are no more than their diff IDs.
fn plain(diff_ids: &[Digest], known: &[Layer]) -> Vec<Layer> {
    let known = known
        .iter()
        .zip(diff_ids)
        .take_while(|(layer, id)| layer.diff_id == **id);
    let mut layers: Vec<Layer> = known.map(|(layer, _)| layer.clone()).collect();
    let rest = diff_ids.iter().skip(layers.len());
    layers.extend(rest.map(|id| Layer {
        diff_id: id.clone(),
        blob: None,
    }));
    layers
}

/// The image config, as far as an inspect call and the history tell it.
fn restore(found: ImageInspect, lines: &[Line]) -> ImageConfig {
    let diff_ids = diff_ids(&found);
    let platform = platform(&found);
    let created = found
        .created
        .filter(|created| !created.starts_with("0001-"));
    let mut history = history::infer(lines, &diff_ids);
    // The history's times are whole seconds; the image's own is exact, and the newest line's.
    if let (Some(last), Some(exact)) = (history.last_mut(), &created)
        && let Some(whole) = last
            .created
            .as_ref()
            .and_then(|whole| whole.strip_suffix('Z'))
        && exact.starts_with(whole)
    {
        last.created = Some(exact.clone());
    }
    let mut config = ImageConfig {
        architecture: found.architecture.unwrap_or(platform.architecture),
        variant: found.variant.filter(|variant| !variant.is_empty()),
        os: found.os.unwrap_or(platform.os),
        os_version: found.os_version.filter(|version| !version.is_empty()),
        author: found.author.filter(|author| !author.is_empty()),
        created,
        config: found.config.map(api_config).unwrap_or_default(),
        history,
        ..ImageConfig::default()
    };
    config.rootfs.diff_ids = diff_ids;
    config
}

fn api_config(config: ApiConfig) -> Config {
    let set = |names: Option<Vec<String>>| {
        names
            .unwrap_or_default()
            .into_iter()
            .map(|name| (name, Empty {}))
            .collect()
    };
    Config {
        user: config.user.unwrap_or_default(),
        exposed_ports: set(config.exposed_ports),
        env: config.env.unwrap_or_default(),
        entrypoint: config.entrypoint.unwrap_or_default(),
        cmd: config.cmd.unwrap_or_default(),
        volumes: set(config.volumes),
        working_dir: config.working_dir.unwrap_or_default(),
        labels: config.labels.unwrap_or_default().into_iter().collect(),
        stop_signal: config.stop_signal.unwrap_or_default(),
        args_escaped: config.args_escaped.unwrap_or_default(),
        on_build: config.on_build.unwrap_or_default(),
        healthcheck: config
            .healthcheck
            .map(healthcheck)
            .filter(|h| *h != Healthcheck::default()),
        shell: config.shell.unwrap_or_default(),
        ..Config::default()
    }
}

fn healthcheck(check: HealthConfig) -> Healthcheck {
    Healthcheck {
        test: check.test.unwrap_or_default(),
        interval: check.interval.unwrap_or_default(),
        timeout: check.timeout.unwrap_or_default(),
        start_period: check.start_period.unwrap_or_default(),
        start_interval: check.start_interval.unwrap_or_default(),
        retries: check.retries.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests;
