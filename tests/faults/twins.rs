//! Builds of the same thing at the same time.

use std::thread;

use super::{expected, leftovers, project};
use crate::support::Bowline;
use crate::support::private::PrivateEngine;

const TWINS: [&str; 4] = ["a", "b", "c", "d"];

#[test]
fn equal_builds_at_once_all_succeed() {
    let engine = PrivateEngine::start(None);
    // Also the first ones ever, on an engine without bowline's volume.
    for round in 0..3 {
        let variant = format!("twin{round}");
        let folder = project(&variant);
        let results: Vec<_> = thread::scope(|scope| {
            let builds = TWINS.map(|name| {
                let tag = format!("{name}:{variant}");
                let (engine, folder) = (&engine, folder.path());
                scope.spawn(move || engine.build(&Bowline::new(), folder, &["-t", &tag]))
            });
            builds.map(|build| build.join().expect("a build")).into()
        });
        for finished in results {
            assert!(finished.success(), "{}", finished.everything());
        }
        for name in TWINS {
            let tag = format!("{name}:{variant}");
            let printed = engine.docker(&["run", "--rm", "--network=none", &tag]);
            assert_eq!(printed, expected(&variant), "{tag}");
        }
    }
    let volumes = |left: &String| left.starts_with("volume bowline-init-");
    let left = leftovers(&engine);
    assert!(left.len() == 1 && left.iter().all(volumes), "{left:?}");
}
