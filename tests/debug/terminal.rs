//! Sessions of a person at a terminal.

use std::fs;

use crate::support::pty::Pty;
use crate::support::{Bowline, Container, Docker, Folder, unique};

const PROMPT: &str = "(bowline) ";

/// A session in a folder: `bowline debug --quiet`, so that the screen has no times on it.
struct Session {
    pty: Pty,
    folder: Folder,
    bowline: Bowline,
}

impl Session {
    fn start(flags: &[&str], dockerfile: &str) -> Self {
        let folder = Folder::new(&[("Dockerfile", dockerfile)]);
        Self::of(folder, Bowline::new(), flags)
    }

    fn of(folder: Folder, bowline: Bowline, flags: &[&str]) -> Self {
        let mut command = bowline.command();
        command.args(["debug", "--quiet"]).args(flags);
        command.arg(folder.path());
        Self {
            pty: Pty::start(&command),
            folder,
            bowline,
        }
    }

    /// Types a line at the prompt; gives what it printed.
    fn say(&mut self, line: &str) -> String {
        self.pty.keys(line);
        self.pty.until(line);
        self.pty.keys("\r");
        let said = self.pty.until(PROMPT);
        let said = said.trim_end().trim_end_matches(PROMPT.trim_end());
        said.trim_matches('\n').to_owned()
    }
}

/// The lines of a text, so that it stands in a test as it is read.
fn lines(text: &str) -> Vec<&str> {
    text.lines().collect()
}

#[test]
fn a_person_stops_steps_back_and_looks() {
    let number = unique();
    let file = format!(
        "FROM busybox\nARG COLOR=green\nENV SHADE=dark-$COLOR\nRUN echo {number} > /one\n\
         RUN echo two > /two && rm /one\n"
    );
    let mut session = Session::start(&["--no-entry", "--break", "5"], &file);
    let stopped = session.pty.until(PROMPT);
    assert!(
        stopped.starts_with("breakpoint 1: stage-0, before line 5\n"),
        "{stopped}"
    );
    assert_eq!(
        lines(&session.say("vars")),
        [
            "PATH   /usr/local/sbin:/usr/local/bin:/usr/s...  the base image",
            "COLOR  green                                     default of ARG, line 2",
            "SHADE  dark-green                                ENV, line 3",
        ]
    );
    assert_eq!(session.say("print a-$SHADE"), "a-dark-green");
    assert_eq!(session.say("exec cat /one"), number.to_string());
    assert_eq!(
        session.say("exec ls /two"),
        "ls: /two: No such file or directory\nthe command ended with exit code 1"
    );
    let stopped = session.say("next");
    assert!(
        stopped.starts_with("step: stage-0, end of the stage, after line 5\n"),
        "{stopped}"
    );
    assert_eq!(
        lines(&session.say("changes")),
        [
            "line 5 changed:",
            "D  -rw-r--r--  0:0  19 B  /one",
            "A  -rw-r--r--  0:0  4 B   /two",
        ]
    );
    let stopped = session.say("back");
    assert!(
        stopped.starts_with("breakpoint 1: stage-0, before line 5\n"),
        "{stopped}"
    );
    assert_eq!(session.say("exec ls /one"), "/one");
    let stopped = session.say("restart 4");
    assert!(
        stopped.starts_with("step: stage-0, before line 4\n"),
        "{stopped}"
    );
    assert_eq!(session.say("why"), "miss: it was told to run again");
    // The terminal completes a word.
    session.pty.keys("pri\t");
    session.pty.until("print");
    assert_eq!(session.say(" $COLOR"), "green");
    let wrong = session.say("brek 5");
    assert_eq!(wrong, "there is no command `brek`, did you mean `break`?");
    session.pty.keys("quit 3\r");
    assert_eq!(session.pty.end().0, 3);
}

#[test]
fn an_edited_dockerfile_goes_on_where_it_changed() {
    let number = unique();
    let file = format!("FROM busybox\nRUN echo {number} > /one\nRUN false\nRUN echo end\n");
    let mut session = Session::start(&["--no-entry"], &file);
    let stopped = session.pty.until(PROMPT);
    assert!(
        stopped.starts_with("failed: stage-0, at line 3\n"),
        "{stopped}"
    );
    let better = file.replace("false", "cat /one > /two");
    fs::write(session.folder.path().join("Dockerfile"), better).unwrap();
    let stopped = session.say("reload");
    assert_eq!(
        lines(&stopped),
        [
            "reached: stage-0, before line 3",
            "   1 | FROM busybox",
            &format!("   2 | RUN echo {number} > /one"),
            "=> 3 | RUN cat /one > /two",
            "   4 | RUN echo end",
        ]
    );
    let stopped = session.say("next");
    assert!(
        stopped.starts_with("step: stage-0, before line 4\n"),
        "{stopped}"
    );
    assert_eq!(session.say("cat /two"), number.to_string());
    session.pty.keys("continue\r");
    assert_eq!(session.pty.end().0, 0);
    drop(session.bowline);
}

