//! The network that `RUN` steps join, checked before anything runs.

use crate::build;
use crate::diag::{Diagnostic, suggest};
use crate::engine::{ContainerDetail, Engine, EngineError, NetworkMode};
use crate::request::NetworkChoice;
use crate::sandbox::{self, Decision, Facts, Join, Whose, World};

use super::environment;

/// A network that is there, and the line that says so.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Network {
    pub(super) mode: NetworkMode,
    pub(super) note: Option<String>,
    /// The container that bowline's own pod or container cannot outlive, where that is known.
    pub(super) home: Option<String>,
}

impl From<NetworkMode> for Network {
    fn from(mode: NetworkMode) -> Self {
        Self {
            mode,
            note: None,
            home: None,
        }
    }
}

/// Turns the choice into a network of the engine.
pub(super) async fn choose(
    choice: &NetworkChoice,
    world: &World,
    engine: &dyn Engine,
) -> Result<Network, Diagnostic> {
    match choice {
        NetworkChoice::Default => Ok(NetworkMode::Default.into()),
        NetworkChoice::None => Ok(NetworkMode::None.into()),
        NetworkChoice::Host => Ok(NetworkMode::Host.into()),
        NetworkChoice::Auto => own(world, engine, false).await,
        NetworkChoice::Sandbox => own(world, engine, true).await,
        NetworkChoice::Container(name) => container(name, engine).await,
        NetworkChoice::Named(name) => named(name, engine).await,
    }
}

/// The network of bowline's own pod or container.
async fn own(world: &World, engine: &dyn Engine, must: bool) -> Result<Network, Diagnostic> {
    let gathered = sandbox::gather(world.own(), engine).await;
    let facts = gathered.map_err(|error| build::of_engine(&error))?;
    match sandbox::decide(&facts) {
        Decision::Join(join) => Ok(joined(join)),
        Decision::Conflict { claims } => {
            let lines: Vec<String> = claims.iter().map(sandbox::Claim::line).collect();
            let choices = claims.iter().filter(|claim| !claim.id.is_empty());
            let mut names: Vec<&str> = choices.map(|claim| claim.name.as_str()).collect();
            names.dedup();
            let choices = names
                .iter()
                .map(|name| format!("`--network container:{name}`, "));
            let choices: String = choices.collect();
            Err(environment("it is not clear whose network RUN is to join")
                .with_note(list("the evidence contradicts itself:", &lines))
                .with_hint(format!("choose: {choices}or `--network default`")))
        }
        Decision::Default { reasons, .. } if must => Err(no_sandbox(&facts, &reasons)),
        Decision::Default { inside, reasons } => Ok(Network {
            mode: NetworkMode::Default,
            home: None,
            note: inside.then(|| {
                let reasons = reasons.join("; ");
                format!("RUN uses the engine's default network: {reasons}")
            }),
        }),
    }
}

pub(super) fn joined(join: Join) -> Network {
    let note = Some(join.note());
    let home = Some(join.id.clone());
    // A pod's sandbox has the pod's `resolv.conf` as well, also on the host's network.
    let mode = match join.whose {
        Whose::Container | Whose::Service { .. } if join.host => NetworkMode::Host,
        _ => NetworkMode::Container(join.id),
    };
    Network { mode, note, home }
}

fn no_sandbox(facts: &Facts, reasons: &[String]) -> Diagnostic {
    let mut refused =
        environment("there is no pod or container of this engine whose network to join")
            .with_note(list("why:", reasons))
            .with_note(list(
                "looked at, of this process:",
                &sandbox::looked_at(facts),
            ));
    let engine = sandbox::engine_side(facts);
    if !engine.is_empty() {
        refused = refused.with_note(list("looked at, of the engine:", &engine));
    }
    refused.with_hint("name the container: `--network container:<id or name>`")
}

fn list(head: &str, lines: &[String]) -> String {
    let lines: String = lines.iter().map(|line| format!("\n  {line}")).collect();
    format!("{head}{lines}")
}

async fn named(name: &str, engine: &dyn Engine) -> Result<Network, Diagnostic> {
    let found = engine.network(name).await;
    match found.map_err(|error| build::of_engine(&error))? {
        Some(_) => Ok(NetworkMode::Named(name.to_owned()).into()),
        None => Err(environment(format!("the engine has no network `{name}`"))
            .with_hint("`docker network ls` lists the networks; a container's network is `container:<id or name>`")),
    }
}

