//! Rewriting what can be rewritten without a change of what is built: `bowline check --fix`.
//!
//! Only words are replaced; comments, blank lines and everything else stay as they are.

use super::Config;
use super::rules::{
    consistent_instruction_casing, expose_proto_casing, from_as_casing, legacy_key_value_format,
    no_empty_continuation, redundant_target_platform, stage_name_casing,
};
use crate::dockerfile::ast::{Dockerfile, FromInst, Instruction, Kind, Pairs, Word};
use crate::source::{SourceFile, Span};

/// A place and what is to stand there.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Edit {
    span: Span,
    text: String,
}

/// The text without the mistakes that can be taken out safely, or `None` when it has none.
/// One pass may make room for another: ask again with the new text.
#[must_use]
pub fn rewritten(dockerfile: &Dockerfile, config: &Config) -> Option<String> {
    let mut edits = Vec::new();
    let instructions = dockerfile.instructions.iter();
    let staged = instructions
        .clone()
        .skip_while(|inst| !matches!(inst.kind, Kind::From(_)));
    if config.wants(&consistent_instruction_casing::RULE) {
        let lower = consistent_instruction_casing::mostly_lower(staged.clone());
        for inst in staged {
            replace(&mut edits, &inst.keyword, |word| in_case(word, lower));
        }
    }
    for inst in instructions {
        look(&mut edits, inst, config);
    }
    let text = dockerfile.source.text();
    edits.retain(|edit| dockerfile.source.slice(edit.span) != edit.text);
    if edits.is_empty() {
        return None;
    }
    edits.sort_by_key(|edit| edit.span);
    edits.dedup_by(|later, earlier| later.span.start < earlier.span.end);
    let mut rewritten = text.to_owned();
    for edit in edits.iter().rev() {
        rewritten.replace_range(edit.span.start..edit.span.end, &edit.text);
    }
    Some(rewritten)
}

fn look(edits: &mut Vec<Edit>, inst: &Instruction, config: &Config) {
    let source = &inst.source;
    if config.wants(&no_empty_continuation::RULE) {
        for blank in &inst.empty_continuations {
            let end = source.text()[blank.end..].find('\n');
            let end = end.map_or(blank.end, |at| blank.end + at + 1);
            edits.push(Edit {
                span: Span::new(blank.start, end),
                text: String::new(),
            });
        }
    }
    match &inst.kind {
        Kind::From(from) => look_at_from(edits, inst, from, config),
        Kind::Env(pairs) | Kind::Label(pairs)
            if pairs.legacy && config.wants(&legacy_key_value_format::RULE) =>
        {
            edits.extend(with_equals(source, pairs));
        }
        Kind::Expose(ports) if config.wants(&expose_proto_casing::RULE) => {
            for port in ports.iter().filter(|port| !port.text.contains('$')) {
                replace(edits, port, |word| match word.split_once('/') {
                    Some((number, protocol)) => format!("{number}/{}", protocol.to_lowercase()),
                    None => word.to_owned(),
                });
            }
        }
        _ => {}
    }
}

fn look_at_from(edits: &mut Vec<Edit>, inst: &Instruction, from: &FromInst, config: &Config) {
    if let Some(name) = &from.name
        && config.wants(&stage_name_casing::RULE)
    {
        replace(edits, name, str::to_lowercase);
    }
    let keyword = inst.keyword.text.as_str();
    let lower = keyword == keyword.to_lowercase();
    if let Some(word) = &from.as_keyword
        && config.wants(&from_as_casing::RULE)
        && (lower || keyword == keyword.to_uppercase())
    {
        replace(edits, word, |word| in_case(word, lower));
    }
    if let Some(platform) = &from.platform
        && config.wants(&redundant_target_platform::RULE)
        && matches!(
            platform.text.as_str(),
            "$TARGETPLATFORM" | "${TARGETPLATFORM}"
        )
    {
        edits.extend(without_flag(&inst.source, "--platform=", platform));
    }
}

