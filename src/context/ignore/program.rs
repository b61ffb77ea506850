//! The few regular expressions that patterns become, read as Go's `regexp` reads them.
//!
//! Characters, escapes, classes, `.`, `^`, `$`, `*` after one of them, and the group `(.*/)?`.
//! Nothing else can stand in an expression that [`Pattern`](super::pattern::Pattern) writes.
//! Time is bounded by length of path times length of pattern, whatever they are.

use crate::context::glob::BadPattern;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    One(Set),
    /// Any number of characters of the set.
    Many(Set),
    /// Either goes on, or leaves this many steps out.
    MaySkip(usize),
    Start,
    End,
    /// `\b`, or with `false` its opposite.
    WordEdge(bool),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Set {
    Char(char),
    /// Everything but a line feed.
    Dot,
    NotSlash,
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

/// An expression, ready to match.
#[derive(Debug, Clone)]
pub(super) struct Program {
    steps: Vec<Step>,
    /// What every match starts and ends with: most paths are refused by looking at these.
    starts: String,
    ends: String,
}

impl Program {
    /// Reads an expression that starts with `^` and ends with `$`.
    pub(super) fn new(expression: &str) -> Result<Self, BadPattern> {
        let mut reader = Reader { rest: expression };
        let mut steps = Vec::new();
        while let Some(char) = reader.next() {
            let set = match char {
                '^' => {
                    steps.push(Step::Start);
                    continue;
                }
                '$' => {
                    steps.push(Step::End);
                    continue;
                }
                '(' => {
                    reader.rest = reader.rest.strip_prefix(".*/)?").ok_or(BadPattern)?;
                    steps.push(Step::MaySkip(3));
                    steps.push(Step::Many(Set::Dot));
                    steps.push(Step::One(Set::Char('/')));
                    continue;
                }
                '.' => Set::Dot,
                '[' => reader.class()?,
                '\\' => match reader.escape(true)? {
                    Escape::Set(set) => set,
                    Escape::Step(step) => {
                        steps.push(step);
                        continue;
                    }
                },
                '*' => return Err(BadPattern),
                char => Set::Char(char),
            };
            steps.push(if reader.take('*') {
                Step::Many(set)
            } else {
                Step::One(set)
            });
        }
        let inner = steps.strip_prefix(&[Step::Start]).unwrap_or_default();
        let inner = inner.strip_suffix(&[Step::End]).unwrap_or_default();
        let plain = |step: &Step| match step {
            Step::One(Set::Char(char)) => Some(*char),
            _ => None,
        };
        let starts = inner.iter().map_while(plain).collect();
        // The slash of a group that may be skipped is not at every match's end.
        let group = inner
            .iter()
            .rposition(|step| matches!(step, Step::MaySkip(_)));
        let tail = &inner[group.map_or(0, |at| at + 3)..];
        let ends: Vec<char> = tail.iter().rev().map_while(plain).collect();
        Ok(Self {
            starts,
            ends: ends.into_iter().rev().collect(),
            steps,
        })
    }

    pub(super) fn matches(&self, path: &str) -> bool {
        if !path.starts_with(&self.starts) || !path.ends_with(&self.ends) {
            return false;
        }
        let mut now = vec![false; self.steps.len() + 1];
        let mut next = now.clone();
        let mut before = None;
        now[0] = true;
        for after in path.chars() {
            self.go_on(&mut now, before, Some(after));
            next.fill(false);
            let mut alive = false;
            for (at, step) in self.steps.iter().enumerate().filter(|&(at, _)| now[at]) {
                match step {
                    Step::One(set) if set.has(after) => next[at + 1] = true,
                    Step::Many(set) if set.has(after) => next[at] = true,
                    _ => continue,
                }
                alive = true;
            }
            if !alive {
                return false;
            }
            std::mem::swap(&mut now, &mut next);
            before = Some(after);
        }
        self.go_on(&mut now, before, None);
        now[self.steps.len()]
    }

    /// Takes the steps that need no character, between the characters `before` and `after`.
    fn go_on(&self, now: &mut [bool], before: Option<char>, after: Option<char>) {
        let is_word = |char: Option<char>| {
            char.is_some_and(|char| char.is_ascii_alphanumeric() || char == '_')
        };
        for (at, step) in self.steps.iter().enumerate() {
            if !now[at] {
                continue;
            }
            match step {
                Step::One(_) => {}
                Step::Many(_) => now[at + 1] = true,
                Step::MaySkip(steps) => {
                    now[at + 1] = true;
                    now[at + steps] = true;
                }
                Step::Start => now[at + 1] |= before.is_none(),
                Step::End => now[at + 1] |= after.is_none(),
                Step::WordEdge(wanted) => {
                    now[at + 1] |= (is_word(before) != is_word(after)) == *wanted;
                }
            }
        }
    }
}

impl Set {
    fn has(&self, char: char) -> bool {
        match self {
            Self::Char(own) => *own == char,
            Self::Dot => char != '\n',
            Self::NotSlash => char != '/',
            Self::Class { negated, ranges } => {
                ranges
                    .iter()
                    .any(|&(low, high)| low <= char && char <= high)
                    != *negated
            }
        }
    }
}

enum Escape {
    Set(Set),
    Step(Step),
}

struct Reader<'a> {
    rest: &'a str,
}

