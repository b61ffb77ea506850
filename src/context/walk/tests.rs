use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixListener;

use fs_err::os::unix::fs::symlink;
use rustix::fs::{FileType, Mode};

use super::*;

/// A context with these files; a name that ends in `/` is a directory.
pub(crate) fn context(files: &[&str], ignore: &str) -> (tempfile::TempDir, Context) {
    let dir = tempfile::tempdir().expect("a directory");
    for file in files {
        let path = dir.path().join(file);
        if file.ends_with('/') {
            fs_err::create_dir_all(path).expect("made");
        } else {
            fs_err::create_dir_all(path.parent().expect("inside")).expect("made");
            fs_err::write(&path, *file).expect("written");
        }
    }
    let rules = IgnoreRules::parse(ignore, ".dockerignore").expect("valid rules");
    let context = Context::open(dir.path(), rules).expect("a directory");
    (dir, context)
}

fn paths(context: &Context, dir: &str) -> Vec<String> {
    context
        .below(dir)
        .expect("listed")
        .iter()
        .map(|entry| entry.path.clone())
        .collect()
}

#[test]
fn sorted_and_without_what_is_ignored() {
    let files = [
        "b/c",
        "b/a",
        "a",
        "a-b",
        "b.txt",
        "deep/x/y/z",
        "deep/x/w",
        "out/keep/f",
        "out/g",
    ];
    let (_dir, context) = context(&files, "deep/x/y\nout\n!out/keep\na-*");
    let expected = [
        "a",
        "b",
        "b/a",
        "b/c",
        "b.txt",
        "deep",
        "deep/x",
        "deep/x/w",
        "out",
        "out/keep",
        "out/keep/f",
    ];
    assert_eq!(paths(&context, ""), expected);
    assert_eq!(paths(&context, "deep/x"), ["deep/x/w"]);
    assert_eq!(paths(&context, "deep/x/y"), Vec::<String>::new());
    assert_eq!(paths(&context, "nowhere"), Vec::<String>::new());
}

#[test]
fn ignored_parents_are_there_when_something_in_them_is() {
    for (ignore, seen, unseen) in [
        ("*\n!a/b/c", vec!["a", "a/b", "a/b/c"], vec!["a/x", "z"]),
        (
            "*\n!**/c",
            vec!["a", "a/b", "a/b/c"],
            vec!["a/x", "z", "empty"],
        ),
        ("a\n!a/none", vec!["z"], vec!["a", "a/b"]),
        ("**\n!z", vec!["z"], vec!["a", "empty"]),
        ("empty/", vec!["a"], vec!["empty"]),
    ] {
        let (_dir, context) = context(&["a/b/c", "a/x", "z", "empty/"], ignore);
        for again in [false, true] {
            for path in &seen {
                assert!(
                    context.lstat(path).expect("asked").is_some(),
                    "{ignore:?} {path} {again}"
                );
            }
            for path in &unseen {
                assert!(
                    context.lstat(path).expect("asked").is_none(),
                    "{ignore:?} {path} {again}"
                );
            }
            // Now from listings.
            paths(&context, "");
        }
    }
}

#[test]
fn kinds_and_metadata() {
    let (dir, context) = context(&["f", "d/x"], "");
    let at = |name: &str| dir.path().join(name);
    symlink("../else\u{fc}where", at("l")).expect("linked");
    fs_err::hard_link(at("f"), at("d/same")).expect("linked");
    rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe"), Mode::RUSR).expect("made");
    let _socket = UnixListener::bind(at("sock")).expect("bound");
    fs_err::set_permissions(at("f"), PermissionsExt::from_mode(0o6751)).expect("set");
    let root = rustix::process::geteuid().is_root();
    if root {
        chown(at("f"), Some(7), Some(8)).expect("owned");
        fs_err::set_permissions(at("f"), PermissionsExt::from_mode(0o6751)).expect("set");
        let device = rustix::fs::makedev(1, 3);
        rustix::fs::mknodat(
            rustix::fs::CWD,
            at("null"),
            FileType::CharacterDevice,
            Mode::RUSR,
            device,
        )
        .expect("made");
    }
    let old = filetime(-100, 250);
    rustix::fs::utimensat(rustix::fs::CWD, at("f"), &old, rustix::fs::AtFlags::empty())
        .expect("set");
    let get = |path: &str| context.lstat(path).expect("asked").expect("there");
    let f = get("f");
    assert_eq!((f.mode, f.uid, f.gid, f.size), (0o6751, 0, 0, 1));
    assert_eq!(
        f.mtime,
        Mtime {
            secs: -100,
            nanos: 250
        }
    );
    assert_eq!(f.link, get("d/same").link);
    assert!(f.link.is_some());
    assert_eq!(get("d/x").link, None);
    assert_eq!(get("l").kind, Kind::Symlink("../else\u{fc}where".into()));
    assert_eq!(get("pipe").kind, Kind::Fifo);
    assert_eq!(
        (get("sock").kind.clone(), get("sock").size),
        (Kind::File, 0)
    );
    assert!(context.open(&get("sock")).is_ok());
    if root {
        assert_eq!(get("null").kind, Kind::Char { major: 1, minor: 3 });
    }
    // A link on the way is not gone through.
    symlink("d", at("to")).expect("linked");
    assert!(context.lstat("to/x").expect("asked").is_none());
    assert!(context.lstat("f/x").expect("asked").is_none());
}

