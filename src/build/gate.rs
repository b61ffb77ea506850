//! Where a debugger stands: a [`Gate`] is asked before and after each instruction of a build.
//!
//! Without a gate nothing of this is there. With one, stages are walked instruction by
//! instruction (`walk.rs`), cached ones too, and each is shown to the gate as a
//! [`Site`](super::Site).

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::failed::Remains;
use super::site::Site;
use crate::cache::Key;
use crate::plan::StageIndex;

/// What happens next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// The instruction is carried out; after a failure: the build fails.
    Go,
    /// The instruction is carried out again, without a look at the cache.
    Retry,
    /// The stage continues before this line.
    BackTo {
        line: usize,
        /// Whether the steps from there on run again although they are known.
        fresh: bool,
    },
    /// The build ends here.
    Stop,
}

/// Asked at every instruction; it answers when the build may go on.
#[async_trait]
pub trait Gate: Send + Sync {
    /// Whether stages may be started before an instruction needs them.
    fn is_running_freely(&self) -> bool;
    async fn before(&self, site: &Arc<Site>) -> Turn;
    /// After the instruction was carried out or failed.
    async fn after(&self, site: &Arc<Site>) -> Turn;
}

/// Whether a step is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The instruction changes no files.
    NoStep,
    /// The engine has it, by its definition.
    Hit { key: String },
    /// It is part of a later step that the engine has.
    Within { line: usize },
    /// The engine has no step with this key.
    Miss { key: String },
    /// The step of this line misses, so the keys of all after it are new.
    AfterMiss { line: usize },
    /// `--no-cache`
    Ignored,
    /// The debugger was told to run it again.
    Again,
    /// Something before it was changed by hand.
    Changed,
}

impl Verdict {
    #[must_use]
    pub fn is_miss(&self) -> bool {
        !matches!(self, Self::NoStep | Self::Hit { .. } | Self::Within { .. })
    }
}

/// What outlives the builds of one debug session: each of them reads the Dockerfile anew.
#[derive(Default)]
pub struct Session {
    /// Steps made in it: `--no-cache` does not make them again.
    made: Mutex<HashSet<Key>>,
}

/// A build's part of it.
pub(super) struct Gated {
    pub(super) gate: Arc<dyn Gate>,
    session: Arc<Session>,
    /// Which line of which stage asked first for a stage.
    callers: Mutex<HashMap<StageIndex, (StageIndex, usize)>>,
    /// What failed steps left, by their titles.
    remains: Mutex<HashMap<String, Arc<Remains>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Gated {
    pub(super) fn new(gate: Arc<dyn Gate>, session: Arc<Session>) -> Self {
        Self {
            gate,
            session,
            callers: Mutex::default(),
            remains: Mutex::default(),
        }
    }

    pub(super) fn called(&self, stage: StageIndex, by: (StageIndex, usize)) {
        lock(&self.callers).entry(stage).or_insert(by);
    }

    pub(super) fn forget_caller(&self, stage: StageIndex) {
        lock(&self.callers).remove(&stage);
    }

    /// Who waits for a stage, the nearest first.
    pub(super) fn callers_of(&self, stage: StageIndex) -> Vec<(StageIndex, usize)> {
        let callers = lock(&self.callers);
        let mut chain: Vec<(StageIndex, usize)> = Vec::new();
        let mut last = stage;
        while let Some(&by) = callers.get(&last) {
            chain.push(by);
            last = by.0;
        }
        chain
    }

    pub(super) fn has_made(&self, key: &Key) -> bool {
        lock(&self.session.made).contains(key)
    }

    pub(super) fn made(&self, key: &Key) {
        lock(&self.session.made).insert(key.clone());
    }

    pub(super) fn leave_remains(&self, title: &str, remains: Arc<Remains>) {
        lock(&self.remains).insert(title.to_owned(), remains);
    }

    pub(super) fn remains_of(&self, title: &str) -> Option<Arc<Remains>> {
        lock(&self.remains).get(title).cloned()
    }
}
