//! Who a step runs as: a `USER` text against the container's `/etc/passwd` and `/etc/group`,
//! by the rules of BuildKit and runc.

use std::fmt;

/// Identities for the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub uid: u32,
    pub gid: u32,
    /// With the primary group.
    pub groups: Vec<u32>,
}

/// Why there is no such user. The texts are BuildKit's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Error {
    NoUser(String),
    NoGroup(String),
    Range,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoUser(name) => write!(
                f,
                "unable to find user {name}: no matching entries in passwd file"
            ),
            Self::NoGroup(name) => write!(
                f,
                "unable to find group {name}: no matching entries in group file"
            ),
            Self::Range => write!(f, "uids and gids must be in range 0-{MAX_ID}"),
        }
    }
}

const MAX_ID: i64 = i32::MAX as i64;

/// Resolves `name|uid[:group|gid]`; empty is root.
///
/// Supplementary groups come only with a user that stands in `passwd` and names no group.
pub(crate) fn resolve(spec: &str, passwd: &str, group: &str) -> Result<Identity, Error> {
    if spec.is_empty() {
        let root = Identity {
            uid: 0,
            gid: 0,
            groups: vec![0],
        };
        return Ok(resolve("0", passwd, group).unwrap_or(root));
    }
    if let Some((uid, gid)) = both_numbers(spec) {
        let (uid, gid) = (id(uid)?, id(gid)?);
        return Ok(Identity {
            uid,
            gid,
            groups: vec![gid],
        });
    }
    let mut fields = spec.split(':');
    let user_arg = fields.next().unwrap_or_default();
    let group_arg = fields.next().unwrap_or_default();
    let uid_arg = number(user_arg)?;
    let gid_arg = number(group_arg)?;

    // A number is never taken as a name.
    let user = users(passwd).find(|user| match (user_arg, uid_arg) {
        ("", _) => user.uid == 0,
        (_, Some(uid)) => user.uid == uid,
        (name, None) => user.name == name,
    });
    let (uid, mut gid) = match (&user, uid_arg) {
        (Some(user), _) => (user.uid, user.gid),
        (None, Some(uid)) => (uid, 0),
        (None, None) if user_arg.is_empty() => (0, 0),
        (None, None) => return Err(Error::NoUser(user_arg.to_owned())),
    };
    let mut others = Vec::new();
    if group_arg.is_empty() {
        let name = user.map_or("", |user| user.name);
        if !name.is_empty() {
            let member = |g: &Group<'_>| g.members.split(',').any(|m| m == name);
            others = groups(group).filter(member).map(|g| g.gid).collect();
        }
    } else {
        let found = groups(group).find(|g| match gid_arg {
            Some(gid) => g.gid == gid,
            None => g.name == group_arg,
        });
        gid = match (found, gid_arg) {
            (Some(group), _) => group.gid,
            (None, Some(gid)) => gid,
            (None, None) => return Err(Error::NoGroup(group_arg.to_owned())),
        };
    }
    let gid = id(gid)?;
    let mut ids = vec![gid];
    for other in others {
        let other = id(other)?;
        if !ids.contains(&other) {
            ids.push(other);
        }
    }
    Ok(Identity {
        uid: id(uid)?,
        gid,
        groups: ids,
    })
}

/// The home of a uid, for a step without `HOME`; `/` when `passwd` does not know the uid.
pub(crate) fn home(uid: u32, passwd: &str) -> &str {
    users(passwd)
        .find(|user| user.uid == i64::from(uid))
        .map_or("/", |user| user.home)
}

/// `uid:gid` needs no file; `root` counts as a number here.
fn both_numbers(spec: &str) -> Option<(i64, i64)> {
    let one = |text: &str| match text {
        "root" => Some(0),
        _ if text.starts_with('+') => None,
        _ => text.parse::<u32>().ok().map(i64::from),
    };
    let (uid, gid) = spec.split_once(':')?;
    Some((one(uid)?, one(gid)?))
}

/// A number as an ID in a `USER`; `None` when it is a name.
fn number(text: &str) -> Result<Option<i64>, Error> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(None);
    }
    match text.parse() {
        Ok(id @ 0..=MAX_ID) => Ok(Some(id)),
        _ => Err(Error::Range),
    }
}

fn id(number: i64) -> Result<u32, Error> {
    match u32::try_from(number) {
        Ok(id) if number <= MAX_ID => Ok(id),
        _ => Err(Error::Range),
    }
}

