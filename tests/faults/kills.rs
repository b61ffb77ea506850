//! Builds killed at any moment.

use std::process::Stdio;
use std::thread;
use std::time::Duration;

use super::{expected, leftovers, project};
use crate::support::Bowline;
use crate::support::private::PrivateEngine;

/// How many builds are killed when nothing else is said; three engines make it a hundred.
const KILLS: u64 = 34;

#[test]
fn builds_killed_at_any_moment_leave_nothing_once_the_next_one_ran() {
    let kills = std::env::var("BOWLINE_TEST_KILLS").map_or(KILLS, |n| n.parse().expect("a number"));
    let engine = PrivateEngine::start(None);
    let user = Bowline::new();
    // The volume that brings bowline's program into containers is there to stay.
    let folder = project("first");
    let first = engine.build(&user, folder.path(), &["-t", "app:first"]);
    assert!(first.success(), "{}", first.everything());
    let usual = leftovers(&engine);
    let mut moment = Moments(crate::support::unique() as u64);
    let seed = moment.0;
    for kill in 0..kills {
        let variant = format!("v{kill}");
        let tag = format!("app:{variant}");
        let folder = project(&variant);
        let signal = ["KILL", "KILL", "TERM", "INT"][kill as usize % 4];
        let mut command = engine.bowline(&user);
        command
            .args(["build", "--progress=plain", "--network=none", "-t", &tag])
            .arg(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut child = command.spawn().expect("bowline");
        thread::sleep(moment.next());
        let pid = child.id().to_string();
        // It may be over already.
        crate::support::shell(folder.path(), &format!("kill -{signal} {pid} || true"));
        let status = child.wait().expect("bowline ends");
        let what = format!("kill {kill} ({signal}, seed {seed}): {status}");
        if signal != "KILL" {
            assert_eq!(leftovers(&engine), usual, "{what}");
            let named = engine.docker(&["image", "ls", "--quiet", &tag]);
            assert_eq!(named.is_empty(), !status.success(), "{what}: {named}");
        }
        let again = engine.build(&user, folder.path(), &["-t", &tag]);
        assert!(again.success(), "{what}: {}", again.everything());
        assert_eq!(leftovers(&engine), usual, "{what}");
        let printed = engine.docker(&["run", "--rm", "--network=none", &tag]);
        assert_eq!(printed, expected(&variant), "{what}");
    }
}

/// Moments of a build at random, from a seed that a failure names.
struct Moments(u64);

impl Moments {
    /// Up to two seconds; more often early, where most happens.
    fn next(&mut self) -> Duration {
        // A linear congruential generator (Knuth's MMIX) is random enough here.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let unit = (self.0 >> 40) as f64 / (1u64 << 24) as f64;
        Duration::from_secs_f64(2.0 * unit * unit)
    }
}
