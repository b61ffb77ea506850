//! Words of a command line, and lines of a text that fit a terminal.

use unicode_width::UnicodeWidthChar as _;

/// Splits at white space; quotes keep it, a backslash takes the next character as it is.
pub(super) fn split(text: &str) -> Result<Vec<String>, String> {
    let (mut words, mut word) = (Vec::new(), None::<String>);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_whitespace() => words.extend(word.take()),
            '\'' | '"' => {
                let into = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        Some(end) if end == c => break,
                        Some('\\') if c == '"' => match chars.next() {
                            Some(escaped @ ('"' | '\\' | '$')) => into.push(escaped),
                            Some(other) => into.extend(['\\', other]),
                            None => return Err(format!("a {c} has no partner")),
                        },
                        Some(inner) => into.push(inner),
                        None => return Err(format!("a {c} has no partner")),
                    }
                }
            }
            '\\' => {
                let next = chars.next().ok_or("a `\\` ends the line")?;
                word.get_or_insert_default().push(next);
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

/// One line of a text, with `...` at its end where it is longer than `width` columns.
pub(super) fn fit(text: &str, width: usize) -> String {
    let line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let wide = |c: char| c.width().unwrap_or(0);
    if line.chars().map(wide).sum::<usize>() <= width {
        return line;
    }
    let (mut used, mut cut) = (0, String::new());
    for c in line.chars() {
        used += wide(c);
        if used + 3 > width {
            break;
        }
        cut.push(c);
    }
    cut + "..."
}

/// A number of bytes as people read it.
pub(super) fn bytes(count: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "it is shown with one decimal")]
    let mut value = count as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return match unit {
                "B" => format!("{count} B"),
                unit => format!("{value:.1} {unit}"),
            };
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}

/// Rows as a table whose columns but the last have one width each.
pub(super) fn table(rows: &[Vec<String>], width: usize) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let wide = |text: &str| text.chars().map(|c| c.width().unwrap_or(0)).sum::<usize>();
    let widths: Vec<usize> = (0..columns)
        .map(|at| {
            rows.iter()
                .filter_map(|row| row.get(at))
                .map(|cell| wide(cell))
                .max()
        })
        .map(|most| most.unwrap_or(0).min(width / 2))
        .collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (at, cell) in row.iter().enumerate() {
            if at + 1 == row.len() {
                line.push_str(cell);
            } else {
                let cell = fit(cell, widths[at]);
                let padding = widths[at].saturating_sub(wide(&cell)) + 2;
                line.push_str(&cell);
                line.extend(std::iter::repeat_n(' ', padding));
            }
        }
        text.push_str(fit(&line, width).trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_a_shell_would() {
        for (text, want) in [
            ("a  b", &["a", "b"][..]),
            ("sh -c 'a b \"c\"'", &["sh", "-c", "a b \"c\""]),
            (r#""a\"b" c\ d ''"#, &["a\"b", "c d", ""]),
            ("", &[]),
        ] {
            assert_eq!(split(text).unwrap(), want, "{text}");
        }
        assert!(split("'a").is_err() && split("\"a").is_err() && split("a\\").is_err());
    }

    #[test]
    fn lines_fit() {
        assert_eq!(fit("abc\tdef", 7), "abc def");
        assert_eq!(fit("abcdefgh", 7), "abcd...");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
    }
}
