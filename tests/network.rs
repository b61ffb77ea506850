//! Whose network RUN joins, on a real engine: every way to say it, and every way it goes wrong.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use crate::build::{build, built};
use crate::support::{Bowline, Container, Docker, Finished, Folder, LIMIT, finish, unique};

/// A container that serves its name on its own loopback, and stays.
const SERVE: &str =
    "mkdir /www; echo only here > /www/index.html; exec httpd -f -p 127.0.0.1:8099 -h /www";

/// A step that asks it.
const ASK: &str = "for i in 1 2 3 4 5 6 7 8; do wget -q -O /got http://127.0.0.1:8099/ && exit; sleep 0.5; done; exit 1";

fn asking() -> Folder {
    Folder::new(&[(
        "Dockerfile",
        &format!("FROM busybox\nRUN {ASK} # {}\n", unique()),
    )])
}

fn id_of(container: &Container) -> String {
    Docker::output(&["inspect", "--format", "{{.Id}}", container.name()]).unwrap()
}

/// The diagnostics alone, with ids and names of this run replaced.
fn said(finished: &Finished, names: &[(&str, &str)]) -> String {
    let text = &finished.stderr;
    let start = text.find("error: ").unwrap_or(0);
    let text = &text[start..];
    let end = text.find("note: the whole log is in").unwrap_or(text.len());
    let mut text = text[..end].trim_end().to_owned();
    for (long, short) in names {
        text = text.replace(long, short);
    }
    text
}

#[test]
fn a_container_is_named_by_id_short_id_name_or_variable() {
    let bowline = Bowline::new();
    let sandbox = Container::start("forms", &["--network", "none"], SERVE);
    let id = id_of(&sandbox);
    let tag = "bowline-test-forms";
    for name in [&id, &id[..12], sandbox.name()] {
        let folder = asking();
        let network = format!("container:{name}");
        let (_, progress) = built(&bowline, folder.path(), tag, &["--network", &network]);
        let line = format!(
            "RUN joins the network of container {} ({})",
            sandbox.name(),
            &id[..12]
        );
        assert!(progress.contains(&line), "{progress}");
        let got = Docker::output(&["run", "--rm", "--network=none", tag, "cat", "/got"]);
        assert_eq!(got.unwrap(), "only here");
    }
    let folder = asking();
    let from_variable = |flags: &[&str]| {
        let mut command = bowline.command();
        command
            .env("BOWLINE_NETWORK", format!("container:{}", sandbox.name()))
            .args(["build", "--progress=plain", "--no-cache", "--tag", tag])
            .args(flags)
            .arg(folder.path());
        finish(&mut command, None, LIMIT)
    };
    let finished = from_variable(&[]);
    assert!(finished.success(), "{}", finished.everything());
    assert!(
        !from_variable(&["--network=none"]).success(),
        "the flag stands before the variable"
    );
    let own = Folder::new(&[(
        "Dockerfile",
        &format!("FROM busybox\nRUN --network=none {ASK}\n"),
    )]);
    let network = format!("container:{}", sandbox.name());
    let finished = build(&bowline, own.path(), tag, &["--network", &network]);
    assert!(
        !finished.success(),
        "a step's own network stands before the flag"
    );
    Docker::remove_image(tag);
}

#[test]
fn what_cannot_be_joined_is_said_before_anything_runs() {
    let bowline = Bowline::new();
    let folder = Folder::new(&[("Dockerfile", "FROM busybox\nRUN true\n")]);
    let stopped = Container::start("stopped", &["--network", "none"], "true");
    Docker::output(&["wait", stopped.name()]).unwrap();
    let refused = |network: &str, expected: &str| {
        let finished = build(
            &bowline,
            folder.path(),
            "bowline-test-refused",
            &["--network", network],
        );
        assert_eq!(said(&finished, &[(stopped.name(), "NAME")]), expected);
        assert_eq!(finished.status.code(), Some(3), "{network}");
        assert!(!finished.stderr.contains("RUN true"), "{}", finished.stderr);
    };
    refused(
        "container:no-such-thing-anywhere",
        "error: the engine has no container `no-such-thing-anywhere` whose network to join\nhint: `docker ps` lists the containers that run",
    );
    refused(
        &format!("container:{}", stopped.name()),
        "error: the container `NAME`, whose network to join, is not running: it is exited\nhint: start it: `docker start NAME`",
    );
    refused(
        "no-such-network",
        "error: the engine has no network `no-such-network`\nhint: `docker network ls` lists the networks; a container's network is `container:<id or name>`",
    );
}

