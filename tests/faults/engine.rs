//! The engine goes away in the middle of a build.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use super::{expected, leftovers, project};
use crate::support::private::PrivateEngine;
use crate::support::{Bowline, Folder};

#[test]
fn a_killed_engine_ends_the_build_with_the_cause_and_the_next_one_works() {
    let engine = PrivateEngine::start(None);
    let user = Bowline::new();
    let folder = project("before");
    let first = engine.build(&user, folder.path(), &["-t", "first"]);
    assert!(first.success(), "{}", first.everything());
    let usual = leftovers(&engine);
    let sleeping = Folder::new(&[("Dockerfile", "FROM busybox\nRUN echo it runs; sleep 600\n")]);
    let mut command = engine.bowline(&user);
    command
        .args(["build", "--progress=plain", "--network=none", "--no-cache"])
        .arg(sleeping.path())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("bowline");
    let mut said = BufReader::new(child.stderr.take().expect("its output")).lines();
    let mut line = || said.next().map(|line| line.expect("text"));
    while !line().expect("the step never ran").ends_with(" it runs") {}
    engine.kill();
    let mut rest = String::new();
    while let Some(line) = line() {
        rest.push_str(&line);
        rest.push('\n');
    }
    let status = child.wait().expect("bowline ends");
    assert_eq!(status.code(), Some(3), "{rest}");
    assert!(rest.contains("the Docker Engine"), "{rest}");
    engine.up();
    let folder = project("after");
    let again = engine.build(&user, folder.path(), &["-t", "app"]);
    assert!(again.success(), "{}", again.everything());
    assert_eq!(leftovers(&engine), usual);
    let printed = engine.docker(&["run", "--rm", "--network=none", "app"]);
    assert_eq!(printed, expected("after"));
}
