//! What may go wrong on a CI node: killed builds, a killed engine, a full disk, twins. After each
//! the engine holds nothing that should not be there, and the next build is right.
//!
//! Each test has an engine of its own. `BOWLINE_TEST_KILLS` says how many builds are killed.

mod disk;
mod engine;
mod kills;
mod registry;
mod twins;

use std::collections::BTreeSet;

use crate::support::Folder;
use crate::support::private::PrivateEngine;

/// A build with stages side by side, a big copy, a failing-free end: every kind of step.
/// `variant` makes all of its steps new.
fn project(variant: &str) -> Folder {
    let big = "0123456789abcdef".repeat(1 << 16);
    Folder::new(&[
        (
            "Dockerfile",
            &format!(
                "FROM busybox AS left\n\
                 WORKDIR /left/{variant}\n\
                 COPY big .\n\
                 RUN echo left {variant} > made && sleep 0.2\n\
                 FROM busybox AS right\n\
                 RUN echo right {variant} > /made; head -c 3000000 /dev/zero > /zeros\n\
                 COPY big /big\n\
                 FROM busybox\n\
                 COPY --from=left /left/{variant}/made /left\n\
                 COPY --from=right /made /right\n\
                 RUN cat /left /right > /all\n\
                 CMD cat /all\n"
            ),
        ),
        ("big", &big),
    ])
}

/// What running the project's image prints.
fn expected(variant: &str) -> String {
    format!("left {variant}\nright {variant}")
}

/// Everything in an engine that a build might leave: containers, volumes, and images without a
/// name. Of a step that two builds made at once one result keeps the name and the other has none;
/// somebody may be building upon it, so it stays, and is no rubbish.
fn leftovers(engine: &PrivateEngine) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (what, command) in [
        ("container", &["ps", "--all", "--format={{.Names}}"][..]),
        ("volume", &["volume", "ls", "--quiet"]),
        (
            "image",
            &["image", "ls", "--filter=dangling=true", "--quiet"],
        ),
    ] {
        for line in engine.docker(command).lines() {
            found.insert(format!("{what} {line}"));
        }
    }
    let steps = [
        "--filter=dangling=true",
        "--filter=label=bowline.step",
        "--quiet",
    ];
    for line in engine
        .docker(&[&["image", "ls"], &steps[..]].concat())
        .lines()
    {
        found.remove(&format!("image {line}"));
    }
    found
}
