//! What a `--mount=` means, once its values are expanded.
//!
//! BuildKit expands every value (the type too) and judges the options only for the
//! steps that it builds; [`Mount::resolve`] does the same, so call it for the steps
//! of reachable stages.

use std::sync::Arc;

use crate::diag::Diagnostic;
use crate::dockerfile::ast::{Mount, Word};
use crate::source::{SourceFile, Span};

/// A mount with its values expanded and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedMount {
    /// The whole value of the flag.
    pub span: Span,
    /// `type=`
    pub kind: MountKind,
    /// `from=`; empty means none.
    pub from: String,
    /// `source=`; empty means none.
    pub source: String,
    /// `target=`; empty means none.
    pub target: String,
    /// `id=`; empty means none.
    pub id: String,
    /// `readonly`, with the default of the type (true for bind, secret and ssh).
    pub readonly: bool,
    /// `required`
    pub required: bool,
    /// `size=` in bytes; 0 means no limit.
    pub size: i64,
    /// `sharing=`
    pub sharing: Option<Sharing>,
    /// `mode=`
    pub mode: Option<u32>,
    /// `uid=`
    pub uid: Option<u32>,
    /// `gid=`
    pub gid: Option<u32>,
    /// `env=`; present but empty stands for the default name.
    pub env: Option<String>,
}

/// `type=`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MountKind {
    /// Files of a stage, an image or the context.
    Bind,
    /// A directory that outlives the build.
    Cache,
    /// A directory in memory.
    Tmpfs,
    /// A secret.
    Secret,
    /// The socket of an ssh agent.
    Ssh,
}

/// `sharing=`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sharing {
    /// Several steps write at once.
    Shared,
    /// Each has its own.
    Private,
    /// One waits for the other.
    Locked,
}

/// Expands one word of a mount.
pub type Expand<'a> = dyn FnMut(&Word) -> Result<String, Diagnostic> + 'a;

impl Mount {
    /// The mount with its values expanded by `expand`.
    ///
    /// # Errors
    /// When an option is unknown, has a bad value, or does not fit the type.
    pub fn resolve(
        &self,
        source: &Arc<SourceFile>,
        expand: &mut Expand<'_>,
    ) -> Result<ResolvedMount, Diagnostic> {
        let _ = (source, expand);
        todo!()
    }
}
