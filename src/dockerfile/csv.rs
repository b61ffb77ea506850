//! The comma-separated values of `--mount=` and `--device=`.

use std::ops::Range;

use crate::dockerfile::joined::Joined;

/// What is wrong with a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CsvError {
    /// A quote inside a field that did not begin with one, at this place.
    BareQuote(usize),
    /// A quoted field that is not closed, or goes on behind its quote.
    BadQuote(usize),
}

/// The fields of a part of a text; a field in quotes may hold commas, and two quotes for one.
pub(super) fn fields(text: &Joined, range: Range<usize>) -> Result<Vec<Joined>, CsvError> {
    let mut fields = Vec::new();
    let mut at = range.start;
    loop {
        let rest = &text.text()[at..range.end];
        let mut field = Joined::at(text.span(&(at..range.end)).start);
        if rest.starts_with('"') {
            at = quoted(text, at, range.end, &mut field)?;
        } else {
            let end = at + rest.find(',').unwrap_or(rest.len());
            if let Some(quote) = text.text()[at..end].find('"') {
                return Err(CsvError::BareQuote(at + quote));
            }
            field.push_part(text, at..end);
            at = end;
        }
        fields.push(field);
        if !text.text()[at..range.end].starts_with(',') {
            return Ok(fields);
        }
        at += 1;
    }
}

/// A field that begins with a quote; the place behind it.
fn quoted(text: &Joined, start: usize, end: usize, field: &mut Joined) -> Result<usize, CsvError> {
    let mut at = start + 1;
    loop {
        let rest = &text.text()[at..end];
        let Some(quote) = rest.find('"') else {
            return Err(CsvError::BadQuote(start));
        };
        field.push_part(text, at..at + quote);
        at += quote + 1;
        match text.text()[at..end].chars().next() {
            Some('"') => {
                field.push_part(text, at..at + 1);
                at += 1;
            }
            None | Some(',') => return Ok(at),
            Some(_) => return Err(CsvError::BadQuote(start)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CsvError, fields};
    use crate::dockerfile::joined::Joined;

    fn read(text: &str) -> Result<Vec<String>, CsvError> {
        let mut joined = Joined::at(0);
        joined.push_str(text, 0);
        let fields = fields(&joined, joined.whole())?;
        Ok(fields.iter().map(|field| field.text().to_owned()).collect())
    }

    #[test]
    fn fields_are_split_at_commas() {
        for (text, expected) in [
            ("", &[""][..]),
            ("a", &["a"]),
            ("a,b=c", &["a", "b=c"]),
            ("a,", &["a", ""]),
            (r#""a,b",c"#, &["a,b", "c"]),
            (r#""say ""x""""#, &["say \"x\""]),
            (" a, b", &[" a", " b"]),
        ] {
            assert_eq!(read(text).unwrap(), expected, "{text}");
        }
        assert_eq!(read(r#"a"b"#), Err(CsvError::BareQuote(1)));
        assert_eq!(read(r#"x,"b"#), Err(CsvError::BadQuote(2)));
        assert_eq!(read(r#""b"c"#), Err(CsvError::BadQuote(0)));
    }
}
