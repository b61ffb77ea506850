//! The engine's disk is full.

use super::leftovers;
use crate::support::private::PrivateEngine;
use crate::support::{Bowline, Folder};

#[test]
fn a_full_disk_is_named_and_costs_no_more_than_the_build() {
    let engine = PrivateEngine::start(Some("160m"));
    let user = Bowline::new();
    let small = Folder::new(&[("Dockerfile", "FROM busybox\nRUN echo fits > /f\n")]);
    let first = engine.build(&user, small.path(), &["-t", "small"]);
    assert!(first.success(), "{}", first.everything());
    let usual = leftovers(&engine);
    let big = Folder::new(&[
        (
            "Dockerfile",
            "FROM busybox\nCOPY big /\nRUN cp /big /again && cp /big /more\n",
        ),
        ("big", &"x".repeat(70 << 20)),
    ]);
    let full = engine.build(&user, big.path(), &["-t", "big"]);
    assert!(!full.success(), "{}", full.everything());
    let said = full.everything().to_lowercase();
    assert!(said.contains("no space left"), "{said}");
    let images = engine.docker(&["image", "ls", "--quiet", "big"]);
    assert_eq!(images, "", "a half image has a name");
    let run = Folder::new(&[(
        "Dockerfile",
        "FROM busybox\nRUN dd if=/dev/zero of=/f bs=1M count=400\n",
    )]);
    let full = engine.build(&user, run.path(), &["-t", "big"]);
    assert!(!full.success(), "{}", full.everything());
    // The room is there again for what fits.
    let other = Folder::new(&[("Dockerfile", "FROM busybox\nRUN echo fits too > /f\n")]);
    let again = engine.build(&user, other.path(), &["-t", "other"]);
    assert!(again.success(), "{}", again.everything());
    assert_eq!(leftovers(&engine), usual);
}
