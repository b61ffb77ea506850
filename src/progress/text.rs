//! The small texts of a display: cleaned output, sizes, durations.

use std::time::Duration;

/// The longest line that a display writes, in bytes. Some readers of a builder's output stop at
/// a line of 64 KiB.
pub(super) const MAX_LINE: usize = 60 * 1000;

/// Joins the pieces in which output comes to lines.
#[derive(Debug, Default)]
pub(super) struct Joiner {
    partial: Vec<u8>,
}

impl Joiner {
    /// Gives every line that `bytes` completes, without its newline. A line that grows beyond
    /// `limit` is given in pieces, cut between characters; only the last is marked as whole.
    pub(super) fn push(&mut self, bytes: &[u8], limit: usize, mut line: impl FnMut(&[u8], bool)) {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|&b| b == b'\n') {
            self.append(&rest[..end], limit, &mut line);
            line(&std::mem::take(&mut self.partial), true);
            rest = &rest[end + 1..];
        }
        self.append(rest, limit, &mut line);
    }

    /// Gives what is left without a newline.
    pub(super) fn finish(&mut self, mut line: impl FnMut(&[u8], bool)) {
        if !self.partial.is_empty() {
            line(&std::mem::take(&mut self.partial), true);
        }
    }

    fn append(&mut self, bytes: &[u8], limit: usize, line: &mut impl FnMut(&[u8], bool)) {
        self.partial.extend(bytes);
        while self.partial.len() > limit {
            let rest = self.partial.split_off(boundary(&self.partial, limit));
            line(&std::mem::replace(&mut self.partial, rest), false);
        }
    }
}

/// The largest place not after `limit` that is not inside a character.
fn boundary(bytes: &[u8], limit: usize) -> usize {
    let continues = |&&at: &&usize| bytes[at] & 0xc0 == 0x80;
    let candidates = [limit, limit - 1, limit - 2, limit - 3];
    let inside = candidates.iter().take_while(continues).count();
    candidates.get(inside).copied().unwrap_or(limit).max(1)
}

/// How much raw output fits a display's line, even if every byte has to be replaced.
pub(super) const MAX_RAW: usize = MAX_LINE / 4;

/// A line of a step's output for display: what a terminal would show of it in the end.
///
/// A carriage return starts the line again; bytes that are no text are replaced; control
/// sequences are removed, except for colours when `color` is set.
pub(super) fn clean(bytes: &[u8], color: bool) -> String {
    let bytes = bytes
        .rsplit(|&b| b == b'\r')
        .find(|part| !part.is_empty())
        .unwrap_or_default();
    let text = String::from_utf8_lossy(bytes);
    if !text.contains(|c: char| c.is_control()) {
        return text.into_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut colored = false;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\x1b' => {
                if let Some(sgr) = sequence(&mut chars)
                    && color
                {
                    colored = !matches!(sgr.as_str(), "" | "0");
                    out.push_str("\x1b[");
                    out.push_str(&sgr);
                    out.push('m');
                }
            }
            '\t' => out.push('\t'),
            '\x08' => {
                out.pop();
            }
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    if colored {
        out.push_str("\x1b[0m");
    }
    out
}

/// Reads the rest of an escape sequence; gives its parameters if it sets colours.
fn sequence(chars: &mut std::str::Chars<'_>) -> Option<String> {
    match chars.next()? {
        '[' => {
            let mut parameters = String::new();
            for c in chars {
                match c {
                    '0'..=';' => parameters.push(c),
                    'm' => return Some(parameters),
                    '<'..='?' | ' '..='/' => {}
                    _ => return None,
                }
            }
            None
        }
        // Strings for the terminal: titles, links, and what else it may be told to do.
        ']' | 'P' | 'X' | '^' | '_' => {
            while let Some(c) = chars.next() {
                match c {
                    '\x07' | '\u{9c}' => break,
                    '\x1b' => {
                        chars.next();
                        break;
                    }
                    _ => {}
                }
            }
            None
        }
        ' '..='/' => {
            chars.next();
            None
        }
        _ => None,
    }
}

/// A name on one line, not longer than a line may be.
pub(super) fn one_line(name: &str) -> String {
    let line = name.replace(['\n', '\r', '\t'], " ");
    let mut line = clean(line.as_bytes(), false);
    if line.len() > MAX_RAW {
        line.truncate(line.floor_char_boundary(MAX_RAW));
        line.push_str("...");
    }
    line
}

/// Seconds since a step's start, as output lines carry them: `0.213`, `12.34`, `125.6`.
pub(super) fn stamp(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    let decimals = match seconds {
        ..10.0 => 3,
        ..100.0 => 2,
        _ => 1,
    };
    format!("{seconds:.decimals$}")
}

