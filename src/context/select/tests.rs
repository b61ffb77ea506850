use fs_err::os::unix::fs::symlink;

use super::*;
use crate::context::walk::tests::context;
use crate::context::{Context, TarTree};

/// What a copy to a directory would make, by name.
fn selected(tree: &dyn FileTree, source: &str, flags: &[&str]) -> Result<String> {
    let excludes = flags
        .iter()
        .filter_map(|flag| flag.strip_prefix("--exclude="))
        .map(str::to_owned);
    let options = Options {
        excludes: excludes.collect(),
        parents: flags.contains(&"--parents"),
    };
    let mut names = Vec::new();
    for found in select(tree, source, &options)? {
        if !found.root.is_dir() {
            names.push(format!("{}<{}", found.name, found.root.path));
        }
        for item in &found.contents {
            let implied = if item.implied { "?" } else { "" };
            names.push(format!("{}{implied}", item.name()));
        }
    }
    Ok(names.join(" "))
}

fn example() -> (tempfile::TempDir, Context) {
    let files = [
        "a/f1",
        "a/b/f2",
        "a/b/c/f3",
        "a2/z",
        "deep/x1/y/f",
        "deep/x1/file",
        "deep/x2/y/g",
        "real/inreal",
        "ignored/f",
        "top.txt",
        "we[ird",
        "empty/",
        "other.md",
    ];
    let (dir, context) = context(&files, "ignored");
    for (name, target) in [
        ("linkdir", "real"),
        ("abslink", "/real"),
        ("escaping", "../../../top.txt"),
        ("dang", "/nonexist"),
        ("out", "../outside"),
        ("loop", "loop"),
        ("linkfile", "a/f1"),
        ("toignored", "ignored/f"),
        ("a/up", "../top.txt"),
    ] {
        symlink(target, dir.path().join(name)).expect("linked");
    }
    (dir, context)
}

#[test]
fn sources() {
    let (_dir, context) = example();
    let everything = "b b/c b/c/f3 b/f2 f1 up";
    for (source, expected) in [
        ("a", everything),
        ("a/", everything),
        ("/a/.", everything),
        ("./x/../a", everything),
        ("../../a", everything),
        ("a/*", "c c/f3 f2 f1<a/f1 up<top.txt"),
        ("a*", "b b/c b/c/f3 b/f2 f1 up z inreal"),
        ("top.txt", "top.txt<top.txt"),
        ("top.txt/", "top.txt<top.txt"),
        ("*.none", ""),
        ("empty", ""),
        ("empty/*", ""),
        ("a/*.none", ""),
        ("a/f1/*", ""),
        ("ignor*", ""),
        ("deep/*/y", "f g"),
        ("deep/x?/y/[fg]", "f<deep/x1/y/f g<deep/x2/y/g"),
        ("linkdir", "inreal"),
        ("linkdir/inreal", "inreal<real/inreal"),
        ("linkdir/*", "inreal<real/inreal"),
        ("l*dir/inreal", ""),
        ("link*", "inreal linkfile<a/f1"),
        ("abslink", "inreal"),
        ("escaping", "escaping<top.txt"),
        ("linkfile", "linkfile<a/f1"),
        ("a/up", "up<top.txt"),
        ("we[[]ird", "we[ird<we[ird"),
        ("a[/]f1", "f1<a/f1"),
        ("a?f1", ""),
        ("*.[tm]*", "other.md<other.md top.txt<top.txt"),
    ] {
        assert_eq!(
            selected(&context, source, &[]).expect(source),
            expected,
            "{source}"
        );
    }
}

