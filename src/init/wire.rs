//! What goes between bowline and the program inside the container, and how it is written.
//!
//! Towards the program: one [`Request`] on its standard input. Numbers are little-endian `u32`,
//! a string is its length and its bytes, a list is its count and its items:
//!
//! ```text
//! "bwl2"  length of the rest  token  args  env (name, value)  cwd  user  umask
//!         files (path, content, mode, uid, gid)  mounts (target, read only, kind, ...)
//!         confinement  apparmor  needles (name, bytes...)
//! ```
//!
//! Back from it: nothing, when the command could be started; its exit status and output are
//! then the container's. Otherwise one line on standard error, `bowline-init: TOKEN: message`,
//! and an exit status of [`SETUP_FAILED`], [`NOT_EXECUTABLE`] or [`NOT_FOUND`]. A command may
//! use these statuses itself, but it cannot know the token: see [`start_failure`].
//!
//! When the program had to stay beside the command, more such lines may follow the command's
//! output: see [`report_line`].
//!
//! This file belongs to the library and to the program alike; it may use nothing but `std`.

mod mount;
pub mod share;

use std::fmt;
use std::io::{self, Read};

pub use mount::{Cache, DATA, Mount, STAGE, Sharing, Source};

/// The step could not be set up: a bad request, an unknown user, a file that cannot be written.
pub const SETUP_FAILED: i32 = 125;
/// The command was found but cannot be executed.
pub const NOT_EXECUTABLE: i32 = 126;
/// The command was not found.
pub const NOT_FOUND: i32 = 127;

/// Begins every line that the program writes by itself.
pub const PREFIX: &str = "bowline-init: ";

/// Begins a report of a secret in a file: its name, a tab and the path follow.
pub const LEAK: &str = "leak ";

/// What a step's umask is unless it says otherwise.
pub const DEFAULT_UMASK: u32 = 0o022;

const MAGIC: [u8; 4] = *b"bwl2";

/// The largest request that is read. An argument list cannot be larger than a few MiB; the rest
/// is for files.
const MAX_LENGTH: usize = 64 << 20;

/// What to run, as whom and where.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// Marks the line that says why the command could not be started; random, without spaces.
    pub token: String,
    /// The command and its arguments; the command is looked up in `PATH` of `env`.
    pub args: Vec<Vec<u8>>,
    /// The whole environment. `HOME` is added when it is absent or empty.
    pub env: Vec<(Vec<u8>, Vec<u8>)>,
    /// Made when it is missing, owned by the user, as BuildKit does.
    pub cwd: Vec<u8>,
    /// As `USER` has it: `name|uid[:group|gid]`, looked up in the container; empty is root.
    pub user: String,
    pub umask: u32,
    /// Written before anything else, by root. Not into the image: on a mount of its own.
    pub files: Vec<File>,
    /// In the order in which they are made.
    pub mounts: Vec<Mount>,
    /// What the command must not be able to do although the container may.
    pub confinement: Confinement,
    /// The `AppArmor` profile of the command, if the container has none itself.
    pub apparmor: String,
    /// What must not be in a file that the command leaves: a name and texts to look for.
    pub needles: Vec<Needle>,
}

/// How the command is confined where the program needed more than the command may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confinement {
    /// Not at all: the container is meant to be privileged, or the program needed nothing.
    None,
    /// The command loses the capability to mount.
    Capabilities,
    /// And the system calls that the engine allows together with it.
    SystemCalls,
}

/// Something to look for.
#[derive(Clone, PartialEq, Eq)]
pub struct Needle {
    pub name: String,
    /// It is found when one of these is.
    pub texts: Vec<Vec<u8>>,
}

impl fmt::Debug for Request {
    /// Without what is secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("cwd", &String::from_utf8_lossy(&self.cwd))
            .field("user", &self.user)
            .field("mounts", &self.mounts)
            .finish_non_exhaustive()
    }
}