const DIGITS: &[(char, char)] = &[('0', '9')];
const SPACES: &[(char, char)] = &[('\t', '\n'), ('\x0c', '\r'), (' ', ' ')];
const WORDS: &[(char, char)] = &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')];

const POSIX: &[(&str, &[(char, char)])] = &[
    ("alnum", &[('0', '9'), ('A', 'Z'), ('a', 'z')]),
    ("alpha", &[('A', 'Z'), ('a', 'z')]),
    ("ascii", &[('\0', '\x7f')]),
    ("blank", &[('\t', '\t'), (' ', ' ')]),
    ("cntrl", &[('\0', '\x1f'), ('\x7f', '\x7f')]),
    ("digit", DIGITS),
    ("graph", &[('!', '~')]),
    ("lower", &[('a', 'z')]),
    ("print", &[(' ', '~')]),
    ("punct", &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')]),
    ("space", &[('\t', '\r'), (' ', ' ')]),
    ("upper", &[('A', 'Z')]),
    ("word", WORDS),
    ("xdigit", &[('0', '9'), ('A', 'F'), ('a', 'f')]),
];

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let char = chars.next()?;
        self.rest = chars.as_str();
        Some(char)
    }

    fn take(&mut self, wanted: char) -> bool {
        let rest = self.rest.strip_prefix(wanted);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// What follows a backslash. Places such as `\b` only count `outside` of a class.
    fn escape(&mut self, outside: bool) -> Result<Escape, BadPattern> {
        let class = |negated, ranges: &[_]| Set::Class {
            negated,
            ranges: ranges.to_vec(),
        };
        let set = match self.next().ok_or(BadPattern)? {
            'A' if outside => return Ok(Escape::Step(Step::Start)),
            'z' if outside => return Ok(Escape::Step(Step::End)),
            'b' if outside => return Ok(Escape::Step(Step::WordEdge(true))),
            'B' if outside => return Ok(Escape::Step(Step::WordEdge(false))),
            'd' => class(false, DIGITS),
            'D' => class(true, DIGITS),
            's' => class(false, SPACES),
            'S' => class(true, SPACES),
            'w' => class(false, WORDS),
            'W' => class(true, WORDS),
            'a' => Set::Char('\x07'),
            'f' => Set::Char('\x0c'),
            'n' => Set::Char('\n'),
            'r' => Set::Char('\r'),
            't' => Set::Char('\t'),
            'v' => Set::Char('\x0b'),
            'x' => Set::Char(self.hex()?),
            digit @ '0'..='7' => Set::Char(self.octal(digit)?),
            char if char.is_ascii() && !char.is_ascii_alphanumeric() => Set::Char(char),
            _ => return Err(BadPattern),
        };
        Ok(Escape::Set(set))
    }

    fn hex(&mut self) -> Result<char, BadPattern> {
        let digits = if self.take('{') {
            let (digits, rest) = self.rest.split_once('}').ok_or(BadPattern)?;
            self.rest = rest;
            digits
        } else {
            let (digits, rest) = self.rest.split_at_checked(2).ok_or(BadPattern)?;
            self.rest = rest;
            digits
        };
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(BadPattern);
        }
        let number = u32::from_str_radix(digits, 16).ok();
        number.and_then(char::from_u32).ok_or(BadPattern)
    }

    /// Up to three octal digits; one that is not zero must not stand alone (it would be a
    /// reference to a group).
    fn octal(&mut self, first: char) -> Result<char, BadPattern> {
        let mut digits = String::from(first);
        while digits.len() < 3
            && self
                .rest
                .starts_with(|char: char| ('0'..='7').contains(&char))
        {
            digits.extend(self.next());
        }
        if first != '0' && digits.len() == 1 {
            return Err(BadPattern);
        }
        let number = u32::from_str_radix(&digits, 8).ok();
        number.and_then(char::from_u32).ok_or(BadPattern)
    }

    /// The rest of a class after its `[`.
    fn class(&mut self) -> Result<Set, BadPattern> {
        let negated = self.take('^');
        let mut ranges: Vec<(char, char)> = Vec::new();
        let mut first = true;
        loop {
            if !first && self.take(']') {
                break;
            }
            first = false;
            if let Some((name, rest)) = self
                .rest
                .strip_prefix("[:")
                .and_then(|rest| rest.split_once(":]"))
            {
                self.rest = rest;
                let inverse = name.strip_prefix('^');
                let name = inverse.unwrap_or(name);
                let found = POSIX
                    .iter()
                    .find(|(known, _)| *known == name)
                    .ok_or(BadPattern)?;
                extend(&mut ranges, inverse.is_some(), found.1);
                continue;
            }
            let low = match self.class_char()? {
                Set::Char(char) => char,
                Set::Class {
                    negated,
                    ranges: more,
                } => {
                    extend(&mut ranges, negated, &more);
                    continue;
                }
                Set::Dot | Set::NotSlash => return Err(BadPattern),
            };
            let mut high = low;
            if self.rest.starts_with('-') && !self.rest.starts_with("-]") {
                self.next();
                let Set::Char(char) = self.class_char()? else {
                    return Err(BadPattern);
                };
                high = char;
            }
            if high < low {
                return Err(BadPattern);
            }
            ranges.push((low, high));
        }
        if negated && ranges == [('/', '/')] {
            return Ok(Set::NotSlash);
        }
        Ok(Set::Class { negated, ranges })
    }

    fn class_char(&mut self) -> Result<Set, BadPattern> {
        match self.next().ok_or(BadPattern)? {
            '\\' => match self.escape(false)? {
                Escape::Set(set) => Ok(set),
                Escape::Step(_) => Err(BadPattern),
            },
            char => Ok(Set::Char(char)),
        }
    }
}

/// Adds sorted ranges, or what lies between them.
fn extend(ranges: &mut Vec<(char, char)>, negated: bool, more: &[(char, char)]) {
    if !negated {
        ranges.extend_from_slice(more);
        return;
    }
    let mut from = '\0';
    for &(low, high) in more {
        if from < low {
            let before = char::from_u32(u32::from(low) - 1).unwrap_or('\u{d7ff}');
            ranges.push((from, before));
        }
        from = char::from_u32(u32::from(high) + 1).unwrap_or('\u{e000}');
    }
    ranges.push((from, char::MAX));
}
