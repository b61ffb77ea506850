//! What a step's container writes: the command's output, and after it what the program beside
//! the command has to say.

use bytes::Bytes;

use super::leak::{self, Masker};
use crate::engine::Stream;
use crate::init::wire::{LEAK, PREFIX, SETUP_FAILED, start_failure};
use crate::progress::{Running, StreamKind};

/// Passes output on as it comes.
pub(super) struct Said {
    token: String,
    /// Begins what the program says; no command can know it.
    marker: Vec<u8>,
    stdout: Masker,
    stderr: Masker,
    /// What may be the beginning of the marker.
    held: Vec<u8>,
    /// Masks what is told of files.
    names: Masker,
    /// What the program says.
    own: Option<Vec<u8>>,
}

/// What is known when all was said.
pub(super) struct Told {
    /// Why the command could not be started.
    pub(super) refused: Option<String>,
    /// Secrets and the files that they are in.
    pub(super) leaks: Vec<(String, String)>,
    /// Whether the output held a secret.
    pub(super) printed: bool,
}

impl Said {
    /// `secrets` are the texts that are not shown.
    pub(super) fn new(token: &str, secrets: &[Vec<u8>]) -> Self {
        Self {
            token: token.to_owned(),
            marker: format!("{PREFIX}{token}: ").into_bytes(),
            stdout: Masker::new(secrets.to_vec()),
            stderr: Masker::new(secrets.to_vec()),
            held: Vec::new(),
            names: Masker::new(secrets.to_vec()),
            own: None,
        }
    }

    pub(super) fn take(&mut self, stream: Stream, bytes: Bytes, progress: &Running) {
        let (kind, shown) = match stream {
            Stream::Stdout => (StreamKind::Stdout, self.stdout.take(bytes)),
            Stream::Stderr => {
                let bytes = self.of_command(&bytes);
                (StreamKind::Stderr, self.stderr.take(bytes))
            }
        };
        if !shown.is_empty() {
            progress.output(kind, shown);
        }
    }

    /// What of standard error is the command's.
    fn of_command(&mut self, bytes: &[u8]) -> Bytes {
        if let Some(own) = &mut self.own {
            own.extend_from_slice(bytes);
            return Bytes::new();
        }
        let mut all = std::mem::take(&mut self.held);
        all.extend_from_slice(bytes);
        let marker = self.marker.as_slice();
        if let Some(at) = all.windows(marker.len()).position(|part| part == marker) {
            self.own = Some(all.split_off(at));
            return all.into();
        }
        let keep = leak::begins(&all, std::slice::from_ref(&self.marker));
        self.held = all.split_off(all.len() - keep);
        all.into()
    }

    /// Ends the output.
    pub(super) fn finish(mut self, status: i64, progress: &Running) -> Told {
        let held = std::mem::take(&mut self.held);
        let mut rest = self.stderr.take(held.into()).to_vec();
        rest.extend(self.stderr.finish());
        for (kind, rest) in [
            (StreamKind::Stdout, self.stdout.finish()),
            (StreamKind::Stderr, rest.into()),
        ] {
            if !rest.is_empty() {
                progress.output(kind, rest);
            }
        }
        let mut told = Told {
            refused: None,
            leaks: Vec::new(),
            printed: self.stdout.masked + self.stderr.masked > 0,
        };
        let own = self.own.unwrap_or_default();
        let own = String::from_utf8_lossy(&own);
        for line in own.split_inclusive('\n') {
            let Some(text) = start_failure(line, &self.token) else {
                continue;
            };
            match text
                .strip_prefix(LEAK)
                .and_then(|rest| rest.split_once('\t'))
            {
                Some((name, path)) => {
                    // A file's name may be the secret.
                    let mut path_shown = self
                        .names
                        .take(Bytes::copy_from_slice(path.as_bytes()))
                        .to_vec();
                    path_shown.extend(self.names.finish());
                    let path = String::from_utf8_lossy(&path_shown).into_owned();
                    told.leaks.push((name.to_owned(), path));
                }
                None if status >= i64::from(SETUP_FAILED) => {
                    told.refused.get_or_insert_with(|| text.to_owned());
                }
                None => {}
            }
        }
        told
    }
}
