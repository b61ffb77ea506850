//! Golden environments: `fixtures/sandbox/<environment>.json` holds what the machine says, what
//! containers the engine has, which of them is to be joined, and the whole verdict.
//!
//! `UPDATE_FIXTURES=1` writes verdicts that are missing or differ; what is expected stands.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Decision, Facts, Own, Report, Seen, decide, gather};
use crate::engine::ContainerDetail;
use crate::engine::fake::{FakeEngine, container};

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Environment {
    about: String,
    own: serde_json::Value,
    containers: Vec<serde_json::Value>,
    expect: Expect,
    verdict: Vec<String>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Expect {
    /// By the name of the container.
    Join(String),
    Default,
    Conflict,
}

async fn judged(environment: &Environment) -> (Facts, Decision) {
    let own: Own = serde_json::from_value(environment.own.clone()).unwrap();
    let containers = environment.containers.iter().cloned();
    let containers = containers.map(|seen| detail(serde_json::from_value(seen).unwrap()));
    let engine = FakeEngine::new(containers.collect());
    let facts = gather(own, &engine).await.unwrap();
    let asked = engine.asked.lock().unwrap().len();
    assert!(asked <= 8, "{}: {asked} questions", environment.about);
    let decision = decide(&facts);
    (facts, decision)
}

fn detail(seen: Seen) -> ContainerDetail {
    ContainerDetail {
        labels: seen.labels,
        running: seen.running,
        status: seen.status,
        ip_addresses: seen.addresses,
        ..container(&seen.id, &seen.name, &seen.network_mode)
    }
}

#[tokio::test]
async fn every_environment_is_judged_rightly() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/sandbox");
    #[expect(clippy::disallowed_methods, reason = "a switch of this test alone")]
    let update = std::env::var_os("UPDATE_FIXTURES").is_some();
    let mut wrong = Vec::new();
    let mut count = 0;
    for entry in fs_err::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs_err::read_to_string(&path).unwrap();
        let mut environment: Environment = serde_json::from_str(&text).unwrap();
        let (facts, decision) = judged(&environment).await;
        let got = match &decision {
            Decision::Join(join) => Expect::Join(join.name.clone()),
            Decision::Default { .. } => Expect::Default,
            Decision::Conflict { .. } => Expect::Conflict,
        };
        let report = Report::new(facts, decision).text();
        let verdict = report.split("\n\n").next().unwrap_or_default();
        let verdict: Vec<String> = verdict.lines().map(str::to_owned).collect();
        let name = path.file_stem().unwrap().display();
        if got != environment.expect {
            wrong.push(format!(
                "{name}: want {:?}, got {verdict:#?}",
                environment.expect
            ));
        } else if verdict != environment.verdict && update {
            environment.verdict = verdict;
            let text = serde_json::to_string_pretty(&environment).unwrap();
            fs_err::write(&path, format!("{text}\n")).unwrap();
        } else if verdict != environment.verdict {
            wrong.push(format!(
                "{name}: want {:#?}, got {verdict:#?}",
                environment.verdict
            ));
        }
        count += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count >= 20, "only {count} environments");
}

#[tokio::test]
async fn outside_a_container_the_engine_is_not_asked() {
    let engine = FakeEngine::new(Vec::new());
    let own = Own {
        hostname: "0123456789ab".into(),
        ..Own::default()
    };
    let facts = gather(own, &engine).await.unwrap();
    assert!(engine.asked.lock().unwrap().is_empty());
    let reasons = vec!["bowline runs outside any container".to_owned()];
    assert_eq!(
        decide(&facts),
        Decision::Default {
            inside: false,
            reasons
        }
    );
}
