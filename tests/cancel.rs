//! Builds that are stopped: nothing stays, and nobody else is touched.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Bowline, Docker, Folder};

/// A build whose step says that it runs and then sleeps.
struct Sleeping {
    child: Child,
    _bowline: Bowline,
    folder: Folder,
}

impl Sleeping {
    fn start(mark: &str) -> Self {
        let folder = Folder::new(&[(
            "Dockerfile",
            &format!("FROM busybox\nRUN echo ready-{mark}; sleep 600; echo over\n"),
        )]);
        let bowline = Bowline::new();
        let mut command = bowline.command();
        command
            .args(["build", "--progress=plain", "--no-cache"])
            .arg(folder.path());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let ready = format!("ready-{mark}");
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let said = lines.by_ref().map(Result::unwrap);
        assert!(
            said.take(200)
                .any(|line| line.ends_with(&ready) && !line.contains("RUN")),
            "the step never ran"
        );
        // Somebody must go on reading, or the build ends because nobody listens.
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            child,
            _bowline: bowline,
            folder,
        }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        crate::support::shell(self.folder.path(), &format!("kill -{name} {pid}"));
    }
}

/// The containers in which a step with this mark runs, or that are left of it.
fn containers() -> Vec<String> {
    let list = ["ps", "--all", "--quiet", "--filter", "label=bowline.build"];
    Docker::output(&list)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect()
}

fn processes(mark: &str) -> usize {
    let running = containers();
    let with_mark = running
        .iter()
        .filter(|id| Docker::output(&["top", id.as_str()]).is_ok_and(|top| top.contains(mark)));
    with_mark.count()
}

fn eventually(what: &str, mut test: impl FnMut() -> bool) {
    let start = Instant::now();
    while !test() {
        assert!(start.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_signal_stops_the_step_and_leaves_nothing() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let mark = format!("sig{signal}{}", std::process::id());
        let mut sleeping = Sleeping::start(&mark);
        assert_eq!(processes(&mark), 1);
        sleeping.signal(signal);
        let status = sleeping.child.wait().unwrap();
        assert_eq!(status.code(), Some(code));
        assert_eq!(processes(&mark), 0);
    }
}

#[test]
fn the_next_build_sweeps_what_a_killed_one_left_and_nothing_else() {
    let killed = format!("killed{}", std::process::id());
    let alive = format!("alive{}", std::process::id());
    let mut dead = Sleeping::start(&killed);
    let mut other = Sleeping::start(&alive);
    dead.signal("KILL");
    dead.child.wait().unwrap();
    let folder = Folder::new(&[("Dockerfile", "FROM busybox\nLABEL a=b\n")]);
    let bowline = Bowline::new();
    let mut command = bowline.command();
    command.arg("build").arg(folder.path());
    let finished = crate::support::finish(&mut command, None, crate::support::LIMIT);
    assert!(finished.success(), "{}", finished.everything());
    eventually("what the killed build left is still there", || {
        processes(&killed) == 0
    });
    assert_eq!(processes(&alive), 1, "a running build lost its step");
    other.signal("TERM");
    other.child.wait().unwrap();
    assert_eq!(processes(&alive), 0);
}

#[test]
fn a_closed_output_stops_the_build() {
    let mark = format!("closed{}", std::process::id());
    let folder = Folder::new(&[(
        "Dockerfile",
        &format!(
            "FROM busybox\nRUN echo ready-{mark}; while true; do echo more; sleep 0.1; done\n"
        ),
    )]);
    let bowline = Bowline::new();
    let mut command = bowline.command();
    command
        .args(["build", "--progress=plain", "--no-cache"])
        .arg(folder.path());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap())
        .lines()
        .map(Result::unwrap);
    assert!(
        lines.any(|line| line.ends_with("more")),
        "the step never ran"
    );
    drop(lines);
    child.wait().unwrap();
    assert_eq!(processes(&mark), 0);
}

#[test]
fn what_a_build_of_a_pod_that_is_gone_left_is_swept() {
    let pod = crate::support::Container::start("pod-gone", &["--network=none"], "sleep 600");
    let id = Docker::output(&["inspect", "--format={{.Id}}", pod.name()]).unwrap();
    let began = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let left = format!("bowline-test-left-{}", std::process::id());
    Docker::output(&[
        "create",
        "--name",
        &left,
        "--label=bowline.build=gone",
        &format!("--label=bowline.owner=elsewhere:7:1:1:{began}"),
        &format!("--label=bowline.home={id}"),
        "busybox",
    ])
    .unwrap();
    let there = || Docker::output(&["inspect", "--format={{.Name}}", &left]).is_ok();
    let folder = Folder::new(&[("Dockerfile", "FROM busybox\nLABEL a=c\n")]);
    let bowline = Bowline::new();
    let build = || {
        let mut command = bowline.command();
        command.arg("build").arg(folder.path());
        let finished = crate::support::finish(&mut command, None, crate::support::LIMIT);
        assert!(finished.success(), "{}", finished.everything());
    };
    build();
    assert!(there(), "the pod runs");
    drop(pod);
    build();
    assert!(!there(), "the pod is gone");
}
