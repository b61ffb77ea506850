//! The step debugger, by scripts of commands.

use crate::support::{Bowline, Folder};

const FILE: &str = "FROM busybox
ARG COLOR=green
RUN echo one > /one
RUN echo two > /two
RUN echo left > /left; exit 3
";

/// Runs a script of commands; gives the exit code and what was printed.
fn session(commands: &str) -> (Option<i32>, String) {
    let folder = Folder::new(&[("Dockerfile", FILE), ("commands", commands)]);
    let bowline = Bowline::new();
    let mut command = bowline.command();
    command
        .args(["debug", "--progress=plain", "--commands"])
        .arg(folder.path().join("commands"))
        .arg(folder.path());
    let ended = command.output().unwrap();
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
