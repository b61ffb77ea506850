//! The files of the context that a build reads, without building.
//!
//! Base images are looked up in the engine alone and never pulled: of one that is not there the
//! variables and triggers are unknown, and the rest still holds.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{Ended, Recipe, Remembered, recipe};
use crate::context::{FileTree, Options, fixed_prefix, select};
use crate::diag::Diagnostic;
use crate::engine::{Engine, EngineInfo, ImageStore};
use crate::image::{ImageConfig, Platform};
use crate::lint::Lint;
use crate::plan::{self, Action, BaseWanted, CopyFrom, CopySource, Plan};
use crate::request::{BuildRequest, ContextSource, DockerfileSource, NamedContext};

/// The files, sorted: relative to the context where they are in it, else absolute. A source that
/// is not there yet is named as it is written.
///
/// # Errors
/// With what is wrong with the Dockerfile.
pub async fn dependencies(
    request: &BuildRequest,
    recipe: &Recipe,
    engine: Option<&dyn Engine>,
) -> Result<Vec<String>, Ended> {
    let plan = bound(request, recipe, engine).await?;
    let ContextSource::Directory(dir) = &request.context else {
        return Err(Diagnostic::error("only a directory has files to watch").into());
    };
    let main = recipe.contexts.main.tree().await?;
    let mut files = BTreeSet::new();
    for step in plan.stages.iter().flat_map(|stage| &stage.steps) {
        for (from, paths, options) in reads(&step.action) {
            let index = match from {
                CopyFrom::Context => {
                    files.extend(read(&paths, &options, &*main));
                    continue;
                }
                CopyFrom::Named(index) => index,
                _ => continue,
            };
            if let Some(context) = recipe.contexts.named.get(&index)
                && let NamedContext::Directory(at) = &request.build_contexts[index].1
            {
                let tree = context.tree().await?;
                for file in read(&paths, &options, &*tree) {
                    files.insert(shown(&at.join(file), dir));
                }
            }
        }
    }
    for path in own_files(request) {
        files.insert(shown(&path, dir));
    }
    Ok(files.into_iter().collect())
}

async fn bound(
    request: &BuildRequest,
    recipe: &Recipe,
    engine: Option<&dyn Engine>,
) -> Result<Plan, Ended> {
    let here = Platform::new("linux", std::env::consts::ARCH, None);
    let unknown = EngineInfo {
        endpoint: String::new(),
        version: String::new(),
        api_version: String::new(),
        id: String::new(),
        store: ImageStore::GraphDriver,
        platform: here,
        apparmor: false,
    };
    let info = engine.map_or(&unknown, Engine::info);
    let mut first = request.clone();
    // Any of several platforms reads the same files, as far as can be told.
    first.platforms.truncate(1);
    let options = recipe::plan_options(&first, info)?;
    // What a linter would say is not asked here.
    let mut lint = Lint::default();
    let mut graph = plan::graph(&recipe.parsed.dockerfile, options, &mut lint)?;
    let remembered = Remembered::open(&request.cache_dir, info);
    loop {
        let wanted = graph.wanted();
        if wanted.is_empty() {
            return Ok(graph.bind(&mut lint)?);
        }
        for want in wanted {
            let found = match engine {
                Some(engine) => known(&want, engine, &remembered).await,
                None => None,
            };
            let config = found.unwrap_or_else(|| ImageConfig::scratch(&want.platform));
            graph.supply(want.base, config)?;
        }
    }
}

/// The config of a base image that the engine has.
async fn known(
    want: &BaseWanted,
    engine: &dyn Engine,
    remembered: &Remembered,
) -> Option<ImageConfig> {
    let name = want.reference.to_string();
    let found = engine.image(&name).await.ok()??;
    if let Some(base) = remembered.get(&found.id, &want.platform) {
        return Some(base.config);
    }
    let base = engine.base_image(&name, &want.platform).await.ok()?;
    remembered.put(&base, &want.platform);
    Some(base.config)
}

/// Where a step reads files, and what it names there.
fn reads(action: &Action) -> Vec<(CopyFrom, Vec<String>, Options)> {
    match action {
        Action::Copy(copy) => {
            let options = Options {
                excludes: copy.excludes.clone(),
                parents: copy.parents,
            };
            let paths = copy.sources.iter().filter_map(|source| match source {
                CopySource::Path(path) => Some(path.clone()),
                _ => None,
            });
            vec![(copy.from, paths.collect(), options)]
        }
        Action::Run(run) => run
            .files()
            .map(|(from, path)| (from, vec![path.to_owned()], Options::default()))
            .collect(),
        Action::Workdir(_) => Vec::new(),
    }
}

/// The files that there are, and those that are named and are not there yet.
fn read(paths: &[String], options: &Options, tree: &dyn FileTree) -> Vec<String> {
    let mut files = Vec::new();
    for path in paths {
        let (fixed, wild) = fixed_prefix(path, options.parents);
        let entry = tree.lstat(&fixed).ok().flatten();
        // Also a link, which leads elsewhere, and what is not there yet.
        if !wild && !options.parents && !entry.is_some_and(|entry| entry.is_dir()) {
            files.push(fixed);
        }
        for found in select(tree, path, options).unwrap_or_default() {
            let root = found.root.is_file().then(|| found.root.path.clone());
            let inner = found.contents.iter().map(|selected| &selected.entry);
            let inner = inner.filter(|entry| !entry.is_dir());
            files.extend(inner.map(|entry| entry.path.clone()).chain(root));
        }
    }
    files
}

/// Relative to the context where it is in it, else absolute.
fn shown(path: &Path, context: &Path) -> String {
    let real = |path: &Path| fs_err::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let (path, context) = (real(path), real(context));
    let shown = path.strip_prefix(&context).unwrap_or(&path);
    shown.display().to_string()
}

/// The Dockerfile and the ignore file that a build from a directory reads.
fn own_files(request: &BuildRequest) -> Vec<PathBuf> {
    let ContextSource::Directory(dir) = &request.context else {
        return Vec::new();
    };
    let (upper, lower) = (dir.join("Dockerfile"), dir.join("dockerfile"));
    let file = match &request.dockerfile {
        DockerfileSource::Path(path) => Some(path.clone()),
        DockerfileSource::InContext if !upper.exists() && lower.exists() => Some(lower),
        DockerfileSource::InContext => Some(upper),
        DockerfileSource::Stdin | DockerfileSource::Url(_) => None,
    };
    let beside = file.as_ref().and_then(|file| {
        let mut name = file.file_name()?.to_owned();
        name.push(".dockerignore");
        Some(file.with_file_name(name))
    });
    let ignore = [beside, Some(dir.join(".dockerignore"))];
    let ignore = ignore.into_iter().flatten().find(|path| path.exists());
    file.into_iter().chain(ignore).collect()
}
