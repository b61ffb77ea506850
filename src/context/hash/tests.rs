use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use fs_err::os::unix::fs::symlink;

use super::*;
use crate::context::walk::tests::context;
use crate::context::{Context, IgnoreRules, Options, select};

fn digest_of(dir: &Path, source: &str, cache: Option<&StatCache>) -> ContentDigest {
    let context = Context::open(dir, IgnoreRules::none()).expect("a directory");
    let found = select(&context, source, &Options::default()).expect("selected");
    digest(&context, &found, cache).expect("hashed")
}

#[test]
fn what_counts() {
    let (dir, _) = context(&["d/f", "d/s/g", "d/e/"], "");
    let at = |name: &str| dir.path().join("d").join(name);
    symlink("f", at("l")).expect("linked");
    let mut last = digest_of(dir.path(), "d", None);
    let mut step = |what: &str, counts: bool, change: &dyn Fn()| {
        change();
        let now = digest_of(dir.path(), "d", None);
        assert_eq!(now != last, counts, "{what}");
        last = now;
    };
    let set = |path: std::path::PathBuf, mode| {
        fs_err::set_permissions(path, PermissionsExt::from_mode(mode)).expect("set");
    };
    step("nothing", false, &|| ());
    step("time", false, &|| {
        fs_err::write(at("f"), "d/f").expect("written");
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(77);
        let file = fs_err::OpenOptions::new()
            .write(true)
            .open(at("f"))
            .expect("opened");
        file.file().set_modified(time).expect("set");
    });
    step("content", true, &|| {
        fs_err::write(at("f"), "D/F").expect("written");
    });
    step("file mode", true, &|| set(at("f"), 0o4755));
    step("directory mode", true, &|| set(at("s"), 0o700));
    step("mode of the source directory", false, &|| {
        set(dir.path().join("d"), 0o711);
    });
    step("empty directory", true, &|| {
        fs_err::create_dir(at("e/new")).expect("made");
    });
    step("name", true, &|| {
        fs_err::rename(at("f"), at("f2")).expect("renamed");
    });
    step("link target", true, &|| {
        fs_err::remove_file(at("l")).expect("removed");
        symlink("f2", at("l")).expect("linked");
    });
    step("hard link", true, &|| {
        fs_err::write(at("h1"), "same").expect("written");
        fs_err::write(at("h2"), "same").expect("written");
    });
    step("hard link instead of a copy", true, &|| {
        fs_err::remove_file(at("h2")).expect("removed");
        fs_err::hard_link(at("h1"), at("h2")).expect("linked");
    });
    if xattr::set(at("f2"), "user.x", b"1").is_ok() {
        step("attribute", true, &|| {
            xattr::set(at("f2"), "user.x", b"2").expect("set");
        });
    }
}

#[test]
fn names_of_matched_files_count() {
    let (dir, _) = context(&["f"], "");
    let before = digest_of(dir.path(), "*", None);
    fs_err::rename(dir.path().join("f"), dir.path().join("g")).expect("renamed");
    assert_ne!(digest_of(dir.path(), "*", None), before);
}

#[test]
fn fields_do_not_run_together() {
    let (one, _) = context(&["ab/c"], "");
    let (two, _) = context(&["a/bc"], "");
    assert_ne!(
        digest_of(one.path(), ".", None),
        digest_of(two.path(), ".", None)
    );
}

#[test]
fn large_files() {
    let (dir, _) = context(&[], "");
    let mut content = vec![7; 3 * CHUNK + 5];
    fs_err::write(dir.path().join("f"), &content).expect("written");
    let before = digest_of(dir.path(), "f", None);
    content[2 * CHUNK] = 8;
    fs_err::write(dir.path().join("f"), &content).expect("written");
    assert_ne!(digest_of(dir.path(), "f", None), before);
}

/// Long enough for a file to have rested.
fn rest() {
    std::thread::sleep(Duration::from_millis(150));
}

#[test]
fn remembered_digests() {
    let (dir, _) = context(&["f", "s/g"], "");
    let (store, _) = context(&[], "");
    let plain = digest_of(dir.path(), ".", None);
    rest();
    let cache = StatCache::open(store.path());
    assert_eq!(digest_of(dir.path(), ".", Some(&cache)), plain);
    assert_eq!(cache.remembered(), 2);
    cache.save().expect("saved");
    let cache = StatCache::open(store.path());
    assert_eq!(cache.remembered(), 2);
    assert_eq!(digest_of(dir.path(), ".", Some(&cache)), plain);
    fs_err::write(dir.path().join("f"), "F").expect("written");
    let changed = digest_of(dir.path(), ".", Some(&cache));
    assert_eq!(changed, digest_of(dir.path(), ".", None));
    assert_ne!(changed, plain);
    // What just changed is not remembered.
    assert_eq!(cache.remembered(), 2);
}

#[test]
fn the_same_size_and_time_is_not_the_same_file() {
    let (dir, _) = context(&["f"], "");
    let (store, _) = context(&[], "");
    rest();
    let cache = StatCache::open(store.path());
    let before = digest_of(dir.path(), "f", Some(&cache));
    let times = fs_err::metadata(dir.path().join("f"))
        .expect("there")
        .modified()
        .expect("a time");
    fs_err::write(dir.path().join("f"), "g").expect("written");
    let file = fs_err::OpenOptions::new()
        .write(true)
        .open(dir.path().join("f"))
        .expect("opened");
    file.file().set_modified(times).expect("set");
    assert_ne!(digest_of(dir.path(), "f", Some(&cache)), before);
}

#[test]
fn broken_caches_are_empty() {
    let (dir, _) = context(&["f"], "");
    rest();
    let (store, _) = context(&[], "");
    let cache = StatCache::open(&store.path().join("not/yet/there"));
    let plain = digest_of(dir.path(), ".", Some(&cache));
    cache.save().expect("saved");
    let file = store.path().join("not/yet/there/files");
    let good = fs_err::read(&file).expect("written");
    let mut flipped = good.clone();
    *flipped.last_mut().expect("not empty") ^= 1;
    for bad in [
        &b""[..],
        b"x",
        &good[..good.len() - 1],
        &flipped,
        &[good.clone(), good.clone()].concat(),
    ] {
        fs_err::write(&file, bad).expect("written");
        let cache = StatCache::open(file.parent().expect("inside"));
        assert_eq!(cache.remembered(), 0);
        assert_eq!(digest_of(dir.path(), ".", Some(&cache)), plain);
        cache.save().expect("saved");
        assert_eq!(fs_err::read(&file).expect("written"), good);
    }
}

#[test]
fn builds_at_the_same_time_keep_each_other_s_digests() {
    let (one, _) = context(&["f"], "");
    let (two, _) = context(&["g"], "");
    rest();
    let (store, _) = context(&[], "");
    let (first, second) = (StatCache::open(store.path()), StatCache::open(store.path()));
    digest_of(one.path(), ".", Some(&first));
    digest_of(two.path(), ".", Some(&second));
    first.save().expect("saved");
    second.save().expect("saved");
    assert_eq!(StatCache::open(store.path()).remembered(), 2);
}