/// `1.2s`.
pub(super) fn seconds(time: Duration) -> String {
    format!("{:.1}s", time.as_secs_f64())
}

/// A number of bytes: `512B`, `1.23MB`.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1000 {
        return format!("{bytes}B");
    }
    let mut value = bytes as f64 / 1000.0;
    let mut unit = 0;
    while value >= 999.995 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.2}{}", UNITS[unit])
}

/// How far a part of a step is: `1.23MB / 4.56MB`, empty when nothing is known.
pub(super) fn amount(done: u64, total: u64) -> String {
    match (done, total) {
        (0, 0) => String::new(),
        (done, 0) => size(done),
        (done, total) => format!("{} / {}", size(done), size(total)),
    }
}

/// What a part of a step is called: `downloading 3153aa388d02`.
pub(super) fn label(status: &str, part: &str) -> String {
    let both = match (status, part) {
        ("", part) => part.to_owned(),
        (status, "") => status.to_owned(),
        (status, part) => format!("{status} {part}"),
    };
    one_line(&both)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]], limit: usize) -> Vec<Vec<u8>> {
        let mut joiner = Joiner::default();
        let mut lines = Vec::new();
        for piece in pieces {
            joiner.push(piece, limit, |line, _| lines.push(line.to_vec()));
        }
        joiner.finish(|line, _| lines.push(line.to_vec()));
        lines
    }

    #[test]
    fn joins_pieces_to_lines() {
        assert_eq!(
            lines(&[b"a", b"b\n\nc\nd", b"e"], 9),
            [&b"ab"[..], b"", b"c", b"de"]
        );
        assert_eq!(lines(&[b"a\n"], 9), [b"a"]);
        assert!(lines(&[b""], 9).is_empty());
    }

    #[test]
    fn cuts_long_lines_between_characters() {
        assert_eq!(lines(&[b"abcdefg\n"], 3), [&b"abc"[..], b"def", b"g"]);
        assert_eq!(
            lines(&["xäöü".as_bytes()], 4),
            ["xä".as_bytes(), "öü".as_bytes()]
        );
        assert_eq!(lines(&[&[0x80; 6]], 4), [&[0x80; 4][..], &[0x80; 2]]);
    }

    #[test]
    fn cleans_output() {
        for (raw, plain, colored) in [
            (&b"plain \xc3\xa4\t."[..], "plain ä\t.", "plain ä\t."),
            (b"10%\r50%\r100%", "100%", "100%"),
            (b"windows\r", "windows", "windows"),
            (b"\r\r", "", ""),
            (
                b"\xff\xfetail",
                "\u{fffd}\u{fffd}tail",
                "\u{fffd}\u{fffd}tail",
            ),
            (b"\x1b[31mred\x1b[0m.", "red.", "\x1b[31mred\x1b[0m."),
            (b"\x1b[1;31mred", "red", "\x1b[1;31mred\x1b[0m"),
            (b"\x1b[2J\x1b[1;1Hx\x1b[?25ly\x1b[K", "xy", "xy"),
            (
                b"\x1b]0;title\x07a\x1b]8;;u\x1b\\b\x1b(Bc\x1b7d",
                "abcd",
                "abcd",
            ),
            (b"a\x07b\x00c\x7f", "abc", "abc"),
            (b"ab\x08c", "ac", "ac"),
            (b"x\x1b", "x", "x"),
            (b"x\x1b[31", "x", "x"),
        ] {
            assert_eq!(clean(raw, false), plain, "{raw:?}");
            assert_eq!(clean(raw, true), colored, "{raw:?}");
        }
    }

    #[test]
    fn a_cleaned_line_is_never_too_long() {
        let mut joiner = Joiner::default();
        let mut longest = 0;
        joiner.push(&[0xff; 300_000], MAX_RAW, |line, _| {
            longest = longest.max(clean(line, true).len());
        });
        assert!(longest > 40_000 && longest < MAX_LINE, "{longest}");
    }

    #[test]
    fn writes_sizes_and_times() {
        for (bytes, text) in [
            (0, "0B"),
            (999, "999B"),
            (1000, "1.00kB"),
            (12_345_678, "12.35MB"),
            (999_999_999, "1.00GB"),
            (u64::MAX, "18.45EB"),
        ] {
            assert_eq!(size(bytes), text);
        }
        for (ms, text) in [
            (0, "0.000"),
            (213, "0.213"),
            (12_345, "12.35"),
            (125_600, "125.6"),
        ] {
            assert_eq!(stamp(Duration::from_millis(ms)), text);
        }
        assert_eq!(amount(0, 0), "");
        assert_eq!(amount(5, 0), "5B");
        assert_eq!(amount(0, 5), "0B / 5B");
    }
}
