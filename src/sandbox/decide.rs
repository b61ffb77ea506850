//! The judgement: facts in, a decision with its reasons out.

use serde::{Deserialize, Serialize};

use super::clues::{Clues, IdClue, Trust, and, clues};
use super::facts::{Facts, Seen};
use super::short;

/// Whose network `RUN` joins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    Join(Join),
    /// There is none to join, and why.
    Default {
        inside: bool,
        reasons: Vec<String>,
    },
    /// The evidence contradicts itself.
    Conflict {
        claims: Vec<Claim>,
    },
}

/// A network to join.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Join {
    /// The container that has it.
    pub id: String,
    pub name: String,
    pub whose: Whose,
    /// Whether it is the network of the engine's own machine.
    pub host: bool,
    pub addresses: Vec<String>,
    /// How it was found, such as "`/proc/self/cgroup`".
    pub how: Vec<String>,
    /// Evidence that says something else and weighs less.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub against: Vec<String>,
}

/// Who has the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Whose {
    /// A pod, with its namespace.
    Pod { namespace: String, name: String },
    /// A service of compose, with its project.
    Service { project: String, name: String },
    /// Just a container.
    Container,
}

/// What one piece of evidence says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The container whose network it would be; empty when the engine does not know it.
    pub id: String,
    pub name: String,
    /// What says so.
    pub by: String,
}

/// Judges the facts.
pub fn decide(facts: &Facts) -> Decision {
    let clues = clues(&facts.own);
    if clues.inside.is_none() {
        let reasons = vec!["bowline runs outside any container".to_owned()];
        return Decision::Default {
            inside: false,
            reasons,
        };
    }
    let (made, given) = claims(facts, &clues);
    let unknown = unknown(facts, &clues);
    match (distinct(&made).as_slice(), distinct(&given).as_slice()) {
        ([one], _) => join(facts, one, &made, &given),
        // An engine that does not know us, and a pod of the same name there.
        ([], [_, ..]) if unknown.iter().any(|clue| clue.trust == Trust::Made) => {
            let nobody = unknown
                .iter()
                .filter(|clue| clue.trust == Trust::Made)
                .map(|clue| Claim {
                    id: String::new(),
                    name: String::new(),
                    by: format!(
                        "{} `{}`, which the engine does not know",
                        clue.names(),
                        short(&clue.id)
                    ),
                });
            let claims = nobody
                .chain(given.iter().map(|found| found.claim.clone()))
                .collect();
            Decision::Conflict { claims }
        }
        ([], [one]) => join(facts, one, &given, &[]),
        ([], []) => Decision::Default {
            inside: true,
            reasons: reasons(facts, &clues, &unknown),
        },
        _ => {
            let all = if made.is_empty() { given } else { made };
            Decision::Conflict {
                claims: all.into_iter().map(|found| found.claim).collect(),
            }
        }
    }
}

/// A claim, and the container it leads to.
struct Found<'a> {
    claim: Claim,
    target: &'a Seen,
    /// The container that the evidence names, which may only have joined the target.
    named: &'a Seen,
}

/// What the engine's own traces say, and what anybody may have said.
fn claims<'a>(facts: &'a Facts, clues: &Clues) -> (Vec<Found<'a>>, Vec<Found<'a>>) {
    let mut made = Vec::new();
    let mut given = Vec::new();
    for clue in &clues.ids {
        let Some(named) = known(facts, &clue.id).filter(|seen| seen.running) else {
            continue;
        };
        let target = network_of(facts, named);
        let claim = claim(target, clue.by());
        let list = if clue.trust == Trust::Made {
            &mut made
        } else {
            &mut given
        };
        list.push(Found {
            claim,
            target,
            named,
        });
    }
    if let Some(pod) = &clues.pod {
        let running: Vec<&Seen> = facts
            .engine
            .sandboxes
            .iter()
            .filter(|seen| seen.running)
            .collect();
        let of_ids: Vec<&str> = made.iter().map(|found| found.target.id.as_str()).collect();
        // Of several sandboxes of a pod, an id tells which is ours; nothing else does.
        let told = running.len() > 1 && running.iter().any(|seen| of_ids.contains(&&*seen.id));
        let ours: Vec<bool> = running
            .iter()
            .map(|seen| !told || of_ids.contains(&&*seen.id))
            .collect();
        for (sandbox, ours) in running.into_iter().zip(ours) {
            let found = Found {
                claim: claim(sandbox, pod.by()),
                target: sandbox,
                named: sandbox,
            };
            let list = if pod.trust == Trust::Made && ours {
                &mut made
            } else {
                &mut given
            };
            list.push(found);
        }
    }
    (made, given)
}

fn claim(target: &Seen, by: String) -> Claim {
    Claim {
        id: target.id.clone(),
        name: target.name.clone(),
        by,
    }
}

fn known<'a>(facts: &'a Facts, id: &str) -> Option<&'a Seen> {
    let asked = facts.engine.asked.iter().find(|asked| asked.id == id)?;
    asked.found.as_ref()
}

/// The container whose network a container has: its own, unless it joined another's. When that
/// other one is gone, the container itself is as good.
fn network_of<'a>(facts: &'a Facts, from: &'a Seen) -> &'a Seen {
    let mut at = from;
    for _ in 0..facts.engine.asked.len() {
        let Some(next) = at.joined().and_then(|id| known(facts, id)) else {
            break;
        };
        if !next.running {
            break;
        }
        at = next;
    }
    at
}

