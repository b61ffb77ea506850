//! Base images: found in the engine, pulled when they are missing or when it is asked for.

use std::collections::BTreeMap;

use crate::build;
use crate::diag::{Class, Diagnostic, Diagnostics};
use crate::engine::{BaseImage, Engine, EngineError, PullEvent};
use crate::image::Digest;
use crate::output::Material;
use crate::plan::{BaseIndex, BaseWanted, Graph};
use crate::progress::{Numbering, Running, StepOutcome};
use crate::request::{BuildRequest, NamedContext};

use super::layout::{self, Layout};
use super::remembered::Remembered;

/// The base images of a plan.
pub(super) type Bases = BTreeMap<BaseIndex, BaseImage>;

/// Answers every wish of the graph; says too what the images are.
pub(super) async fn supply(
    graph: &mut Graph,
    engine: &dyn Engine,
    request: &BuildRequest,
    remembered: &Remembered,
    numbering: &Numbering,
) -> Result<(Bases, Vec<Material>), Diagnostics> {
    let mut bases = Bases::new();
    let mut materials = Vec::new();
    loop {
        let wanted = graph.wanted();
        if wanted.is_empty() {
            return Ok((bases, materials));
        }
        let mut asked = Vec::new();
        for want in &wanted {
            asked.push(find(want, engine, request, remembered, numbering));
        }
        let mut errors = Diagnostics::new();
        let answers = futures::future::join_all(asked).await;
        for (want, answer) in wanted.iter().zip(answers) {
            match answer {
                Ok(base) => {
                    graph.supply(want.base, base.config.clone())?;
                    materials.push(material(want, &base));
                    bases.insert(want.base, base);
                }
                Err(error) => errors.push(error),
            }
        }
        errors.into_result()?;
    }
}

/// The digest is the registry's where the image came from one, else the engine's.
fn material(want: &BaseWanted, base: &BaseImage) -> Material {
    let start = format!("{}@", want.reference.name());
    let mut of_registry = base.repo_digests.iter();
    let digest = of_registry
        .find_map(|name| name.strip_prefix(&start))
        .unwrap_or(&base.id);
    Material {
        name: want.reference.clone().with_default_tag(),
        platform: want.platform.clone(),
        digest: Digest::new(digest),
    }
}

async fn find(
    want: &BaseWanted,
    engine: &dyn Engine,
    request: &BuildRequest,
    remembered: &Remembered,
    numbering: &Numbering,
) -> Result<BaseImage, Diagnostic> {
    let title = format!(
        "[internal] load metadata for {}",
        want.reference.canonical()
    );
    let step = numbering.start(&title);
    let found = match layout_of(want, request) {
        Some(layout) => {
            let loaded = layout::load(&layout, &want.platform, engine, &step).await;
            loaded.map_err(|problem| problem.with_label(&want.source, want.span, ""))
        }
        None => find_or_pull(want, engine, request.pull, remembered, &step).await,
    };
    match &found {
        Ok(_) => step.finish(StepOutcome::Done),
        Err(error) => step.finish(StepOutcome::Failed(error.message.clone())),
    }
    found
}

/// The OCI layout that a base image is in, if it is in one.
fn layout_of(want: &BaseWanted, request: &BuildRequest) -> Option<Layout> {
    let (_, context) = request.build_contexts.get(want.context?)?;
    let NamedContext::OciLayout { path, tag, digest } = context else {
        return None;
    };
    Some(Layout {
        path: path.clone(),
        tag: tag.clone(),
        digest: digest.clone(),
        scratch: request.scratch_dir.clone(),
    })
}

async fn find_or_pull(
    want: &BaseWanted,
    engine: &dyn Engine,
    pull: bool,
    remembered: &Remembered,
    step: &Running,
) -> Result<BaseImage, Diagnostic> {
    let name = want.reference.to_string();
    let found = engine
        .image(&name)
        .await
        .map_err(|error| failed(want, &error))?;
    let fits = found.as_ref().is_some_and(|image| {
        image.platform.os == want.platform.os
            && image.platform.architecture == want.platform.architecture
    });
    if pull || !fits {
        let on_pull = |event: PullEvent| {
            let (done, total) = event.progress.unwrap_or((0, 0));
            step.part(&event.id, &event.status, done, total);
        };
        let pulled = engine
            .pull(&want.reference, Some(&want.platform), &on_pull)
            .await;
        match pulled {
            Ok(()) => {}
            // An image that exists for another platform only, and that no registry has: it is
            // what the person has, as BuildKit does.
            Err(EngineError::NotFound { .. } | EngineError::Api { .. })
                if found.is_some() && !pull =>
            {
                step.part(&name, "only here for another platform", 0, 0);
            }
            Err(error) => return Err(pull_failed(want, &error)),
        }
    }
    let id = match found {
        Some(image) if fits && !pull => image.id,
        _ => {
            let now = engine
                .image(&name)
                .await
                .map_err(|error| failed(want, &error))?;
            now.map(|image| image.id).unwrap_or_default()
        }
    };
    if let Some(base) = remembered.get(&id, &want.platform) {
        return Ok(base);
    }
    let base = engine.base_image(&name, &want.platform).await;
    let base = base.map_err(|error| failed(want, &error))?;
    remembered.put(&base, &want.platform);
    Ok(base)
}

fn failed(want: &BaseWanted, error: &EngineError) -> Diagnostic {
    build::of_engine(error).with_label(&want.source, want.span, "")
}

fn pull_failed(want: &BaseWanted, error: &EngineError) -> Diagnostic {
    let name = &want.text;
    match error {
        EngineError::NotFound { message } => {
            Diagnostic::error(format!("base image `{name}` not found"))
                .with_label(&want.source, want.span, "")
                .with_note(format!(
                    "the engine has no such image, and pulling it failed: {message}"
                ))
                .with_hint(
                    "check the name and the tag, or log in to the registry with `docker login`",
                )
        }
        EngineError::Unauthorized { message } => {
            Diagnostic::error(format!("the registry refuses the base image `{name}`"))
                .with_label(&want.source, want.span, "")
                .with_note(message.clone())
                .with_hint("check the name, or log in to the registry with `docker login`")
        }
        EngineError::Api { message, .. } | EngineError::Local(message) => {
            Diagnostic::error(format!("base image `{name}` cannot be pulled"))
                .with_class(Class::Environment)
                .with_label(&want.source, want.span, "")
                .with_note(format!(
                    "the engine has no such image, and pulling it failed: {message}"
                ))
        }
        error => failed(want, error),
    }
}
