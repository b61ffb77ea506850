//! A step's container without the step: `init hold` prepares it and waits, `init join` becomes a
//! command in it that finds what the step's own command would find.
//!
//! The request that `hold` reads stays in a file below `/dev` that only root may read, so that
//! whoever joins needs to know nothing but the container.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::OpenOptionsExt;

use super::wire::{Request, SETUP_FAILED};
use super::{Failure, become_command, mount, prepare, setup};

const SAVED: &str = "/dev/.bowline-step";

/// Prepares, says `ready`, and waits for the end of standard input: whoever holds the container
/// holds its other end, so that their end is its end.
pub(crate) fn hold(mut request: Request) -> Result<i32, Failure> {
    let root = prepare(&request)?;
    let failed = |message| Failure(SETUP_FAILED, message);
    let mounted = mount::mount_all(&request.mounts, root).map_err(failed)?;
    // Whoever joins finds these made.
    request.files.clear();
    request.mounts.clear();
    request.needles.clear();
    let bytes = request
        .encode()
        .map_err(|error| Failure(SETUP_FAILED, error.to_string()))?;
    let saved = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(SAVED);
    saved
        .and_then(|mut file| file.write_all(&bytes))
        .map_err(setup(&format!("cannot write {SAVED}")))?;
    super::sys::ignore_children();
    let mut out = io::stdout();
    out.write_all(b"ready\n")
        .and_then(|()| out.flush())
        .map_err(setup("cannot say that it is ready"))?;
    let mut bytes = [0; 4096];
    while io::stdin().read(&mut bytes).is_ok_and(|count| count > 0) {}
    mounted.unmount_all().map_err(failed)?;
    Ok(0)
}

/// `join [-t TERM] [-u USER] [-w DIRECTORY] [-e NAME=VALUE]... [-- COMMAND...]`: becomes the
/// command, or without one the step's own.
pub(crate) fn join(args: impl Iterator<Item = OsString>) -> Failure {
    match joined(args) {
        Ok(request) => become_command(&request),
        Err(failure) => failure,
    }
}

/// The held request, with what the arguments change of it.
fn joined(mut args: impl Iterator<Item = OsString>) -> Result<Request, Failure> {
    let bytes = fs::read(SAVED).map_err(setup(&format!("cannot read {SAVED}")))?;
    let mut request = Request::read(&mut bytes.as_slice())
        .map_err(|error| Failure(SETUP_FAILED, error.to_string()))?;
    while let Some(flag) = args.next() {
        let mut value = || {
            let missing = || Failure(SETUP_FAILED, format!("{} has no value", flag.display()));
            args.next().ok_or_else(missing)
        };
        match flag.as_bytes() {
            b"-t" => request.env.push((b"TERM".to_vec(), value()?.into_vec())),
            b"-u" => request.user = value()?.to_string_lossy().into_owned(),
            b"-w" => request.cwd = value()?.into_vec(),
            b"-e" => {
                let pair = value()?.into_vec();
                let at = pair.iter().position(|byte| *byte == b'=');
                let (name, value) = pair.split_at(at.unwrap_or(pair.len()));
                let value = value.get(1..).unwrap_or_default();
                request.env.push((name.to_vec(), value.to_vec()));
            }
            b"--" => {
                request.args = args.map(OsString::into_vec).collect();
                break;
            }
            other => {
                let what = OsStr::from_bytes(other).display();
                return Err(Failure(SETUP_FAILED, format!("unknown flag {what}")));
            }
        }
    }
    Ok(request)
}
