//! Building on a real engine: results, cache, network, leaks.

use std::fs;
use std::path::Path;

use crate::support::{Bowline, Docker, Finished, Folder, Recorder};

/// Builds a folder and expects success; gives the image's ID and the progress.
pub fn built(bowline: &Bowline, folder: &Path, tag: &str, flags: &[&str]) -> (String, String) {
    let finished = build(bowline, folder, tag, flags);
    assert!(finished.success(), "{}", finished.everything());
    let id = Docker::output(&["image", "inspect", "--format", "{{.Id}}", tag]).unwrap();
    (id, finished.stderr)
}

/// Builds a folder, whatever the result.
pub fn build(bowline: &Bowline, folder: &Path, tag: &str, flags: &[&str]) -> Finished {
    let mut command = bowline.command();
    command
        .args(["build", "--progress=plain", "--tag", tag])
        .args(flags)
        .arg(folder);
    crate::support::finish(&mut command, None, crate::support::LIMIT)
}

/// The titles of the steps that were found in the cache.
fn cached(progress: &str) -> Vec<String> {
    let numbers: Vec<&str> = progress
        .lines()
        .filter_map(|line| line.strip_suffix(" CACHED"))
        .collect();
    let titles = progress.lines().filter_map(|line| {
        let (number, title) = line.split_once(" [")?;
        numbers.contains(&number).then(|| format!("[{title}"))
    });
    titles.collect()
}

#[test]
fn a_step_reaches_what_only_the_joined_container_has() {
    let bowline = Bowline::new();
    let sandbox = crate::support::Container::start(
        "sandbox",
        &["--network", "none"],
        "mkdir /www; echo only here > /www/index.html; exec httpd -f -p 127.0.0.1:8099 -h /www",
    );
    let folder = Folder::new(&[(
        "Dockerfile",
        "FROM busybox\nRUN for i in 1 2 3 4 5; do wget -q -O /got http://127.0.0.1:8099/ && exit; sleep 1; done; exit 1\n",
    )]);
    let network = format!("container:{}", sandbox.name());
    let tag = "bowline-test-network";
    built(&bowline, folder.path(), tag, &["--network", &network]);
    let got = Docker::output(&["run", "--rm", "--network=none", tag, "cat", "/got"]).unwrap();
    assert_eq!(got, "only here");
    let id = Docker::output(&["inspect", "--format", "{{.Id}}", sandbox.name()]).unwrap();
    let short = format!("container:{}", &id[..12]);
    built(
        &bowline,
        folder.path(),
        tag,
        &["--network", &short, "--no-cache"],
    );
    let alone = build(
        &bowline,
        folder.path(),
        tag,
        &["--network", "none", "--no-cache"],
    );
    assert!(!alone.success(), "{}", alone.everything());
    Docker::remove_image(tag);
}

#[test]
fn an_equal_build_makes_no_container_and_the_same_image() {
    let bowline = Bowline::new();
    let folder = Folder::new(&[
        (
            "Dockerfile",
            "FROM busybox AS one\nWORKDIR /w\nCOPY a .\nRUN cat a > b\nFROM busybox\nCOPY --from=one /w/b /\nLABEL x=y\n",
        ),
        ("a", "content"),
    ]);
    let tag = "bowline-test-again";
    let (first, _) = built(&bowline, folder.path(), tag, &["--no-cache"]);
    let recorder = Recorder::start();
    let (second, progress) = built(
        &bowline,
        folder.path(),
        tag,
        &["--host", &recorder.address()],
    );
    assert_eq!(first, second);
    let changes = recorder.changes();
    let made = changes
        .iter()
        .filter(|change| !change.starts_with("POST /images/"));
    assert_eq!(made.count(), 0, "{changes:?}");
    assert_eq!(
        cached(&progress).last().map(String::as_str),
        Some("[stage-1 2/2] COPY --from=one /w/b /")
    );
    let (third, _) = built(&Bowline::new(), folder.path(), tag, &[]);
    assert_eq!(third, first, "another client's home must find the same");
    Docker::remove_image(tag);
}

