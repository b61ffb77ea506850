//! `RUN` with its flags.

use crate::dockerfile::ast::{Command, Spanned, Word};
use crate::source::Span;

/// `RUN`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunInst {
    /// What to run. With heredocs, the bodies are in the instruction's `heredocs`.
    pub command: Command,
    /// `--mount=`, each.
    pub mounts: Vec<Mount>,
    /// `--network=`
    pub network: Option<Spanned<RunNetwork>>,
    /// `--security=`
    pub security: Option<Spanned<RunSecurity>>,
    /// `--device=`, each.
    pub devices: Vec<Device>,
}

/// `--network=`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunNetwork {
    /// What the build uses.
    Default,
    /// No network.
    None,
    /// The host's network.
    Host,
}

/// `--security=`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunSecurity {
    /// The usual confinement.
    Sandbox,
    /// None.
    Insecure,
}

/// `--device=[name=]NAME[,required[=BOOL]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// The whole value of the flag.
    pub span: Span,
    /// The device; may be empty.
    pub name: Word,
    /// Whether the build fails without it.
    pub required: bool,
}

/// `--mount=`, as written. Its values may hold variables, even the type, so what it
/// means is known only once they are expanded: [`Mount::resolve`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The whole value of the flag.
    pub span: Span,
    /// Its options in order.
    pub options: Vec<MountOption>,
}

/// `key[=value]` in a `--mount=`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountOption {
    /// The key as written.
    pub key: Word,
    /// What follows the `=`.
    pub value: Option<Word>,
}

impl Mount {
    /// The value of the last option with one of these keys, unexpanded.
    #[must_use]
    pub fn value(&self, keys: &[&str]) -> Option<&Word> {
        let is_one = |key: &Word| keys.iter().any(|name| key.text.eq_ignore_ascii_case(name));
        let mut options = self.options.iter().rev();
        options
            .find(|option| is_one(&option.key))
            .and_then(|option| option.value.as_ref())
    }

    /// `from=`, which holds no variables: what the stage graph needs.
    #[must_use]
    pub fn from(&self) -> Option<&Word> {
        self.value(&["from"])
    }
}
