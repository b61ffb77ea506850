//! Asks the engine about what bowline's own process gives away.

use super::clues::{Clues, clues};
use super::facts::{Answers, Asked, Facts, Own, Seen};
use crate::engine::{ContainerDetail, Engine, EngineError, Result};

/// How far a chain of containers that join each other is followed. Engines resolve such chains
/// when a container is created, so that two is all there should be.
const LONGEST_CHAIN: usize = 8;

/// How many sandboxes of one pod are looked at.
const MOST_SANDBOXES: usize = 16;

/// Asks the engine. Outside a container it is not asked anything.
///
/// # Errors
/// When the engine does not answer.
pub async fn gather(own: Own, engine: &dyn Engine) -> Result<Facts> {
    let clues = clues(&own);
    let mut answers = Answers::default();
    if clues.inside.is_some() {
        ask(&clues, engine, &mut answers).await?;
    }
    Ok(Facts {
        own,
        engine: answers,
    })
}

async fn ask(clues: &Clues, engine: &dyn Engine, answers: &mut Answers) -> Result<()> {
    for clue in &clues.ids {
        let mut next = Some(clue.id.clone());
        for _ in 0..LONGEST_CHAIN {
            let Some(id) = next.take() else { break };
            if answers.asked.iter().any(|asked| asked.id == id) {
                break;
            }
            let found = look(engine, &id).await?;
            next = found
                .as_ref()
                .and_then(|seen| seen.joined())
                .map(str::to_owned);
            answers.asked.push(Asked { id, found });
        }
    }
    let unknown = answers.asked.iter().all(|asked| asked.found.is_none());
    for id in clues.outer.iter().filter(|_| unknown) {
        let found = look(engine, id).await?;
        answers.asked.push(Asked {
            id: id.clone(),
            found,
        });
    }
    let Some(pod) = &clues.pod else {
        return Ok(());
    };
    let listed = engine.containers(&pod.labels()).await?;
    let sandboxes = listed.iter().filter(|container| {
        let kind = container
            .labels
            .get("io.kubernetes.docker.type")
            .map(String::as_str);
        kind == Some("podsandbox")
            || kind.is_none()
                && container
                    .names
                    .iter()
                    .any(|name| name.starts_with("k8s_POD_"))
    });
    for container in sandboxes.take(MOST_SANDBOXES) {
        // One that is gone meanwhile is no sandbox any more.
        answers.sandboxes.extend(look(engine, &container.id).await?);
    }
    Ok(())
}

/// A container by id; a name that happens to look like one does not count.
async fn look(engine: &dyn Engine, id: &str) -> Result<Option<Seen>> {
    match engine.inspect(id).await {
        Ok(found) => Ok(found.filter(|detail| detail.id.starts_with(id)).map(seen)),
        // A short id that several containers share says nothing.
        Err(EngineError::Api { message, .. }) if is_ambiguous(&message) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether an engine says so that the start of an id fits several.
pub(crate) fn is_ambiguous(message: &str) -> bool {
    message.to_lowercase().contains("multiple ids found")
}

fn seen(detail: ContainerDetail) -> Seen {
    let telling =
        |name: &str| name.starts_with("io.kubernetes.") || name.starts_with("com.docker.compose.");
    Seen {
        id: detail.id,
        name: detail.name,
        labels: detail
            .labels
            .into_iter()
            .filter(|(name, _)| telling(name))
            .collect(),
        running: detail.running,
        status: detail.status,
        network_mode: detail.network_mode,
        addresses: detail.ip_addresses,
    }
}

impl Seen {
    /// The id of the container whose network this one has.
    pub(super) fn joined(&self) -> Option<&str> {
        self.network_mode.strip_prefix("container:")
    }
}
