use proptest::prelude::*;

use super::*;

fn rules(text: &str) -> IgnoreRules {
    IgnoreRules::parse(text, ".dockerignore").expect("the rules are valid")
}

/// Asks as a walk does: from the root down, not into what is left out.
fn walked(rules: &IgnoreRules, path: &str) -> bool {
    let mut state = ParentState::default();
    let mut ignored = false;
    for part in parents(path).chain([path]) {
        (ignored, state) = rules.ignored(part, &state);
        if ignored && part.len() < path.len() && !rules.may_reinclude_below(part) {
            return true;
        }
    }
    ignored
}

#[test]
fn patterns() {
    let table = [
        // plain
        ("a", "a", true),
        ("a", "b", false),
        ("a", "ab", false),
        ("a", "d/a", false),
        ("a", "a/b/c", true),
        ("a/b", "a/b", true),
        ("a/b", "a", false),
        ("a/b", "a/b/c/d", true),
        ("a/b", "x/a/b", false),
        ("a.b", "axb", false),
        ("a+b(c)|{d}$", "a+b(c)|{d}$", true),
        ("^a", "^a", true),
        ("gr\u{fc}n", "gr\u{fc}n", true),
        // cleaning
        ("/a", "a", true),
        ("/a/b/", "a/b", true),
        ("./a", "a", true),
        ("a//b", "a/b", true),
        ("a/./b", "a/b", true),
        ("x/../a", "a", true),
        ("../a", "a", false),
        ("  a \t", "a", true),
        ("\u{a0}a\u{2003}", "a", true),
        ("/", "a", false),
        (".", "a", false),
        ("./", "a", false),
        ("..", "a", false),
        ("a\r", "a", true),
        // one star
        ("*", "a", true),
        ("*", ".hidden", true),
        ("*", "a/b", true),
        ("*.log", "x.log", true),
        ("*.log", ".log", true),
        ("*.log", "x.logs", false),
        ("*.log", "d/x.log", false),
        ("*/x.log", "d/x.log", true),
        ("*/x.log", "x.log", false),
        ("*/x.log", "d/e/x.log", false),
        ("d/*", "d", false),
        ("d/*", "d/x", true),
        ("d/*", "d/x/y", true),
        ("a*c", "abbbc", true),
        ("a*c", "ab/c", false),
        ("*a*b*", "xxaxxbxx", true),
        ("*.*", "a", false),
        // question mark
        ("?", "a", true),
        ("?", "\u{fc}", true),
        ("a?c", "a/c", false),
        ("a??", "ab", false),
        // two stars
        ("**", "a", true),
        ("**", "a/b/c", true),
        ("**/", "a/b", true),
        ("**/a", "a", true),
        ("**/a", "x/y/a", true),
        ("**/a", "xa", false),
        ("**/a", "x/a/y", true),
        ("**a", "xa", true),
        ("**a", "x/ya", true),
        ("**a?", "xab", false),
        ("**a?", "x/ab", true),
        ("a/**", "a", false),
        ("a/**", "a/b/c", true),
        ("a**", "abc/d", true),
        ("a**", "xa", false),
        ("a/**/b", "a/b", true),
        ("a/**/b", "a/x/y/b", true),
        ("a/**/b", "axb", false),
        ("a/**b", "a/x/b", true),
        ("a/**b", "a/xb", false),
        ("**/*.pyc", "x.pyc", true),
        ("**/*.pyc", "a/b/x.pyc", true),
        ("**/*.pyc", "a/b/x.py", false),
        ("**/a/**", "a/b", true),
        ("**/a/**", "x/a/y/z", true),
        ("**/a/**", "x/a", false),
        ("**/**/a", "x/a", true),
        ("***", "a/b", true),
        ("?**b", "ab", true),
        ("?**b", "ax/b", true),
        ("?**b", "axb", false),
        ("a/**/*/b", "a/b", false),
        ("a/**/*/b", "a/x/b", true),
        ("d/**/", "d/x", true),
        // classes
        ("[ab]", "a", true),
        ("[ab]", "c", false),
        ("[a-c]x", "bx", true),
        ("[^a-c]x", "bx", false),
        ("[^a-c]x", "dx", true),
        ("[!a]", "!", true),
        ("[a-z]*.[ch]", "main.c", true),
        ("x[.]y", "x.y", true),
        ("x[.]y", "xay", false),
        ("[\\]]", "]", true),
        ("[[:digit:]]x", "7x", true),
        // escapes, and what the expression makes of them
        ("\\*", "*", true),
        ("\\*", "a", false),
        ("a\\?b", "a?b", true),
        ("\\!a", "!a", true),
        ("\\#a", "#a", true),
        ("foo\\d", "foo7", true),
        ("foo\\d", "food", false),
        ("src\\test", "src\test", true),
        ("bin\\Debug", "bin/ebug", true),
        ("foo\\bar", "foobar", false),
        ("a*^b", "a^b", false),
        ("[a*b]", "aab]", true),
        ("\\x41*", "A1", true),
        ("\\101*", "A1", true),
    ];
    for (pattern, path, expected) in table {
        assert_eq!(
            rules(pattern).ignores(path),
            expected,
            "`{pattern}` asked `{path}`"
        );
        assert_eq!(
            walked(&rules(pattern), path),
            expected,
            "`{pattern}` walked to `{path}`"
        );
    }
}

