//! Variables that exist before any stage: the automatic platform arguments and the `ARG`s
//! before the first `FROM` (Dockerfile reference, "Automatic platform ARGs in the global scope").

use std::collections::BTreeMap;

use super::Options;
use super::errors::expand_failed;
use super::outline::Global;
use crate::diag::Diagnostic;
use crate::dockerfile::ast::{Dockerfile, Instruction, Kind};
use crate::dockerfile::expand::{Mode, expand};
use crate::image::Platform;

/// The build argument that keeps the cache mounts of builds apart.
pub(super) const CACHE_NAMESPACE: &str = "BUILDKIT_CACHE_MOUNT_NS";
/// The build argument that names the machine that commands find themselves on.
pub(super) const HOSTNAME: &str = "BUILDKIT_SANDBOX_HOSTNAME";

/// A list of variables in the order of their first setting.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Vars(Vec<(String, String)>);

impl Vars {
    pub(super) fn set(&mut self, name: &str, value: impl Into<String>) {
        let value = value.into();
        match self.0.iter_mut().find(|(key, _)| key == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<String> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.clone())
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.0.iter().map(|(name, _)| name.clone()).collect()
    }

    pub(super) fn pairs(&self) -> &[(String, String)] {
        &self.0
    }

    pub(super) fn into_pairs(self) -> Vec<(String, String)> {
        self.0
    }
}

/// The automatic platform arguments, build arguments of the same name winning.
pub(super) fn automatic(options: &Options, target_stage: &str) -> Vars {
    let mut vars = Vars::default();
    let variant = |platform: &Platform| platform.variant.clone().unwrap_or_default();
    let (build, target) = (&options.build_platform, &options.target_platform);
    let stage = if target_stage.is_empty() {
        "default"
    } else {
        target_stage
    };
    for (name, value) in [
        ("BUILDPLATFORM", build.to_string()),
        ("BUILDOS", build.os.clone()),
        ("BUILDOSVERSION", String::new()),
        ("BUILDARCH", build.architecture.clone()),
        ("BUILDVARIANT", variant(build)),
        ("TARGETPLATFORM", target.to_string()),
        ("TARGETOS", target.os.clone()),
        ("TARGETOSVERSION", String::new()),
        ("TARGETARCH", target.architecture.clone()),
        ("TARGETVARIANT", variant(target)),
        ("TARGETSTAGE", stage.to_owned()),
    ] {
        vars.set(name, options.build_args.get(name).cloned().unwrap_or(value));
    }
    vars
}

/// Adds the `ARG`s before the first `FROM`, and gives what is known of each.
pub(super) fn add_global(
    vars: &mut Vars,
    dockerfile: &Dockerfile,
    build_args: &BTreeMap<String, String>,
) -> Result<Vec<Global>, Diagnostic> {
    let mut globals = Vec::new();
    let escape = dockerfile.directives.escape;
    for instruction in &dockerfile.instructions {
        match &instruction.kind {
            Kind::Arg(items) => {
                for item in items {
                    let name = item.name.as_str();
                    let mut needs = Vec::new();
                    let value = match (build_args.get(name), &item.default) {
                        (Some(given), _) => Some(given.clone()),
                        (None, Some(default)) => {
                            let mode = Mode::word(escape);
                            let found = expand(&default.text, &|v| vars.get(v), mode)
                                .map_err(|e| expand_failed(instruction, default, e))?;
                            let references = found.references.into_iter();
                            needs.extend(references.map(|reference| reference.name));
                            Some(found.text)
                        }
                        (None, None) => None,
                    };
                    let shown = value.clone().unwrap_or_default();
                    globals.push(Global::new(instruction, name, shown, needs));
                    if let Some(value) = value {
                        vars.set(name, value);
                    }
                }
            }
            _ => break,
        }
    }
    Ok(globals)
}

/// The proxy variables that `RUN` sees without declaring them, in upper and lower case
/// (Dockerfile reference, "Predefined ARGs").
pub(super) fn proxies(build_args: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for name in [
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "FTP_PROXY",
        "NO_PROXY",
        "ALL_PROXY",
    ] {
        let given = build_args
            .iter()
            .rfind(|(key, _)| key.eq_ignore_ascii_case(name));
        if let Some((_, value)) = given.filter(|(_, value)| !value.is_empty()) {
            found.push((name.to_owned(), value.clone()));
            found.push((name.to_ascii_lowercase(), value.clone()));
        }
    }
    found
}

/// Whether the instruction starts a stage.
pub(super) fn is_from(instruction: &Instruction) -> bool {
    matches!(instruction.kind, Kind::From(_))
}
