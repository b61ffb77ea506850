//! `--explain`: what the last build of the same Dockerfile in this place was, kept for the next.

use std::path::PathBuf;

use super::remembered;
use crate::build::{Builder, Memory};
use crate::engine::EngineInfo;
use crate::image::Digest;
use crate::progress::Numbering;
use crate::request::{BuildRequest, ContextSource};

/// Where a build is remembered, and what is there.
pub(super) struct Explained {
    file: PathBuf,
    last: Memory,
    /// Whether anybody wants to hear it.
    told: bool,
}

impl Explained {
    pub(super) fn open(request: &BuildRequest, engine: &EngineInfo) -> Self {
        let place = match &request.context {
            ContextSource::Directory(dir) => {
                let real = fs_err::canonicalize(dir).unwrap_or_else(|_| dir.clone());
                format!("{}", real.display())
            }
            other => format!("{other:?}"),
        };
        let what = format!(
            "1 {} {place} {:?} {:?}",
            engine.id, request.dockerfile, request.target
        );
        let name = Digest::sha256(what.as_bytes());
        let file = request.cache_dir.join("explained").join(name.hex());
        let last = if request.explain {
            Memory::read(&file)
        } else {
            Memory::default()
        };
        Self {
            file,
            last,
            told: request.explain,
        }
    }

    /// Nothing of the target had to be made.
    pub(super) fn all_found(&self, numbering: &Numbering) {
        if self.told {
            numbering.note("explain: every step is in the cache".into());
        }
    }

    /// Tells why steps ran, and remembers this build. Not being able to remember it costs an
    /// explanation and nothing else.
    pub(super) fn tell(&self, builder: &Builder, numbering: &Numbering) {
        if self.told {
            let lines = builder.explain(&self.last);
            if lines.is_empty() {
                self.all_found(numbering);
            }
            for line in lines {
                numbering.note(format!("explain: {line}"));
            }
        }
        if let Err(error) = remembered::write(&self.file, &builder.memory()) {
            tracing::debug!(%error, "the build is not remembered");
        }
    }
}
