//! What skaffold tells a custom build command, in variables.
//!
//! The variables of the shell that started skaffold come after skaffold's own and replace them,
//! so that one of these names that somebody exported is not skaffold's word. That is looked for.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::diag::Diagnostic;

/// The variables that skaffold sets for every custom build.
pub const NAMES: [&str; 7] = [
    "IMAGE",
    "PUSH_IMAGE",
    "BUILD_CONTEXT",
    "PLATFORMS",
    "SKIP_TEST",
    "IMAGE_REPO",
    "IMAGE_TAG",
];

/// What skaffold wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contract {
    /// The name, with a tag.
    pub image: String,
    pub push: bool,
    pub context: PathBuf,
    /// With commas; empty is the engine's own.
    pub platforms: String,
    /// The cluster that the image is for, when the build is one for a cluster.
    pub cluster: Option<String>,
    /// How long a build for a cluster may take.
    pub timeout: Option<Duration>,
}

/// Where a variable comes from that is not skaffold's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stale {
    /// Those of [`NAMES`] in skaffold's own environment.
    pub names: Vec<String>,
}

impl Contract {
    /// Reads the variables. `here` is the directory that the command runs in.
    ///
    /// # Errors
    /// When one is missing, makes no sense, or is not skaffold's.
    pub fn read(
        variable: impl Fn(&str) -> Option<String>,
        here: &Path,
        stale: &Stale,
    ) -> Result<Self, Diagnostic> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        if let Some(name) = stale.names.first() {
            let value = variable(name).unwrap_or_default();
            return Err(Diagnostic::error(format!(
                "`{name}={value}` is not skaffold's: it was set where skaffold was started, and replaces skaffold's own"
            ))
            .with_hint(format!("start skaffold without it: `env {}skaffold …`", unset(&stale.names))));
        }
        let Some(image) = set("IMAGE") else {
            let none = NAMES.iter().all(|name| variable(name).is_none());
            let refused =
                Diagnostic::error("`IMAGE` is not set, which skaffold sets for a custom build");
            return Err(refused.with_hint(if none {
                "this command is for `buildCommand` in a skaffold.yaml; use `bowline build` elsewhere"
            } else {
                "leave the variables as skaffold sets them"
            }));
        };
        if let (Some(repo), Some(tag)) = (set("IMAGE_REPO"), set("IMAGE_TAG"))
            && image != format!("{repo}:{tag}")
        {
            return Err(Diagnostic::error(format!(
                "`IMAGE` is `{image}`, but `IMAGE_REPO` and `IMAGE_TAG` make `{repo}:{tag}`"
            ))
            .with_note(
                "one of them was set where skaffold was started, and replaces skaffold's own",
            )
            .with_hint(
                "start skaffold without it: `env -u IMAGE -u IMAGE_REPO -u IMAGE_TAG skaffold …`",
            ));
        }
        let push = match set("PUSH_IMAGE").as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(other) => {
                return Err(Diagnostic::error(format!(
                    "`PUSH_IMAGE` is `{other}`, which is neither `true` nor `false`"
                )));
            }
        };
        let timeout = match set("TIMEOUT") {
            None => None,
            Some(text) => Some(duration(&text).ok_or_else(|| {
                Diagnostic::error(format!(
                    "`TIMEOUT` is `{text}`, which is no duration such as `20m`"
                ))
            })?),
        };
        Ok(Self {
            image,
            push,
            context: set("BUILD_CONTEXT").map_or_else(|| here.to_owned(), PathBuf::from),
            platforms: set("PLATFORMS").unwrap_or_default(),
            cluster: set("KUBE_CONTEXT").map(|context| match set("NAMESPACE") {
                Some(namespace) => format!("{context}, namespace {namespace}"),
                None => context,
            }),
            timeout,
        })
    }

    /// The words of a `bowline build` that does it: `flags` are those of the build command.
    pub fn words(&self, flags: &[OsString]) -> Vec<OsString> {
        let mut words: Vec<OsString> = vec!["bowline".into(), "build".into()];
        words.push(format!("--tag={}", self.image).into());
        if !self.platforms.is_empty() {
            words.push(format!("--platform={}", self.platforms).into());
        }
        // skaffold looks the image up in the engine when it does not push.
        words.push(if self.push { "--push" } else { "--load" }.into());
        words.extend(flags.iter().cloned());
        words.push("--".into());
        words.push(self.context.clone().into_os_string());
        words
    }
}

