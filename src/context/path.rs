//! Paths as text: cleaning and joining, without looking at files.

/// The shortest path that means the same: no doubled slashes, no `.`, each `..` taken back
/// where it can be. An empty path becomes `.`; `..` at the root goes away.
pub(super) fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => match parts.last() {
                Some(&last) if last != ".." => {
                    parts.pop();
                }
                _ if rooted => {}
                _ => parts.push(".."),
            },
            _ => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

/// A path inside a root, without a slash at either end; `..` cannot leave the root.
pub(super) fn inside(path: &str) -> String {
    let mut cleaned = clean(&format!("/{path}"));
    cleaned.remove(0);
    cleaned
}

/// `dir` and a path in it; an empty `dir` is the root.
pub(super) fn join(dir: &str, name: &str) -> String {
    match (dir.is_empty(), name.is_empty()) {
        (true, _) => name.to_owned(),
        (_, true) => dir.to_owned(),
        _ => [dir, "/", name].concat(),
    }
}

/// The directory that a path is in (empty for the root's own) and its last part.
pub(super) fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// Every directory on the way to `path`, the nearest to the root first, `path` not included.
pub(super) fn parents(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cleaning() {
        for (path, cleaned) in [
            ("", "."),
            (".", "."),
            ("./", "."),
            ("/", "/"),
            ("//a//b/", "/a/b"),
            ("a/./b", "a/b"),
            ("a/../b", "b"),
            ("a/..", "."),
            ("../a", "../a"),
            ("a/../../b", "../b"),
            ("/../a", "/a"),
            ("/..", "/"),
            ("./a/", "a"),
            ("../..", "../.."),
        ] {
            assert_eq!(clean(path), cleaned, "{path}");
        }
        assert_eq!(inside("../../x/"), "x");
        assert_eq!(inside("/"), "");
        assert_eq!(inside("."), "");
    }

    #[test]
    fn taking_apart() {
        assert_eq!(split("a/b/c"), ("a/b", "c"));
        assert_eq!(split("a"), ("", "a"));
        assert_eq!(parents("a/b/c").collect::<Vec<_>>(), ["a", "a/b"]);
        assert_eq!(join("", "a"), "a");
        assert_eq!(join("a", ""), "a");
        assert_eq!(join("a", "b/c"), "a/b/c");
    }
}
