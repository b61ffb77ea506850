//! `--chown=` and the owner of `WORKDIR`: names looked up in the image's own files.

use super::rootfs::Rootfs;
use crate::engine::{EngineError, Result};

/// Why an owner cannot be told.
#[derive(Debug, thiserror::Error)]
pub(super) enum UserError {
    #[error("{0}")]
    Engine(#[from] EngineError),
    /// There is no image yet to look a name up in.
    #[error("the image has no `{file}` to look up `{name}` in")]
    NoFile { file: &'static str, name: String },
}

/// The numbers of `user[:group]` in an image. A number stands for itself. A user without a group
/// has the user's group by name, and by number the group of that number. A name that the files
/// do not have is 0, as in BuildKit.
pub(super) async fn owner(rootfs: &Rootfs, text: &str) -> Result<(u32, u32), UserError> {
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (text, None),
    };
    let (uid, own_gid) = match number(user) {
        Some(uid) => (uid, uid),
        None if user.is_empty() => (0, 0),
        None => {
            let passwd = file(rootfs, "/etc/passwd", user).await?;
            find(&passwd, user, &[2, 3]).map_or((0, 0), |found| (found[0], found[1]))
        }
    };
    let gid = match group {
        None => own_gid,
        // `12:` is 12 of group 0, `app:` is app of its own group.
        Some("") if number(user).is_some() => 0,
        Some("") => own_gid,
        Some(group) => {
            if let Some(gid) = number(group) {
                gid
            } else {
                let groups = file(rootfs, "/etc/group", group).await?;
                find(&groups, group, &[2]).map_or(own_gid, |found| found[0])
            }
        }
    };
    Ok((uid, gid))
}

fn number(text: &str) -> Option<u32> {
    text.parse::<u32>().ok()
}

async fn file(rootfs: &Rootfs, path: &'static str, name: &str) -> Result<String, UserError> {
    match rootfs.read_file(path).await? {
        Some(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        // A missing file is one without the name.
        None if !rootfs.is_scratch() => Ok(String::new()),
        None => Err(UserError::NoFile {
            file: path,
            name: name.to_owned(),
        }),
    }
}

/// The numbers in some fields of the line that begins with `name:`.
fn find(text: &str, name: &str, fields: &[usize]) -> Option<Vec<u32>> {
    text.lines().find_map(|line| {
        let parts: Vec<&str> = line.trim().split(':').collect();
        if parts.first() != Some(&name) {
            return None;
        }
        fields
            .iter()
            .map(|&field| parts.get(field)?.parse().ok())
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_their_lines() {
        let passwd =
            "root:x:0:0:root:/root:/bin/sh\n#app:x:5:5::\napp:x:1000:1001::/home/app:/bin/sh\n";
        assert_eq!(find(passwd, "app", &[2, 3]), Some(vec![1000, 1001]));
        assert_eq!(find(passwd, "ap", &[2, 3]), None);
    }
}
