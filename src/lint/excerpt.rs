//! The lines around a finding, as BuildKit prints them.

use crate::source::SourceFile;

/// A few lines of the file, which is called `name`, those of the finding marked; with a line
/// break at the end.
#[must_use]
pub fn excerpt(name: &str, source: &SourceFile, (first, last): (usize, usize)) -> String {
    let lines: Vec<&str> = source.text().split('\n').collect();
    if first == 0 || first > lines.len() {
        return String::new();
    }
    let last = last.min(lines.len());
    let (mut start, mut end) = (first, last);
    let wanted = if start == end { 4 } else { 2 };
    let mut added = 0;
    while added < wanted {
        if start > 1 {
            start -= 1;
            added += 1;
        }
        if end < lines.len() {
            end += 1;
            added += 1;
        }
        added += 1;
    }
    const RULE: &str = "--------------------\n";
    let mut text = format!("{name}:{first}\n{RULE}");
    for number in start..=end {
        let mark = if (first..=last).contains(&number) {
            ">>>"
        } else {
            "   "
        };
        text += &format!(" {number:>3} | {mark} {}\n", lines[number - 1]);
    }
    text + RULE
}
