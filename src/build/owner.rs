//! Who runs a build: enough to tell later whether that process still lives.
//!
//! A process is named by its machine's boot, its PID namespace, its PID and its start time.
//! Only a process of the same boot and namespace can be judged by another; what belongs to any
//! other stays until it is older than any build can be.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// After this many seconds a build of somewhere else counts as dead.
const LONGEST_BUILD: u64 = 48 * 60 * 60;

/// `boot:namespace:pid:start:seconds`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owner {
    /// The boot ID and the PID namespace: where the other numbers mean something.
    place: String,
    pid: u32,
    /// In clock ticks since the boot, from `/proc/PID/stat`.
    start: u64,
    /// When the build began, in seconds since 1970.
    began: u64,
}

impl Owner {
    pub(super) fn this_process() -> Self {
        let pid = std::process::id();
        Self {
            place: place(),
            pid,
            start: start_of(pid).unwrap_or(0),
            began: now(),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.rsplitn(4, ':');
        let began = parts.next()?.parse().ok()?;
        let start = parts.next()?.parse().ok()?;
        let pid = parts.next()?.parse().ok()?;
        Some(Self {
            place: parts.next()?.to_owned(),
            pid,
            start,
            began,
        })
    }

    /// Whether the owner that a label names is certainly gone; `None` when it is somewhere else
    /// and may be alive.
    pub(super) fn is_dead(label: &str) -> Option<bool> {
        let Some(owner) = Self::parse(label) else {
            return Some(false);
        };
        if owner.place == place() {
            return Some(start_of(owner.pid) != Some(owner.start));
        }
        (now().saturating_sub(owner.began) > LONGEST_BUILD).then_some(true)
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}:{}",
            self.place, self.pid, self.start, self.began
        )
    }
}

fn place() -> String {
    let boot = fs_err::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let namespace = fs_err::read_link("/proc/self/ns/pid").unwrap_or_default();
    let number: String = namespace
        .to_string_lossy()
        .chars()
        .filter(char::is_ascii_digit)
        .collect();
    format!("{}:{number}", boot.trim())
}

/// The start time of a process, the 22nd field of its `stat`.
fn start_of(pid: u32) -> Option<u64> {
    let stat = fs_err::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the command in parentheses and may hold anything.
    let after = stat.rsplit_once(')')?.1;
    after.split_whitespace().nth(19)?.parse().ok()
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_living_owner_is_not_dead_and_a_gone_one_is() {
        let me = Owner::this_process();
        assert_eq!(Owner::parse(&me.to_string()), Some(me.clone()));
        assert_eq!(Owner::is_dead(&me.to_string()), Some(false));
        let reused = Owner {
            start: me.start + 1,
            ..me.clone()
        };
        assert_eq!(Owner::is_dead(&reused.to_string()), Some(true));
        let gone = Owner {
            pid: u32::MAX - 7,
            ..me.clone()
        };
        assert_eq!(Owner::is_dead(&gone.to_string()), Some(true));
        let elsewhere = Owner {
            place: "other:1".into(),
            ..me.clone()
        };
        assert_eq!(Owner::is_dead(&elsewhere.to_string()), None);
        let long_ago = Owner {
            began: me.began - LONGEST_BUILD - 9,
            ..elsewhere
        };
        assert_eq!(Owner::is_dead(&long_ago.to_string()), Some(true));
        assert_eq!(Owner::is_dead("anything else"), Some(false));
    }
}