impl Default for Request {
    fn default() -> Self {
        Self {
            token: String::new(),
            args: Vec::new(),
            env: Vec::new(),
            cwd: b"/".to_vec(),
            user: String::new(),
            umask: DEFAULT_UMASK,
            files: Vec::new(),
            mounts: Vec::new(),
            confinement: Confinement::None,
            apparmor: String::new(),
            needles: Vec::new(),
        }
    }
}

/// A file to write; missing directories above it are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    pub path: Vec<u8>,
    pub content: Vec<u8>,
    /// Permission bits, not subject to any umask.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
}

/// Why a request cannot be read.
#[derive(Debug)]
pub enum Error {
    Io(io::Error),
    /// Not a request at all, or one of another version.
    Magic,
    /// Longer than any request may be.
    TooLong(usize),
    /// A length or a text inside it is wrong.
    Malformed,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "cannot read the request: {error}"),
            Self::Magic => f.write_str("standard input does not hold a request"),
            Self::TooLong(length) => write!(f, "the request has {length} bytes, too many"),
            Self::Malformed => f.write_str("the request is malformed"),
        }
    }
}

impl std::error::Error for Error {}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Request {
    /// The bytes for the program's standard input.
    ///
    /// # Errors
    /// When the request is longer than the program would read.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        let mut body = Vec::new();
        put_bytes(&mut body, self.token.as_bytes());
        put_number(&mut body, self.args.len());
        for arg in &self.args {
            put_bytes(&mut body, arg);
        }
        put_number(&mut body, self.env.len());
        for (name, value) in &self.env {
            put_bytes(&mut body, name);
            put_bytes(&mut body, value);
        }
        put_bytes(&mut body, &self.cwd);
        put_bytes(&mut body, self.user.as_bytes());
        body.extend(self.umask.to_le_bytes());
        put_number(&mut body, self.files.len());
        for file in &self.files {
            put_file(&mut body, file);
        }
        put_number(&mut body, self.mounts.len());
        for mount in &self.mounts {
            put_mount(&mut body, mount);
        }
        body.extend((self.confinement as u32).to_le_bytes());
        put_bytes(&mut body, self.apparmor.as_bytes());
        put_number(&mut body, self.needles.len());
        for needle in &self.needles {
            put_bytes(&mut body, needle.name.as_bytes());
            put_number(&mut body, needle.texts.len());
            for text in &needle.texts {
                put_bytes(&mut body, text);
            }
        }
        if body.len() > MAX_LENGTH {
            return Err(Error::TooLong(body.len()));
        }
        let mut message = MAGIC.to_vec();
        put_bytes(&mut message, &body);
        Ok(message)
    }

    /// Reads one request and not a byte more.
    ///
    /// # Errors
    /// When the input ends early or does not hold a request.
    pub fn read(input: &mut impl Read) -> Result<Self, Error> {
        let mut head = [0; 8];
        input.read_exact(&mut head)?;
        let (magic, length) = head.split_at(4);
        if magic != MAGIC {
            return Err(Error::Magic);
        }
        let length = Body(length).number()? as usize;
        if length > MAX_LENGTH {
            return Err(Error::TooLong(length));
        }
        let mut bytes = vec![0; length];
        input.read_exact(&mut bytes)?;
        let mut body = Body(&bytes);
        let request = Self {
            token: body.text()?,
            args: body.list(Body::bytes)?,
            env: body.list(|b| Ok((b.bytes()?, b.bytes()?)))?,
            cwd: body.bytes()?,
            user: body.text()?,
            umask: body.number()?,
            files: body.list(Body::file)?,
            mounts: body.list(Body::mount)?,
            confinement: match body.number()? {
                0 => Confinement::None,
                1 => Confinement::Capabilities,
                2 => Confinement::SystemCalls,
                _ => return Err(Error::Malformed),
            },
            apparmor: body.text()?,
            needles: body.list(|b| {
                Ok(Needle {
                    name: b.text()?,
                    texts: b.list(Body::bytes)?,
                })
            })?,
        };
        if body.0.is_empty() {
            Ok(request)
        } else {
            Err(Error::Malformed)
        }
    }
}

/// The line the program writes when the command cannot be started.
#[must_use]
pub fn failure_line(token: &str, message: &str) -> String {
    let message = message.replace('\n', " ");
    format!("{PREFIX}{token}: {message}\n")
}

