//! From a bound plan to an image in the engine: the one place that drives the engine.
//!
//! [`Builder`] makes a stage when something needs it and only as far as the cache does not have
//! it. Each step becomes a [`Snapshot`]: an image with exactly the files after that step. The
//! build knows no pod, no debugger and no registry; it is handed a network and a sink.

mod author;
mod builder;
mod copy;
mod elsewhere;
mod exec;
mod explain;
mod failed;
mod failure;
mod gate;
mod guard;
mod held;
mod hosts;
mod identity;
mod init_volume;
mod keep;
mod keys;
mod leak;
mod ledger;
mod mounts;
mod owner;
mod preview;
mod probe;
mod reopen;
mod result;
mod rootfs;
mod said;
mod share;
mod site;
mod snapshot;
mod source;
mod target;
mod tools;
mod user;
mod walk;

pub use builder::{Builder, Parts, Settings, new_id};
pub use copy::one_file;
pub use elsewhere::Elsewhere;
pub use explain::Memory;
pub use failed::{FAILED, FailedStep, Keep, Remains};
pub use failure::{Failure, is_race, of_engine};
pub use gate::{Gate, Session, Turn, Verdict};
pub use held::{Answer, Command, Held, Purpose};
pub use ledger::Ledger;
pub use mounts::{CacheVolume, LABEL_CACHE, Secrets, cache_volumes};
pub use preview::{StagePreview, show_preview};
pub use result::final_config;
pub use site::{Moment, Site};
pub use snapshot::Snapshot;
pub use source::{ContextFiles, Contexts, Open};
