//! Sessions of an editor.

use std::time::Duration;

use serde_json::json;

use crate::support::dap::Editor;
use crate::support::{Bowline, Docker, Folder, finish, script, unique};

/// Two stages and a failure, new to the cache.
fn file() -> String {
    format!(
        "FROM busybox AS tools\n\
         RUN echo {} > /tool\n\
         \n\
         FROM busybox\n\
         ARG COLOR=green\n\
         COPY --from=tools /tool /t\n\
         \n\
         RUN echo left > /left && exit 3\n",
        unique()
    )
}

/// A whole session: breakpoints, steps both ways, what there is to see, an end.
fn session(editor: &mut Editor, folder: &Folder) {
    let path = folder.path().join("Dockerfile");
    let path = path.canonicalize().expect("a file");
    let capabilities = editor.done("initialize", json!({ "adapterID": "bowline" }));
    assert_eq!(capabilities["supportsStepBack"], true);
    editor.done(
        "launch",
        json!({
            "dockerfile": path,
            "contextPath": folder.path(),
            "stopOnEntry": true,
            "buildArgs": { "COLOR": "red" },
        }),
    );
    editor.event("initialized");
    // Line 7 is empty: the breakpoint moves to the instruction below.
    let set = editor.done(
        "setBreakpoints",
        json!({ "source": { "path": path }, "breakpoints": [{ "line": 2 }, { "line": 7 }, { "line": 99 }] }),
    );
    let set = set["breakpoints"].as_array().expect("breakpoints").clone();
    let places = set
        .iter()
        .map(|one| (one["verified"].as_bool(), one["line"].as_u64()));
    assert_eq!(
        places.collect::<Vec<_>>(),
        [
            (Some(true), Some(2)),
            (Some(true), Some(8)),
            (Some(false), None)
        ]
    );
    editor.done("setExceptionBreakpoints", json!({ "filters": ["failure"] }));
    editor.done("configurationDone", json!({}));
    let at = |reason: &str, line: u64, name: &str| (reason.to_owned(), line, name.to_owned());
    assert_eq!(editor.stopped(), at("entry", 4, "stage-1: FROM busybox"));
    editor.done("continue", json!({ "threadId": 2 }));
    let (reason, line, name) = editor.stopped();
    assert_eq!((reason.as_str(), line), ("breakpoint", 2));
    assert!(name.starts_with("tools: RUN echo "), "{name}");
    // The stage that waits is the frame below.
    let stack = editor.done("stackTrace", json!({ "threadId": 1 }));
    assert_eq!(stack["totalFrames"], 2);
    assert_eq!(stack["stackFrames"][1]["line"], 6);
    let threads = editor.done("threads", json!({}));
    assert_eq!(threads["threads"][0]["name"], "tools");
    editor.done("continue", json!({ "threadId": 1 }));
    let eighth = "stage-1: RUN echo left > /left && exit 3";
    assert_eq!(editor.stopped(), at("breakpoint", 8, eighth));
    look(editor);
    editor.done("stepBack", json!({ "threadId": 2 }));
    let sixth = "stage-1: COPY --from=tools /tool /t";
    assert_eq!(editor.stopped(), at("step", 6, sixth));
    // The stage that the instruction needs is walked again, so its breakpoint would stop.
    editor.done(
        "setBreakpoints",
        json!({ "source": { "path": path }, "breakpoints": [{ "line": 8 }] }),
    );
    editor.done("next", json!({ "threadId": 2 }));
    assert_eq!(editor.stopped(), at("breakpoint", 8, eighth));
    editor.done("continue", json!({ "threadId": 2 }));
    assert_eq!(editor.stopped(), at("exception", 8, eighth));
    let failure = editor.done("exceptionInfo", json!({ "threadId": 2 }));
    assert_eq!(
        failure["description"],
        "`/bin/sh -c echo left > /left && exit 3` failed with exit code 3"
    );
    let died = editor.done(
        "evaluate",
        json!({ "expression": "!cat /left; echo $COLOR", "context": "repl" }),
    );
    assert_eq!(died["result"], "left\nred");
    editor.done("continue", json!({ "threadId": 2 }));
    assert_eq!(editor.event("exited"), json!({ "exitCode": 2 }));
    editor.event("terminated");
    editor.done("disconnect", json!({}));
}