/// The message of a [`failure_line`] with this token, if `stderr` (all of it) is one.
#[must_use]
pub fn start_failure<'a>(stderr: &'a str, token: &str) -> Option<&'a str> {
    stderr
        .strip_prefix(PREFIX)?
        .strip_prefix(token)?
        .strip_prefix(": ")?
        .strip_suffix('\n')
}

/// A line about something that the program found out after the command has ended. It begins as
/// a [`failure_line`] does, in the middle of a line if the command did not end its last one.
#[must_use]
pub fn report_line(token: &str, report: &str) -> String {
    failure_line(token, report)
}

fn put_file(out: &mut Vec<u8>, file: &File) {
    put_bytes(out, &file.path);
    put_bytes(out, &file.content);
    for number in [file.mode, file.uid, file.gid] {
        out.extend(number.to_le_bytes());
    }
}

fn put_mount(out: &mut Vec<u8>, mount: &Mount) {
    put_bytes(out, &mount.target);
    put_number(out, usize::from(mount.read_only));
    match &mount.source {
        Source::Tmpfs { size } => {
            put_number(out, 0);
            put_bytes(out, &size.to_le_bytes());
        }
        Source::Secret(file) => {
            put_number(out, 1);
            put_file(out, file);
        }
        Source::Volume { number } => {
            put_number(out, 2);
            out.extend(number.to_le_bytes());
        }
        Source::Cache(cache) => {
            put_number(out, 3);
            let sharing = cache.sharing as u32;
            for number in [cache.number, sharing, cache.mode, cache.uid, cache.gid] {
                out.extend(number.to_le_bytes());
            }
            put_bytes(out, &cache.seed);
            put_bytes(out, &cache.fresh);
        }
        Source::Path(path) => {
            put_number(out, 4);
            put_bytes(out, path);
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "larger numbers make the whole too long, which `encode` refuses"
)]
fn put_number(out: &mut Vec<u8>, number: usize) {
    out.extend((number as u32).to_le_bytes());
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len());
    out.extend(bytes);
}

/// What is left to read of a request.
struct Body<'a>(&'a [u8]);

