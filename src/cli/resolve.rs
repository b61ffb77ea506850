//! From the command line and the environment to a [`BuildRequest`]. Reads no file and asks no
//! engine; says by name which flag or variable is wrong.

mod allow;
mod annotation;
mod attest;
mod caches;
mod context;
mod hosts;
mod identity;
mod limits;
mod network;
mod output;
mod progress;
mod secret;
mod unsupported;

use std::time::Duration;

use super::args::BuildArgs;
use super::environment::{self as names, Environment, NotText};
use crate::diag::Diagnostic;
use crate::image::{Platform, Reference};
use crate::request::{BuildRequest, NetworkChoice, Proxies, Report};

pub(super) type Result<T> = std::result::Result<T, Diagnostic>;

/// A request, and what is to be said before it is carried out.
#[derive(Debug)]
pub struct Resolved {
    pub request: BuildRequest,
    pub warnings: Vec<String>,
}

impl From<NotText> for Diagnostic {
    fn from(error: NotText) -> Self {
        Diagnostic::error(error.to_string())
    }
}

/// Makes the request; `debug` is a flag of all commands.
///
/// # Errors
/// With the first value that is wrong or asks for what bowline cannot do.
pub fn resolve(args: &BuildArgs, debug: bool, environment: &Environment) -> Result<Resolved> {
    let mut warnings = unsupported::check(args)?;
    let (context, dockerfile) = context::sources(args)?;
    let tags = tags("--tag", &args.tag)?;
    let outputs = output::outputs(args, &tags, environment)?;
    let attest = attest::attest(&args.others)?;
    warnings.extend(attest::without_place(&attest, &outputs));
    let build_args = build_args(&args.build_arg, environment)?;
    let (caches, told) = caches::caches(&args.others, &build_args)?;
    warnings.extend(told);
    let request = BuildRequest {
        context,
        dockerfile,
        build_contexts: context::named(&args.build_context)?,
        target: args.target.clone().filter(|target| !target.is_empty()),
        epoch: epoch(&build_args),
        build_args,
        labels: pairs("--label", &args.label, |_| Ok(Some(String::new())))?,
        tags,
        platforms: platforms(&args.platform, environment)?,
        network: network::choice(args.network.as_deref(), environment)?,
        add_hosts: hosts::hosts(&args.add_host)?,
        limits: limits::limits(args)?,
        allow: allow::allow(&args.others.allow)?,
        secrets: secret::secrets(&args.secret, environment)?,
        identity: identity::identity(&args.identity, environment)?,
        ssh: secret::agents(&args.ssh, environment)?,
        leak_guard: secret::leak_guard(args.leak_guard.as_deref())?,
        pull: args.pull,
        no_cache: args.no_cache,
        no_cache_filter: list(&args.no_cache_filter, str::to_lowercase),
        outputs,
        attest,
        caches,
        patience: patience(environment)?,
        explain: args.explain,
        parallel: parallel(args.parallel.as_deref(), environment)?,
        keep_failed: keep_failed(environment)?,
        share: share(args.step_containers.as_deref(), environment)?,
        proxies: proxies(environment)?,
        cache_dir: environment.cache_dir(),
        scratch_dir: environment.scratch_dir(),
        report: progress::report(args, debug, environment)?,
    };
    Ok(Resolved { request, warnings })
}

pub(super) use limits::size;

/// The network of RUN steps alone.
///
/// # Errors
/// When the flag or the variable names none.
pub(super) fn network(flag: Option<&str>, environment: &Environment) -> Result<NetworkChoice> {
    network::choice(flag, environment)
}

/// How a command shows itself that answers a question and builds nothing.
pub(super) fn aside(debug: bool, environment: &Environment) -> Report {
    progress::aside(debug, environment)
}

/// As in Go: a variable may be in capitals or not, and an empty one is none.
fn proxies(environment: &Environment) -> Result<Proxies> {
    let find = |variable: names::Variable| -> Result<Option<String>> {
        let lower = variable.name.to_lowercase();
        for name in [variable.name, &lower] {
            match environment.named(name)? {
                Some(value) if !value.is_empty() => return Ok(Some(value.to_owned())),
                _ => {}
            }
        }
        Ok(None)
    };
    Ok(Proxies {
        http: find(names::HTTP_PROXY)?,
        https: find(names::HTTPS_PROXY)?,
        exempt: find(names::NO_PROXY)?,
    })
}

/// The items of flags that take lists with commas and may be repeated.
fn list<T>(values: &[String], item: impl Fn(&str) -> T) -> Vec<T> {
    let items = values.iter().flat_map(|value| value.split(','));
    let items = items.map(str::trim).filter(|text| !text.is_empty());
    items.map(item).collect()
}