#[test]
fn flags() {
    let (_dir, context) = example();
    for (source, flags, expected) in [
        ("a", &["--exclude=b"][..], "f1 up"),
        ("a", &["--exclude=b/c", "--exclude=*1"], "b b/f2 up"),
        ("a", &["--exclude=*", "--exclude=!b/c"], "b? b/c b/c/f3"),
        ("a", &["--exclude=/b"], "b b/c b/c/f3 b/f2 f1 up"),
        ("*.txt", &["--exclude=*.txt"], "top.txt<top.txt"),
        ("deep", &["--exclude=**/y"], "x1 x1/file x2"),
        ("a/b/f2", &["--parents"], "a? a/b? a/b/f2"),
        ("a/./b/f2", &["--parents"], "b? b/f2"),
        ("a/b", &["--parents"], "a? a/b a/b/c a/b/c/f3 a/b/f2"),
        (
            "deep/*/y",
            &["--parents"],
            "deep? deep/x1? deep/x1/y deep/x1/y/f deep/x2? deep/x2/y deep/x2/y/g",
        ),
        ("./deep/./x1/**", &["--parents"], "x1? x1/file x1/y x1/y/f"),
        (
            "deep/**/file",
            &["--parents"],
            "deep? deep/x1? deep/x1/file",
        ),
        ("deep/x*/./y", &["--parents"], "y y/f y y/g"),
        ("deep/./none*", &["--parents"], ""),
        ("a/./b/./c", &["--parents"], "b? b/c b/c/f3"),
        ("a/./", &["--parents"], "b b/c b/c/f3 b/f2 f1 up"),
        (
            "deep/./*/y",
            &["--parents", "--exclude=x2"],
            "x1? x1/y x1/y/f",
        ),
    ] {
        assert_eq!(
            selected(&context, source, flags).expect(source),
            expected,
            "{source} {flags:?}"
        );
    }
}

#[test]
fn names_of_matches() {
    let (_dir, context) = example();
    let names = |source| -> Vec<String> {
        let found = select(&context, source, &Options::default()).expect("selected");
        found.into_iter().map(|found| found.name).collect()
    };
    assert_eq!(names("a/b/"), ["b"]);
    assert_eq!(names("."), [""]);
    assert_eq!(names("linkdir"), ["linkdir"]);
    assert_eq!(names("a/*"), ["b", "f1", "up"]);
}

#[test]
fn what_is_not_there() {
    let (_dir, context) = example();
    let message = |source, flags: &[&str]| {
        let error = selected(&context, source, flags).expect_err(source);
        let diagnostic = error.diagnostic();
        format!("{} | {}", diagnostic.message, diagnostic.hints.join(" "))
    };
    for (source, expected) in [
        ("missing", "`missing` is not in the build context | "),
        ("missing/*", "`missing` is not in the build context | "),
        (
            "topp.txt",
            "`topp.txt` is not in the build context | did you mean `top.txt`?",
        ),
        ("a/f1/x", "`a/f1/x` is not in the build context | "),
        (
            "ignored/f",
            "`ignored/f` is not in the build context | `ignored`, line 1 of `.dockerignore`, \
             ignores it",
        ),
        (
            "toignored",
            "`toignored` is a symbolic link to `ignored/f`, which is not in the build context | \
             `ignored`, line 1 of `.dockerignore`, ignores it",
        ),
        (
            "dan*",
            "`dang` is a symbolic link to `/nonexist`, which is not in the build context | ",
        ),
        ("loop", "too many symbolic links on the way to `loop` | "),
        ("[z", "`[z` is not a valid pattern | "),
    ] {
        assert_eq!(message(source, &[]), expected);
    }
    assert_eq!(
        message("a/./nope", &["--parents"]),
        "`a/nope` is not in the build context | "
    );
    assert_eq!(
        message("a", &["--exclude=["]),
        "`[` is not a valid pattern | "
    );
}

#[test]
fn what_must_be_fetched() {
    for (source, parents, expected) in [
        ("a/b/", false, ("a/b", false)),
        ("/a/*/c", false, ("a", true)),
        ("*", false, ("", true)),
        ("/", false, ("", false)),
        ("a/b", true, ("", false)),
        ("a/./b", true, ("a", false)),
        ("a/x*/./b", true, ("a", true)),
    ] {
        let (prefix, wildcard) = fixed_prefix(source, parents);
        assert_eq!((prefix.as_str(), wildcard), expected, "{source}");
    }
}

#[test]
fn an_archive_selects_like_a_directory() {
    let (dir, context) = example();
    let packed = std::process::Command::new("tar")
        .args(["--create", "--exclude=./ignored", "-f", "-", "."])
        .current_dir(dir.path())
        .output();
    let Ok(packed) = packed else { return };
    let mut tree = TarTree::new(dir.path(), "build context").expect("made");
    tree.add(packed.stdout.as_slice(), 0, "").expect("read");
    for source in ["a", "a*", ".", "deep/*/y", "link*", "we[[]ird", "a/*"] {
        let ours = selected(&context, source, &[]).expect(source);
        assert_eq!(
            selected(&tree, source, &[]).expect(source),
            ours,
            "{source}"
        );
    }
}
