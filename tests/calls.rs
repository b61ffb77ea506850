//! What a build asks of the engine and of the disk: counted, never timed.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use rustix::fs::inotify;

use crate::build::built;
use crate::support::{Bowline, Docker, Folder, Recorder, unique};

/// The requests of one build.
fn requests(bowline: &Bowline, folder: &Path, tag: &str) -> Recorder {
    let recorder = Recorder::start();
    let mut command = bowline.command();
    command.env("DOCKER_HOST", recorder.address());
    command.args(["build", "--progress=plain", "--network=default"]);
    command.args(["--tag", tag]).arg(folder);
    let finished = crate::support::finish(&mut command, None, crate::support::LIMIT);
    assert!(finished.success(), "{}", finished.everything());
    recorder
}

/// A folder whose Dockerfile has `count` pairs of a copy and a run.
fn steps(count: usize) -> Folder {
    let folder = Folder::new(&[("leaf", "leaf")]);
    let mut text = format!("FROM busybox\nENV RUN={}\n", unique());
    for n in 0..count {
        fs::write(folder.path().join(format!("f{n}")), n.to_string()).unwrap();
        let _ = writeln!(text, "COPY f{n} /f/\nRUN cat /f/f{n} >>/all");
    }
    text.push_str("COPY leaf /f/\n");
    fs::write(folder.path().join("Dockerfile"), text).unwrap();
    folder
}

/// Everything that was opened in a folder since the watch began.
struct Watch(std::os::fd::OwnedFd);

impl Watch {
    fn start(folder: &Path) -> Self {
        let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
        let watch = inotify::init(flags).unwrap();
        let events = inotify::WatchFlags::OPEN | inotify::WatchFlags::ACCESS;
        inotify::add_watch(&watch, folder, events).unwrap();
        Self(watch)
    }

    fn read_files(&self) -> Vec<String> {
        let mut buffer = [std::mem::MaybeUninit::uninit(); 64 * 1024];
        let mut reader = inotify::Reader::new(&self.0, &mut buffer);
        let mut names = Vec::new();
        while let Ok(event) = reader.next() {
            // The folder itself has no name in it.
            if let Some(name) = event.file_name() {
                names.push(name.to_string_lossy().into_owned());
            }
        }
        names.sort();
        names.dedup();
        names
    }
}

#[test]
fn a_full_hit_asks_the_same_few_questions_whatever_the_number_of_steps() {
    let mut counts = Vec::new();
    for count in [2, 8] {
        let bowline = Bowline::new();
        let folder = steps(count);
        let tag = format!("bowline-test-calls-{count}");
        built(&bowline, folder.path(), &tag, &["--network=default"]);
        // The second build has files that have rested for long enough to be remembered.
        built(&bowline, folder.path(), &tag, &["--network=default"]);
        let watch = Watch::start(folder.path());
        let recorder = requests(&bowline, folder.path(), &tag);
        assert_eq!(watch.read_files(), ["Dockerfile"]);
        assert_eq!(recorder.changes(), Vec::<String>::new());
        counts.push(recorder.requests().len());

        // Under another name, there is the naming and nothing else.
        let other = format!("{tag}-other");
        let recorder = requests(&bowline, folder.path(), &other);
        assert_eq!(recorder.changes().len(), 1, "{:?}", recorder.changes());
        assert!(
            recorder.changes()[0].contains("/tag?"),
            "{:?}",
            recorder.changes()
        );

        // A client that remembers nothing finds the result step by step, and makes nothing
        // but its config again.
        let recorder = requests(&Bowline::new(), folder.path(), &tag);
        let changes = recorder.changes();
        let made = changes
            .iter()
            .filter(|request| request.contains("/containers"));
        assert_eq!(made.count(), 0, "{changes:?}");
        // A containerd store is asked for the base by way of two small images.
        assert!(changes.len() <= 8, "{changes:?}");
        Docker::remove_image(&tag);
        Docker::remove_image(&other);
    }
    assert_eq!(counts[0], counts[1]);
    assert!(counts[0] <= 10, "{counts:?}");
}

#[test]
fn a_changed_leaf_costs_its_own_step() {
    let bowline = Bowline::new();
    let folder = steps(6);
    let tag = "bowline-test-leaf";
    built(&bowline, folder.path(), tag, &["--network=default"]);
    fs::write(folder.path().join("leaf"), "another").unwrap();
    let watch = Watch::start(folder.path());
    let recorder = requests(&bowline, folder.path(), tag);
    let read = watch.read_files();
    assert!(read.contains(&"leaf".to_owned()), "{read:?}");
    let changes = recorder.changes();
    let count = |what: &str| changes.iter().filter(|one| one.contains(what)).count();
    assert_eq!(count("/start"), 0, "{changes:?}");
    assert_eq!(count("/commit"), 0, "{changes:?}");
    // The step's image and the result.
    assert_eq!(count("/images/load"), 2, "{changes:?}");
    Docker::remove_image(tag);
}
