//! Nothing of a build's running is in its result: the image is BuildKit's, file by file and
//! field by field.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::{Bowline, Docker, Folder, LIMIT, engine, engine_name, finish, script};

/// Everything that a step's container carries and an image must not: an ARG that a RUN sees, a
/// proxy, a user, our labels and our program, a network, a mountpoint, a health check of the base.
const DOCKERFILE: &str = "FROM busybox AS base
HEALTHCHECK CMD true
VOLUME /data
ENV LEVEL=base
LABEL from=base
FROM base
ARG SECRET=default
ARG PLAIN
RUN echo $SECRET $PLAIN > /seen && env | sort | grep -v ^HOSTNAME= > /environment
RUN mkdir -p /data && touch /data/kept && rm -r /usr/local
USER app
WORKDIR /work/deep
RUN id -u > /tmp/id; pwd > /tmp/pwd; umask > /tmp/umask; ls -a / | grep -v dockerenv > /tmp/root
USER root
COPY --chown=app file /work/
RUN [\"/bin/sh\", \"-c\", \"readlink /proc/1/exe > /tmp/first\"]
ENTRYPOINT [\"/bin/sh\"]
EXPOSE 80
";

/// What the BuildKit of Docker 20.10 does not know yet.
const HEREDOCS: &str = "RUN <<EOF
echo heredoc > /tmp/heredoc
EOF
RUN <<EOF
#!/bin/sh
echo script > /tmp/script
EOF
";

const FLAGS: [&str; 6] = [
    "--build-arg",
    "SECRET=hunter2",
    "--build-arg",
    "http_proxy=http://user:password@127.0.0.1:1",
    "--label",
    "given=label",
];

fn buildkit(folder: &Path, tag: &str) {
    let mut command = match engine_name().as_str() {
        "own" => Docker::command(),
        name => {
            let mut command = Command::new(script("engine.sh"));
            command.args(["docker", name]);
            command
        }
    };
    command
        .env("DOCKER_BUILDKIT", "1")
        .env("DOCKER_HOST", engine());
    command
        .args(["build", "--no-cache", "--tag", tag])
        .args(FLAGS)
        .arg(folder);
    let finished = finish(&mut command, None, LIMIT);
    assert!(finished.success(), "{}", finished.everything());
}

/// Every path of an image with all that counts of it.
fn files(image: &str) -> BTreeMap<String, String> {
    let id = Docker::output(&["create", "--pull=never", image, "x"]).unwrap();
    let finished = Docker::run(&["export", &id]);
    assert!(finished.success(), "{}", finished.stderr);
    drop(Docker::run(&["rm", "--volumes", &id]));
    let mut archive = tar::Archive::new(finished.stdout.as_slice());
    let mut files = BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let header = entry.header();
        let text = format!(
            "{:?} {:o} {}:{} -> {:?}",
            header.entry_type(),
            header.mode().unwrap(),
            header.uid().unwrap(),
            header.gid().unwrap(),
            entry.link_name().unwrap()
        );
        let path = entry.path().unwrap().display().to_string();
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut content).unwrap();
        // What a step measures of its own time is not the builder's.
        files.insert(path, format!("{text} {}", blake3::hash(&content)));
    }
    files
}

/// The config without what is of the moment: times, and the digests of layers made at them.
fn config(image: &str) -> Value {
    let mut config = Docker::save(image).unwrap().config;
    let layers = config["rootfs"]["diff_ids"].as_array().unwrap().len();
    let fields = config.as_object_mut().unwrap();
    fields.remove("created");
    fields.remove("moby.buildkit.buildinfo.v1");
    fields.insert("rootfs".into(), layers.into());
    for item in fields["history"].as_array_mut().unwrap() {
        item.as_object_mut().unwrap().remove("created");
    }
    // BuildKit leaves some empty fields out and writes others; neither means anything.
    let inner = fields["config"].as_object_mut().unwrap();
    inner.retain(|_, value| !value.is_null() && *value != Value::Bool(false) && *value != "");
    config
}

#[test]
fn the_image_is_buildkits_own() {
    let dockerfile = match engine_name().as_str() {
        "debian" => DOCKERFILE.to_owned(),
        _ => format!("{DOCKERFILE}{HEREDOCS}"),
    };
    let folder = Folder::new(&[("Dockerfile", &dockerfile), ("file", "content\n")]);
    let (theirs, ours) = ("bowline-test-theirs", "bowline-test-ours");
    buildkit(folder.path(), theirs);
    let bowline = Bowline::new();
    let flags: Vec<&str> = FLAGS.iter().copied().chain(["--no-cache"]).collect();
    crate::build::built(&bowline, folder.path(), ours, &flags);
    let (mut expected, mut found) = (config(theirs), config(ours));
    if engine_name() == "debian" {
        // Its BuildKit words the history as an older frontend did.
        for config in [&mut expected, &mut found] {
            config.as_object_mut().unwrap().remove("history");
        }
    }
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&found[field], value, "{field}");
    }
    assert_eq!(found, expected);
    let (expected, found) = (files(theirs), files(ours));
    for (path, text) in &expected {
        assert_eq!(found.get(path), Some(text), "{path}");
    }
    for path in found.keys() {
        assert!(expected.contains_key(path), "{path} is ours alone");
    }
    // The environment of a step holds the proxy and the argument; the image nothing of them.
    let saved = serde_json::to_string(&config(ours)).unwrap();
    assert!(!saved.contains("password"), "{saved}");
    Docker::remove_image(theirs);
    Docker::remove_image(ours);
}
