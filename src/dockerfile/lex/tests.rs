use proptest::prelude::proptest;

use crate::dockerfile::lex::{Lexer, Piece, PieceKind, continuation};
use crate::source::SourceFile;

/// The pieces of a text with a heredoc `E` behind every line that has `<<E`.
fn pieces(text: &str) -> Vec<Piece> {
    let source = SourceFile::new("Dockerfile", text);
    let mut lexer = Lexer::new(&source, '\\');
    while let Some(line) = lexer.next_logical() {
        if line.joined.text().contains("<<E") {
            lexer.take_heredoc("E", false);
        }
    }
    lexer.finish().2
}

#[test]
fn every_line_is_some_piece() {
    let text = "\u{feff}# escape=`\n# note\n\nRUN a`\n # b\n\n c\nCOPY <<E\nx\nE\n\nlast";
    let found: Vec<_> = pieces(text)
        .into_iter()
        .map(|piece| (piece.kind, &text[piece.span.start..piece.span.end]))
        .collect();
    let expected = [
        (PieceKind::Mark, "\u{feff}"),
        (PieceKind::Directive, "# escape=`\n"),
        (PieceKind::Comment, "# note\n"),
        (PieceKind::Blank, "\n"),
        (PieceKind::Instruction, "RUN a`\n # b\n\n c\n"),
        (PieceKind::Instruction, "COPY <<E\n"),
        (PieceKind::Heredoc, "x\nE\n"),
        (PieceKind::Blank, "\n"),
        (PieceKind::Instruction, "last"),
    ];
    assert_eq!(found, expected);
}

#[test]
fn what_continues_a_line() {
    for (line, expected) in [
        ("a \\", Some("a ")),
        ("a\\  \t", Some("a")),
        ("\\", Some("")),
        ("  \\", Some("  ")),
        ("a \\\\", None),
        ("a \\\\\\", None),
        ("a \\b", None),
        ("a `", None),
        ("", None),
    ] {
        assert_eq!(continuation(line, '\\'), expected, "{line}");
    }
    assert_eq!(continuation("a `", '`'), Some("a "));
}

proptest! {
    #[test]
    fn pieces_joined_are_the_file(text in "(?s)([\\PC\\s#=`]|escape|\\\\\n|\r\n|\n|<<E|E\n){0,40}") {
        let joined: String = pieces(&text)
            .iter()
            .map(|piece| &text[piece.span.start..piece.span.end])
            .collect();
        assert_eq!(joined, text);
    }

    #[test]
    fn joined_text_is_what_stands_at_its_places(text in "(?s)(RUN |a|é|#|\\\\\n|\\\\\r\n| |\n){0,30}") {
        let source = SourceFile::new("Dockerfile", text.as_str());
        let mut lexer = Lexer::new(&source, '\\');
        while let Some(line) = lexer.next_logical() {
            let joined = line.joined;
            for (at, c) in joined.text().char_indices() {
                let place = joined.span(&(at..at + c.len_utf8()));
                assert_eq!(source.slice(place), c.to_string());
            }
        }
    }
}
