//! The conformance suite: every folder of `fixtures/conformance` is built, and what comes out is
//! compared with what BuildKit made of it (`expected.json`, written by `tests/record.sh`).
//!
//! `fixtures/conformance/README.md` says what a case consists of. `BOWLINE_TEST_CASES="a b"`
//! selects cases by the beginnings of their names, `BOWLINE_TEST_BUILDER=buildx` lets the
//! reference itself take the test.

mod build;
mod case;
mod compare;
mod known;
mod serve;
mod tree;

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};
use std::{env, fs, process, thread};

use serde_json::Value;

pub use build::described;
use build::{Builder, observe};
use case::Case;
use compare::differences;
use known::Known;

/// How many builds run at the same time.
const AT_ONCE: usize = 4;

/// One test for each topic, the first word of a case's name.
macro_rules! topics {
    ($($topic:ident)*) => {
        const TOPICS: &[&str] = &[$(stringify!($topic)),*];

        $(
            #[test]
            fn $topic() {
                run_topic(stringify!($topic));
            }
        )*
    };
}

topics! {
    add arg base cache context copy env expand from heredoc metadata mount
    onbuild parser refuse run scratch user workdir
}

#[test]
fn every_case_has_a_topic_and_every_topic_a_case() {
    let cases = case::all();
    for case in &cases {
        let topic = case.split('-').next().unwrap_or_default();
        assert!(TOPICS.contains(&topic), "no topic runs the case {case}");
    }
    for topic in TOPICS {
        assert!(!of_topic(topic).is_empty(), "no case has the topic {topic}");
    }
    for entry in Known::read().all() {
        assert!(
            cases.contains(&entry.case),
            "known.txt names the missing case {}",
            entry.case
        );
    }
}

fn of_topic(topic: &str) -> Vec<String> {
    let mut cases = case::all();
    cases.retain(|case| case.split('-').next() == Some(topic));
    cases
}

/// Builds and compares the topic's cases. All differences are told at the end.
fn run_topic(topic: &str) {
    let selected = env::var("BOWLINE_TEST_CASES").unwrap_or_default();
    let mut cases = of_topic(topic);
    if !selected.trim().is_empty() {
        cases.retain(|case| {
            selected
                .split_whitespace()
                .any(|lead| case.starts_with(lead))
        });
    }
    cases.retain(|case| Case::new(case).is_for_this_machine());
    let total = cases.len();
    let queue = Mutex::new(VecDeque::from(cases));
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(total) {
            scope.spawn(|| {
                loop {
                    let Some(name) = queue.lock().expect("the queue").pop_front() else {
                        return;
                    };
                    let _permit = Permit::wait();
                    if let Err(failure) = run_case(&name) {
                        failures.lock().expect("the failures").push((name, failure));
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().expect("the failures");
    failures.sort();
    if failures.is_empty() {
        return;
    }
    let mut report = format!("{topic}: {} of {total} cases fail\n", failures.len());
    for (name, failure) in &failures {
        report.push_str(&format!("\n--- {name}\n{failure}\n"));
    }
    panic!("{report}");
}

fn run_case(name: &str) -> Result<(), String> {
    let case = Case::new(name);
    let observed = observe(&case, &Builder::chosen(), &salt())?;
    if env::var_os("BOWLINE_TEST_RECORD").is_some() {
        return record(&case, &observed.result);
    }
    let expected = fs::read(case.expected_path())
        .map_err(|error| format!("expected.json: {error}; record it with tests/record.sh"))?;
    let expected: Value =
        serde_json::from_slice(&expected).map_err(|error| format!("expected.json: {error}"))?;
    let differences = differences(&expected, &observed.result, &observed.words);
    let known = if Builder::is_reference() {
        None
    } else {
        Known::read().reason(name)
    };
    match (differences, known) {
        (Some(differences), None) => Err(differences),
        (None, Some(reason)) => Err(format!(
            "known.txt says that it differs ({reason}), but it does not: remove it there"
        )),
        _ => Ok(()),
    }
}

#[allow(clippy::print_stderr, reason = "tells what is recorded")]
fn record(case: &Case, result: &Value) -> Result<(), String> {
    if !Builder::is_reference() {
        return Err("only the reference is recorded: set BOWLINE_TEST_BUILDER=buildx".into());
    }
    let mut text = serde_json::to_string_pretty(result).map_err(|error| error.to_string())?;
    text.push('\n');
    let path = case.expected_path();
    if fs::read_to_string(&path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    eprintln!("recorded {}", case.name);
    fs::write(&path, text).map_err(|error| error.to_string())
}

/// Ten digits that no earlier build has seen.
fn salt() -> String {
    static LAST: Mutex<u64> = Mutex::new(0);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_micros());
    let now = u64::try_from(now).unwrap_or_default();
    let mut last = LAST.lock().expect("the last salt");
    *last = now.max(*last + 1);
    format!("s{:016}x{}", *last, process::id())
}

/// The right to build, for all topics together.
struct Permit;

static FREE: (Mutex<usize>, Condvar) = (Mutex::new(AT_ONCE), Condvar::new());

impl Permit {
    fn wait() -> Self {
        let (free, changed) = &FREE;
        let guard = free.lock().expect("the permits");
        let mut guard = changed
            .wait_while(guard, |free| *free == 0)
            .expect("the permits");
        *guard -= 1;
        Self
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let (free, changed) = &FREE;
        if let Ok(mut free) = free.lock() {
            *free += 1;
        }
        changed.notify_one();
    }
}