struct User<'a> {
    name: &'a str,
    uid: i64,
    gid: i64,
    home: &'a str,
}

struct Group<'a> {
    name: &'a str,
    gid: i64,
    members: &'a str,
}

/// Lines with too few fields count, with zeros and empty texts for what is missing; so do
/// numbers that are none.
fn users(passwd: &str) -> impl Iterator<Item = User<'_>> {
    lines(passwd).map(|line| {
        let mut fields = line.split(':');
        let mut next = || fields.next().unwrap_or_default();
        let (name, _password, uid, gid, _gecos, home) =
            (next(), next(), next(), next(), next(), next());
        User {
            name,
            uid: uid.parse().unwrap_or(0),
            gid: gid.parse().unwrap_or(0),
            home,
        }
    })
}

fn groups(group: &str) -> impl Iterator<Item = Group<'_>> {
    lines(group)
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let mut fields = line.split(':');
            let mut next = || fields.next().unwrap_or_default();
            let (name, _password, gid, members) = (next(), next(), next(), next());
            Group {
                name,
                gid: gid.parse().unwrap_or(0),
                members,
            }
        })
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n\
        # app:x:1:1::/no:\n\n\
        app:x:1000:1001:App:/home/app:/bin/sh\n  \
        odd:x:7\n\
        1234:x:77:77::/n:\n";
    const GROUP: &str = "root:x:0:\nwheel:x:10:root,app\n#app:x:5:app\nstaff:x:50:app,odd\nstaff:x:50:app\n\
        appgrp:x:1001:\nnoise\n";

    /// The fields of `id`: uid, gid, groups.
    #[test]
    fn resolves_as_buildkit_does() {
        for (spec, expected) in [
            ("", "0 0 [0, 10]"),
            ("root", "0 0 [0, 10]"),
            ("0", "0 0 [0, 10]"),
            ("0:0", "0 0 [0]"),
            ("root:root", "0 0 [0]"),
            ("app", "1000 1001 [1001, 10, 50]"),
            ("1000", "1000 1001 [1001, 10, 50]"),
            ("app:staff", "1000 50 [50]"),
            ("app:50", "1000 50 [50]"),
            ("app:4242", "1000 4242 [4242]"),
            ("1000:1001", "1000 1001 [1001]"),
            (
                "4000000000:1",
                "uids and gids must be in range 0-2147483647",
            ),
            ("2222", "2222 0 [0]"),
            ("2222:staff", "2222 50 [50]"),
            (":2000", "0 2000 [2000]"),
            (":staff", "0 50 [50]"),
            ("app:", "1000 1001 [1001, 10, 50]"),
            ("app:staff:more", "1000 50 [50]"),
            ("odd", "7 0 [0, 50]"),
            ("1234", "1234 0 [0]"),
            ("+1000", "1000 1001 [1001, 10, 50]"),
            (
                "#",
                "unable to find user #: no matching entries in passwd file",
            ),
            (
                "foo",
                "unable to find user foo: no matching entries in passwd file",
            ),
            (
                "foo:staff",
                "unable to find user foo: no matching entries in passwd file",
            ),
            (
                "app:none",
                "unable to find group none: no matching entries in group file",
            ),
            ("-1", "uids and gids must be in range 0-2147483647"),
            ("2147483648", "uids and gids must be in range 0-2147483647"),
            (
                "99999999999999999999",
                "uids and gids must be in range 0-2147483647",
            ),
        ] {
            let got = match resolve(spec, PASSWD, GROUP) {
                Ok(i) => format!("{} {} {:?}", i.uid, i.gid, i.groups),
                Err(error) => error.to_string(),
            };
            assert_eq!(got, expected, "USER {spec}");
        }
    }

    #[test]
    fn works_without_files() {
        let root = |spec| resolve(spec, "", "").map(|i| (i.uid, i.gid));
        assert_eq!(root(""), Ok((0, 0)));
        assert_eq!(root("5"), Ok((5, 0)));
        assert_eq!(root(":5"), Ok((0, 5)));
        assert_eq!(root("root"), Err(Error::NoUser("root".into())));
    }

    #[test]
    fn home_is_by_uid() {
        assert_eq!(home(1000, PASSWD), "/home/app");
        assert_eq!(home(2222, PASSWD), "/");
        assert_eq!(home(7, PASSWD), "");
    }
}
