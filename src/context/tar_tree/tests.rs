use super::*;
use crate::context::LayerWriter;

fn archive(entries: &[(Entry, &[u8])]) -> Vec<u8> {
    let mut layer = LayerWriter::new(Vec::new());
    for (entry, content) in entries {
        let entry = Entry {
            size: content.len() as u64,
            ..entry.clone()
        };
        layer
            .add_file(&entry, &[], &mut &**content)
            .expect("written");
    }
    layer.finish().expect("finished").0
}

fn file(path: &str) -> Entry {
    Entry {
        uid: 3,
        gid: 4,
        ..Entry::new(path, Kind::File, 0o600)
    }
}

fn tree() -> (tempfile::TempDir, TarTree) {
    let dir = tempfile::tempdir().expect("a directory");
    let tree = TarTree::new(dir.path(), "image").expect("made");
    (dir, tree)
}

fn text(tree: &TarTree, path: &str) -> String {
    let entry = tree.lstat(path).expect("asked").expect(path);
    let mut text = String::new();
    tree.open(&entry)
        .expect("opened")
        .read_to_string(&mut text)
        .expect("read");
    text
}

#[test]
fn files_of_an_archive() {
    let (_dir, mut tree) = tree();
    let link = Entry::new("a/same", Kind::Hardlink("a/f".into()), 0o600);
    let bytes = archive(&[
        (Entry::new("a", Kind::Dir, 0o711), b""),
        (file("a/f"), b"one"),
        (file("a/f-x"), b"two"),
        (link, b""),
        (file("deep/in/there"), b"three"),
        (file("a/f"), b"again"),
    ]);
    tree.add(bytes.as_slice(), 0, "").expect("read");
    let paths: Vec<_> = tree
        .below("")
        .expect("listed")
        .iter()
        .map(|e| e.path.clone())
        .collect();
    let expected = [
        "a",
        "a/f",
        "a/f-x",
        "a/same",
        "deep",
        "deep/in",
        "deep/in/there",
    ];
    assert_eq!(paths, expected);
    assert_eq!(text(&tree, "a/f"), "again");
    assert_eq!(text(&tree, "a/same"), "one");
    assert_eq!(text(&tree, "deep/in/there"), "three");
    let f = tree.lstat("a/f-x").expect("asked").expect("there");
    assert_eq!((f.uid, f.gid, f.mode), (3, 4, 0o600));
    assert_eq!(tree.lstat("a").expect("asked").expect("there").mode, 0o711);
}

#[test]
fn two_names_of_one_file() {
    let (_dir, mut tree) = tree();
    let link = Entry::new("g", Kind::Hardlink("f".into()), 0o600);
    tree.add(archive(&[(file("f"), b"x"), (link, b"")]).as_slice(), 0, "")
        .expect("read");
    let id = |path| tree.lstat(path).expect("asked").expect("there").link;
    assert_eq!(id("f"), id("g"));
    assert!(id("f").is_some());
}

#[test]
fn archives_as_an_engine_sends_them() {
    let (_dir, mut tree) = tree();
    let bytes = archive(&[
        (Entry::new("lib", Kind::Dir, 0o750), b""),
        (file("lib/x/y"), b"y"),
        (
            Entry::new("lib/z", Kind::Hardlink("lib/x/y".into()), 0o600),
            b"",
        ),
    ]);
    tree.add(bytes.as_slice(), 1, "usr/local/lib")
        .expect("read");
    assert_eq!(
        tree.lstat("usr/local/lib")
            .expect("asked")
            .expect("there")
            .mode,
        0o750
    );
    assert_eq!(text(&tree, "usr/local/lib/x/y"), "y");
    assert_eq!(text(&tree, "usr/local/lib/z"), "y");
    tree.add(
        archive(&[(file("passwd"), b"root")]).as_slice(),
        1,
        "etc/passwd",
    )
    .expect("read");
    assert_eq!(text(&tree, "etc/passwd"), "root");
    tree.insert(Entry::new(
        "lib",
        Kind::Symlink("usr/local/lib".into()),
        0o777,
    ));
    assert_eq!(
        super::super::resolve(&tree, "lib/x").expect("resolved"),
        "usr/local/lib/x"
    );
}

#[test]
fn a_file_replaces_a_directory() {
    let (_dir, mut tree) = tree();
    let bytes = archive(&[
        (file("d/f"), b"x"),
        (file("d"), b"y"),
        (file("../../e"), b"z"),
    ]);
    tree.add(bytes.as_slice(), 0, "").expect("read");
    assert_eq!(text(&tree, "d"), "y");
    assert!(tree.lstat("d/f").expect("asked").is_none());
    assert_eq!(text(&tree, "e"), "z");
}

#[test]
fn broken_archives() {
    let (_dir, mut tree) = tree();
    let bytes = archive(&[(file("f"), &[1; 5000])]);
    assert!(matches!(
        tree.add(&bytes[..2000], 0, ""),
        Err(Error::Archive(_))
    ));
}
