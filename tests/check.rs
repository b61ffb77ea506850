//! The linter: `bowline check`, `--call`, and what a build says of its findings.

use crate::support::{Bowline, Finished, Folder, LIMIT, finish};

const DOUBTFUL: &str = "FROM busybox AS Base\nARG name\nCMD run $name\n";

fn run(arguments: &[&str], folder: &Folder) -> Finished {
    let bowline = Bowline::new();
    let mut command = bowline.command();
    command.args(arguments).current_dir(folder.path()).arg(".");
    finish(&mut command, None, LIMIT)
}

fn out(finished: &Finished) -> String {
    String::from_utf8(finished.stdout.clone()).unwrap()
}

fn dockerfile(text: &str) -> Folder {
    Folder::new(&[("Dockerfile", text)])
}

#[test]
fn findings_are_shown_with_their_lines_and_make_the_exit_code_one() {
    let finished = run(&["check"], &dockerfile(DOUBTFUL));
    assert_eq!(finished.status.code(), Some(1), "{}", finished.everything());
    assert_eq!(
        out(&finished),
        "\
Check complete, 2 warnings have been found!

WARNING: StageNameCasing - https://docs.docker.com/go/dockerfile/rule/stage-name-casing/
Stage name 'Base' should be lowercase
Dockerfile:1
--------------------
   1 | >>> FROM busybox AS Base
   2 |     ARG name
   3 |     CMD run $name
--------------------

WARNING: JSONArgsRecommended - https://docs.docker.com/go/dockerfile/rule/json-args-recommended/
JSON arguments recommended for CMD to prevent unintended behavior related to OS signals
Dockerfile:3
--------------------
   1 |     FROM busybox AS Base
   2 |     ARG name
   3 | >>> CMD run $name
   4 |     
--------------------
"
    );
}

#[test]
fn a_clean_file_is_said_to_be_clean() {
    let finished = run(&["build", "--check"], &dockerfile("FROM busybox\n"));
    assert!(finished.success(), "{}", finished.everything());
    assert_eq!(out(&finished), "Check complete, no warnings found.\n");
}

#[test]
fn a_mistake_is_in_the_json_too() {
    let folder = dockerfile("FROM busybox\nRUNN x\n");
    let finished = run(&["build", "--call=check,format=json"], &folder);
    assert_eq!(finished.status.code(), Some(1), "{}", finished.everything());
    let report: serde_json::Value = serde_json::from_slice(&finished.stdout).unwrap();
    assert_eq!(
        report["buildError"],
        serde_json::json!({
            "message": "unknown instruction `RUNN`",
            "location": {"ranges": [{"start": {"line": 2}, "end": {"line": 2}}]},
        })
    );
}

#[test]
fn a_build_tells_what_was_found_and_fails_where_the_file_says_so() {
    let folder = dockerfile("FROM scratch\nCMD run\n");
    let finished = run(&["build", "--progress=plain"], &folder);
    assert!(finished.success(), "{}", finished.everything());
    let short = "JSONArgsRecommended: JSON arguments recommended for CMD to prevent unintended behavior related to OS signals (line 2)";
    let summary = format!("\n 1 warning found (use --debug to expand):\n - {short}\n");
    assert!(finished.stderr.ends_with(&summary), "{}", finished.stderr);

    let folder = dockerfile("# check=error=true\nFROM scratch\nCMD run\n");
    let finished = run(&["build", "--progress=plain"], &folder);
    assert_eq!(finished.status.code(), Some(1), "{}", finished.everything());
    let error = "error: lint violation found for rules: JSONArgsRecommended\n";
    assert!(finished.stderr.ends_with(error), "{}", finished.stderr);
}

#[test]
fn what_is_safe_is_rewritten_in_place() {
    let folder = dockerfile(DOUBTFUL);
    let finished = run(&["check", "--fix"], &folder);
    assert_eq!(finished.status.code(), Some(1), "{}", finished.everything());
    let text = std::fs::read_to_string(folder.path().join("Dockerfile")).unwrap();
    assert_eq!(text, DOUBTFUL.replace("Base", "base"));
    let first = out(&finished);
    let first = first.lines().next();
    assert_eq!(first, Some("Check complete, 1 warning has been found!"));
}

#[test]
fn parameters_and_stages_are_listed() {
    let folder = dockerfile(
        "ARG base=busybox\n# one what is built first\nFROM $base AS one\n# name whose it is\nARG name=me\nFROM one\n",
    );
    let outline = run(&["build", "--call=outline"], &folder);
    assert_eq!(
        out(&outline),
        "\
BUILD ARG   VALUE     DESCRIPTION
base        busybox   
name        me        whose it is

",
        "{}",
        outline.everything()
    );
    let targets = run(&["build", "--call=targets"], &folder);
    assert_eq!(
        out(&targets),
        "TARGET    DESCRIPTION\none       what is built first\n(default) \n"
    );
}

#[test]
fn dockers_own_frontend_is_not_fetched_and_another_is_refused() {
    let folder = dockerfile("# syntax=docker/dockerfile:99\nFROM scratch\nLABEL a=b\n");
    let finished = run(&["build"], &folder);
    assert!(finished.success(), "{}", finished.everything());

    let folder = dockerfile("# syntax=example.com/front:1\nFROM scratch\nLABEL a=b\n");
    let finished = run(&["build"], &folder);
    assert_eq!(finished.status.code(), Some(1));
    assert_eq!(
        finished.stderr,
        "\
error: `example.com/front:1` is another frontend, and bowline knows only Docker's
 --> Dockerfile:1:10
  |
1 | # syntax=example.com/front:1
  |          ^^^^^^^^^^^^^^^^^^^
hint: if the file is a Dockerfile, read it as one with `--build-arg BUILDKIT_SYNTAX=docker/dockerfile`
"
    );
    let told = run(
        &["build", "--build-arg", "BUILDKIT_SYNTAX=docker/dockerfile"],
        &folder,
    );
    assert!(told.success(), "{}", told.everything());
}
