//! Secrets that a step gives away: masked in what is shown and in the log, found in its files.

use std::fs;
use std::path::Path;

use crate::build::{build, built};
use crate::support::{Bowline, Docker, Finished, Folder};

const VALUE: &str = "correct-horse-battery";
const SECRET: &str = "--secret=id=token,src=";

/// Builds a step that has the secret; `mark` keeps it from the cache.
fn step(bowline: &Bowline, command: &str, tag: &str, guard: &[&str]) -> Finished {
    let mark = bowline.home().display();
    let dockerfile =
        format!("FROM busybox\nENV MARK={mark}\nRUN --mount=type=secret,id=token {command}\n");
    let folder = Folder::new(&[("Dockerfile", &dockerfile), (".secret", VALUE)]);
    let secret = format!("{SECRET}{}", folder.path().join(".secret").display());
    let flags = [&[secret.as_str()], guard].concat();
    build(bowline, folder.path(), tag, &flags)
}

/// An image that goes away with the test.
struct Image(String);

impl Image {
    fn new(name: &str) -> Self {
        Self(format!("{name}-{}", crate::support::unique()))
    }

    fn name(&self) -> &str {
        &self.0
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        Docker::remove_image(&self.0);
    }
}

/// All logs below a folder.
fn logs(folder: &Path) -> Vec<String> {
    let mut logs = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            logs.extend(self::logs(&path));
        } else if path.extension().is_some_and(|end| end == "log") {
            logs.push(fs::read_to_string(path).unwrap());
        }
    }
    logs
}

#[test]
fn a_printed_secret_is_masked() {
    let bowline = Bowline::new();
    let image = Image::new("bowline-test-secret-printed");
    let tag = image.name();
    let command = "cat /run/secrets/token; echo; base64 /run/secrets/token >&2; echo the end";
    let finished = step(&bowline, command, tag, &[]);
    assert!(finished.success(), "{}", finished.everything());
    let shown = finished.everything();
    let [log] = logs(bowline.home()).try_into().expect("one log");
    for text in [&shown, &log] {
        assert!(!text.contains(VALUE), "{text}");
        assert!(!text.contains("Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5"), "{text}");
        assert!(text.contains("****"), "{text}");
        assert!(text.contains("the end"), "{text}");
    }
    assert!(
        shown.contains("warning: the step has printed a secret"),
        "{shown}"
    );
}

#[test]
fn a_secret_that_stays_in_a_file_is_found() {
    let bowline = Bowline::new();
    let image = Image::new("bowline-test-secret-left");
    let tag = image.name();
    let found = "the secret `token` is in `/kept`";
    let command = "cp /run/secrets/token /kept";
    let refused = step(&bowline, command, tag, &["--leak-guard=fail"]);
    assert!(!refused.success(), "{}", refused.everything());
    assert!(
        refused.stderr.contains(&format!("error: {found}")),
        "{}",
        refused.everything()
    );
    Docker::output(&["image", "inspect", tag]).unwrap_err();
    // Once when the step is made, and again when it is found in the cache.
    for _ in 0..2 {
        let told = step(&bowline, command, tag, &[]);
        assert!(told.success(), "{}", told.everything());
        let times = told
            .stderr
            .matches(&format!("WARN: warning: {found}"))
            .count();
        assert_eq!(times, 1, "{}", told.everything());
    }
    let silent = step(&bowline, command, tag, &["--leak-guard=off"]);
    assert!(silent.success(), "{}", silent.everything());
    assert!(!silent.stderr.contains(found), "{}", silent.everything());
    let refused = step(
        &bowline,
        command,
        "bowline-test-other",
        &["--leak-guard=fail"],
    );
    assert!(!refused.success(), "{}", refused.everything());
}

#[test]
fn what_a_cached_stage_has_left_is_told_of_where_it_is_copied() {
    let bowline = Bowline::new();
    let image = Image::new("bowline-test-secret-copied");
    let tag = image.name();
    let mark = bowline.home().display();
    let dockerfile = format!(
        "FROM busybox AS made\nENV MARK={mark}\n\
         RUN --mount=type=secret,id=token cp /run/secrets/token /kept\n\
         FROM scratch\nCOPY --from=made /kept /\n"
    );
    let folder = Folder::new(&[("Dockerfile", &dockerfile), (".secret", VALUE)]);
    let secret = format!("{SECRET}{}", folder.path().join(".secret").display());
    let found = "the secret `token` is in `/kept`\n --> Dockerfile:3:1\n";
    for guard in ["off", "warn", "warn"] {
        let flags = [secret.as_str(), &format!("--leak-guard={guard}")];
        let (_, told) = built(&bowline, folder.path(), tag, &flags);
        let times = told.matches(&format!("WARN: warning: {found}")).count();
        assert_eq!(times, usize::from(guard == "warn"), "{told}");
    }
    let flags = [secret.as_str(), "--leak-guard=fail"];
    let refused = build(&bowline, folder.path(), tag, &flags);
    assert!(!refused.success(), "{}", refused.everything());
    assert!(
        refused.stderr.contains(&format!("error: {found}")),
        "{}",
        refused.everything()
    );
}

#[test]
fn a_file_that_has_the_secret_as_its_name_is_named_without_it() {
    let bowline = Bowline::new();
    let image = Image::new("bowline-test-secret-name");
    let tag = image.name();
    let finished = step(&bowline, "touch /$(cat /run/secrets/token).x", tag, &[]);
    assert!(finished.success(), "{}", finished.everything());
    assert!(
        finished.stderr.contains("is in `/****.x`\n"),
        "{}",
        finished.everything()
    );
    assert!(
        !finished.everything().contains(VALUE),
        "{}",
        finished.everything()
    );
}

#[test]
fn a_secret_that_is_used_and_gone_is_not_told_of() {
    let bowline = Bowline::new();
    let folder = Folder::new(&[
        (
            "Dockerfile",
            "FROM busybox\nRUN --mount=type=secret,id=token,env=TOKEN echo \"$TOKEN\" > /x && wc -c /x && rm /x\n",
        ),
        (".secret", VALUE),
    ]);
    let secret = format!("{SECRET}{}", folder.path().join(".secret").display());
    let image = Image::new("bowline-test-secret-gone");
    let tag = image.name();
    let flags = [secret.as_str(), "--leak-guard=fail", "--no-cache"];
    built(&bowline, folder.path(), tag, &flags);
}
