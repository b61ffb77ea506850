//! Conditions of breakpoints: an expression over the `ARG`s and `ENV`s in force.
//!
//! `NAME` is true when it is set and not empty. `==`, `!=`, `<`, `<=`, `>`, `>=` compare texts, or
//! numbers where both are; `=~` looks for the right text in the left one. `!`, `&&`, `||` and
//! parentheses combine. A word is a variable when it is one's name (or begins with `$`), else a
//! text; quotes make it a text in any case.

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Condition {
    text: String,
    root: Node,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    Is(Operand),
    Compare(Operand, Compare, Operand),
    Not(Box<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compare {
    Equal,
    NotEqual,
    Contains,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Operand {
    Text(String),
    Word(String),
    Variable(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Operand(Operand),
    Compare(Compare),
    Not,
    And,
    Or,
    Open,
    Close,
}

/// Gives a variable's value.
pub(super) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Condition {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut tokens = tokens(text)?;
        tokens.reverse();
        let root = or(&mut tokens)?;
        match tokens.pop() {
            None => Ok(Self {
                text: text.trim().to_owned(),
                root,
            }),
            Some(_) => Err(format!("`{text}` goes on after its end")),
        }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn holds(&self, lookup: Lookup<'_>) -> bool {
        holds(&self.root, lookup)
    }
}

fn holds(node: &Node, lookup: Lookup<'_>) -> bool {
    match node {
        Node::Is(operand) => match operand {
            Operand::Text(text) => !text.is_empty(),
            Operand::Word(name) | Operand::Variable(name) => {
                lookup(name).is_some_and(|value| !value.is_empty())
            }
        },
        Node::Not(inner) => !holds(inner, lookup),
        Node::And(left, right) => holds(left, lookup) && holds(right, lookup),
        Node::Or(left, right) => holds(left, lookup) || holds(right, lookup),
        Node::Compare(left, compare, right) => {
            let (left, right) = (value(left, lookup), value(right, lookup));
            let order = match (left.parse::<f64>(), right.parse::<f64>()) {
                (Ok(left), Ok(right)) => left.partial_cmp(&right),
                _ => Some(left.cmp(&right)),
            };
            match compare {
                Compare::Equal => order.is_some_and(std::cmp::Ordering::is_eq),
                Compare::NotEqual => order.is_none_or(std::cmp::Ordering::is_ne),
                Compare::Contains => left.contains(&right),
                Compare::Less => order.is_some_and(std::cmp::Ordering::is_lt),
                Compare::LessOrEqual => order.is_some_and(std::cmp::Ordering::is_le),
                Compare::Greater => order.is_some_and(std::cmp::Ordering::is_gt),
                Compare::GreaterOrEqual => order.is_some_and(std::cmp::Ordering::is_ge),
            }
        }
    }
}

fn value(operand: &Operand, lookup: Lookup<'_>) -> String {
    match operand {
        Operand::Text(text) => text.clone(),
        Operand::Variable(name) => lookup(name).unwrap_or_default(),
        Operand::Word(word) => lookup(word).unwrap_or_else(|| word.clone()),
    }
}

fn or(tokens: &mut Vec<Token>) -> Result<Node, String> {
    let mut left = and(tokens)?;
    while tokens.last() == Some(&Token::Or) {
        tokens.pop();
        left = Node::Or(Box::new(left), Box::new(and(tokens)?));
    }
    Ok(left)
}

fn and(tokens: &mut Vec<Token>) -> Result<Node, String> {
    let mut left = unary(tokens)?;
    while tokens.last() == Some(&Token::And) {
        tokens.pop();
        left = Node::And(Box::new(left), Box::new(unary(tokens)?));
    }
    Ok(left)
}

fn unary(tokens: &mut Vec<Token>) -> Result<Node, String> {
    match tokens.pop() {
        Some(Token::Not) => Ok(Node::Not(Box::new(unary(tokens)?))),
        Some(Token::Open) => {
            let inner = or(tokens)?;
            match tokens.pop() {
                Some(Token::Close) => Ok(inner),
                _ => Err("there is no `)` for a `(`".into()),
            }
        }
        Some(Token::Operand(left)) => {
            let Some(Token::Compare(compare)) = tokens.last().cloned() else {
                return Ok(Node::Is(left));
            };
            tokens.pop();
            match tokens.pop() {
                Some(Token::Operand(right)) => Ok(Node::Compare(left, compare, right)),
                _ => Err("nothing stands on the right of a comparison".into()),
            }
        }
        _ => Err("a condition is like `NAME`, `NAME == value` or `!NAME && OTHER != 1`".into()),
    }
}

const SIGNS: [(&str, Token); 13] = [
    ("&&", Token::And),
    ("||", Token::Or),
    ("==", Token::Compare(Compare::Equal)),
    ("!=", Token::Compare(Compare::NotEqual)),
    ("=~", Token::Compare(Compare::Contains)),
    ("<=", Token::Compare(Compare::LessOrEqual)),
    (">=", Token::Compare(Compare::GreaterOrEqual)),
    ("<", Token::Compare(Compare::Less)),
    (">", Token::Compare(Compare::Greater)),
    ("=", Token::Compare(Compare::Equal)),
    ("!", Token::Not),
    ("(", Token::Open),
    (")", Token::Close),
];

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        if let Some((sign, token)) = SIGNS.iter().find(|(sign, _)| rest.starts_with(sign)) {
            tokens.push(token.clone());
            rest = &rest[sign.len()..];
        } else if matches!(first, '"' | '\'') {
            let end = rest[1..].find(first);
            let end = end.ok_or_else(|| format!("a {first} has no partner"))?;
            tokens.push(Token::Operand(Operand::Text(rest[1..=end].to_owned())));
            rest = &rest[end + 2..];
        } else {
            let ends = |c: char| c.is_whitespace() || "&|=!<>()\"'".contains(c);
            let end = rest.find(ends).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end.max(first.len_utf8()));
            let name = word.strip_prefix('$');
            let name = name.map(|name| name.trim_start_matches('{').trim_end_matches('}'));
            tokens.push(Token::Operand(match name {
                Some(name) => Operand::Variable(name.to_owned()),
                None => Operand::Word(word.to_owned()),
            }));
            rest = after;
        }
        rest = rest.trim_start();
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_hold_as_written() {
        let lookup = |name: &str| {
            let known = [("A", "1"), ("B", "two words"), ("E", ""), ("V", "10")];
            let found = known.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        for (text, want) in [
            ("A", true),
            ("E", false),
            ("NONE", false),
            ("!NONE", true),
            ("A == 1", true),
            ("A=1", true),
            ("$A == '1'", true),
            ("${A} != 1", false),
            ("B == \"two words\"", true),
            ("B =~ wor", true),
            ("V > 9", true),
            ("V < 9 || A <= 1", true),
            ("A == 1 && (E || !NONE)", true),
            ("A == one", false),
            ("V >= 10 && V == 10.0", true),
            ("$NONE == ''", true),
        ] {
            let condition = Condition::parse(text).unwrap();
            assert_eq!(condition.holds(&lookup), want, "{text}");
        }
        for text in ["", "A ==", "(A", "A B", "&& A", "'x", "A)"] {
            assert!(Condition::parse(text).is_err(), "{text}");
        }
    }
}