#[test]
fn a_shell_in_a_failed_step_reaches_the_service_of_the_sandbox() {
    let service = Container::start(
        "debug-service",
        &["--network=none"],
        "mkdir /w && echo hello > /w/index.html && exec httpd -f -p 127.0.0.1:8080 -h /w",
    );
    let network = format!("--network=container:{}", service.name());
    let file = format!(
        "FROM busybox\nWORKDIR /work\nENV WHO=me\nRUN echo {} > left && exit 3\n",
        unique()
    );
    let mut session = Session::start(&["--no-entry", &network], &file);
    let stopped = session.pty.until(PROMPT);
    assert!(
        stopped.starts_with("failed: stage-0, at line 4\n"),
        "{stopped}"
    );
    session.pty.keys("shell\r");
    session.pty.until("/work # ");
    let mut ask = |line: &str, end: &str| {
        session.pty.keys(&format!("{line}\r"));
        let said = session.pty.until(end);
        let said = said.split_once('\n').map_or("", |(_, rest)| rest);
        said.trim_end()
            .trim_end_matches(end.trim_end())
            .trim()
            .to_owned()
    };
    assert_eq!(ask("wget -qO- 127.0.0.1:8080", "/work # "), "hello");
    assert_eq!(ask("echo $WHO; ls", "/work # "), "me\nleft");
    assert_eq!(ask("stty size", "/work # "), "2000 80");
    assert_eq!(ask("touch /here; exit", PROMPT), "");
    // What a shell changed is gone with it.
    let seen = session.say("exec ls /here");
    assert!(seen.starts_with("ls: /here: No such file"), "{seen}");
    session.pty.keys("shell\r");
    session.pty.until("/work # ");
    session.pty.resize(100);
    session
        .pty
        .keys("while ! stty size | grep -q 100; do sleep 0.1; done; stty size\r");
    session.pty.until("2000 100\n/work # ");
    session.pty.keys("exit\r");
    session.pty.until(PROMPT);
    session.pty.keys("quit\r");
    assert_eq!(session.pty.end().0, 0);
}

/// The images of failed steps, which go with the test.
struct Kept(Vec<String>);

impl Drop for Kept {
    fn drop(&mut self) {
        self.0.iter().for_each(|image| Docker::remove_image(image));
    }
}

/// What this user's bowline has kept.
fn kept(bowline: &Bowline) -> Vec<String> {
    let folder = bowline.home().join(".cache/bowline/failed");
    let records = fs::read_dir(folder)
        .expect("records")
        .map(|record| record.expect("a record"));
    let names = records.map(|record| record.file_name().display().to_string());
    names
        .flat_map(|name| ["", "-before"].map(|end| format!("bowline/failed:{name}{end}")))
        .collect()
}

#[test]
fn the_last_failure_is_opened_without_a_build() {
    let folder = Folder::new(&[(
        "Dockerfile",
        &format!(
            "FROM busybox\nENV WHO=me\nRUN echo {} > /left && exit 3\n",
            unique()
        ),
    )]);
    let bowline = Bowline::new();
    let mut command = bowline.command();
    command.env("BOWLINE_KEEP_FAILED", "1");
    let failed = command
        .args(["build", "--quiet"])
        .arg(folder.path())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&failed.stderr);
    assert_eq!(failed.status.code(), Some(2), "{told}");
    let note = "note: the failed step is kept: `bowline debug --last` opens it\n";
    assert!(told.contains(note), "{told}");
    // What becomes of the file does not matter any more.
    fs::write(folder.path().join("Dockerfile"), "FROM nothing\n").unwrap();
    let _kept = Kept(kept(&bowline));
    let mut session = Session::of(folder, bowline, &["--last"]);
    let stopped = session.pty.until(PROMPT);
    assert!(
        stopped.starts_with("failed: stage-0, at line 3\n"),
        "{stopped}"
    );
    assert_eq!(session.say("print $WHO"), "me");
    assert_eq!(
        lines(&session.say("changes")),
        ["line 3 changed:", "A  -rw-r--r--  0:0  19 B  /left"]
    );
    session.pty.keys("shell\r");
    session.pty.until("/ # ");
    session.pty.keys("ls /left && echo $WHO\r");
    session.pty.until("/left\nme\n/ # ");
    session.pty.keys("exit\r");
    session.pty.until(PROMPT);
    assert_eq!(
        session.say("next"),
        "the build is over: `bowline debug` runs it again"
    );
    session.pty.keys("quit\r");
    assert_eq!(session.pty.end().0, 0);
}
