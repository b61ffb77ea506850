//! Gives the result to every place that wants it: files and archives first, the engine's names
//! and the registries last, so that a name moves only when the rest is done.

use std::io;
use std::sync::Arc;

use super::{Built, Ended, Surroundings, environment, registries};
use crate::build::{self, Ledger, Snapshot};
use crate::cache::RecordedLayer;
use crate::caches::INLINE;
use crate::diag::Diagnostic;
use crate::image::{ImageConfig, Layer, Reference};
use crate::output::{self, Facts, Product};
use crate::plan::Plan;
use crate::progress::{Numbering, StepOutcome};
use crate::request::{
    Annotation, AnnotationPlace, BuildRequest, Compression, ImageOptions, Output, OutputKind,
};

/// What a build made for one platform.
pub(super) struct Result {
    pub(super) plan: Arc<Plan>,
    pub(super) snapshot: Snapshot,
    pub(super) facts: Facts,
    /// What the config says of how the image was made, for those who have it as their cache.
    pub(super) inline: Option<String>,
}

impl Result {
    fn config(&self, epoch: Option<i64>) -> ImageConfig {
        let stage = self.plan.stage(self.plan.target);
        let stage = stage.expect("the target is planned");
        let mut config = build::final_config(stage, &self.snapshot, epoch);
        // What a base image says of itself is not true of this one.
        config.other.remove(INLINE);
        if let Some(text) = &self.inline {
            config.other.insert(INLINE.into(), text.clone().into());
        }
        config
    }

    fn layers(&self) -> Vec<Layer> {
        self.snapshot
            .layers
            .iter()
            .map(RecordedLayer::layer)
            .collect()
    }
}

pub(super) async fn export(
    request: &BuildRequest,
    around: &Surroundings,
    ledger: &Ledger,
    results: &[Result],
    numbering: &Numbering,
) -> std::result::Result<Built, Ended> {
    let rewrites = |output: &Output| output.image.rewrite_timestamp && request.epoch.is_some();
    let needs_files = request
        .outputs
        .iter()
        .any(|o| output::is_written(&o.kind) || rewrites(o) || is_ours_to_push(request, o));
    let mut products = Vec::new();
    for result in results.iter().filter(|_| needs_files) {
        let step = numbering.start("exporting layers");
        let (image, layers) = (result.snapshot.image.as_deref(), result.layers());
        let saved = output::save(&*around.engine, image, &layers, &request.scratch_dir).await;
        let saved = ended(step, saved)?;
        let base = result.snapshot.layers.iter();
        products.push(Arc::new(Product {
            saved,
            config: result.config(request.epoch),
            base: base.take_while(|layer| layer.created.is_none()).count(),
            epoch: request.epoch,
            facts: result.facts.clone(),
            provenance: request.attest.provenance.clone(),
        }));
    }
    let mut built = Built {
        facts: results.iter().map(|result| result.facts.clone()).collect(),
        ..Built::default()
    };
    for output in &request.outputs {
        if !output::is_written(&output.kind) {
            continue;
        }
        let step = numbering.start(title(&output.kind));
        if let Some(written) = ended(step, output::write(&products, output).await)? {
            built.config_digest = written.config_digest.map(|digest| digest.to_string());
            built.digest = Some(written.described.descriptor.digest.to_string());
            built.described = Some(written.described);
            built.names = written.names;
        }
    }
    let to_engine =
        |kind: &OutputKind| matches!(kind, OutputKind::Engine | OutputKind::Image { .. });
    for output in request.outputs.iter().filter(|o| to_engine(&o.kind)) {
        let product = products.first().filter(|_| rewrites(output));
        // An engine takes one; several are only pushed.
        for result in results.iter().filter(|_| results.len() == 1) {
            let (config, layers) = (result.config(request.epoch), result.layers());
            store(
                output, around, ledger, &config, &layers, product, &mut built,
            )
            .await?;
        }
        if is_ours_to_push(request, output) {
            let (registries, names) = (registries(request, around)?, output.names.clone());
            let written = output::push_all(&products, output, &registries, numbering).await?;
            built.digest = Some(written.described.descriptor.digest.to_string());
            built.config_digest = written.config_digest.map(|digest| digest.to_string());
            built.described = Some(written.described);
            built.names = names;
        } else if output.kind == (OutputKind::Image { push: true }) {
            let pushed = output::push(&*around.engine, &output.names, numbering).await?;
            built.digest = pushed.map(|digest| digest.to_string());
        }
    }
    Ok(built)
}

