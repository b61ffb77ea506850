//! The JSON form: `["a", "b"]`.

use std::borrow::Cow;
use std::ops::Range;

use crate::dockerfile::ast::Word;
use crate::dockerfile::joined::Joined;

/// What some arguments are.
#[derive(Debug)]
pub(super) enum Form {
    /// A JSON list of strings, decoded; the spans include the quotes.
    Strings(Vec<Word>),
    /// A JSON list with something else in it, at this place: an error.
    Other(Range<usize>),
    /// No JSON list, so it is not the JSON form.
    Plain,
}

pub(super) fn form(line: &Joined, range: Range<usize>) -> Form {
    let range = line.trim(range);
    let text = &line.text()[range.clone()];
    if !text.starts_with('[') {
        return Form::Plain;
    }
    let decodable = without_lone_surrogates(text);
    let Ok(values) = serde_json::from_str::<Vec<serde_json::Value>>(&decodable) else {
        return Form::Plain;
    };
    let mut words = Vec::with_capacity(values.len());
    for (value, element) in values.into_iter().zip(elements(text)) {
        let element = range.start + element.start..range.start + element.end;
        let serde_json::Value::String(value) = value else {
            return Form::Other(element);
        };
        words.push(Word::new(value, line.span(&element)));
    }
    Form::Strings(words)
}

/// The text with `\ufffd` for every half of a pair that stands alone, as Go decodes it.
fn without_lone_surrogates(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    let mut at = 0;
    while let Some(found) = text[at..].find('\\') {
        let start = at + found;
        let Some(code) = escaped_code(&text[start..]) else {
            // The escaped character may be a backslash itself.
            let escaped = text[start + 1..].chars().next().map_or(0, char::len_utf8);
            at = start + 1 + escaped;
            continue;
        };
        at = start + ESCAPE;
        match code {
            0xD800..=0xDBFF if matches!(escaped_code(&text[at..]), Some(0xDC00..=0xDFFF)) => {
                at += ESCAPE;
            }
            0xD800..=0xDFFF => text.to_mut().replace_range(start..at, "\\ufffd"),
            _ => {}
        }
    }
    text
}

/// How long `\u0000` is.
const ESCAPE: usize = 6;

fn escaped_code(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    let hexadecimal = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    hexadecimal.then(|| u32::from_str_radix(digits, 16).ok())?
}

/// The places of the elements of a list that is known to be valid.
fn elements(list: &str) -> Vec<Range<usize>> {
    let mut elements = Vec::new();
    let mut start = 1;
    let mut depth = 0_usize;
    let mut quoted = false;
    let mut escaped = false;
    for (at, byte) in list.bytes().enumerate() {
        if quoted {
            quoted = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
            continue;
        }
        match byte {
            b'"' => quoted = true,
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        let ends_element = (byte == b',' && depth == 1) || (byte == b']' && depth == 0);
        if ends_element {
            let text = &list[start..at];
            let first = at - text.trim_start().len();
            elements.push(first..first + text.trim().len());
            start = at + 1;
        }
    }
    elements
}

#[cfg(test)]
mod tests {
    use super::{Form, elements, form};
    use crate::dockerfile::joined::Joined;

    #[test]
    fn elements_have_places() {
        let list = r#"[ "a,\"b]" , 1, [2, "x"], "" ]"#;
        let found: Vec<_> = elements(list)
            .into_iter()
            .map(|place| &list[place])
            .collect();
        assert_eq!(found, [r#""a,\"b]""#, "1", r#"[2, "x"]"#, r#""""#]);
    }

    #[test]
    fn only_lists_are_json() {
        let read = |text: &str| {
            let mut line = Joined::at(0);
            line.push_str(text, 0);
            match form(&line, line.whole()) {
                Form::Strings(words) => words.into_iter().map(|word| word.text).collect(),
                Form::Other(place) => vec!["other".to_owned(), text[place].to_owned()],
                Form::Plain => vec!["plain".to_owned()],
            }
        };
        assert_eq!(read(r#" ["a", "\u00e9\n"] "#), ["a", "é\n"]);
        assert_eq!(
            read(r#"["\ud800", "\ud83d\ude00", "\ude00\\ud800"]"#),
            ["\u{fffd}", "😀", "\u{fffd}\\ud800"]
        );
        assert_eq!(read("[]"), Vec::<String>::new());
        assert_eq!(read(r#"["a", 7]"#), ["other", "7"]);
        for text in ["", "a", "['a']", r#"["a",]"#, r#"["a"] b"#, r#""a""#, "[a]"] {
            assert_eq!(read(text), ["plain"], "{text}");
        }
    }
}
