//! Everything that was looked at and what follows, for `bowline sandbox`.

use std::fmt::Write as _;

use serde::Serialize;

use super::clues::{Trust, clues};
use super::decide::{Claim, Decision};
use super::facts::{Facts, Seen};
use super::probe::Probe;
use super::short;

/// The evidence, the decision and, if one was made, a look around.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The network that was asked for instead of the decision's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub told: Option<String>,
    pub decision: Decision,
    pub facts: Facts,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probe: Option<Probe>,
}

impl Report {
    pub fn new(facts: Facts, decision: Decision) -> Self {
        Self {
            told: None,
            decision,
            facts,
            probe: None,
        }
    }

    /// As a JSON document.
    pub fn json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("a report is plain data");
        text.push('\n');
        text
    }

    /// For a person.
    pub fn text(&self) -> String {
        let mut text = String::new();
        if let Some(told) = &self.told {
            let _ = writeln!(text, "{told}, because of `--network`\nwithout it:\n");
        }
        self.verdict(&mut text);
        text.push_str("\nof this process:\n");
        list(&mut text, &looked_at(&self.facts));
        let engine = engine_side(&self.facts);
        if !engine.is_empty() {
            text.push_str("\nof the engine:\n");
            list(&mut text, &engine);
        }
        if let Some(probe) = &self.probe {
            look_around(&mut text, probe);
        }
        text
    }

    fn verdict(&self, text: &mut String) {
        match &self.decision {
            Decision::Join(join) => {
                let _ = writeln!(text, "{}", join.note());
                let _ = writeln!(text, "the same by hand: --network container:{}", join.id);
                for against in &join.against {
                    let _ = writeln!(text, "but {against}");
                }
            }
            Decision::Default { reasons, .. } => {
                text.push_str("RUN uses the engine's default network\n");
                list(text, reasons);
            }
            Decision::Conflict { claims } => {
                text.push_str("the evidence contradicts itself, so a build needs --network\n");
                list(text, &claims.iter().map(Claim::line).collect::<Vec<_>>());
            }
        }
    }
}

impl Claim {
    /// The claim as a sentence.
    pub fn line(&self) -> String {
        if self.id.is_empty() {
            return self.by.clone();
        }
        format!(
            "{}: container `{}` ({})",
            self.by,
            self.name,
            short(&self.id)
        )
    }
}

fn list(text: &mut String, lines: &[String]) {
    for line in lines {
        let _ = writeln!(text, "  {line}");
    }
}

/// What was looked at on this side, in words: also what a failed `--network sandbox` shows.
pub(crate) fn looked_at(facts: &Facts) -> Vec<String> {
    let own = &facts.own;
    let clues = clues(own);
    let mut lines = Vec::new();
    lines.push(match &clues.inside {
        Some(why) => format!("inside a container: {why}"),
        None => "no sign of a container: neither `/.dockerenv` nor `/run/.containerenv`, and no id in `/proc/self/cgroup` or in the mounts of `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf`".to_owned(),
    });
    for clue in &clues.ids {
        let engine = clue
            .foreign
            .map(|engine| format!(" of {engine}"))
            .unwrap_or_default();
        let weak = match clue.trust {
            Trust::Made => "",
            Trust::Given => ", which anybody can set",
        };
        lines.push(format!(
            "{}{weak}: container `{}`{engine}",
            clue.by(),
            short(&clue.id)
        ));
    }
    for id in &clues.outer {
        lines.push(format!(
            "`/proc/self/cgroup`: inside container `{}`",
            short(id)
        ));
    }
    let said = [
        ("pod uid", &own.pod_uid),
        ("pod name", &own.pod_name),
        ("pod namespace", &own.pod_namespace),
    ];
    for (what, said) in said {
        if let Some(said) = said {
            lines.push(format!("{}: {what} `{}`", said.place(), said.value));
        }
    }
    if let Some(pod) = clues.pod.as_ref().filter(|pod| pod.trust == Trust::Made)
        && let Some(uid) = &pod.uid
    {
        lines.push(format!("{}: pod uid `{}`", uid.place(), uid.value));
    }
    if clues.inside.is_some() {
        lines.push(format!("host name: `{}`", own.hostname));
        if !own.addresses.is_empty() {
            lines.push(format!("addresses: {}", own.addresses.join(", ")));
        }
    }
    lines
}

/// What the engine answered.
pub(crate) fn engine_side(facts: &Facts) -> Vec<String> {
    let asked = facts.engine.asked.iter().map(|asked| match &asked.found {
        Some(seen) => described(seen),
        None => format!("no container `{}`", short(&asked.id)),
    });
    let sandboxes = facts
        .engine
        .sandboxes
        .iter()
        .map(|seen| format!("sandbox of the pod: {}", described(seen)));
    asked.chain(sandboxes).collect()
}

fn described(seen: &Seen) -> String {
    let network = match seen.joined() {
        Some(id) => format!("container:{}", short(id)),
        None => seen.network_mode.clone(),
    };
    let addresses = super::decide::at(&seen.addresses);
    format!(
        "container `{}` ({}): {}, network {network}{addresses}",
        seen.name,
        short(&seen.id),
        seen.status
    )
}

fn look_around(text: &mut String, probe: &Probe) {
    text.push_str("\nin that network:\n");
    let mut lines = vec![
        format!("host name: {}", probe.hostname),
        format!("interfaces: {}", words(&probe.interfaces)),
        format!("addresses: {}", words(&probe.addresses)),
    ];
    for (what, items) in [
        ("route", &probe.routes),
        ("/etc/resolv.conf", &probe.resolv_conf),
        ("/etc/hosts", &probe.hosts),
    ] {
        lines.extend(items.iter().map(|item| format!("{what}: {item}")));
    }
    lines.extend(
        probe
            .urls
            .iter()
            .map(|(url, answer)| format!("{url}: {answer}")),
    );
    list(text, &lines);
}

fn words(items: &[String]) -> String {
    match items {
        [] => "none".into(),
        items => items.join(", "),
    }
}
