//! Registries on a bad line: what may pass is tried again, and what stays wrong is told.

use base64::Engine as _;

use crate::support::bad_line::{BadLine, Fault};
use crate::support::distribution::Distribution;
use crate::support::{Bowline, Docker, Finished, Folder, LIMIT, finish, unique};

fn folder() -> Folder {
    // Enough that a connection can break in the middle of it, and nothing that compresses.
    let bytes: Vec<u8> = (0_u32..60_000)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    let text = base64::prelude::BASE64_STANDARD.encode(bytes);
    let salt = unique().to_string();
    Folder::new(&[
        (
            "Dockerfile",
            "FROM scratch\nCOPY large salt /\nFROM scratch\nCOPY --from=0 / /\n",
        ),
        ("large", &text),
        ("salt", &salt),
    ])
}

fn build(folder: &Folder, patience: &str, flags: &[&str]) -> Finished {
    let bowline = Bowline::new();
    let mut command = bowline.command();
    command
        .args(["build", "--progress=plain"])
        .args(flags)
        .arg(folder.path())
        .env("BOWLINE_REGISTRY_TIMEOUT", patience);
    finish(&mut command, None, LIMIT)
}

/// What becomes of the connections of each build, until one is good.
const FAULTS: &[Fault] = &[
    Fault::DropAnswer(0),
    Fault::DropAnswer(600),
    Fault::DropRequest(40_000),
    Fault::Stall(700),
    Fault::None,
];

#[test]
fn pushes_and_caches_get_over_a_bad_line() {
    let registry = Distribution::start();
    let line = BadLine::to(&registry.address, FAULTS);
    let folder = folder();
    let name = format!("{}/app:1", line.address);
    let cache = format!("{}/cache:1", line.address);
    let to = format!("--cache-to=type=registry,ref={cache},mode=max");
    let platforms = "--platform=linux/amd64,linux/arm64";
    let pushed = build(&folder, "5", &[platforms, "--push", "-t", &name]);
    assert!(pushed.success(), "{}", pushed.everything());
    let index = registry.tagged("app", "1");
    for image in index["manifests"].as_array().unwrap() {
        let manifest = registry.json(image["digest"].as_str().unwrap());
        for layer in manifest["layers"].as_array().unwrap() {
            registry.blob(layer["digest"].as_str().unwrap());
        }
    }
    let kept = build(&folder, "5", &["-o", "type=cacheonly", &to]);
    assert!(kept.success(), "{}", kept.everything());
    let from = format!("--cache-from={cache}");
    let read = build(&folder, "5", &["-o", "type=cacheonly", &from]);
    assert!(read.success(), "{}", read.everything());
    assert!(line.connections() > FAULTS.len());
}

#[test]
fn a_registry_that_never_answers_ends_the_build_and_not_the_engine() {
    let registry = Distribution::start();
    let line = BadLine::to(&registry.address, &[Fault::Stall(0)]);
    let folder = folder();
    let name = format!("{}/app:1", line.address);
    let flags = ["--push", "--annotation=a=b", "-t", &name];
    let refused = build(&folder, "1", &flags);
    assert!(!refused.success(), "{}", refused.everything());
    assert_eq!(refused.status.code(), Some(3), "{}", refused.everything());
    let why = "the registry does not answer in time";
    assert!(refused.stderr.contains(why), "{}", refused.stderr);
    assert_eq!(registry.digest("app", "1"), None);
    // A cache is no reason to fail.
    let from = format!("--cache-from={name}");
    let built = build(
        &folder,
        "1",
        &["-o", "type=cacheonly", "--no-cache-filter=x", &from],
    );
    assert!(built.success(), "{}", built.everything());
    Docker::remove_image(&name);
}