/// What there is to see at a stop.
fn look(editor: &mut Editor) {
    let scopes = editor.scopes(&json!(2));
    let names: Vec<&str> = scopes.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "Instruction",
            "ARG and ENV",
            "Image config",
            "Mounts",
            "Changes",
            "Files"
        ]
    );
    let variables = editor.open(&scopes[1].1);
    assert_eq!(variables.last().expect("one"), "COLOR = red");
    let changes = editor.open(&scopes[4].1);
    assert_eq!(changes, ["/t = added -rw-r--r-- 19 B"]);
    let files = editor.open(&scopes[5].1);
    assert!(
        files.contains(&"t = -rw-r--r-- 0:0 19 B".to_owned()),
        "{files:?}"
    );
    let mut evaluate = |text: &str, context: &str| {
        let body = json!({ "expression": text, "context": context });
        editor.done("evaluate", body)["result"].clone()
    };
    assert_eq!(evaluate("COLOR", "hover"), "red");
    assert_eq!(evaluate("a-$COLOR", "watch"), "a-red");
    let where_it_is = evaluate("where", "repl");
    assert_eq!(
        where_it_is,
        "#0 stage-1, line 8: RUN echo left > /left && exit 3"
    );
    let completed = editor.done("completions", json!({ "text": "cont", "column": 5 }));
    assert_eq!(completed["targets"][0]["label"], "continue");
    let source = editor.done("loadedSources", json!({}));
    assert_eq!(source["sources"][0]["name"], "Dockerfile");
}

#[test]
fn an_editor_debugs_a_build_over_its_pipes() {
    let folder = Folder::new(&[("Dockerfile", &file())]);
    let bowline = Bowline::new();
    let (mut editor, mut server) = Editor::start(bowline.command().arg("dap"));
    session(&mut editor, &folder);
    assert!(server.0.wait().expect("a server").success());
}

#[test]
fn editors_debug_builds_over_tcp() {
    let folder = Folder::new(&[("Dockerfile", &file())]);
    let bowline = Bowline::new();
    let (mut editor, _server) = Editor::connect(bowline.command().arg("dap"));
    session(&mut editor, &folder);
}

#[test]
fn what_is_no_request_is_answered() {
    let bowline = Bowline::new();
    let (mut editor, mut server) = Editor::start(bowline.command().arg("dap"));
    let answer = |editor: &mut Editor, bytes: &[u8]| {
        editor.raw(bytes);
        let answer = editor.next();
        assert_eq!(answer["success"], false, "{answer:#}");
        answer["message"].as_str().expect("a reason").to_owned()
    };
    let framed = |text: &str| format!("Content-Length: {}\r\n\r\n{text}", text.len()).into_bytes();
    for (bytes, reason) in [
        (
            b"nonsense\r\n".to_vec(),
            "`nonsense` is no line of a header",
        ),
        (
            b"Content-Length: many\r\n\r\n".to_vec(),
            "`many` is no length of a message",
        ),
        (framed("[1]"), "a message is a JSON object"),
        (
            framed("{\"type\":\"event\"}"),
            "a message from an editor is a request or a response",
        ),
        (
            framed("{\"seq\":1,\"type\":\"request\"}"),
            "a request names a command",
        ),
    ] {
        assert_eq!(answer(&mut editor, &bytes), reason);
    }
    let reason = answer(&mut editor, &framed("{,}"));
    assert!(reason.starts_with("the message is not JSON: "), "{reason}");
    assert_eq!(
        editor.refused("next", json!({})),
        "`next` comes after `launch`"
    );
    assert_eq!(
        editor.refused("dance", json!([1])),
        "bowline does not know `dance`"
    );
    assert_eq!(
        editor.refused("launch", json!({ "dockerfile": 7 })),
        "the launch configuration: invalid type: integer `7`, expected path string"
    );
    let folder = Folder::new(&[("Dockerfile", "FROM busybox\nRUN true\n")]);
    let launch = json!({ "contextPath": folder.path(), "stopOnEntry": true });
    editor.done("launch", launch);
    for (command, arguments) in [
        ("scopes", json!({ "frameId": 99 })),
        ("variables", json!({ "variablesReference": -1 })),
        ("source", json!({ "sourceReference": 1e300 })),
        ("evaluate", json!({ "expression": 5 })),
        ("continue", json!(null)),
        ("stepBack", json!({ "threadId": "x" })),
        ("exceptionInfo", json!({})),
    ] {
        editor.refused(command, arguments);
    }
    editor.done(
        "setBreakpoints",
        json!({ "source": 1, "breakpoints": [{}, 7] }),
    );
    editor.done("completions", json!({ "text": "é", "column": 9e9 }));
    editor.done("disconnect", json!({}));
    assert!(server.0.wait().expect("a server").success());
}

