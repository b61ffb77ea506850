//! Which directories of the context BuildKit would know.
//!
//! A client sends BuildKit only what the copies of all stages name or match. A pattern without a
//! match is fine there when the directory that it looks in was sent, and else an error.

use crate::context::{self, FileTree, Options, fixed_prefix, select};
use crate::plan::{Action, CopyFrom, CopySource, Plan};

/// The sources in the context of all copies.
pub(super) fn paths(plan: &Plan) -> Vec<String> {
    let steps = plan.stages.iter().flat_map(|stage| &stage.steps);
    let copies = steps.filter_map(|step| match &step.action {
        Action::Copy(copy) if copy.from == CopyFrom::Context => Some(&copy.sources),
        _ => None,
    });
    let paths = copies.flatten().filter_map(|source| match source {
        CopySource::Path(path) => Some(path.clone()),
        CopySource::Url(_) | CopySource::Git { .. } | CopySource::Inline(_) => None,
    });
    paths.collect()
}

/// The directory of a pattern without a match, when none of the wanted sources has it sent.
pub(super) fn lacks(
    tree: &dyn FileTree,
    pattern: &str,
    wanted: &[String],
) -> context::Result<Option<String>> {
    let (dir, _) = fixed_prefix(pattern, false);
    let Some(found) = select(tree, &dir, &Options::default())?.pop() else {
        return Ok(None);
    };
    let real = &found.root.path;
    let sent = real.is_empty() || wanted.iter().any(|source| sends(tree, source, real));
    Ok((!sent).then_some(dir))
}

/// Whether a source brings a directory with it: it is in the source, or above it.
fn sends(tree: &dyn FileTree, source: &str, dir: &str) -> bool {
    // What is wrong with another source is told where that one is copied.
    let found = select(tree, source, &Options::default()).unwrap_or_default();
    let related = |path: &str| is_in(path, dir) || is_in(dir, path);
    found.iter().any(|found| related(&found.root.path))
}

fn is_in(path: &str, dir: &str) -> bool {
    let rest = path.strip_prefix(dir);
    dir.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