/// Another container's network, named by the person.
async fn container(name: &str, engine: &dyn Engine) -> Result<Network, Diagnostic> {
    if name.is_empty() {
        return Err(
            Diagnostic::error("`--network container:` names no container")
                .with_hint("if the name comes from a variable, the variable is empty"),
        );
    }
    let detail = match engine.inspect(name).await {
        Ok(Some(detail)) => detail,
        Ok(None) => return Err(missing(name, engine).await),
        Err(EngineError::Api { message, .. }) if sandbox::is_ambiguous(&message) => {
            return Err(ambiguous(name, engine).await);
        }
        Err(error) => return Err(build::of_engine(&error)),
    };
    check_running(&detail)?;
    let mut addresses = detail.ip_addresses.clone();
    let mut more = String::new();
    if let Some(other) = detail.network_mode.strip_prefix("container:") {
        // One that is gone left its network to this one.
        let found = engine
            .inspect(other)
            .await
            .map_err(|error| build::of_engine(&error))?;
        if let Some(other) = found {
            addresses = other.ip_addresses;
            more = format!(", which is that of container {}", other.name);
        }
    } else if detail.network_mode == "none" && !is_pod(&detail) {
        more = ", which is `none`: it reaches nothing outside unless somebody gave it an interface"
            .into();
    } else if detail.network_mode == "host" {
        more = ", which is the host's".into();
    }
    let (shown, id) = (&detail.name, sandbox::short(&detail.id));
    let addresses = sandbox::at(&addresses);
    let note = format!("RUN joins the network of container {shown} ({id}){addresses}{more}");
    Ok(Network {
        home: None,
        note: Some(note),
        mode: NetworkMode::Container(detail.id),
    })
}

/// A pod's network is `none` for the engine: a plugin of the kubelet makes it.
fn is_pod(detail: &ContainerDetail) -> bool {
    detail.labels.contains_key("io.kubernetes.pod.name")
}

fn check_running(detail: &ContainerDetail) -> Result<(), Diagnostic> {
    let shown = &detail.name;
    let state = match detail.status.as_str() {
        "restarting" => "restarting",
        _ if detail.running => return Ok(()),
        state => state,
    };
    let what =
        format!("the container `{shown}`, whose network to join, is not running: it is {state}");
    Err(environment(what).with_hint(match state {
        "restarting" => format!("it ends again and again; `docker logs {shown}` says why"),
        "removing" | "dead" => {
            "name another one; `docker ps` lists the containers that run".to_owned()
        }
        _ => format!("start it: `docker start {shown}`"),
    }))
}

async fn missing(name: &str, engine: &dyn Engine) -> Diagnostic {
    let refused = environment(format!(
        "the engine has no container `{name}` whose network to join"
    ));
    // Without the list there is no suggestion; the refusal stands.
    let listed = engine.containers(&[]).await.unwrap_or_default();
    let names = listed
        .iter()
        .filter(|one| one.running)
        .flat_map(|one| &one.names);
    let refused = match suggest(name, names.map(String::as_str)) {
        Some(similar) => refused.with_hint(format!("did you mean `container:{similar}`?")),
        None => refused.with_hint("`docker ps` lists the containers that run"),
    };
    if name.contains("{{") || name.contains('$') {
        return refused.with_hint("the name still has a variable in it that nobody replaced");
    }
    refused
}

/// How many of the containers with one start of an id are shown.
const MOST_SHOWN: usize = 5;