/// One of each target.
fn distinct<'a, 'b>(found: &'b [Found<'a>]) -> Vec<&'b Found<'a>> {
    let mut one_each: Vec<&Found<'_>> = Vec::new();
    for item in found {
        if !one_each
            .iter()
            .any(|known| known.target.id == item.target.id)
        {
            one_each.push(item);
        }
    }
    one_each
}

/// Ids that the engine does not have.
fn unknown<'a>(facts: &Facts, clues: &'a Clues) -> Vec<&'a IdClue> {
    clues
        .ids
        .iter()
        .filter(|clue| known(facts, &clue.id).is_none())
        .collect()
}

fn join(
    facts: &Facts,
    chosen: &Found<'_>,
    agreeing: &[Found<'_>],
    others: &[Found<'_>],
) -> Decision {
    let target = chosen.target;
    let same = |found: &&Found<'_>| found.target.id == target.id;
    let mut how: Vec<String> = Vec::new();
    for found in agreeing.iter().chain(others.iter().filter(same)) {
        if !how.contains(&found.claim.by) {
            how.push(found.claim.by.clone());
        }
    }
    let against = others.iter().filter(|found| !same(found)).map(|found| {
        format!(
            "{} points to `{}` ({})",
            found.claim.by,
            found.target.name,
            short(&found.target.id)
        )
    });
    let addresses = match target.addresses.as_slice() {
        // A pod's plugin gave the address and the engine knows none; we are in that network.
        [] => facts.own.addresses.clone(),
        addresses => addresses.to_vec(),
    };
    Decision::Join(Join {
        id: target.id.clone(),
        name: target.name.clone(),
        whose: whose(target)
            .or_else(|| whose(chosen.named))
            .unwrap_or(Whose::Container),
        host: target.network_mode == "host",
        addresses,
        how,
        against: against.collect(),
    })
}

fn whose(seen: &Seen) -> Option<Whose> {
    let label = |name: &str| seen.labels.get(name).cloned();
    let pod = || {
        Some(Whose::Pod {
            namespace: label("io.kubernetes.pod.namespace")?,
            name: label("io.kubernetes.pod.name")?,
        })
    };
    let service = || {
        Some(Whose::Service {
            project: label("com.docker.compose.project")?,
            name: label("com.docker.compose.service")?,
        })
    };
    pod().or_else(service)
}

/// Why nothing is to be joined, though this is a container.
fn reasons(facts: &Facts, clues: &Clues, unknown: &[&IdClue]) -> Vec<String> {
    let mut reasons = Vec::new();
    for clue in unknown {
        let id = short(&clue.id);
        reasons.push(match clue.foreign {
            Some(engine) => format!(
                "{} the container `{id}` of {engine}, which this engine does not know",
                clue.names()
            ),
            None => format!(
                "{} the container `{id}`, which this engine does not know",
                clue.names()
            ),
        });
    }
    for asked in &facts.engine.asked {
        let Some(seen) = &asked.found else { continue };
        let (name, id) = (&seen.name, short(&seen.id));
        reasons.push(if clues.outer.contains(&asked.id) {
            format!("the engine knows the container `{name}` ({id}) around it, whose network is another one")
        } else {
            let status = &seen.status;
            format!("the engine's container `{name}` ({id}) has this id and is not running: it is {status}")
        });
    }
    for sandbox in &facts.engine.sandboxes {
        let (name, status) = (&sandbox.name, &sandbox.status);
        reasons.push(format!(
            "the pod's sandbox `{name}` is not running: it is {status}"
        ));
    }
    if let Some(pod) = clues
        .pod
        .as_ref()
        .filter(|_| facts.engine.sandboxes.is_empty())
    {
        reasons.push(format!("the engine has no sandbox for {}", pod.by()));
    }
    if reasons.is_empty() {
        let inside = clues.inside.as_deref().unwrap_or_default();
        reasons.push(format!("{inside}, but nothing tells which container it is"));
    }
    reasons
}

impl Join {
    /// The container as it is shown: `name (id)`.
    pub fn container(&self) -> String {
        format!("{} ({})", self.name, short(&self.id))
    }

    /// The line for the start of a build.
    pub fn note(&self) -> String {
        let whose = match &self.whose {
            Whose::Pod { namespace, name } => format!("the network of pod {namespace}/{name}"),
            Whose::Service { project, name } => {
                format!("the network of compose service {project}/{name}")
            }
            Whose::Container => "bowline's own network".to_owned(),
        };
        let host = if self.host {
            ", which is the host's"
        } else {
            ""
        };
        let (addresses, container) = (at(&self.addresses), self.container());
        let how = and(&self.how);
        format!("RUN joins {whose}{addresses}: that of container {container}{host}, found by {how}")
    }
}

/// Addresses as part of a sentence.
pub(crate) fn at(addresses: &[String]) -> String {
    match addresses {
        [] => String::new(),
        [one] => format!(" at {one}"),
        [one, two] => format!(" at {one} and {two}"),
        [one, two, rest @ ..] => format!(" at {one}, {two} and {} more", rest.len()),
    }
}
