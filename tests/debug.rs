//! The step debugger: by scripts of commands, by a person at a terminal, by an editor.

mod editor;
mod terminal;

use std::path::Path;
use std::process::Output;

use crate::support::{Bowline, Folder, unique};

const FILE: &str = "FROM busybox
ARG COLOR=green
RUN echo one > /one
RUN echo two > /two
RUN echo left > /left; exit 3
";

/// Runs a session of a script of commands.
fn run(bowline: &Bowline, folder: &Path, flags: &[&str], commands: &str) -> Output {
    let script = Folder::new(&[("commands", commands)]);
    let mut command = bowline.command();
    command.arg("debug").args(flags).arg("--commands");
    command.arg(script.path().join("commands")).arg(folder);
    command.output().expect("bowline")
}

/// What a session printed at the places where it stopped: its headlines.
fn stops(ended: &Output) -> Vec<String> {
    let said = String::from_utf8_lossy(&ended.stdout);
    let kinds = [
        "entry: ",
        "step: ",
        "breakpoint ",
        "reached: ",
        "cache miss: ",
        "failed: ",
    ];
    let lines = said.lines();
    let stops = lines.filter(|line| kinds.iter().any(|kind| line.starts_with(kind)));
    stops.map(str::to_owned).collect()
}

/// Runs a script of commands; gives the exit code and what was printed.
fn session(commands: &str) -> (Option<i32>, String) {
    let folder = Folder::new(&[("Dockerfile", FILE)]);
    let ended = run(
        &Bowline::new(),
        folder.path(),
        &["--progress=plain"],
        commands,
    );
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    let told = String::from_utf8_lossy(&ended.stderr).into_owned();
    (ended.status.code(), format!("{said}{told}"))
}

#[test]
fn a_script_stops_looks_and_tries() {
    let (code, said) = session(
        "break 4\nnext\nnext\nvars\ncontinue\nexec cat /one\n-exec cat /two\nnext\ncontinue\n\
         exec --failed cat /left\nquit 7\n",
    );
    assert_eq!(code, Some(7), "{said}");
    for wanted in ["COLOR", "green", "\none\n", "can't open '/two'", "\nleft\n"] {
        assert!(said.contains(wanted), "no `{wanted}` in\n{said}");
    }
}

#[test]
fn a_script_ends_where_a_command_fails() {
    let (code, said) = session("next\nexec false\nexec echo never\n");
    assert_eq!(code, Some(2), "{said}");
    assert!(!said.contains("\nnever\n"), "{said}");
}

#[test]
fn breakpoints_on_cached_steps_stop_and_stages_side_by_side_stop_one_by_one() {
    let number = unique();
    let file = format!(
        "FROM busybox AS a\nRUN echo {number} > /a\n\n\
         FROM busybox AS b\nRUN echo {number} > /b\n\n\
         FROM busybox\nCOPY --from=a /a /\nCOPY --from=b /b /\n"
    );
    let folder = Folder::new(&[("Dockerfile", &file)]);
    let bowline = Bowline::new();
    let flags = [
        "--quiet",
        "--no-entry",
        "--break=2",
        "--break=b",
        "--break=5",
    ];
    let commands = "continue\ncontinue\nexec cat /a /b\ncontinue\n";
    for at in ["new", "known"] {
        let flags = [&flags[..], &["--break=9"]].concat();
        // The third stop is the third of three that may come in any order but this: a stage's
        // own are in order, and the last is that of the target.
        let commands = format!("continue\n{commands}");
        let ended = run(&bowline, folder.path(), &flags, &commands);
        let told = String::from_utf8_lossy(&ended.stderr);
        let mut stops = stops(&ended);
        assert_eq!(
            stops.pop().as_deref(),
            Some("breakpoint 4: stage-2, before line 9"),
            "{at}: {told}"
        );
        let of_b: Vec<&String> = stops.iter().filter(|stop| stop.contains(": b,")).collect();
        assert_eq!(
            of_b,
            [
                "breakpoint 2: b, before line 4",
                "breakpoint 3: b, before line 5"
            ]
        );
        assert!(
            stops.contains(&"breakpoint 1: a, before line 2".to_owned()),
            "{stops:?}"
        );
        assert_eq!(stops.len(), 3, "{stops:?}");
    }
}

#[test]
fn a_copy_of_what_is_not_there_stops_with_the_files_before_it() {
    let file = "FROM busybox\nRUN echo one > /one\nCOPY missing /\n";
    let folder = Folder::new(&[("Dockerfile", file)]);
    let flags = ["--quiet", "--no-entry"];
    let ended = run(&Bowline::new(), folder.path(), &flags, "cat /one\nquit 4\n");
    assert_eq!(ended.status.code(), Some(4));
    assert_eq!(stops(&ended), ["failed: stage-0, at line 3"]);
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(
        said.contains("`missing` is not in the build context"),
        "{said}"
    );
    assert!(said.contains("(bowline) cat /one\none\n"), "{said}");
}

#[test]
fn conditions_hits_and_logs_decide_where_it_stops() {
    let file = "FROM busybox\nARG N=1\nRUN echo $N\nARG N=2\nRUN echo $N\n";
    let folder = Folder::new(&[("Dockerfile", file)]);
    let flags = [
        "--quiet",
        "--no-entry",
        "--break=3 if N == 2",
        "--break=5 if N == 2",
        "--break=3 log N is {N}",
    ];
    let ended = run(&Bowline::new(), folder.path(), &flags, "continue\n");
    assert!(ended.status.success());
    assert_eq!(stops(&ended), ["breakpoint 2: stage-0, before line 5"]);
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(said.starts_with("line 3: N is 1\n"), "{said}");
}
