//! `<<NAME`: which words of a line open here-documents.
//!
//! The rules are BuildKit's, odd ones included: the escape is a backslash whatever
//! the file says, a line that a shell could not split opens none, and `<< NAME` is
//! one while `<<- NAME` is not.

use std::ops::Range;

use crate::dockerfile::expand::{Expansion, Mode, expand};

/// A `<<NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Opening {
    pub(super) name: String,
    pub(super) fd: u32,
    /// The name had no quotes, so the body is expanded.
    pub(super) expand: bool,
    pub(super) chomp: bool,
}

/// The openings of a line, with their places in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Openings {
    /// These, perhaps none.
    Found(Vec<(Opening, Range<usize>)>),
    /// There is a `<<` here, but the line cannot be split into words, so it opens nothing.
    Unsplittable(Range<usize>),
    /// The name of the one here cannot be read.
    Unreadable(Range<usize>),
}

pub(super) fn openings(line: &str) -> Openings {
    let Some(at) = line.find("<<") else {
        return Openings::Found(Vec::new());
    };
    let Some(split) = split(line, true) else {
        return Openings::Unsplittable(at..at + 2);
    };
    let mut found = Vec::new();
    for (word, range) in split.words.iter().zip(split.word_ranges) {
        match opening(word) {
            Ok(Some(opening)) => found.push((opening, range)),
            Ok(None) => {}
            Err(Unreadable) => return Openings::Unreadable(range),
        }
    }
    Openings::Found(found)
}

/// A word that has the form of an opening, but whose name has an open quote or brace.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

/// Reads a word as an opening, if it is one.
pub(super) fn opening(word: &str) -> Result<Option<Opening>, Unreadable> {
    let after_fd = word.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = &word[..word.len() - after_fd.len()];
    let Some(rest) = after_fd.strip_prefix("<<") else {
        return Ok(None);
    };
    let (chomp, rest) = match rest.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let rest = rest.trim_start_matches([' ', '\t', '\n', '\r', '\u{c}']);
    if rest.is_empty() || rest.contains('<') {
        return Ok(None);
    }
    let name = split(rest, false).ok_or(Unreadable)?;
    let [name] = name.words.as_slice() else {
        return Ok(None);
    };
    let raw = expand(rest, &|_| None, raw_mode(false)).map_err(|_| Unreadable)?;
    let [raw] = raw.words.as_slice() else {
        return Err(Unreadable);
    };
    Ok(Some(Opening {
        name: name.clone(),
        fd: digits.parse().unwrap_or(0),
        expand: quotes(name) == quotes(raw),
        chomp,
    }))
}

fn quotes(text: &str) -> usize {
    text.matches(['\'', '"']).count()
}

fn raw_mode(raw_escapes: bool) -> Mode {
    Mode {
        raw_quotes: true,
        raw_escapes,
        skip_unset: true,
        ..Mode::word('\\')
    }
}

fn split(text: &str, raw: bool) -> Option<Expansion> {
    let mode = if raw {
        raw_mode(true)
    } else {
        Mode {
            skip_unset: true,
            ..Mode::word('\\')
        }
    };
    expand(text, &|_| None, mode).ok()
}

#[cfg(test)]
mod tests {
    use super::{Opening, Openings, Unreadable, opening, openings};

    #[test]
    fn words_that_open_heredocs() {
        // Name, number, expanded, chomped.
        for (word, expected) in [
            ("<<EOF", Some(("EOF", 0, true, false))),
            ("<<-EOF", Some(("EOF", 0, true, true))),
            ("3<<EOF", Some(("EOF", 3, true, false))),
            ("12<<-EOF", Some(("EOF", 12, true, true))),
            ("<<'EOF'", Some(("EOF", 0, false, false))),
            ("<<\"EOF\"", Some(("EOF", 0, false, false))),
            ("<<-\"E F\"", Some(("E F", 0, false, true))),
            ("<<E'O'F", Some(("EOF", 0, false, false))),
            ("<< EOF", Some(("EOF", 0, true, false))),
            ("<<\\EOF", Some(("EOF", 0, true, false))),
            ("<<$X", Some(("$X", 0, true, false))),
            ("<<a.b-c/d", Some(("a.b-c/d", 0, true, false))),
            ("<<", None),
            ("<<-", None),
            ("<<<EOF", None),
            ("<EOF", None),
            ("x<<EOF", None),
            ("EOF", None),
            ("<<A<<B", None),
            ("<<\"\"", None),
            ("", None),
        ] {
            let found = opening(word).unwrap();
            let expected = expected.map(|(name, fd, expand, chomp)| Opening {
                name: name.to_owned(),
                fd,
                expand,
                chomp,
            });
            assert_eq!(found, expected, "{word}");
        }
        assert_eq!(opening("<<'EOF"), Err(Unreadable));
        assert_eq!(opening("<<${X"), Err(Unreadable));
    }

    #[test]
    fn lines_that_open_heredocs() {
        for (line, expected) in [
            ("RUN cat <<A <<B", &["<<A", "<<B"][..]),
            ("RUN cat << A > x", &["<< A"]),
            ("RUN cat <<- A", &[]),
            ("RUN 5<<A", &["5<<A"]),
            ("RUN cat <<A>x", &["<<A>x"]),
            ("RUN cat<<A", &[]),
            ("RUN echo '<<A'", &[]),
            ("RUN echo \"<<A\"", &[]),
            ("RUN echo \\<<A", &[]),
            ("RUN echo $((1<<3))", &[]),
            ("RUN echo $((1 << 3))", &["<< 3))"]),
            ("RUN true", &[]),
        ] {
            let Openings::Found(found) = openings(line) else {
                panic!("{line}");
            };
            let found: Vec<_> = found.into_iter().map(|(_, place)| &line[place]).collect();
            assert_eq!(found, expected, "{line}");
        }
        assert_eq!(openings("RUN it's <<A"), Openings::Unsplittable(9..11));
        assert_eq!(openings("RUN cat <<'A"), Openings::Unsplittable(8..10));
    }
}