fn in_case(word: &str, lower: bool) -> String {
    if lower {
        word.to_lowercase()
    } else {
        word.to_uppercase()
    }
}

/// A word in one piece.
fn replace(edits: &mut Vec<Edit>, word: &Word, change: impl Fn(&str) -> String) {
    if word.span.len() == word.text.len() {
        edits.push(Edit {
            span: word.span,
            text: change(&word.text),
        });
    }
}

/// `ENV name value` with a `=`, where quoting the value keeps what it means.
fn with_equals(source: &SourceFile, pairs: &Pairs) -> Option<Edit> {
    let pair = pairs.pairs.first()?;
    let (name, value) = (&pair.key, &pair.value);
    let span = name.span.to(value.span);
    let plain = |text: &str| !text.contains(['"', '\'', '\\', '`']);
    if source.slice(span).contains('\n') || !plain(&name.text) || !plain(&value.text) {
        return None;
    }
    let value = &value.text;
    let quotes = if value.contains(char::is_whitespace) {
        "\""
    } else {
        ""
    };
    Some(Edit {
        span,
        text: format!("{name}={quotes}{value}{quotes}"),
    })
}

/// A flag and the blanks after it.
fn without_flag(source: &SourceFile, flag: &str, value: &Word) -> Option<Edit> {
    let start = value.span.start.checked_sub(flag.len())?;
    if source.slice(Span::new(start, value.span.start)) != flag
        || source.slice(value.span) != value.text
    {
        return None;
    }
    let rest = &source.text()[value.span.end..];
    let blanks = rest.len() - rest.trim_start_matches([' ', '\t']).len();
    (blanks > 0).then(|| Edit {
        span: Span::new(start, value.span.end + blanks),
        text: String::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::rewritten;
    use crate::dockerfile::parse;
    use crate::lint::Config;
    use crate::source::SourceFile;

    fn fixed(text: &str) -> String {
        let mut text = text.to_owned();
        for _ in 0..9 {
            let parsed = parse(&SourceFile::new("Dockerfile", text.as_str())).unwrap();
            let Some(next) = rewritten(&parsed.dockerfile, &Config::default()) else {
                return text;
            };
            text = next;
        }
        panic!("never done: {text}");
    }

    #[test]
    fn what_is_safe_is_rewritten_and_the_rest_stays() {
        for (text, expected) in [
            (
                "FROM a AS B\nCOPY --from=B x /\n",
                "FROM a AS b\nCOPY --from=B x /\n",
            ),
            (
                "FROM a as b # x\n".trim_end_matches(" # x\n"),
                "FROM a AS b",
            ),
            ("from a AS b\nrun x\nEnv a=b", "from a as b\nrun x\nenv a=b"),
            (
                "FROM a\n# why\nENV  k  v # w\nLABEL l two words\n",
                "FROM a\n# why\nENV  k=\"v # w\"\nLABEL l=\"two words\"\n",
            ),
            (
                "FROM a\nENV k \"v\"\nENV k v\\ w\n",
                "FROM a\nENV k \"v\"\nENV k v\\ w\n",
            ),
            ("FROM a\nENV k $v\n", "FROM a\nENV k=$v\n"),
            (
                "FROM a\nRUN x \\\n\n # c\n  \n y\n",
                "FROM a\nRUN x \\\n # c\n y\n",
            ),
            (
                "FROM a\r\nRUN x \\\r\n\r\n y\r\n",
                "FROM a\r\nRUN x \\\r\n y\r\n",
            ),
            (
                "FROM a\nEXPOSE 80/TCP $P/UDP\n",
                "FROM a\nEXPOSE 80/tcp $P/UDP\n",
            ),
            ("FROM --platform=$TARGETPLATFORM  a AS b\n", "FROM a AS b\n"),
            (
                "FROM a\nCMD x\nMAINTAINER m\n",
                "FROM a\nCMD x\nMAINTAINER m\n",
            ),
        ] {
            assert_eq!(fixed(text), expected, "{text}");
        }
    }
}
