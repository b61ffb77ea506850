//! Keeps the cache within the bounds that the environment sets: a program of its own prunes it
//! after a build, at most once an hour, and no build ever waits for it.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::args::Global;
use super::environment::{BOWLINE_CACHE_AGE, BOWLINE_CACHE_SIZE, Environment};

/// How long the cache is left alone after it was pruned.
const REST: Duration = Duration::from_hours(1);

/// Starts a prune, when there are bounds and it is time.
pub(super) fn start(global: &Global, environment: &Environment) {
    // A value that is no text is told by the prune, in its log.
    let text = |variable| environment.get(variable).ok().flatten();
    let (size, age) = (text(BOWLINE_CACHE_SIZE), text(BOWLINE_CACHE_AGE));
    if size.is_none() && age.is_none() {
        return;
    }
    let dir = environment.cache_dir();
    if !is_time(&dir.join("pruned")) {
        return;
    }
    let Ok(program) = std::env::current_exe() else {
        return;
    };
    let mut command = Command::new(program);
    command.args(["cache", "prune"]);
    command.args(size.iter().flat_map(|size| ["--keep-storage", *size]));
    if let Some(age) = age {
        command.args(["--filter", &format!("until={age}")]);
    }
    command.args(global.host.iter().flat_map(|host| ["--host", host]));
    command.args(global.context.iter().flat_map(|name| ["--context", name]));
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    // The next build tries again; nothing of this one depends on it.
    if let Err(error) = command.spawn() {
        tracing::debug!(%error, "the cache is not pruned");
    }
}

/// Whether the last prune is long ago; from now on it is not.
fn is_time(stamp: &Path) -> bool {
    let last = fs_err::metadata(stamp).and_then(|metadata| metadata.modified());
    let age = last.ok().and_then(|time| time.elapsed().ok());
    if age.is_some_and(|age| age < REST) {
        return false;
    }
    let made = stamp.parent().map_or(Ok(()), fs_err::create_dir_all);
    made.and_then(|()| fs_err::write(stamp, "")).is_ok()
}