#[test]
fn files() {
    let table = [
        ("# comment\na", "a", true),
        (" # no comment", "# no comment", true),
        ("#a", "a", false),
        ("\u{feff}a", "a", true),
        ("\u{feff}# a\nb", "b", true),
        ("a\r\nb\r\n", "b", true),
        ("\n\n   \na", "a", true),
        ("a b", "a b", true),
        ("*\n!a", "a", false),
        ("*\n!a", "b", true),
        ("*\n! a", "a", false),
        ("*\n!/a", "a", false),
        ("*\n!./a/", "a", false),
        ("!a\n*", "a", true),
        ("*\n!a\na", "a", true),
        ("*\n!a", "a/b", false),
        ("*\n!a\na/b", "a/b", true),
        ("*\n!a\na/b", "a/c", false),
        ("a\n!a/b", "a/b", false),
        ("a\n!a/b", "a/c", true),
        ("a\n!a/b/c", "a/b", true),
        ("a\n!a/b/c", "a/b/c/d", false),
        ("*\n!*.md\nREADME*", "x.md", false),
        ("*\n!*.md\nREADME*", "README.md", true),
        ("*.md\n!README.md", "README.md", false),
        ("**/*.o\n!keep/**", "keep/x.o", false),
        ("**/*.o\n!keep/**", "x.o", true),
        ("**\n!src", "src/a/b", false),
        ("node_modules\n!node_modules/x/y", "node_modules/x/y", false),
        ("a\n!a/**/c", "a/b/c", false),
        ("a\n!**/c", "a/b/c", false),
        ("a/b\n!a", "a/b", true),
        ("d/*\n!d/keep", "d/keep", false),
        ("d/*\n!d/keep", "d/other", true),
        ("!!a\na", "a", true),
        ("*\n!!a", "!a", false),
    ];
    for (text, path, expected) in table {
        assert_eq!(
            walked(&rules(text), path),
            expected,
            "{text:?} walked to `{path}`"
        );
    }
}

#[test]
fn bad_patterns() {
    let table = [
        ("a\n[", 2, "["),
        ("a\n\nb[^", 3, "b[^"),
        ("!", 1, "!"),
        ("!/", 1, "!/"),
        ("[]a]", 1, "[]a]"),
        ("[z-a]", 1, "[z-a]"),
        ("a\\", 1, "a\\"),
        ("obj\\Release", 1, "obj\\Release"),
        ("[[:nope:]]", 1, "[[:nope:]]"),
    ];
    for (text, line, pattern) in table {
        let error = IgnoreRules::parse(text, "x.dockerignore").expect_err(text);
        let expected = IgnoreError {
            file: "x.dockerignore".into(),
            line,
            pattern: pattern.into(),
        };
        assert_eq!(error, expected);
    }
}