#[test]
fn a_public_client_debugs_a_build() {
    let folder = Folder::new(&[("Dockerfile", &file())]);
    let bowline = Bowline::new();
    let mut command = std::process::Command::new(script("dap_client.sh"));
    let server = bowline.command();
    for (name, value) in server.get_envs() {
        command.env(name, value.expect("a value"));
    }
    command.arg(server.get_program()).arg(folder.path());
    let finished = finish(&mut command, None, Duration::from_secs(600));
    assert!(finished.success(), "{}", finished.everything());
    assert_eq!(
        finished.stdout(),
        "line 2 verified: true\nentry at 4\nbreakpoint at 2\nstep at 2\nbreakpoint at 2\n\
         exception at 8\nleft\nexited with 2\n"
    );
}

#[test]
fn a_server_that_is_killed_leaves_nothing_running() {
    let folder = Folder::new(&[("Dockerfile", &file())]);
    let bowline = Bowline::new();
    let (mut editor, mut server) = Editor::start(bowline.command().arg("dap"));
    editor.done("initialize", json!({}));
    editor.done("launch", json!({ "contextPath": folder.path() }));
    editor.done("configurationDone", json!({}));
    assert_eq!(editor.stopped().0, "exception");
    let body = json!({ "expression": "exec hostname", "context": "repl" });
    editor.done("evaluate", body);
    let of_it = format!("label=bowline.owner={}", owner(server.0.id()));
    let running =
        |all: &str| Docker::output(&["ps", all, "-q", "--filter", &of_it]).expect("a list");
    assert_ne!(running("-q"), "", "nothing runs with {of_it}");
    server.0.kill().expect("a server");
    server.0.wait().expect("a server");
    for _ in 0..600 {
        if running("-q").is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(running("-q"), "");
    // What has ended goes with the next build.
    let other = Folder::new(&[("Dockerfile", "FROM busybox\nRUN true\n")]);
    let mut next = bowline.command();
    let next = next.args(["build", "--quiet"]).arg(other.path()).output();
    let next = next.expect("bowline");
    let told = String::from_utf8_lossy(&next.stderr);
    assert!(next.status.success(), "{told}");
    assert_eq!(running("-a"), "");
}

/// Who owns what a process makes, as its containers' labels have it.
fn owner(process: u32) -> String {
    let all = Docker::output(&[
        "ps",
        "--filter",
        "label=bowline.owner",
        "--format",
        "{{.Label \"bowline.owner\"}}",
    ]);
    let all = all.expect("a list");
    let mut owners = all.lines();
    let own = |owner: &&str| owner.rsplit(':').nth(2) == Some(process.to_string().as_str());
    owners
        .find(own)
        .unwrap_or_else(|| panic!("no owner {process} in {all}"))
        .to_owned()
}