/// `NAME=VALUE` items; of one name the last counts. `missing` gives what a bare `NAME` stands
/// for, if anything.
fn pairs(
    flag: &str,
    values: &[String],
    missing: impl Fn(&str) -> Result<Option<String>>,
) -> Result<Vec<(String, String)>> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for text in values {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (text.as_str(), None),
        };
        if name.is_empty() {
            return Err(Diagnostic::error(format!("`{flag} {text}` has no name")));
        }
        let value = match value {
            Some(value) => Some(value),
            None => missing(name)?,
        };
        let Some(value) = value else { continue };
        match pairs.iter_mut().find(|(known, _)| known == name) {
            Some(known) => known.1 = value,
            None => pairs.push((name.to_owned(), value)),
        }
    }
    Ok(pairs)
}

/// A bare name takes the environment's value, and nothing when there is none.
fn build_args(values: &[String], environment: &Environment) -> Result<Vec<(String, String)>> {
    let mut pairs = pairs("--build-arg", values, |name| {
        Ok(environment.named(name)?.map(str::to_owned))
    })?;
    let epoch = names::SOURCE_DATE_EPOCH;
    if let Some(value) = environment.get(epoch)?
        && !pairs.iter().any(|(name, _)| name == epoch.name)
    {
        pairs.push((epoch.name.to_owned(), value.to_owned()));
    }
    Ok(pairs)
}

/// What is no number of seconds counts for nothing, as with BuildKit.
fn epoch(build_args: &[(String, String)]) -> Option<i64> {
    let name = names::SOURCE_DATE_EPOCH.name;
    let (_, value) = build_args.iter().find(|(key, _)| key == name)?;
    value.parse().ok()
}

/// Names that images get; `flag` says where they were written.
pub(super) fn tags(flag: &str, values: &[String]) -> Result<Vec<Reference>> {
    let mut tags: Vec<Reference> = Vec::new();
    for text in values {
        let tag = Reference::parse(text)
            .map_err(|error| Diagnostic::error(format!("invalid `{flag} {text}`: {error}")))?;
        if tag.digest.is_some() {
            let message = format!("invalid `{flag} {text}`: a digest cannot be given to an image");
            return Err(Diagnostic::error(message));
        }
        let tag = tag.with_default_tag();
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    Ok(tags)
}

fn platforms(values: &[String], environment: &Environment) -> Result<Vec<Platform>> {
    let variable = names::DOCKER_DEFAULT_PLATFORM;
    let (from, values) = match environment.get(variable)? {
        Some(value) if values.is_empty() => (variable.name, vec![value.to_owned()]),
        _ => ("--platform", values.to_vec()),
    };
    let here = Platform::new("linux", std::env::consts::ARCH, None);
    let mut platforms = Vec::new();
    for platform in list(&values, |text| Platform::parse(text, &here)) {
        let platform =
            platform.map_err(|error| Diagnostic::error(format!("invalid `{from}`: {error}")))?;
        if !platforms.contains(&platform) {
            platforms.push(platform);
        }
    }
    Ok(platforms)
}

/// How many failed steps are kept.
fn keep_failed(environment: &Environment) -> Result<usize> {
    let variable = names::BOWLINE_KEEP_FAILED;
    if let Some(text) = environment.get(variable)? {
        return text.parse().map_err(|_| {
            let name = variable.name;
            Diagnostic::error(format!(
                "invalid `{name}`: `{text}` is not a number of steps"
            ))
        });
    }
    let in_ci = environment.get(names::CI)?;
    Ok(if in_ci.is_some_and(|value| value != "false") {
        0
    } else {
        3
    })
}

fn patience(environment: &Environment) -> Result<Duration> {
    let variable = names::BOWLINE_REGISTRY_TIMEOUT;
    let Some(text) = environment.get(variable)? else {
        return Ok(Duration::from_mins(1));
    };
    match text.parse() {
        Ok(seconds) if seconds > 0 => Ok(Duration::from_secs(seconds)),
        _ => Err(Diagnostic::error(format!(
            "invalid `{}`: `{text}` is not a number of seconds",
            variable.name
        ))),
    }
}

fn parallel(flag: Option<&str>, environment: &Environment) -> Result<usize> {
    let variable = names::BOWLINE_PARALLEL;
    let (from, text) = match (flag, environment.get(variable)?) {
        (Some(text), _) => ("--parallel", text),
        (None, Some(text)) => (variable.name, text),
        (None, None) => {
            let processors = std::thread::available_parallelism();
            return Ok(processors.map_or(2, |n| n.get().max(2)));
        }
    };
    match text.parse() {
        Ok(n) if n > 0 => Ok(n),
        _ => Err(Diagnostic::error(format!(
            "invalid `{from}`: `{text}` is not a number of steps"
        ))),
    }
}

/// Whether steps may share containers.
fn share(flag: Option<&str>, environment: &Environment) -> Result<bool> {
    let variable = names::BOWLINE_STEP_CONTAINERS;
    let (from, text) = match (flag, environment.get(variable)?) {
        (Some(text), _) => ("--step-containers", text),
        (None, Some(text)) => (variable.name, text),
        (None, None) => return Ok(true),
    };
    match text {
        "shared" => Ok(true),
        "own" => Ok(false),
        _ => Err(Diagnostic::error(format!(
            "invalid `{from}`: `{text}` is neither `shared` nor `own`"
        ))),
    }
}

#[cfg(test)]
mod tests;