async fn ambiguous(name: &str, engine: &dyn Engine) -> Diagnostic {
    let listed = engine.containers(&[]).await.unwrap_or_default();
    let matching: Vec<_> = listed
        .iter()
        .filter(|one| one.id.starts_with(name))
        .collect();
    let refused = environment(format!("the ids of several containers start with `{name}`"));
    if matching.is_empty() {
        return refused.with_hint("use more of the id, or the name");
    }
    let mut lines: Vec<String> = matching
        .iter()
        .take(MOST_SHOWN)
        .map(|one| {
            let shown = one.names.first().map_or("", String::as_str);
            let state = if one.running {
                "running"
            } else {
                "not running"
            };
            format!(
                "{} {shown}, {state}",
                one.id.get(..(name.len() + 4).max(12)).unwrap_or(&one.id)
            )
        })
        .collect();
    if matching.len() > MOST_SHOWN {
        lines.push(format!("and {} more", matching.len() - MOST_SHOWN));
    }
    refused
        .with_note(list("they are:", &lines))
        .with_hint("use more of the id, or the name")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Style;
    use crate::engine::fake::{FakeEngine, container};
    use crate::sandbox::Own;

    const ID: &str = "3f4e8a7b2c1d0e9f8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f";
    const NEAR: &str = "3f4e8a7b2c1dffff8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f";
    const GONE: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    fn engine() -> FakeEngine {
        let state = |mut one: ContainerDetail, status: &str| {
            one.running = matches!(status, "running" | "restarting" | "paused");
            one.status = status.into();
            one
        };
        let mut web = container(ID, "web", "bridge");
        web.ip_addresses = vec!["172.17.0.3".into(), "fd00::3".into()];
        let mut sandbox = container(&"c".repeat(64), "k8s_POD_a_ci_u_0", "none");
        sandbox
            .labels
            .insert("io.kubernetes.pod.name".into(), "a".into());
        FakeEngine::new(vec![
            web,
            container(NEAR, "near", "bridge"),
            state(container(&"1".repeat(64), "stopped", "bridge"), "exited"),
            state(
                container(&"2".repeat(64), "flapping", "bridge"),
                "restarting",
            ),
            state(container(&"4".repeat(64), "dying", "bridge"), "removing"),
            container(&"5".repeat(64), "alone", "none"),
            container(&"6".repeat(64), "sidecar", &format!("container:{ID}")),
            container(&"7".repeat(64), "orphan", &format!("container:{GONE}")),
            container(&"8".repeat(64), "agent", "host"),
            sandbox,
        ])
    }

    async fn said(choice: NetworkChoice, own: Own) -> String {
        match choose(&choice, &World::known(own), &engine()).await {
            Ok(Network { mode, note, .. }) => {
                format!("{}\n{}\n", mode.as_api(), note.unwrap_or_default())
            }
            Err(error) => error.render(Style::default()),
        }
    }

    #[tokio::test]
    async fn every_target_is_checked_and_named() {
        let container = |name: &str| NetworkChoice::Container(name.into());
        let mut all = String::new();
        for name in [
            "",
            "web",
            ID,
            "3f4e8a7b2c1d0",
            "3f4e8a7b2c1d",
            "wbe",
            "nothing-like-it",
            "${CI_ID}",
            "stopped",
            "flapping",
            "dying",
            "alone",
            "sidecar",
            "orphan",
            "agent",
            "k8s_POD_a_ci_u_0",
        ] {
            let text = said(container(name), Own::default()).await;
            all.push_str(&format!("container:{name}\n{text}\n"));
        }
        for name in ["ci", "cii"] {
            let text = said(NetworkChoice::Named(name.into()), Own::default()).await;
            all.push_str(&format!("{name}\n{text}\n"));
        }
        insta::assert_snapshot!(all);
    }

    #[tokio::test]
    async fn the_own_network_is_joined_reported_or_refused() {
        let mount = |id: &str| {
            format!(
                "601 580 8:1 /var/lib/docker/containers/{id}/hostname /etc/hostname rw - ext4 /dev/sda1 rw"
            )
        };
        let inside = |cgroup: &str, mounts: &str| Own {
            cgroup: vec![format!("0::/docker/{cgroup}")],
            mounts: vec![mount(mounts)],
            hostname: "job".into(),
            dockerenv: true,
            ..Own::default()
        };
        let mut all = String::new();
        for (about, own) in [
            ("outside", Own::default()),
            ("inside", inside(ID, ID)),
            (
                "on the host's network",
                inside(&"8".repeat(64), &"8".repeat(64)),
            ),
            ("of another engine", inside(GONE, GONE)),
            ("stopped", inside(&"1".repeat(64), &"1".repeat(64))),
            ("unclear", inside(ID, NEAR)),
        ] {
            for choice in [NetworkChoice::Auto, NetworkChoice::Sandbox] {
                let head = format!("{about}, {choice}");
                let text = said(choice, own.clone()).await;
                all.push_str(&format!("{head}\n{text}\n"));
            }
        }
        insta::assert_snapshot!(all);
    }
}