/// Starts containers until two ids begin with the same digit; with 17 they must.
#[test]
fn the_start_of_several_ids_is_ambiguous() {
    let containers: Vec<Container> = (0..17)
        .map(|n| {
            let name = format!("many{n}");
            Container::create(&name)
        })
        .collect();
    let ids: Vec<String> = containers.iter().map(id_of).collect();
    let digit = ids
        .iter()
        .map(|id| &id[..1])
        .find(|digit| ids.iter().filter(|id| id.starts_with(digit)).count() > 1)
        .unwrap();
    let folder = Folder::new(&[("Dockerfile", "FROM busybox\nRUN true\n")]);
    let network = format!("container:{digit}");
    let finished = build(
        &Bowline::new(),
        folder.path(),
        "bowline-test-many",
        &["--network", &network],
    );
    let text = said(&finished, &[]);
    let head = format!(
        "error: the ids of several containers start with `{digit}`\n |\n = note: they are:\n           {digit}"
    );
    assert!(text.starts_with(&head), "{text}");
    assert!(
        text.ends_with("\nhint: use more of the id, or the name"),
        "{text}"
    );
    assert_eq!(finished.status.code(), Some(3));
}

/// Builds with a network that is lost when the first step says so; gives what was said.
fn losing(rest: &str, lose: &[&str]) -> String {
    let bowline = Bowline::new();
    let sandbox = Container::start(
        &format!("lost-{}", unique()),
        &["--network", "none"],
        "exec sleep 600",
    );
    let id = id_of(&sandbox);
    let mark = unique();
    let folder = Folder::new(&[(
        "Dockerfile",
        &format!("FROM busybox\nRUN echo {mark} && sleep 3{rest}\n"),
    )]);
    let mut command = bowline.command();
    command
        .args(["build", "--progress=plain", "--network"])
        .arg(format!("container:{id}"))
        .arg(folder.path());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut all = String::new();
    let mut lost = false;
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        let line = line.unwrap();
        if !lost && line.ends_with(&format!(" {mark}")) && !line.contains("RUN") {
            let words: Vec<&str> = lose.iter().copied().chain([sandbox.name()]).collect();
            Docker::output(&words).unwrap();
            lost = true;
        }
        all.push_str(&line);
        all.push('\n');
    }
    let status = child.wait().unwrap();
    assert!(lost && !status.success(), "{all}");
    let finished = Finished {
        status,
        stdout: Vec::new(),
        stderr: all,
    };
    let text = said(
        &finished,
        &[
            (sandbox.name(), "NAME"),
            (&id[..12], "ID"),
            (&mark.to_string(), "MARK"),
        ],
    );
    // The underline is as long as the line was with the whole mark in it.
    let marks = text.lines().filter(|line| !line.contains('^'));
    marks.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_network_that_is_lost_in_a_step_is_named() {
    assert_eq!(
        losing(" && exit 7", &["kill"]),
        "error: `/bin/sh -c echo MARK && sleep 3 && exit 7` failed with exit code 7\n --> Dockerfile:2:1\n  |\n2 | RUN echo MARK && sleep 3 && exit 7\n  |\n  = note: the container `NAME` (ID), whose network `RUN` joins, is not running any more: it is exited"
    );
}

#[test]
fn a_network_that_is_lost_between_steps_is_named() {
    assert_eq!(
        losing("\nRUN echo second", &["kill"]),
        "error: the container `NAME` (ID), whose network `RUN` joins, is not running any more: it is exited\n --> Dockerfile:3:1\n  |\n3 | RUN echo second\nhint: steps that are done stay cached: start the build again when it runs"
    );
    assert_eq!(
        losing("\nRUN echo second", &["rm", "--force"]),
        "error: the container `ID`, whose network `RUN` joins, is gone\n --> Dockerfile:3:1\n  |\n3 | RUN echo second\nhint: steps that are done stay cached: start the build again when it runs"
    );
}