#[test]
fn a_changed_file_runs_only_what_depends_on_it() {
    let bowline = Bowline::new();
    let folder = Folder::new(&[
        (
            "Dockerfile",
            "FROM busybox AS left\nCOPY l /\nRUN cat /l > /lo\nFROM busybox AS right\nCOPY r /\nRUN wc -c < /r > /ro\nFROM busybox\nCOPY --from=left /lo /\nCOPY --from=right /ro /\nRUN cat /lo /ro > /all\n",
        ),
        ("l", "left"),
        ("r", "twenty bytes of text"),
    ]);
    let tag = "bowline-test-change";
    let (first, _) = built(&bowline, folder.path(), tag, &["--no-cache"]);
    // As long as before: what the step makes of it is the same, and nothing after it runs.
    // No earlier run of this test had the same content.
    let new = format!("{:020}", crate::support::unique());
    fs::write(folder.path().join("r"), &new).unwrap();
    let (second, progress) = built(&bowline, folder.path(), tag, &[]);
    assert!(
        progress.contains("[right 3/3] RUN wc -c < /r > /ro"),
        "{progress}"
    );
    let found = cached(&progress);
    assert!(
        !found.iter().any(|title| title.contains("[right 3/3]")),
        "{progress}"
    );
    assert!(
        found
            .iter()
            .any(|title| title.contains("[stage-2 3/4] COPY --from=right")),
        "{progress}"
    );
    assert!(
        found
            .iter()
            .any(|title| title.contains("[stage-2 4/4] RUN cat")),
        "{progress}"
    );
    assert_eq!(first, second);
    fs::write(folder.path().join("r"), format!("longer {new}")).unwrap();
    let (third, progress) = built(&bowline, folder.path(), tag, &[]);
    assert_ne!(first, third);
    assert!(
        !progress.contains("[left 3/3] RUN cat /l > /lo\n#3 DONE"),
        "{progress}"
    );
    Docker::remove_image(tag);
}

#[test]
fn stages_run_side_by_side() {
    let bowline = Bowline::new();
    let sandbox = crate::support::Container::start("meeting", &["--network", "none"], "sleep 600");
    // One waits for the other to call: one after the other they would never end.
    let folder = Folder::new(&[(
        "Dockerfile",
        "FROM busybox AS a\nRUN timeout 60 nc -l -p 7001 > /got\n\
         FROM busybox AS b\nRUN for i in $(seq 300); do echo from b | nc 127.0.0.1 7001 && exit; sleep 0.2; done; exit 1\n\
         FROM busybox\nCOPY --from=a /got /a\nCOPY --from=b /etc/passwd /b\n",
    )]);
    let network = format!("container:{}", sandbox.name());
    let tag = "bowline-test-parallel";
    built(
        &bowline,
        folder.path(),
        tag,
        &["--no-cache", "--network", &network],
    );
    Docker::remove_image(tag);
}

#[test]
fn a_stage_that_nobody_needs_does_not_run() {
    let bowline = Bowline::new();
    let folder = Folder::new(&[(
        "Dockerfile",
        "FROM busybox AS broken\nRUN false\nFROM busybox AS good\nRUN true\nFROM broken\nRUN true\n",
    )]);
    let tag = "bowline-test-target";
    built(&bowline, folder.path(), tag, &["--target", "GOOD"]);
    assert!(!build(&bowline, folder.path(), tag, &[]).success());
    Docker::remove_image(tag);
}

#[test]
fn files_that_no_step_copies_are_not_read() {
    let bowline = Bowline::new();
    let folder = Folder::new(&[
        ("Dockerfile", "FROM busybox\nCOPY wanted /\nCOPY dir/in /\n"),
        ("wanted", "1"),
        ("dir/in", "2"),
    ]);
    // Reading a FIFO that nobody writes to would wait for ever; a name that is no UTF-8 fails.
    crate::support::shell(
        folder.path(),
        "mkfifo fifo; mkdir other; touch \"$(printf 'other/\\377')\"",
    );
    let tag = "bowline-test-lazy";
    built(&bowline, folder.path(), tag, &[]);
    Docker::remove_image(tag);
}

#[test]
fn plan_prints_the_steps_and_builds_nothing() {
    let bowline = Bowline::new();
    let unique = std::process::id();
    let folder = Folder::new(&[(
        "Dockerfile",
        &format!("FROM busybox\nRUN echo {unique}\nRUN true\n"),
    )]);
    // A containerd store shows what a base image is only once it is loaded anew: remembered.
    built(
        &bowline,
        Folder::new(&[("Dockerfile", "FROM busybox\n")]).path(),
        "bowline-test-plan",
        &[],
    );
    Docker::remove_image("bowline-test-plan");
    let mut command = bowline.command();
    command.arg("plan").arg(folder.path());
    let recorder = Recorder::start();
    command.args(["--host", &recorder.address()]);
    let finished = crate::support::finish(&mut command, None, crate::support::LIMIT);
    assert!(finished.success(), "{}", finished.everything());
    let text = finished.stdout();
    assert!(text.contains(&format!("[2/3] RUN echo {unique}")), "{text}");
    assert!(
        text.contains("cache: miss, the engine has no step with this key"),
        "{text}"
    );
    assert!(
        text.contains("cache: miss, a step before it misses"),
        "{text}"
    );
    assert_eq!(recorder.changes(), Vec::<String>::new());
}
