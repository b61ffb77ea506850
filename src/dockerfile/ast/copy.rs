//! `COPY` and `ADD`.

use crate::dockerfile::ast::{Spanned, Word};
use crate::source::Span;

/// `COPY`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyInst {
    /// `--from=`: a stage, an image, a named context. Holds no variables.
    pub from: Option<Word>,
    /// `--chown=`
    pub chown: Option<Word>,
    /// `--chmod=`
    pub chmod: Option<Word>,
    /// `--link`
    pub link: Option<Spanned<bool>>,
    /// `--parents`
    pub parents: Option<Spanned<bool>>,
    /// `--exclude=`, each. Not expanded.
    pub excludes: Vec<Word>,
    /// What to copy, in order; at least one.
    pub sources: Vec<CopySource>,
    /// Where to.
    pub dest: Word,
    /// Whether the arguments were a JSON list.
    pub json: bool,
}

/// `ADD`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddInst {
    /// `--chown=`
    pub chown: Option<Word>,
    /// `--chmod=`
    pub chmod: Option<Word>,
    /// `--checksum=`
    pub checksum: Option<Word>,
    /// `--link`
    pub link: Option<Spanned<bool>>,
    /// `--keep-git-dir`
    pub keep_git_dir: Option<Spanned<bool>>,
    /// `--unpack`
    pub unpack: Option<Spanned<bool>>,
    /// `--exclude=`, each. Not expanded.
    pub excludes: Vec<Word>,
    /// What to add, in order; at least one.
    pub sources: Vec<CopySource>,
    /// Where to.
    pub dest: Word,
    /// Whether the arguments were a JSON list.
    pub json: bool,
}

/// One source of a `COPY` or `ADD`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CopySource {
    /// A path, a pattern, or for `ADD` an address.
    Path(Word),
    /// A heredoc. BuildKit copies these after all paths.
    Inline(InlineFile),
}

/// A file whose content stands in the Dockerfile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InlineFile {
    /// The `<<NAME`.
    pub word: Word,
    /// The name of the file.
    pub name: String,
    /// Whether variables in the content count.
    pub expand: bool,
    /// The content, leading tabs already dropped for `<<-`.
    pub content: String,
    /// Where the content stands; empty for a `<<NAME` in a JSON list, which has none.
    pub content_span: Span,
}

/// Whether a flag was given and is on.
impl Spanned<bool> {
    /// The value of a flag that may be missing.
    #[must_use]
    pub fn is_on(flag: Option<Self>) -> bool {
        flag.is_some_and(|flag| flag.value)
    }
}