#[test]
fn excludes_keep_a_leading_slash() {
    let rules = IgnoreRules::from_patterns(&["/a", "b/", "", "#c"]).expect("valid");
    assert!(!rules.ignores("a"));
    assert!(rules.ignores("b/x"));
    assert!(rules.ignores("#c"));
}

#[test]
fn going_below_ignored_directories() {
    for (text, dir, expected) in [
        ("a", "a", false),
        ("a\n!a/b", "a", true),
        ("a\n!ab", "a", false),
        ("a\n!a", "a", true),
        ("a\n!a/b/c", "a/b", true),
        ("a\n!a/b/c", "a/x", false),
        ("a\n!a/*", "a", true),
        ("a\n!b/**", "a", false),
        ("a\n!*.txt", "a", true),
        ("a\n!**/x", "a", true),
    ] {
        assert_eq!(
            rules(text).may_reinclude_below(dir),
            expected,
            "{text:?} {dir}"
        );
    }
}

#[test]
fn the_rule_to_blame() {
    let rules = rules("# x\n*.log\n /build/ \n!build/keep\n*.txt");
    let blamed = |path| rules.ignored_by(path).map(|by| (by.line, by.pattern));
    assert_eq!(blamed("a.log"), Some((2, "*.log".into())));
    assert_eq!(blamed("build/x"), Some((3, "/build/".into())));
    assert_eq!(blamed("build/keep"), None);
    assert_eq!(blamed("build/keep/a.txt"), None);
    assert_eq!(blamed("a.txt"), Some((5, "*.txt".into())));
    assert_eq!(blamed("src/a.log"), None);
}

/// What patterns of `a`, `b`, `/`, `?`, `*` and `**` mean, in the most plain words.
fn naive(pattern: &[char], path: &[char]) -> bool {
    match pattern {
        [] => path.is_empty(),
        ['*', '*', '/'] | ['*', '*'] => true,
        ['*', '*', '/', rest @ ..] | ['*', '*', rest @ ..] => {
            let after_slash = (0..path.len())
                .filter(|&at| path[at] == '/')
                .map(|at| at + 1);
            std::iter::once(0)
                .chain(after_slash)
                .any(|at| naive(rest, &path[at..]))
        }
        ['*', rest @ ..] => {
            let free = path.iter().take_while(|&&char| char != '/').count();
            (0..=free).any(|taken| naive(rest, &path[taken..]))
        }
        ['?', rest @ ..] => {
            path.first().is_some_and(|&char| char != '/') && naive(rest, &path[1..])
        }
        [char, rest @ ..] => path.first() == Some(char) && naive(rest, &path[1..]),
    }
}

proptest! {
    #[test]
    fn never_panics(text in any::<String>(), path in "[a-z/.*\\\\\\[\\]^-]{0,12}") {
        if let Ok(rules) = IgnoreRules::parse(&text, "x") {
            walked(&rules, &path);
            rules.ignores(&path);
            rules.ignored_by(&path);
        }
    }

    #[test]
    fn odd_patterns_never_panic(text in "[a-c/*?!\\[\\]\\\\^d-]{0,10}", path in "[a-c/]{0,8}") {
        if let Ok(rules) = IgnoreRules::parse(&text, "x") {
            walked(&rules, &path);
            rules.ignores(&path);
        }
    }

    #[test]
    fn agrees_with_the_naive_reading(pattern in "[ab*/?]{1,7}", path in "[ab]{1,2}(/[ab]{1,2}){0,3}") {
        let mut cleaned = clean(&pattern);
        if cleaned.len() > 1 && cleaned.starts_with('/') {
            cleaned.remove(0);
        }
        // `**x` and nothing else is a mere suffix in Docker.
        let mere_suffix = cleaned.strip_prefix("**").is_some_and(|rest| {
            !rest.starts_with('/') && !rest.contains(['*', '?'])
        });
        prop_assume!(!mere_suffix);
        let pattern: Vec<char> = cleaned.chars().collect();
        let expected = parents(&path).chain([&*path]).any(|part| {
            naive(&pattern, &part.chars().collect::<Vec<_>>())
        });
        prop_assert_eq!(rules(&cleaned).ignores(&path), expected);
        prop_assert_eq!(walked(&rules(&cleaned), &path), expected);
    }
}