#[test]
fn exposed_ports_and_extra_hosts_go_with_a_containers_network() {
    let bowline = Bowline::new();
    let tag = "bowline-test-expose";
    let base = Folder::new(&[("Dockerfile", "FROM busybox\nEXPOSE 8099 53/udp\n")]);
    built(&bowline, base.path(), "bowline-test-exposing", &[]);
    let sandbox = Container::start("hosts", &["--add-host", "known:10.9.8.7"], SERVE);
    let before = Docker::output(&[
        "exec",
        sandbox.name(),
        "cat",
        "/etc/hosts",
        "/etc/resolv.conf",
        "/etc/hostname",
    ])
    .unwrap();
    // `db` is ours, `known` the target's, and what a step writes there reaches nobody.
    let folder = Folder::new(&[(
        "Dockerfile",
        &format!(
            "FROM bowline-test-exposing\nEXPOSE 80\nRUN {ASK} # {}\nEXPOSE 81\n\
             RUN grep -w db /etc/hosts | tr '\\t' ' ' > /db; grep -w six /etc/hosts | tr '\\t' ' ' >> /db; grep -w gate /etc/hosts | wc -l >> /db; grep -w known /etc/hosts | tr '\\t' ' ' >> /db\n\
             RUN for f in hosts resolv.conf hostname; do echo 6.6.6.6 evil >> /etc/$f || true; done; rm -f /etc/hosts /etc/resolv.conf 2>/dev/null; true\n",
            unique()
        ),
    )]);
    let network = format!("container:{}", sandbox.name());
    let hosts = [
        "--network",
        &network,
        "--add-host",
        "db:10.1.2.3",
        "--add-host",
        "six=[fd00::7]",
        "--add-host",
        "gate:host-gateway",
    ];
    built(&bowline, folder.path(), tag, &hosts);
    let got =
        Docker::output(&["run", "--rm", "--network=none", tag, "cat", "/got", "/db"]).unwrap();
    assert_eq!(
        got,
        "only here\n10.1.2.3 db\nfd00::7 six\n1\n10.9.8.7 known"
    );
    built(
        &bowline,
        folder.path(),
        tag,
        &["--network", &network, "--no-cache"],
    );
    let after = Docker::output(&[
        "exec",
        sandbox.name(),
        "cat",
        "/etc/hosts",
        "/etc/resolv.conf",
        "/etc/hostname",
    ])
    .unwrap();
    assert_eq!(before, after, "the target's files");
    let ports = Docker::output(&[
        "image",
        "inspect",
        "--format",
        "{{json .Config.ExposedPorts}}",
        tag,
    ])
    .unwrap();
    assert_eq!(
        ports,
        r#"{"53/udp":{},"80/tcp":{},"8099/tcp":{},"81/tcp":{}}"#
    );
    Docker::remove_image(tag);
    Docker::remove_image("bowline-test-exposing");
}

#[test]
fn extra_hosts_go_with_every_other_network() {
    let bowline = Bowline::new();
    let tag = "bowline-test-add-host";
    let folder = Folder::new(&[(
        "Dockerfile",
        "FROM busybox\nRUN grep -w db /etc/hosts | tr '\\t' ' ' > /db\n",
    )]);
    for network in ["default", "none", "host", "bridge"] {
        let flags = [
            "--no-cache",
            "--network",
            network,
            "--add-host",
            "db:10.1.2.3",
        ];
        built(&bowline, folder.path(), tag, &flags);
        let got = Docker::output(&["run", "--rm", "--network=none", tag, "cat", "/db"]);
        assert_eq!(got.unwrap(), "10.1.2.3 db", "{network}");
    }
    Docker::remove_image(tag);
}

/// A network of the engine that goes away with the test.
struct Network(String);

impl Network {
    fn create(flags: &[&str]) -> Self {
        let name = format!("bowline-test-net-{}", unique());
        let words: Vec<&str> = ["network", "create"]
            .iter()
            .chain(flags)
            .copied()
            .chain([name.as_str()])
            .collect();
        Docker::output(&words).unwrap();
        Self(name)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        drop(Docker::run(&["network", "rm", &self.0]));
    }
}

