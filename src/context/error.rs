//! What can be wrong with a context, as data.

use std::io;
use std::path::PathBuf;

use crate::diag::{Class, Diagnostic};

use super::archive::UnpackError;
use super::ignore::IgnoredBy;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a context or another tree of files cannot give what a step wants.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A source that is no pattern and that is not there.
    #[error("`{path}` is not in the {place}")]
    NotFound {
        /// As the step names it.
        path: String,
        /// Such as `build context`.
        place: String,
        /// The ignore rule that hides it, if it is hidden.
        ignored: Option<IgnoredBy>,
        /// Names beside it that look alike.
        similar: Option<String>,
    },
    /// A symbolic link that leads to nothing, or outside.
    #[error("`{path}` is a symbolic link to `{target}`, which is not in the {place}")]
    DanglingLink {
        path: String,
        target: String,
        place: String,
        ignored: Option<IgnoredBy>,
    },
    #[error("too many symbolic links on the way to `{path}`")]
    TooManyLinks { path: String },
    /// A pattern of a source or an exclude that cannot be read.
    #[error("`{pattern}` is not a valid pattern")]
    Pattern { pattern: String },
    #[error("the name `{}` is not UTF-8", .path.display())]
    NotUtf8 { path: PathBuf },
    /// A file is not what it was when it was listed. [`Context::forget`](super::Context::forget)
    /// and trying again helps.
    #[error("`{path}` changed while the build read it")]
    Changed { path: String },
    /// An archive that cannot be read.
    #[error("the archive is broken: {0}")]
    Archive(#[source] io::Error),
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A line of an ignore file that is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: `{pattern}` is not a valid pattern")]
pub struct IgnoreError {
    /// The file's name as it was given.
    pub file: String,
    /// From 1.
    pub line: usize,
    pub pattern: String,
}

impl Error {
    /// The error as it is shown; the caller adds the place in the Dockerfile.
    pub fn diagnostic(&self) -> Diagnostic {
        let mut diagnostic = Diagnostic::error(self.to_string());
        match self {
            Self::NotFound {
                ignored: Some(rule),
                ..
            }
            | Self::DanglingLink {
                ignored: Some(rule),
                ..
            } => {
                diagnostic = diagnostic.with_hint(rule.hint());
            }
            Self::NotFound {
                similar: Some(similar),
                ..
            } => {
                diagnostic = diagnostic.with_hint(format!("did you mean `{similar}`?"));
            }
            Self::Changed { .. } => {
                let hint = "build again when nothing writes to the context, or ignore the file in \
                            `.dockerignore`";
                diagnostic = diagnostic.with_hint(hint);
            }
            Self::NotUtf8 { .. } => {
                let hint = "rename it, or ignore the directory that holds it";
                diagnostic = diagnostic.with_hint(hint);
            }
            Self::Io(_) => diagnostic = diagnostic.with_class(Class::Environment),
            _ => {}
        }
        diagnostic
    }
}

impl IgnoreError {
    pub fn diagnostic(&self) -> Diagnostic {
        Diagnostic::error(self.to_string())
    }
}
