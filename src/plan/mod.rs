//! From instructions to what will be done: stages, the graph between them, and for each step
//! an [`Action`] as data.
//!
//! The planner asks and does not fetch. [`graph`] groups the instructions into stages and says
//! which base images it needs ([`Graph::wanted`]); the caller answers with their configs
//! ([`Graph::supply`]), which may bring `ONBUILD` triggers and with them new wishes; then
//! [`Graph::bind`] expands every word and gives the [`Plan`]. No files, no engine, no clock.

mod action;
mod args;
mod bind;
mod context;
mod copy;
mod errors;
mod graph;
mod history;
mod lints;
mod metadata;
mod mounts;
mod name;
mod onbuild;
mod outline;
mod ports;
mod remote;
mod run;
mod state;
mod target;
mod trace;

#[cfg(test)]
mod golden;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use action::{
    Action, CacheDir, Chmod, Copy, CopyFrom, CopySource, Device, FileOf, Inline, MountSource,
    Network, Run, RunMount, Script, Secret, Workdir,
};
pub use errors::of_trigger;
pub use graph::{Graph, graph};
pub use outline::{Outline, Parameter, description};
pub use remote::url_name;
pub use state::clean;
pub use trace::{Line, Origin, Scene, Variable};

use crate::image::{ImageConfig, Platform, Reference};
use crate::request::NamedContext;
use crate::source::{SourceFile, Span};

/// The choices of the caller that planning depends on.
#[derive(Debug, Clone)]
pub struct Options {
    /// `--build-arg`, resolved to values.
    pub build_args: BTreeMap<String, String>,
    /// `--target`
    pub target: Option<String>,
    /// The platform of the engine.
    pub build_platform: Platform,
    /// The platform to build for.
    pub target_platform: Platform,
    /// Whether `--platform` was given: then the result says this platform whatever its base is.
    pub platform_given: bool,
    /// `--label`, applied last.
    pub labels: Vec<(String, String)>,
    /// `--build-context`, by the names that images have.
    pub contexts: Vec<(String, NamedContext)>,
    /// Whether every instruction is described for a debugger ([`Stage::lines`]).
    pub trace: bool,
}

/// The number of a stage, in the order of the file.
pub type StageIndex = usize;

/// The number of a base image among those the file names.
pub type BaseIndex = usize;

/// The number of a named context in [`Options::contexts`].
pub type ContextIndex = usize;

/// A base image that the planner needs the config of.
#[derive(Debug, Clone)]
pub struct BaseWanted {
    pub base: BaseIndex,
    pub reference: Reference,
    /// The name as the file has it, after expansion.
    pub text: String,
    pub platform: Platform,
    /// The named context that holds it (an OCI layout); otherwise the engine or a registry does.
    pub context: Option<ContextIndex>,
    /// Where the file names it.
    pub source: Arc<SourceFile>,
    pub span: Span,
}

/// Everything that will be done, bound to its base images.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The stages that the target needs, in the order of the file.
    pub stages: Vec<Stage>,
    /// Which stage is the result.
    pub target: StageIndex,
    /// What it takes from outside.
    pub outline: Outline,
    /// What expansion found doubtful.
    pub warnings: Vec<crate::diag::Diagnostic>,
}

impl Plan {
    /// A stage by its number in the file.
    pub fn stage(&self, index: StageIndex) -> Option<&Stage> {
        self.stages.iter().find(|stage| stage.index == index)
    }
}

/// What a stage starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StageBase {
    Scratch,
    Image(BaseIndex),
    Stage(StageIndex),
    /// The files of a named context, as the only layer; they are the first step.
    Files(ContextIndex),
}

/// One stage, ready to be built.
#[derive(Debug, Clone)]
pub struct Stage {
    pub index: StageIndex,
    /// The name as written, if any.
    pub name: Option<String>,
    /// What progress calls it; empty when the file has one stage only.
    pub shown: String,
    pub base: StageBase,
    /// `[builder 1/5] FROM busybox:latest`
    pub from_title: String,
    pub platform: Platform,
    /// The steps that change files, in order.
    pub steps: Vec<Step>,
    /// The config of the stage's image. Its `rootfs` is that of the base, and the history items
    /// of this build have no time yet: the layers give them.
    pub config: ImageConfig,
    /// Every instruction, `FROM` first; empty unless [`Options::trace`] asks for them.
    pub lines: Vec<Line>,
}

/// One step that changes files.
#[derive(Debug, Clone)]
pub struct Step {
    /// `[builder 2/5] RUN make`
    pub title: String,
    pub action: Action,
    pub source: Arc<SourceFile>,
    pub span: Span,
    /// Where the `FROM` stands that brings this step, a trigger.
    pub trigger: Option<(Arc<SourceFile>, Span)>,
    /// What the image config is after this step, as far as containers started from it matter.
    pub config: crate::image::Config,
}