fn unset(names: &[String]) -> String {
    names.iter().map(|name| format!("-u {name} ")).collect()
}

/// A duration as Go writes it: `20m`, `1h30m`, `1.5s`.
pub fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let end = rest
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(rest.len());
        seconds += number
            * match &rest[..end] {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "us" | "µs" => 1e-6,
                "ns" => 1e-9,
                _ => return None,
            };
        rest = &rest[end..];
    }
    (!text.is_empty()).then(|| Duration::try_from_secs_f64(seconds).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Contract, String> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Contract::read(variable, Path::new("/here"), &Stale::default())
            .map_err(|error| error.message)
    }

    #[test]
    fn a_contract_becomes_a_build() {
        let contract = read(&[
            ("IMAGE", "gcr.io/p/app:v1-dirty"),
            ("PUSH_IMAGE", "true"),
            ("BUILD_CONTEXT", "/w/app"),
            ("PLATFORMS", "linux/amd64,linux/arm64"),
            ("SKIP_TEST", "false"),
            ("IMAGE_REPO", "gcr.io/p/app"),
            ("IMAGE_TAG", "v1-dirty"),
            ("KUBE_CONTEXT", "prod"),
            ("NAMESPACE", "ci"),
            ("TIMEOUT", "20m0s"),
        ])
        .unwrap();
        assert_eq!(contract.cluster.as_deref(), Some("prod, namespace ci"));
        assert_eq!(contract.timeout, Some(Duration::from_mins(20)));
        let words = contract.words(&["--target=x".into()]);
        let words: Vec<_> = words.iter().map(|word| word.to_str().unwrap()).collect();
        assert_eq!(
            words.join(" "),
            "bowline build --tag=gcr.io/p/app:v1-dirty --platform=linux/amd64,linux/arm64 --push --target=x -- /w/app"
        );
        let contract = read(&[("IMAGE", "app:1"), ("PLATFORMS", "")]).unwrap();
        let words = contract.words(&[]);
        let words: Vec<_> = words.iter().map(|word| word.to_str().unwrap()).collect();
        assert_eq!(words.join(" "), "bowline build --tag=app:1 --load -- /here");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (variables, message) in [
            (
                &[][..],
                "`IMAGE` is not set, which skaffold sets for a custom build",
            ),
            (
                &[("IMAGE", "a:1"), ("IMAGE_REPO", "b"), ("IMAGE_TAG", "1")],
                "`IMAGE` is `a:1`, but `IMAGE_REPO` and `IMAGE_TAG` make `b:1`",
            ),
            (
                &[("IMAGE", "a:1"), ("PUSH_IMAGE", "yes")],
                "`PUSH_IMAGE` is `yes`, which is neither `true` nor `false`",
            ),
            (
                &[("IMAGE", "a:1"), ("TIMEOUT", "20")],
                "`TIMEOUT` is `20`, which is no duration such as `20m`",
            ),
        ] {
            assert_eq!(read(variables), Err(message.to_owned()));
        }
        let stale = Stale {
            names: vec!["IMAGE".into(), "IMAGE_TAG".into()],
        };
        let error = Contract::read(|_| Some("x".into()), Path::new("/"), &stale).unwrap_err();
        assert_eq!(
            error.hints,
            ["start skaffold without it: `env -u IMAGE -u IMAGE_TAG skaffold …`"]
        );
    }

    #[test]
    fn durations_are_gos() {
        for (text, want) in [
            ("20m", Some(1_200_000)),
            ("1h30m0s", Some(5_400_000)),
            ("1.5s", Some(1500)),
            ("250ms", Some(250)),
            ("5", None),
            ("m", None),
            ("", None),
            ("1x", None),
        ] {
            assert_eq!(duration(text).map(|d| d.as_millis()), want, "{text}");
        }
    }
}
