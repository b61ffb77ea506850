//! The patterns of `${X#p}`, `${X%p}` and `${X/p/r}`: `*` is any text, `?` any
//! character, a backslash takes their meaning away. No brackets.
//!
//! As in BuildKit, where they become regular expressions, neither `*` nor `?` goes
//! over a line break.

use std::collections::HashSet;

use crate::dockerfile::expand::ExpandErrorKind;

/// How much a `*` takes when it has the choice.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    Shortest,
    Longest,
}

#[derive(Clone, Copy)]
enum Token {
    Exactly(char),
    One,
    Any,
}

/// `${X#p}` and `${X##p}`
pub(super) fn trim_start(
    pattern: &str,
    value: &str,
    reach: Reach,
) -> Result<String, ExpandErrorKind> {
    let tokens = read(pattern)?;
    let value: Vec<char> = value.chars().collect();
    let end = match_at(&tokens, &value, 0, reach).unwrap_or(0);
    Ok(value[end..].iter().collect())
}

/// `${X%p}` and `${X%%p}`
pub(super) fn trim_end(
    pattern: &str,
    value: &str,
    reach: Reach,
) -> Result<String, ExpandErrorKind> {
    // From the end is from the start, with both turned round.
    let mut tokens = read(pattern)?;
    tokens.reverse();
    let value: Vec<char> = value.chars().rev().collect();
    let end = match_at(&tokens, &value, 0, reach).unwrap_or(0);
    Ok(value[end..].iter().rev().collect())
}

/// `${X/p/r}`
pub(super) fn replace_first(
    pattern: &str,
    value: &str,
    replacement: &str,
) -> Result<String, ExpandErrorKind> {
    let tokens = read(pattern)?;
    let value: Vec<char> = value.chars().collect();
    let Some((start, end)) = find(&tokens, &value, 0) else {
        return Ok(value.into_iter().collect());
    };
    let before: String = value[..start].iter().collect();
    let after: String = value[end..].iter().collect();
    Ok(before + replacement + &after)
}

/// `${X//p/r}`. Here alone `$0` in the replacement is the text found, and other `$name` are nothing.
pub(super) fn replace_all(
    pattern: &str,
    value: &str,
    replacement: &str,
) -> Result<String, ExpandErrorKind> {
    let tokens = read(pattern)?;
    let value: Vec<char> = value.chars().collect();
    let mut result = String::new();
    let mut copied = 0;
    let mut from = 0;
    while let Some((start, end)) = find(&tokens, &value, from) {
        result.extend(&value[copied..start]);
        // An empty match right behind the one before does not count.
        if end > copied || start == 0 {
            let found: String = value[start..end].iter().collect();
            push_replacement(&mut result, replacement, &found);
        }
        copied = end;
        from = end.max(from + 1);
        if from > value.len() {
            break;
        }
    }
    result.extend(&value[copied.min(value.len())..]);
    Ok(result)
}

fn push_replacement(result: &mut String, replacement: &str, found: &str) {
    let mut rest = replacement;
    while let Some((before, after)) = rest.split_once('$') {
        result.push_str(before);
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let (name, next) = if let Some(after) = after.strip_prefix('$') {
            result.push('$');
            rest = after;
            continue;
        } else if let Some((name, next)) = after
            .strip_prefix('{')
            .and_then(|inner| inner.split_once('}'))
        {
            (if name.chars().all(is_part) { name } else { "" }, next)
        } else {
            let length = after.len() - after.trim_start_matches(is_part).len();
            after.split_at(length)
        };
        if name.is_empty() {
            result.push('$');
            rest = after;
            continue;
        }
        if name.chars().all(|c| c == '0') {
            result.push_str(found);
        }
        rest = next;
    }
    result.push_str(rest);
}

fn read(pattern: &str) -> Result<Vec<Token>, ExpandErrorKind> {
    let mut tokens = Vec::new();
    let mut rest = pattern.chars().peekable();
    while let Some(next) = rest.next() {
        tokens.push(match next {
            '*' => Token::Any,
            '?' => Token::One,
            // `}` and `/` have to be escaped inside `${...}`; the escape says no more.
            '\\' if matches!(rest.peek(), Some('}' | '/')) => continue,
            '\\' => match rest.next() {
                Some(escaped @ ('*' | '?' | '\\')) => Token::Exactly(escaped),
                other => {
                    return Err(ExpandErrorKind::InvalidPattern {
                        pattern: pattern.to_owned(),
                        escaped: other.map(String::from).unwrap_or_default(),
                    });
                }
            },
            _ => Token::Exactly(next),
        });
    }
    Ok(tokens)
}

/// The first match at or after `from`, as long as it can be.
fn find(tokens: &[Token], value: &[char], from: usize) -> Option<(usize, usize)> {
    (from..=value.len())
        .find_map(|start| match_at(tokens, value, start, Reach::Longest).map(|end| (start, end)))
}

/// Where a match that begins at `start` ends.
fn match_at(tokens: &[Token], value: &[char], start: usize, reach: Reach) -> Option<usize> {
    let mut tried = HashSet::new();
    // What is left to try, the preferred way last.
    let mut ways = vec![(0, start)];
    while let Some(way @ (token, at)) = ways.pop() {
        if !tried.insert(way) {
            continue;
        }
        let next = value.get(at).copied();
        let on_line = next.is_some_and(|next| next != '\n');
        match tokens.get(token) {
            None => return Some(at),
            Some(Token::Exactly(wanted)) if next == Some(*wanted) => ways.push((token + 1, at + 1)),
            Some(Token::One) if on_line => ways.push((token + 1, at + 1)),
            Some(Token::Any) => {
                let stop = (token + 1, at);
                let go_on = on_line.then_some((token, at + 1));
                if reach == Reach::Longest {
                    ways.push(stop);
                    ways.extend(go_on);
                } else {
                    ways.extend(go_on);
                    ways.push(stop);
                }
            }
            Some(_) => {}
        }
    }
    None
}
