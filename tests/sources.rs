//! What comes from elsewhere, on a real engine: servers that are slow, broken or gone, proxies,
//! repositories that mean harm, OCI layouts.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};
use sha2::Digest as _;

use crate::build::{build, built};
use crate::support::{Bowline, Docker, Finished, Folder, LIMIT, finish, shell, unique};

/// A server on the loopback that gives what a test says.
struct Site {
    port: u16,
    seen: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
}

impl Site {
    /// `answer` gets the requests, from the first on, the last one included.
    fn start(answer: impl Fn(&[String]) -> Vec<u8> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let site = Self {
            port,
            seen: Arc::clone(&seen),
            stop: Arc::clone(&stop),
        };
        thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let mut stream = stream.unwrap();
                let request = head(&stream);
                let mut seen = seen.lock().unwrap();
                seen.push(request);
                // A client that goes away is no concern of ours.
                drop(stream.write_all(&answer(&seen)));
            }
        });
        site
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

/// The lines of a request, without its body, which these have not.
fn head(stream: &TcpStream) -> String {
    let lines = BufReader::new(stream).lines();
    let lines = lines
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

fn response(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// A Dockerfile that adds one file, and the flags that no earlier build had.
fn adding(url: &str, flags: &str) -> Folder {
    let text = format!(
        "FROM busybox\nLABEL test={}\nADD {flags} {url} /got\n",
        unique()
    );
    Folder::new(&[("Dockerfile", &text)])
}

fn got(tag: &str) -> String {
    Docker::output(&["run", "--rm", "--network=none", tag, "cat", "/got"]).unwrap()
}

#[test]
fn what_may_pass_is_tried_again() {
    let content = unique().to_string();
    let body = content.clone();
    let site = Site::start(move |seen| match seen.len() {
        1 => response("503 Service Unavailable", "", b""),
        // Breaks off in the middle.
        2 => b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this".to_vec(),
        _ => response("200 OK", "", body.as_bytes()),
    });
    let folder = adding(&site.url("a"), "");
    let tag = "bowline-test-retried";
    built(&Bowline::new(), folder.path(), tag, &[]);
    assert_eq!(got(tag), content);
    assert_eq!(site.seen().len(), 3);
    Docker::remove_image(tag);
}

#[test]
fn what_will_not_pass_is_told_at_once() {
    let site = Site::start(|_| response("404 Not Found", "", b"nothing here"));
    let url = site.url("gone?token=1");
    let finished = build(
        &Bowline::new(),
        adding(&url, "").path(),
        "bowline-test-gone",
        &[],
    );
    assert_eq!(finished.status.code(), Some(1), "{}", finished.everything());
    let message = format!("error: cannot download `{url}`: the server says `404 Not Found`");
    assert!(finished.stderr.contains(&message), "{}", finished.stderr);
    assert_eq!(site.seen().len(), 1);
}

#[test]
fn a_file_that_its_server_confirms_is_not_fetched_again() {
    let content = unique().to_string();
    let body = content.clone();
    let site = Site::start(move |seen| {
        let request = seen.last().unwrap().to_lowercase();
        if request.contains("if-none-match: \"one\"") {
            response("304 Not Modified", "ETag: \"one\"\r\n", b"")
        } else {
            response("200 OK", "ETag: \"one\"\r\n", body.as_bytes())
        }
    });
    let (bowline, tag) = (Bowline::new(), "bowline-test-confirmed");
    let folder = adding(&site.url("a"), "");
    let (first, _) = built(&bowline, folder.path(), tag, &[]);
    let (second, progress) = built(&bowline, folder.path(), tag, &[]);
    assert_eq!(first, second);
    assert!(progress.contains("CACHED"), "{progress}");
    assert_eq!(site.seen().len(), 2);
    // Without the engine's image the file is needed after all.
    built(&bowline, folder.path(), tag, &["--no-cache"]);
    assert_eq!(got(tag), content);
    Docker::remove_image(tag);
}

#[test]
fn a_known_checksum_needs_no_network_when_the_step_is_there() {
    let content = unique().to_string();
    let digest = sha256(content.as_bytes());
    let site = Site::start(move |_| response("200 OK", "", content.as_bytes()));
    let (bowline, tag) = (Bowline::new(), "bowline-test-checksum");
    let folder = adding(&site.url("a"), &format!("--checksum={digest}"));
    built(&bowline, folder.path(), tag, &[]);
    assert_eq!(site.seen().len(), 1);
    built(&bowline, folder.path(), tag, &[]);
    assert_eq!(site.seen().len(), 1);
    Docker::remove_image(tag);
}

#[test]
fn proxies_of_the_environment_are_used() {
    let site = Site::start(|_| response("200 OK", "", b"proxied"));
    let folder = adding("http://far.invalid/a", "");
    let tag = "bowline-test-proxy";
    let run = |variables: &[(&str, &str)]| -> Finished {
        let bowline = Bowline::new();
        let mut command = bowline.command();
        command.args(["build", "--progress=plain", "--no-cache", "--tag", tag]);
        command.arg(folder.path()).envs(variables.iter().copied());
        finish(&mut command, None, LIMIT)
    };
    let proxy = site.url("");
    for name in ["HTTP_PROXY", "http_proxy"] {
        let finished = run(&[(name, &proxy)]);
        assert!(finished.success(), "{}", finished.everything());
        assert_eq!(got(tag), "proxied");
    }
    let seen = site.seen();
    assert!(seen[0].starts_with("GET http://far.invalid/a "), "{seen:?}");
    let finished = run(&[("HTTP_PROXY", &proxy), ("NO_PROXY", "x,far.invalid")]);
    assert!(!finished.success());
    assert_eq!(site.seen().len(), seen.len());
    Docker::remove_image(tag);
}

#[test]
fn without_git_a_repository_says_what_is_missing() {
    let bowline = Bowline::new();
    let folder = adding("https://far.invalid/a.git", "");
    let mut command = bowline.command();
    command
        .args(["build", "--progress=plain"])
        .arg(folder.path());
    command.env("PATH", "/nowhere");
    let finished = finish(&mut command, None, LIMIT);
    assert_eq!(finished.status.code(), Some(3), "{}", finished.everything());
    let message = "error: the repository `https://far.invalid/a.git` needs the program `git`, which is not there";
    assert!(finished.stderr.contains(message), "{}", finished.stderr);
}

/// The files of a folder, as a server without any knowledge gives them.
fn files(folder: &Path) -> impl Fn(&[String]) -> Vec<u8> + Send + 'static {
    let folder = folder.to_owned();
    move |seen| {
        let path = seen
            .last()
            .unwrap()
            .split([' ', '?'])
            .nth(1)
            .unwrap_or_default();
        match fs::read(folder.join(path.trim_start_matches('/'))) {
            Ok(body) => response("200 OK", "", &body),
            Err(_) => response("404 Not Found", "", b""),
        }
    }
}

const GIT: &str = "export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@x GIT_COMMITTER_NAME=a \
    GIT_COMMITTER_EMAIL=a@x GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null; ";

#[test]
fn a_submodule_on_this_machine_is_not_taken() {
    let www = Folder::new(&[("secret/file", "of this machine")]);
    let script = "cd secret; git init -q -b main; git add -A; git commit -qm x; cd ..
        git init -q -b main src; cd src; echo a >a
        git -c protocol.file.allow=always submodule --quiet add \"$PWD/../secret\" sub
        git add -A; git commit -qm x; git clone -q --bare . ../r.git; cd ../r.git; git update-server-info";
    shell(www.path(), &format!("{GIT}{script}"));
    let site = Site::start(files(www.path()));
    let folder = adding(&site.url("r.git"), "");
    let finished = build(
        &Bowline::new(),
        folder.path(),
        "bowline-test-submodule",
        &[],
    );
    assert!(!finished.success());
    let said = "transport 'file' not allowed";
    assert!(finished.stderr.contains(said), "{}", finished.stderr);
}

#[test]
fn a_persons_git_settings_do_not_change_what_is_built() {
    let www = Folder::new(&[
        ("src/text", "one\ntwo\n"),
        ("src/.gitattributes", "text filter=loud\n"),
    ]);
    let script = "cd src; git init -q -b main; git add -A; git commit -qm x
        git clone -q --bare . ../r.git; cd ../r.git; git update-server-info";
    shell(www.path(), &format!("{GIT}{script}"));
    let site = Site::start(files(www.path()));
    let bowline = Bowline::new();
    let settings =
        "[core]\nautocrlf = true\nhooksPath = /tmp\n[filter \"loud\"]\nsmudge = tr a-z A-Z\n";
    fs::write(bowline.home().join(".gitconfig"), settings).unwrap();
    let text = format!(
        "FROM busybox\nADD {} /r/\nRUN cp /r/text /got\n",
        site.url("r.git")
    );
    let folder = Folder::new(&[("Dockerfile", &text)]);
    let tag = "bowline-test-git-settings";
    built(&bowline, folder.path(), tag, &["--no-cache"]);
    assert_eq!(got(tag), "one\ntwo");
    Docker::remove_image(tag);
}

#[test]
fn a_context_compressed_with_zstd_is_taken() {
    let folder = Folder::new(&[
        ("Dockerfile", "FROM busybox\nCOPY a /got\n"),
        ("a", "packed"),
    ]);
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_dir_all(".", folder.path()).unwrap();
    let packed = zstd::encode_all(&*archive.into_inner().unwrap(), 1).unwrap();
    let (bowline, tag) = (Bowline::new(), "bowline-test-zstd-context");
    let mut command = bowline.command();
    command.args(["build", "--progress=plain", "--tag", tag, "-"]);
    let finished = finish(&mut command, Some(packed), LIMIT);
    assert!(finished.success(), "{}", finished.everything());
    assert_eq!(got(tag), "packed");
    Docker::remove_image(tag);
}

fn sha256(bytes: &[u8]) -> String {
    let hash = sha2::Sha256::digest(bytes);
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// Puts a blob into a layout.
fn blob(layout: &Path, bytes: &[u8]) -> Value {
    let digest = sha256(bytes);
    let path = layout.join("blobs").join(digest.replace(':', "/"));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
    json!({ "digest": digest, "size": bytes.len() })
}

/// A layout with busybox and one layer more, compressed; gives the manifest's digest.
fn layout(folder: &Path) -> String {
    let saved = Docker::save("busybox:latest").unwrap();
    let mut more = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(9);
    header.set_mode(0o644);
    header.set_entry_type(tar::EntryType::Regular);
    more.append_data(&mut header, "got", &b"in layout"[..])
        .unwrap();
    let more = more.into_inner().unwrap();
    let mut config = saved.config.clone();
    config["rootfs"]["diff_ids"]
        .as_array_mut()
        .unwrap()
        .push(json!(sha256(&more)));
    config["history"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "created_by": "more" }));
    config["config"]["Env"] = json!(["PATH=/bin", "FROM_LAYOUT=yes"]);
    let mut layers: Vec<Value> = saved
        .layers
        .iter()
        .map(|layer| blob(folder, layer))
        .collect();
    layers.push(blob(folder, &zstd::encode_all(&*more, 1).unwrap()));
    let config = blob(folder, config.to_string().as_bytes());
    let manifest = json!({ "schemaVersion": 2, "config": config, "layers": layers });
    let manifest = blob(folder, manifest.to_string().as_bytes());
    let digest = manifest["digest"].as_str().unwrap().to_owned();
    let named = json!({
        "digest": digest,
        "size": manifest["size"],
        "annotations": { "org.opencontainers.image.ref.name": "v1" },
    });
    let index = json!({ "schemaVersion": 2, "manifests": [named] });
    fs::write(folder.join("index.json"), index.to_string()).unwrap();
    digest
}