#[test]
fn names_of_a_docker_network_resolve_in_it_and_in_its_containers() {
    let bowline = Bowline::new();
    let tag = "bowline-test-names";
    let network = Network::create(&[]);
    let flags = ["--network", &network.0, "--network-alias", "registry.ci"];
    let service = Container::start(
        "names",
        &flags,
        "mkdir /www; echo by name > /www/index.html; exec httpd -f -p 8098 -h /www",
    );
    let peer = Container::start("peer", &["--network", &network.0], "exec sleep 600");
    let id = Docker::output(&["network", "inspect", "--format", "{{.Id}}", &network.0]).unwrap();
    let folder = Folder::new(&[(
        "Dockerfile",
        "FROM busybox\nRUN for i in 1 2 3 4 5 6 7 8; do wget -q -O /got http://registry.ci:8098/ && exit; sleep 0.5; done; cat /etc/resolv.conf; exit 1\n",
    )]);
    for network in [network.0.clone(), id, format!("container:{}", peer.name())] {
        built(
            &bowline,
            folder.path(),
            tag,
            &["--no-cache", "--network", &network],
        );
        let got = Docker::output(&["run", "--rm", "--network=none", tag, "cat", "/got"]);
        assert_eq!(got.unwrap(), "by name", "{network}");
    }
    drop((service, peer));
    Docker::remove_image(tag);
}

#[test]
fn the_sixth_version_works_in_a_joined_network() {
    let bowline = Bowline::new();
    let tag = "bowline-test-six";
    let flags = [
        "--network=none",
        "--cap-add=NET_ADMIN",
        "--sysctl=net.ipv6.conf.all.disable_ipv6=0",
    ];
    let sandbox = Container::start(
        "six",
        &flags,
        "ip -6 addr add fd00:b0::5/128 dev lo; mkdir /www; echo six > /www/index.html; until httpd -f -p [fd00:b0::5]:8099 -h /www; do sleep 0.2; done",
    );
    let folder = Folder::new(&[(
        "Dockerfile",
        "FROM busybox\nRUN for i in 1 2 3 4 5 6 7 8; do wget -q -O /got http://[fd00:b0::5]:8099/ && exit; sleep 0.5; done; exit 1\n",
    )]);
    let network = format!("container:{}", sandbox.name());
    built(
        &bowline,
        folder.path(),
        tag,
        &["--no-cache", "--network", &network],
    );
    let got = Docker::output(&["run", "--rm", "--network=none", tag, "cat", "/got"]);
    assert_eq!(got.unwrap(), "six");
    Docker::remove_image(tag);
}

#[test]
fn a_probe_shows_what_is_in_a_network_and_leaves_nothing() {
    let bowline = Bowline::new();
    let sandbox = Container::start(
        "probed",
        &["--network=none", "--add-host=known:10.9.8.7"],
        SERVE,
    );
    let network = format!("container:{}", sandbox.name());
    let mut command = bowline.command();
    command.args([
        "sandbox",
        "--format=json",
        "--network",
        &network,
        "--probe",
        "http://127.0.0.1:8099/",
        "--probe",
        "http://127.0.0.1:1/",
    ]);
    let finished = finish(&mut command, None, LIMIT);
    assert!(finished.success(), "{}", finished.everything());
    let report: serde_json::Value = serde_json::from_slice(&finished.stdout).unwrap();
    let probe = &report["probe"];
    assert_eq!(probe["interfaces"], serde_json::json!(["lo"]));
    let urls = probe["urls"].to_string();
    assert!(
        urls.contains("127.0.0.1:8099 answers `HTTP/1.1 200 OK`"),
        "{urls}"
    );
    assert!(urls.contains("Connection refused"), "{urls}");
    let mut command = bowline.command();
    command.args(["sandbox", "--network", &network]);
    let text = finish(&mut command, None, LIMIT).stdout();
    let head = format!(
        "RUN joins the network of container {} ({})",
        sandbox.name(),
        &id_of(&sandbox)[..12]
    );
    assert!(text.starts_with(&head), "{text}");
    assert!(text.contains("\nin that network:\n"), "{text}");
    let left = Docker::output(&["image", "ls", "--quiet", "bowline/probe"]).unwrap();
    assert_eq!(left, "");
}
