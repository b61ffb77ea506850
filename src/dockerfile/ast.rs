//! The typed form of a Dockerfile: instructions in the order of the file, every
//! word with its place.
//!
//! Nothing is expanded here: a [`Word`] holds what is written, quotes and `$` too.
//! Stages are not grouped; a `FROM` is an instruction like the others.

mod copy;
mod run;
mod word;

use std::sync::Arc;
use std::time::Duration;

pub use copy::{AddInst, CopyInst, CopySource, InlineFile};
pub use run::{Device, Mount, MountOption, RunInst, RunNetwork, RunSecurity};
pub use word::{Spanned, Word};

use crate::source::{SourceFile, Span};

/// A whole file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dockerfile {
    /// Its text.
    pub source: Arc<SourceFile>,
    /// The parser directives at its head.
    pub directives: Directives,
    /// All instructions in order.
    pub instructions: Vec<Instruction>,
}

/// The parser directives (`# name=value`) at the head of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directives {
    /// `# syntax=`: the image of another frontend. Not acted upon.
    pub syntax: Option<Word>,
    /// `# check=`: settings for the lints.
    pub check: Option<Word>,
    /// `# escape=`, as written.
    pub escape_word: Option<Word>,
    /// The escape character in force.
    pub escape: char,
}

/// One instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// The text that all its spans lie in.
    pub source: Arc<SourceFile>,
    /// From the keyword to the end of the last line, heredoc bodies included.
    pub span: Span,
    /// The keyword as written.
    pub keyword: Word,
    /// What it says.
    pub kind: Kind,
    /// The logical line as progress shows it: continuations joined, comments inside
    /// dropped, surrounding white space trimmed, no heredoc bodies.
    pub original: String,
    /// The heredocs that belong to it, in order.
    pub heredocs: Vec<Heredoc>,
    /// The comments before it that count as its description (a bare `#` ends them).
    pub comments: Vec<Word>,
    /// Blank lines inside its continuations (`NoEmptyContinuation`).
    pub empty_continuations: Vec<Span>,
}

/// What an instruction says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `FROM`
    From(FromInst),
    /// `RUN`
    Run(RunInst),
    /// `COPY`
    Copy(CopyInst),
    /// `ADD`
    Add(AddInst),
    /// `ENV`
    Env(Pairs),
    /// `LABEL`
    Label(Pairs),
    /// `ARG`
    Arg(Vec<ArgItem>),
    /// `EXPOSE`: the ports as written. BuildKit sorts them (as text) before it expands them.
    Expose(Vec<Word>),
    /// `VOLUME`
    Volume {
        /// The paths.
        paths: Vec<Word>,
        /// Whether they were written as a JSON list.
        json: bool,
    },
    /// `USER`
    User(Word),
    /// `WORKDIR`
    Workdir(Word),
    /// `CMD`
    Cmd(Command),
    /// `ENTRYPOINT`
    Entrypoint(Command),
    /// `SHELL`
    Shell(Vec<Word>),
    /// `HEALTHCHECK`
    Healthcheck(Healthcheck),
    /// `STOPSIGNAL`
    StopSignal(Word),
    /// `ONBUILD`
    Onbuild(Onbuild),
    /// `MAINTAINER`
    Maintainer(Word),
}

impl Kind {
    /// The keyword in capitals.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::From(_) => "FROM",
            Self::Run(_) => "RUN",
            Self::Copy(_) => "COPY",
            Self::Add(_) => "ADD",
            Self::Env(_) => "ENV",
            Self::Label(_) => "LABEL",
            Self::Arg(_) => "ARG",
            Self::Expose(_) => "EXPOSE",
            Self::Volume { .. } => "VOLUME",
            Self::User(_) => "USER",
            Self::Workdir(_) => "WORKDIR",
            Self::Cmd(_) => "CMD",
            Self::Entrypoint(_) => "ENTRYPOINT",
            Self::Shell(_) => "SHELL",
            Self::Healthcheck(_) => "HEALTHCHECK",
            Self::StopSignal(_) => "STOPSIGNAL",
            Self::Onbuild(_) => "ONBUILD",
            Self::Maintainer(_) => "MAINTAINER",
        }
    }
}

/// `FROM [--platform=P] IMAGE [AS NAME]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FromInst {
    /// `--platform=`
    pub platform: Option<Word>,
    /// The base: an image, a stage, or `scratch`.
    pub image: Word,
    /// The word `AS`, in whatever case.
    pub as_keyword: Option<Word>,
    /// The name of the stage as written; it counts in lower case.
    pub name: Option<Word>,
}

impl FromInst {
    /// The name that the stage goes by.
    #[must_use]
    pub fn stage_name(&self) -> Option<String> {
        self.name.as_ref().map(|name| name.text.to_lowercase())
    }
}

/// The body of `ENV` and `LABEL`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pairs {
    /// The pairs in order; at least one.
    pub pairs: Vec<Pair>,
    /// Whether it was the old form `ENV key value` without `=` (then there is one pair).
    pub legacy: bool,
}

/// `key=value`; both are expanded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// What is set.
    pub key: Word,
    /// To what.
    pub value: Word,
}

/// One name of an `ARG`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArgItem {
    /// The name.
    pub name: Word,
    /// What follows the `=`; an empty word for `ARG NAME=`.
    pub default: Option<Word>,
}

/// A command line, as `RUN`, `CMD`, `ENTRYPOINT` and `HEALTHCHECK CMD` take it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// The text for the shell, never expanded by the builder. May be empty.
    Shell(Word),
    /// A JSON list of words, decoded. May be empty.
    Exec(Vec<Word>),
}

impl Command {
    /// Whether it is the JSON form.
    #[must_use]
    pub fn is_json(&self) -> bool {
        matches!(self, Self::Exec(_))
    }
}

/// `HEALTHCHECK`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Healthcheck {
    /// `HEALTHCHECK NONE`
    None,
    /// `HEALTHCHECK CMD`
    Cmd(HealthcheckCmd),
}

/// `HEALTHCHECK CMD`; a missing or zero setting means the default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthcheckCmd {
    /// What to run.
    pub command: Command,
    /// `--interval=`
    pub interval: Duration,
    /// `--timeout=`
    pub timeout: Duration,
    /// `--start-period=`
    pub start_period: Duration,
    /// `--start-interval=`
    pub start_interval: Duration,
    /// `--retries=`
    pub retries: u32,
}

/// `ONBUILD`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Onbuild {
    /// What the image config stores: the logical line after the keyword, heredoc bodies appended.
    pub trigger: String,
    /// The instruction, when it can be read. One that cannot is stored all the same and
    /// fails in the child's build; [`crate::dockerfile::Parsed::warnings`] says why.
    pub inner: Option<Box<Instruction>>,
}

/// A here-document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heredoc {
    /// The name without quotes.
    pub name: String,
    /// The `<<NAME` in the instruction.
    pub word: Word,
    /// The number before `<<`; 0 when there is none.
    pub fd: u32,
    /// Whether the name was free of quotes, so that variables count in the body.
    pub expand: bool,
    /// Whether it was `<<-`: leading tabs of each line are dropped.
    pub chomp: bool,
    /// The body as it stands in the file, tabs and line breaks included.
    pub content: String,
    /// Where the body is.
    pub content_span: Span,
}

impl Heredoc {
    /// The body, without leading tabs when it was `<<-`.
    #[must_use]
    pub fn body(&self) -> String {
        if !self.chomp {
            return self.content.clone();
        }
        let lines = self.content.split_inclusive('\n');
        lines.map(|line| line.trim_start_matches('\t')).collect()
    }
}
