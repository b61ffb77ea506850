//! What a build can say of how its result came to be.

use std::collections::BTreeMap;

use super::{Recipe, Surroundings};
use crate::build;
use crate::output::{Facts, Material};
use crate::request::address::redacted;
use crate::request::{BuildRequest, ContextSource};

/// What is known before the first step.
pub(super) fn begin(
    request: &BuildRequest,
    recipe: &Recipe,
    around: &Surroundings,
    materials: &[Material],
) -> Facts {
    let platform = request.platforms.first();
    let mut seen: Vec<Material> = Vec::new();
    for material in materials {
        if !seen.contains(material) {
            seen.push(material.clone());
        }
    }
    let address = match &request.context {
        ContextSource::Directory(_) | ContextSource::Stdin => None,
        ContextSource::Git(url) | ContextSource::Url(url) => Some(redacted(url)),
    };
    Facts {
        platform: platform.unwrap_or(&around.engine.info().platform).clone(),
        materials: seen,
        entry_point: recipe.parsed.dockerfile.source.name().to_owned(),
        address,
        arguments: arguments(request),
        id: build::new_id(),
        started: now(),
        finished: String::new(),
    }
}

/// What is known when the last step has ended.
pub(super) fn end(facts: Facts) -> Facts {
    Facts {
        finished: now(),
        ..facts
    }
}

fn now() -> String {
    jiff::Timestamp::now().to_string()
}

/// As frontends name them.
fn arguments(request: &BuildRequest) -> BTreeMap<String, String> {
    let mut arguments = BTreeMap::new();
    for (name, value) in &request.build_args {
        arguments.insert(format!("build-arg:{name}"), value.clone());
    }
    for (name, value) in &request.labels {
        arguments.insert(format!("label:{name}"), value.clone());
    }
    let joined = |parts: Vec<String>| (!parts.is_empty()).then(|| parts.join(","));
    let hosts = request.add_hosts.iter();
    let hosts = hosts.map(|host| format!("{}={}", host.name, host.address));
    let limits = &request.limits;
    let ulimits = limits.ulimits.iter();
    let ulimits = ulimits.map(|(name, soft, hard)| format!("{name}={soft}:{hard}"));
    let others = [
        ("target", request.target.clone()),
        ("add-hosts", joined(hosts.collect())),
        ("ulimit", joined(ulimits.collect())),
        ("shm-size", limits.shm_size.map(|size| size.to_string())),
        ("cgroup-parent", limits.cgroup_parent.clone()),
    ];
    for (name, value) in others {
        if let Some(value) = value {
            arguments.insert(name.to_owned(), value);
        }
    }
    arguments
}