fn filetime(secs: i64, nanos: i64) -> rustix::fs::Timestamps {
    let time = rustix::fs::Timespec {
        tv_sec: secs,
        tv_nsec: nanos,
    };
    rustix::fs::Timestamps {
        last_access: time,
        last_modification: time,
    }
}

#[test]
fn what_is_not_asked_for_is_not_listed() {
    let (dir, context) = context(&["a/f", "b/g"], "");
    fs_err::remove_dir_all(dir.path().join("b")).expect("removed");
    fs_err::write(dir.path().join("b"), "now a file").expect("written");
    assert_eq!(paths(&context, "a"), ["a/f"]);
    assert!(context.lstat("b").expect("asked").expect("there").is_file());
    fs_err::write(dir.path().join("a/late"), "").expect("written");
    assert_eq!(paths(&context, "a"), ["a/f"]);
    context.forget();
    assert_eq!(paths(&context, "a"), ["a/f", "a/late"]);
}

#[test]
fn files_that_change() {
    let (dir, context) = context(&["f", "g", "h", "i"], "");
    let mut entries = context.list("").expect("listed").into_iter();
    let mut next = || entries.next().expect("an entry");
    let read = |entry: &Entry| -> Result<String> {
        let mut text = String::new();
        context.open(entry)?.read_to_string(&mut text)?;
        Ok(text)
    };
    assert_eq!(read(&next()).expect("unchanged"), "f");
    fs_err::write(dir.path().join("g"), "longer").expect("written");
    assert!(matches!(read(&next()), Err(Error::Changed { path }) if path == "g"));
    fs_err::remove_file(dir.path().join("h")).expect("removed");
    assert!(matches!(read(&next()), Err(Error::Changed { path }) if path == "h"));
    fs_err::remove_file(dir.path().join("i")).expect("removed");
    symlink("/etc/passwd", dir.path().join("i")).expect("linked");
    assert!(matches!(read(&next()), Err(Error::Changed { path }) if path == "i"));
}

#[test]
fn a_file_that_changes_under_the_reader() {
    let (dir, context) = context(&["f"], "");
    fs_err::write(dir.path().join("f"), vec![1; 100]).expect("written");
    let entry = context.lstat("f").expect("asked").expect("there");
    let mut reader = context.open(&entry).expect("opened");
    reader.read_exact(&mut [0; 50]).expect("read");
    fs_err::write(dir.path().join("f"), vec![2; 60]).expect("written");
    let error = reader.read_to_end(&mut Vec::new()).expect_err("changed");
    assert!(matches!(
        error.downcast::<Error>(),
        Ok(Error::Changed { .. })
    ));
}

#[test]
fn names_that_are_not_utf8() {
    let (dir, context) = context(&["ok"], "");
    fs_err::write(dir.path().join(OsStr::from_bytes(b"bad\xff")), "").expect("written");
    symlink(OsStr::from_bytes(b"\xfe"), dir.path().join("link")).expect("linked");
    let entries = context.list("").expect("listed");
    let checked: Vec<bool> = entries
        .iter()
        .map(|entry| context.check(entry).is_ok())
        .collect();
    assert_eq!(checked, [false, false, true]);
    let error = context.check(&entries[0]).expect_err("not UTF-8");
    assert!(error.to_string().contains("is not UTF-8"), "{error}");
}

#[test]
fn attributes_of_files() {
    let (dir, context) = context(&["f"], "");
    let path = dir.path().join("f");
    if xattr::set(&path, "user.colour", b"blue").is_err() {
        return;
    }
    let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let _ = xattr::set(&path, "security.capability", &capability);
    let entry = context.lstat("f").expect("asked").expect("there");
    let expected = vec![("user.colour".to_owned(), b"blue".to_vec())];
    assert_eq!(context.xattrs(&entry).expect("read"), expected);
}

#[test]
fn the_root_must_be_a_directory() {
    let (dir, _context) = context(&["f"], "");
    assert!(Context::open(&dir.path().join("f"), IgnoreRules::none()).is_err());
    assert!(Context::open(&dir.path().join("none"), IgnoreRules::none()).is_err());
    symlink(dir.path(), dir.path().join("to")).expect("linked");
    assert!(Context::open(&dir.path().join("to"), IgnoreRules::none()).is_ok());
}

#[test]
fn many_files() {
    let names: Vec<String> = (0..1000).map(|at| format!("d{}/f{at}", at % 7)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (_dir, context) = context(&names, "*/f*9");
    assert_eq!(paths(&context, "").len(), 7 + 900);
    assert!(context.lstat("d0/f14").expect("asked").is_some());
    assert!(context.lstat("d0/f49").expect("asked").is_none());
}
