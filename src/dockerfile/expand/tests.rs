//! The tables in `fixtures/words`, one per [`Mode`]. `UPDATE_FIXTURES=1` writes the
//! results; each of the default table was compared with what BuildKit makes of it.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use proptest::prelude::{any, proptest};

use crate::dockerfile::expand::{ExpandErrorKind, Expansion, Mode, expand, expand_word};

fn table(name: &str, mode: Mode, show: impl Fn(Expansion) -> String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures/words")
        .join(name);
    let text = fs::read_to_string(&path).expect("the table is there");
    let mut variables = HashMap::new();
    let mut found = String::new();
    for line in text.lines() {
        if let Some((name, value)) = line
            .strip_prefix("set ")
            .and_then(|set| set.split_once('='))
        {
            variables.insert(name.to_owned(), value.to_owned());
        }
        let row = line.split_once(" -> ").or_else(|| line.split_once(" !! "));
        let Some((word, _)) = row.filter(|_| !line.starts_with("# ")) else {
            found += line;
            found.push('\n');
            continue;
        };
        let env = |name: &str| variables.get(name).cloned();
        found += &match expand(&word.replace('⏎', "\n"), &env, mode) {
            Ok(expansion) => format!("{word} -> {}\n", show(expansion).replace('\n', "⏎")),
            Err(error) => format!("{word} !! {error}\n"),
        };
    }
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        fs::write(&path, found).expect("it can be written");
        return;
    }
    let pairs = text.lines().zip(found.lines());
    let wrong: Vec<_> = pairs
        .filter(|(expected, found)| expected != found)
        .collect();
    assert!(wrong.is_empty(), "{name}: (expected, found) {wrong:#?}");
    assert_eq!(text.lines().count(), found.lines().count());
}

#[test]
fn words() {
    table("default", Mode::word('\\'), |expansion| expansion.text);
}

#[test]
fn words_with_backtick() {
    table("backtick", Mode::word('`'), |expansion| expansion.text);
}

#[test]
fn heredocs() {
    table("heredoc", Mode::heredoc(), |expansion| expansion.text);
}

#[test]
fn display() {
    table("display", Mode::display('\\'), |expansion| expansion.text);
}

#[test]
fn splitting() {
    table("split", Mode::word('\\'), |expansion| {
        let words = expansion.words.iter().map(|word| format!("[{word}]"));
        words.collect::<Vec<_>>().join(" ")
    });
}

#[test]
fn references_are_reported_with_places() {
    let env = |name: &str| (name == "A").then(|| "1".to_owned());
    let word = "$A-${NOPE}${ALSO:-$DEEP}";
    let expansion = expand(word, &env, Mode::word('\\')).unwrap();
    let seen: Vec<_> = expansion
        .references
        .iter()
        .map(|reference| (&word[reference.range.clone()], reference.defined))
        .collect();
    let expected = [
        ("$A", true),
        ("${NOPE", false),
        ("$DEEP", false),
        ("${ALSO", false),
    ];
    assert_eq!(seen, expected);
    assert_eq!(expansion.undefined().count(), 3);
}

#[test]
fn errors_have_places() {
    for (word, place) in [
        ("ab'cd", "'cd"),
        ("x${A", "${A"),
        ("x${}y", "${}"),
        ("x${A:=b}y", "${A:="),
        ("x${A^}y", "${A^"),
        ("x${A:?no}y", "${A:?no}"),
        ("x${A/b}y", "${A/b}y"),
    ] {
        let error = expand(word, &|_| None, Mode::word('\\')).unwrap_err();
        assert_eq!(&word[error.range], place, "{word}");
    }
}

#[test]
fn the_split_knows_where_words_come_from() {
    let word = " a  $B 'c d'e";
    let env = |_: &str| Some("x y".to_owned());
    let expansion = expand(word, &env, Mode::word('\\')).unwrap();
    let places: Vec<_> = expansion
        .word_ranges
        .iter()
        .map(|range| &word[range.clone()])
        .collect();
    assert_eq!(expansion.words, ["a", "x", "y", "c de"]);
    assert_eq!(places, ["a", "$B", "$B", "'c d'e"]);
}

#[test]
fn nesting_has_an_end() {
    let deep = "${A:-".repeat(5000) + &"}".repeat(5000);
    let error = expand_word(&deep, &|_| None, '\\').unwrap_err();
    assert_eq!(error.kind, ExpandErrorKind::TooDeep);
}

proptest! {
    #[test]
    fn any_word_in_any_mode(word in r#"[a$\{}:+?#%/'"\\<* \n-]{0,24}"#, bits in any::<u8>()) {
        let mode = Mode {
            escape: if bits & 1 == 0 { '\\' } else { '`' },
            raw_quotes: bits & 2 != 0,
            raw_escapes: bits & 4 != 0,
            skip_quotes: bits & 8 != 0,
            skip_unset: bits & 16 != 0,
        };
        let env = |name: &str| (name == "a").then(|| "va*l/ue".to_owned());
        match expand(&word, &env, mode) {
            Ok(expansion) => {
                assert_eq!(expansion.words.len(), expansion.word_ranges.len());
                for range in expansion.word_ranges {
                    assert!(word.get(range).is_some());
                }
            }
            Err(error) => assert!(word.get(error.range).is_some()),
        }
    }

    #[test]
    fn text_without_special_characters_stays(word in r"[\p{L}0-9 .,:;=@!?*+/-]{0,40}") {
        assert_eq!(expand_word(&word, &|_| None, '\\').unwrap(), word);
    }
}
