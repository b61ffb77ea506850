//! The lines of `docker history`, as BuildKit writes them.

use super::Action;
use super::state::State;
use crate::image::{History, ImageConfig};

/// What BuildKit puts beside every line of its own.
const COMMENT: &str = "buildkit.dockerfile.v0";

/// Adds a line for an instruction that changes no files.
pub(super) fn metadata(image: &mut ImageConfig, text: String) {
    push(image, text, true);
}

/// Adds a line for `RUN`, `COPY` and `ADD`.
pub(super) fn layer(image: &mut ImageConfig, text: &str) {
    push(image, format!("{text} # buildkit"), false);
}

/// Adds the line of a `WORKDIR`, which has a layer and no remark.
pub(super) fn workdir(image: &mut ImageConfig, path: &str, with_layer: bool) {
    push(image, format!("WORKDIR {path}"), !with_layer);
}

/// The line that BuildKit puts at the end when there are more layers than lines: it speaks of the
/// last layer.
pub(super) fn unlisted(image: &mut ImageConfig, state: &State) {
    if state.unlisted {
        image.history.push(History {
            created_by: state.last_layer.clone(),
            comment: "buildkit.exporter.image.v0".into(),
            ..History::default()
        });
    }
}

/// What BuildKit calls a layer where it has no line of the history for it.
pub(super) fn described(action: &Action, title: &str) -> String {
    match action {
        Action::Run(run) => format!("mount / from exec {}", run.argv.join(" ")),
        Action::Copy(_) | Action::Workdir(_) => title.to_owned(),
    }
}

fn push(image: &mut ImageConfig, created_by: String, empty_layer: bool) {
    image.history.push(History {
        created_by,
        comment: COMMENT.into(),
        empty_layer,
        ..History::default()
    });
}

/// A list as Go's `%q` prints it: `["a" "b\n"]`.
pub(super) fn go_quoted(words: &[String]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| go_quote(word)).collect();
    format!("[{}]", quoted.join(" "))
}

/// A list as Go's `%v` prints it: `[a b]`.
pub(super) fn go_plain(words: &[String]) -> String {
    format!("[{}]", words.join(" "))
}

/// A string as Go's `strconv.Quote` writes it.
fn go_quote(word: &str) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(word.len() + 2);
    text.push('"');
    for c in word.chars() {
        match c {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\x07' => text.push_str("\\a"),
            '\x08' => text.push_str("\\b"),
            '\x0c' => text.push_str("\\f"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\x0b' => text.push_str("\\v"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => {
                let _ = write!(text, "\\x{:02x}", c as u32);
            }
            c => text.push(c),
        }
    }
    text.push('"');
    text
}

/// A number as Go's `%q` prints it: the character of that number.
pub(super) fn go_rune(number: i64) -> String {
    let known = u32::try_from(number).ok().and_then(char::from_u32);
    match known.unwrap_or(char::REPLACEMENT_CHARACTER) {
        '\'' => "'\\''".into(),
        '"' => "'\"'".into(),
        c => {
            let quoted = go_quote(&c.to_string());
            format!("'{}'", &quoted[1..quoted.len() - 1])
        }
    }
}

/// A duration as Go prints it: `1h2m3s`, `1.5s`, `200ms`, `0s`.
pub(super) fn go_duration(nanos: i64) -> String {
    if nanos == 0 {
        return "0s".into();
    }
    let fraction = |value: u64, unit: u64| {
        let whole = value / unit;
        let digits = unit.ilog10() as usize;
        let rest = format!("{:0digits$}", value % unit);
        let rest = rest.trim_end_matches('0');
        if rest.is_empty() {
            whole.to_string()
        } else {
            format!("{whole}.{rest}")
        }
    };
    let n = nanos.unsigned_abs();
    match n {
        0..1_000 => format!("{n}ns"),
        1_000..1_000_000 => format!("{}µs", fraction(n, 1_000)),
        1_000_000..1_000_000_000 => format!("{}ms", fraction(n, 1_000_000)),
        _ => {
            let minutes = n / 60_000_000_000;
            let seconds = fraction(n % 60_000_000_000, 1_000_000_000);
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{seconds}s"),
                (0, m) => format!("{m}m{seconds}s"),
                (h, m) => format!("{h}h{m}m{seconds}s"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_as_go_does() {
        let words = ["a".to_owned(), "b \"c\"\n\\".to_owned()];
        assert_eq!(go_quoted(&words), r#"["a" "b \"c\"\n\\"]"#);
        assert_eq!(go_quoted(&[]), "[]");
    }

    #[test]
    fn numbers_are_quoted_as_characters() {
        for (number, text) in [(0, r"'\x00'"), (3, r"'\x03'"), (10, r"'\n'"), (65, "'A'")] {
            assert_eq!(go_rune(number), text);
        }
    }

    #[test]
    fn durations_read_as_in_go() {
        for (nanos, text) in [
            (0, "0s"),
            (1, "1ns"),
            (1_500, "1.5µs"),
            (200_000_000, "200ms"),
            (1_500_000_000, "1.5s"),
            (60_000_000_000, "1m0s"),
            (3_723_000_000_000, "1h2m3s"),
        ] {
            assert_eq!(go_duration(nanos), text);
        }
    }
}