#[test]
fn an_image_of_a_layout_is_a_base_and_a_source() {
    let dir = Folder::new(&[]);
    let digest = layout(dir.path());
    let folder = Folder::new(&[(
        "Dockerfile",
        "FROM thing\nRUN test \"$FROM_LAYOUT\" = yes && echo more > /more\nCOPY --from=thing /got /again\n",
    )]);
    let (bowline, tag) = (Bowline::new(), "bowline-test-layout");
    let path = dir.path().display();
    for end in [":v1", "", &format!("@{digest}")] {
        let context = format!("thing=oci-layout://{path}{end}");
        built(&bowline, folder.path(), tag, &["--build-context", &context]);
        assert_eq!(got(tag), "in layout");
        let env = Docker::output(&["image", "inspect", "--format", "{{.Config.Env}}", tag]);
        assert_eq!(env.unwrap(), "[PATH=/bin FROM_LAYOUT=yes]");
    }
    Docker::remove_image(tag);
}

#[test]
fn a_layout_that_was_changed_is_refused() {
    let dir = Folder::new(&[]);
    let digest = layout(dir.path());
    let manifest = dir.path().join("blobs").join(digest.replace(':', "/"));
    let mut text = fs::read_to_string(&manifest).unwrap();
    text.push(' ');
    fs::write(&manifest, text).unwrap();
    let folder = Folder::new(&[("Dockerfile", "FROM thing\n")]);
    let context = format!("thing=oci-layout://{}:v1", dir.path().display());
    let flags = ["--build-context", &context];
    let finished = build(
        &Bowline::new(),
        folder.path(),
        "bowline-test-layout-changed",
        &flags,
    );
    assert!(!finished.success());
    let message = format!("the blob `{digest}` is another one");
    assert!(finished.stderr.contains(&message), "{}", finished.stderr);
}