/// Makes the image in the engine and names it.
async fn store(
    output: &Output,
    around: &Surroundings,
    ledger: &Ledger,
    config: &ImageConfig,
    layers: &[Layer],
    rewritten: Option<&Arc<Product>>,
    built: &mut Built,
) -> std::result::Result<(), Ended> {
    let engine = &*around.engine;
    let failed = |error| build::of_engine(&error);
    let (mut config, mut layers) = (config.clone(), layers.to_vec());
    if let Some(product) = rewritten {
        let (rewritten, steps) = output::rewritten(engine, product, &layers)
            .await
            .map_err(failed)?;
        for step in steps {
            ledger.drop_image(&step);
        }
        let diff_ids = rewritten.iter().map(|layer| layer.diff_id.clone());
        config.rootfs.diff_ids = diff_ids.collect();
        layers = rewritten;
    }
    let tags: Vec<String> = output.names.iter().map(Reference::to_string).collect();
    built.config_digest = Some(config.digest().to_string());
    built.names.clone_from(&output.names);
    let mut named = ledger.naming().await;
    let image = output::to_engine(engine, config, layers, &tags).await;
    *named = image.is_ok();
    drop(named);
    let stored = image.map_err(failed)?;
    built.described = stored.described;
    built.image = Some(stored.id);
    Ok(())
}

fn ended<T>(
    step: crate::progress::Running,
    result: io::Result<T>,
) -> std::result::Result<T, Diagnostic> {
    match result {
        Ok(value) => {
            step.finish(StepOutcome::Done);
            Ok(value)
        }
        Err(error) => {
            let message = format!("the result cannot be written: {error}");
            step.finish(StepOutcome::Failed(message.clone()));
            Err(environment(message))
        }
    }
}

fn title(kind: &OutputKind) -> &'static str {
    match kind {
        OutputKind::Local(_) => "exporting to client directory",
        OutputKind::Tar(_) => "exporting to client tarball",
        OutputKind::Oci(_) | OutputKind::OciDirectory(_) => "exporting to oci image format",
        OutputKind::DockerArchive(_) => "exporting to docker image format",
        OutputKind::Engine | OutputKind::Image { .. } | OutputKind::Nothing => "exporting to image",
    }
}

/// Whether a registry gets what no engine could push.
fn is_ours_to_push(request: &BuildRequest, output: &Output) -> bool {
    output.kind == (OutputKind::Image { push: true })
        && (request.platforms.len() > 1
            || request.attest.provenance.is_some()
            || beyond_engines(&output.image).is_some())
}

/// What an engine cannot give an image.
fn beyond_engines(options: &ImageOptions) -> Option<&'static str> {
    let asked = [
        (!options.annotations.is_empty(), "annotations"),
        (options.compression != Compression::Gzip, "`compression`"),
        (options.force_compression, "`force-compression`"),
        (options.compression_level.is_some(), "`compression-level`"),
        (options.oci_types == Some(true), "`oci-mediatypes`"),
        (options.insecure, "`registry.insecure`"),
    ];
    asked
        .into_iter()
        .find_map(|(asked, what)| asked.then_some(what))
}

/// What an output cannot do with an image, said before anything is built.
pub(super) fn check(request: &BuildRequest) -> std::result::Result<(), Diagnostic> {
    let several = request.platforms.len() > 1;
    for output in &request.outputs {
        let options = &output.image;
        let in_index = |one: &Annotation| {
            matches!(
                one.place,
                AnnotationPlace::Index | AnnotationPlace::IndexDescriptor
            )
        };
        let is_image = !matches!(
            output.kind,
            OutputKind::Local(_) | OutputKind::Tar(_) | OutputKind::Nothing
        );
        if is_image && !several && options.annotations.iter().any(in_index) {
            let message = "the annotations of an index need several platforms";
            return Err(Diagnostic::error(message)
                .with_hint("annotate the manifest: `--annotation manifest:KEY=VALUE`"));
        }
        let in_engine = matches!(
            output.kind,
            OutputKind::Engine | OutputKind::Image { push: false }
        );
        if several && (in_engine || matches!(output.kind, OutputKind::DockerArchive(_))) {
            let message = "an engine takes one platform at a time, and several are asked for";
            return Err(Diagnostic::error(message).with_hint(
                "push an index of all of them with `--push`, or write it: `--output type=oci,dest=FILE`",
            ));
        }
        if several && output.platform_split == Some(false) {
            let message = "the files of several platforms cannot be in one directory";
            return Err(Diagnostic::error(message).with_hint("leave out `platform-split=false`"));
        }
        if let Some(what) = beyond_engines(options).filter(|_| in_engine) {
            let message = format!("an image in the engine cannot be given {what}");
            return Err(Diagnostic::error(message)
                .with_hint("write it to an archive: `--output type=oci,dest=FILE`"));
        }
    }
    Ok(())
}
