//! The process that started this one: whether it still runs, and what it was started with.

use std::os::fd::OwnedFd;

use rustix::process::{Pid, PidfdFlags, getppid, pidfd_open};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// How many shells may stand between skaffold and this process.
const MOST_SHELLS: usize = 4;

/// The parent, held so that its end is seen.
pub(super) struct Parent(Option<OwnedFd>);

impl Parent {
    /// The parent of now.
    pub(super) fn now() -> Self {
        let parent = getppid();
        let held = parent.and_then(|parent| pidfd_open(parent, PidfdFlags::empty()).ok());
        // It may have ended meanwhile, and the number be somebody else's.
        Self(held.filter(|_| getppid() == parent))
    }

    /// Waits until it ends; for ever where that cannot be seen.
    pub(super) async fn gone(self) {
        if let Some(held) = self.0
            // SAFETY: an `OwnedFd` is open as long as it lives, and the watch owns it.
            && let Ok(watched) = unsafe { AsyncFd::register_with_interest(held, Interest::READABLE) }
            && watched.readable().await.is_ok()
        {
            return;
        }
        std::future::pending::<()>().await;
    }
}

/// The variables of `names` that skaffold itself was started with, if a skaffold started this
/// process.
pub(super) fn started_with(names: &[&str]) -> Vec<String> {
    let mut pid = getppid();
    for _ in 0..MOST_SHELLS {
        let Some(at) = pid else { break };
        let folder = format!("/proc/{}", at.as_raw_nonzero());
        let Ok(name) = fs_err::read_to_string(format!("{folder}/comm")) else {
            break;
        };
        if name.trim() == "skaffold" {
            let environ = fs_err::read(format!("{folder}/environ")).unwrap_or_default();
            let has = |name: &&&str| {
                let start = format!("{name}=");
                let mut items = environ.split(|byte| *byte == 0);
                items.any(|item| item.starts_with(start.as_bytes()))
            };
            return names.iter().filter(has).map(ToString::to_string).collect();
        }
        let stat = fs_err::read_to_string(format!("{folder}/stat")).unwrap_or_default();
        let after = stat.rsplit_once(") ").map_or("", |(_, after)| after);
        let parent = after.split(' ').nth(1).and_then(|text| text.parse().ok());
        pid = parent.and_then(Pid::from_raw);
    }
    Vec::new()
}