impl Body<'_> {
    fn number(&mut self) -> Result<u32, Error> {
        let (number, rest) = self.0.split_first_chunk().ok_or(Error::Malformed)?;
        self.0 = rest;
        Ok(u32::from_le_bytes(*number))
    }

    fn bytes(&mut self) -> Result<Vec<u8>, Error> {
        let length = self.number()? as usize;
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(Error::Malformed)?;
        self.0 = rest;
        Ok(bytes.to_vec())
    }

    fn text(&mut self) -> Result<String, Error> {
        String::from_utf8(self.bytes()?).map_err(|_| Error::Malformed)
    }

    fn file(&mut self) -> Result<File, Error> {
        Ok(File {
            path: self.bytes()?,
            content: self.bytes()?,
            mode: self.number()?,
            uid: self.number()?,
            gid: self.number()?,
        })
    }

    fn mount(&mut self) -> Result<Mount, Error> {
        Ok(Mount {
            target: self.bytes()?,
            read_only: self.number()? != 0,
            source: match self.number()? {
                0 => {
                    let size = self.bytes()?.try_into().map_err(|_| Error::Malformed)?;
                    let size = u64::from_le_bytes(size);
                    Source::Tmpfs { size }
                }
                1 => Source::Secret(self.file()?),
                2 => Source::Volume {
                    number: self.number()?,
                },
                3 => Source::Cache(self.cache()?),
                4 => Source::Path(self.bytes()?),
                _ => return Err(Error::Malformed),
            },
        })
    }

    fn cache(&mut self) -> Result<Cache, Error> {
        Ok(Cache {
            number: self.number()?,
            sharing: match self.number()? {
                0 => Sharing::Shared,
                1 => Sharing::Private,
                2 => Sharing::Locked,
                _ => return Err(Error::Malformed),
            },
            mode: self.number()?,
            uid: self.number()?,
            gid: self.number()?,
            seed: self.bytes()?,
            fresh: self.bytes()?,
        })
    }

    /// The count is not believed: items are read until one is missing.
    fn list<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        (0..self.number()?).map(|_| item(self)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Request {
        Request {
            token: "5f3a".into(),
            args: vec![b"sh".to_vec(), b"-c".to_vec(), b"echo \xff\n".to_vec()],
            env: vec![
                (b"PATH".to_vec(), b"/bin".to_vec()),
                (b"EMPTY".to_vec(), Vec::new()),
            ],
            cwd: b"/src".to_vec(),
            user: "app:staff".into(),
            umask: 0o027,
            files: vec![File {
                path: b"/dev/pipes/EOF".to_vec(),
                content: b"#!/bin/sh\n".to_vec(),
                mode: 0o755,
                uid: 1,
                gid: 2,
            }],
            mounts: vec![
                mount(Source::Tmpfs { size: 1 << 40 }),
                mount(Source::Secret(File {
                    path: Vec::new(),
                    content: b"s".to_vec(),
                    mode: 0o400,
                    uid: 3,
                    gid: 4,
                })),
                mount(Source::Volume { number: 7 }),
                mount(Source::Cache(Cache {
                    number: 1,
                    sharing: Sharing::Locked,
                    mode: 0o700,
                    uid: 1,
                    gid: 2,
                    seed: b"seed".to_vec(),
                    fresh: b"b1".to_vec(),
                })),
                mount(Source::Path(b"/dev/s".to_vec())),
            ],
            confinement: Confinement::SystemCalls,
            apparmor: "docker-default".into(),
            needles: vec![Needle {
                name: "id".into(),
                texts: vec![b"one".to_vec(), b"two".to_vec()],
            }],
        }
    }

    fn mount(source: Source) -> Mount {
        Mount {
            target: b"/t".to_vec(),
            read_only: true,
            source,
        }
    }

    #[test]
    fn reads_what_was_encoded_and_no_more() {
        for request in [sample(), Request::default()] {
            let mut bytes = request.encode().unwrap();
            bytes.extend(b"rest");
            let mut input = bytes.as_slice();
            assert_eq!(Request::read(&mut input).unwrap(), request);
            assert_eq!(input, b"rest");
        }
    }

    #[test]
    fn the_encoding_is_as_documented() {
        let request = Request {
            token: "t".into(),
            args: vec![b"ls".to_vec()],
            ..Request::default()
        };
        assert_eq!(
            request.encode().unwrap(),
            b"bwl2\x34\0\0\0\x01\0\0\0t\x01\0\0\0\x02\0\0\0ls\0\0\0\0\x01\0\0\0/\0\0\0\0\x12\0\0\0\0\0\0\0\
              \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
        );
    }

    #[test]
    fn every_damage_is_an_error() {
        let whole = sample().encode().unwrap();
        for end in 0..whole.len() {
            assert!(Request::read(&mut &whole[..end]).is_err(), "cut at {end}");
        }
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] = 0xff;
            // Some bytes are content; the others must not make it panic or allocate at will.
            let _ = Request::read(&mut bytes.as_slice());
        }
        let trailing = [
            b"bwl2\x2e\0\0\0",
            &Request::default().encode().unwrap()[8..],
            b"x",
        ];
        assert!(matches!(
            Request::read(&mut trailing.concat().as_slice()),
            Err(Error::Malformed)
        ));
        assert!(matches!(
            Request::read(&mut b"bwl2\xff\xff\xff\xff".as_slice()),
            Err(Error::TooLong(_))
        ));
        assert!(matches!(
            Request::read(&mut b"#!/bin/sh".as_slice()),
            Err(Error::Magic)
        ));
    }

    #[test]
    fn only_the_line_with_the_token_is_a_start_failure() {
        let line = failure_line("5f3a", "unable to find\nuser");
        assert_eq!(start_failure(&line, "5f3a"), Some("unable to find user"));
        assert_eq!(start_failure(&line, "0000"), None);
        assert_eq!(start_failure("bowline-init: no\n", "5f3a"), None);
    }
}
