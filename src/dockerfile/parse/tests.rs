use std::fmt::Write as _;

use proptest::prelude::{Strategy, any, prop, proptest};

use crate::diag::Style;
use crate::dockerfile::ast::{Instruction, Kind};
use crate::dockerfile::{Parsed, parse, parse_instruction};
use crate::source::{SourceFile, Span};

fn read(text: &str) -> Parsed {
    parse(&SourceFile::new("Dockerfile", text)).unwrap()
}

#[test]
fn a_trigger_is_read_by_itself() {
    let source = SourceFile::new("trigger of `busybox`", "COPY <<A /x\nbody\nA");
    let instruction = parse_instruction(&source, '\\').unwrap();
    assert_eq!(instruction.kind.name(), "COPY");
    assert_eq!(instruction.heredocs[0].content, "body\n");
    for text in ["", "FROM x", "RUN a\nRUN b", "FETCH x", "COPY x"] {
        let source = SourceFile::new("trigger of `busybox`", text);
        assert!(parse_instruction(&source, '\\').is_err(), "{text}");
    }
}

#[test]
fn a_stored_trigger_can_be_read_back() {
    let parsed = read("FROM a\nONBUILD RUN <<A <<-B cat\nx\nA\n\ty\n\tB\n");
    let Kind::Onbuild(onbuild) = &parsed.dockerfile.instructions[1].kind else {
        panic!("it is one");
    };
    let source = SourceFile::new("trigger", onbuild.trigger.as_str());
    let again = parse_instruction(&source, '\\').unwrap();
    let bodies: Vec<_> = again
        .heredocs
        .iter()
        .map(crate::dockerfile::ast::Heredoc::body)
        .collect();
    assert_eq!(bodies, ["x\n", "y\n"]);
}

#[test]
fn a_message_is_one_line_with_its_place() {
    let source = SourceFile::new("a/Dockerfile", "FROM x\nRUNN y\nENV a\n");
    let errors = parse(&source).unwrap_err();
    assert_eq!(
        errors.to_string(),
        "a/Dockerfile:2:1: unknown instruction `RUNN`\n\
         a/Dockerfile:3:5: `ENV` requires a name and a value"
    );
}

#[test]
fn colour_is_asked_for() {
    let source = SourceFile::new("Dockerfile", "RUNN y\n");
    let errors = parse(&source).unwrap_err();
    let colored = errors.render(Style {
        color: true,
        width: 80,
    });
    assert!(colored.contains('\u{1b}'));
    assert!(!errors.render(Style::default()).contains('\u{1b}'));
}

/// A quadratic reader would not come to an end here.
#[test]
fn long_files_are_read() {
    let mut long = String::from("FROM a\n");
    for at in 0..20_000 {
        writeln!(
            long,
            "RUN --mount=type=cache,target=/c echo {at} \\\n  && true"
        )
        .unwrap();
    }
    assert_eq!(read(&long).dockerfile.instructions.len(), 20_001);
    let one_line = format!("FROM a\nENV {}\n", "A=b \\\n".repeat(50_000) + "A=b");
    assert_eq!(read(&one_line).dockerfile.instructions.len(), 2);
    let continued = format!("FROM a\nRUN {} <<E\nx\nE\n", "a \\\n".repeat(50_000));
    assert_eq!(read(&continued).dockerfile.instructions.len(), 2);
    let broken = format!("FROM a\n{}", "RUN cat <<E\n".repeat(5_000));
    assert!(parse(&SourceFile::new("Dockerfile", broken)).is_err());
}

#[test]
fn lines_are_as_long_as_buildkit_reads_them() {
    for (length, end, fits) in [
        (65_535, "\n", true),
        (65_536, "\n", false),
        (65_535, "", true),
        (65_536, "", false),
    ] {
        let head = "FROM a\nENV A=";
        let rest = "b".repeat(length - "ENV A=".len());
        let source = SourceFile::new("Dockerfile", format!("{head}{rest}{end}"));
        assert_eq!(parse(&source).is_ok(), fits, "{length} {end:?}");
    }
}

/// Whether the span lies in the file and can be cut out of it.
fn check_span(source: &SourceFile, span: Span) {
    assert!(
        source.text().get(span.start..span.end).is_some(),
        "{span:?}"
    );
}

fn check_instruction(instruction: &Instruction) {
    let source = &instruction.source;
    check_span(source, instruction.span);
    check_span(source, instruction.keyword.span);
    for heredoc in &instruction.heredocs {
        check_span(source, heredoc.word.span);
        check_span(source, heredoc.content_span);
    }
    // Every span is in here, the heredocs' bodies too.
    let text = format!("{:?}", instruction.kind);
    for part in text.split("Span { start: ").skip(1) {
        let (start, rest) = part.split_once(", end: ").unwrap();
        let (end, _) = rest.split_once(" }").unwrap();
        check_span(
            source,
            Span::new(start.parse().unwrap(), end.parse().unwrap()),
        );
    }
    if let Kind::Onbuild(onbuild) = &instruction.kind
        && let Some(inner) = &onbuild.inner
    {
        check_instruction(inner);
    }
}

fn check(text: &str) {
    let source = SourceFile::new("Dockerfile", text);
    match parse(&source) {
        Ok(parsed) => parsed
            .dockerfile
            .instructions
            .iter()
            .for_each(check_instruction),
        Err(errors) => {
            for error in &errors {
                for label in &error.labels {
                    check_span(&source, label.span);
                }
            }
            assert!(
                !errors
                    .render(Style {
                        color: true,
                        width: 60
                    })
                    .is_empty()
            );
        }
    }
}

/// Text that looks enough like a Dockerfile to get past the first word.
fn fragments() -> impl Strategy<Value = String> {
    let parts = [
        "FROM ",
        "FROM a\n",
        "RUN ",
        "COPY ",
        "ADD ",
        "ENV ",
        "LABEL ",
        "ARG ",
        "CMD ",
        "SHELL ",
        "HEALTHCHECK ",
        "ONBUILD ",
        "VOLUME ",
        "EXPOSE ",
        "USER ",
        "NONE ",
        " AS ",
        "x",
        "é",
        "日",
        " ",
        "\n",
        "\r\n",
        "\\\n",
        "\\",
        "\"",
        "'",
        "=",
        ",",
        "$",
        "${",
        "}",
        "<<E",
        "<<-E ",
        "\nE\n",
        "--",
        "--mount=",
        "type=cache",
        "--from=",
        "--network=",
        "--device=",
        "--interval=",
        "1s",
        "[",
        "]",
        "[\"a\", \"b\"]",
        "# ",
        "# escape=`\n",
        "`",
        "\u{feff}",
        "\t",
        "\u{a0}",
        "\0",
    ];
    prop::collection::vec(prop::sample::select(parts.to_vec()), 0..40)
        .prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        check(SourceFile::from_bytes("Dockerfile", &bytes).text());
    }

    #[test]
    fn any_fragments_are_read(text in fragments()) {
        check(&text);
        check(&format!("FROM a\n{text}"));
    }
}

/// On files that the `dockerfile-parser` crate reads too, both see the same instructions.
#[test]
fn another_parser_agrees() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/parse");
    let mut compared = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path().join("Dockerfile")).unwrap();
        let source = SourceFile::from_bytes("Dockerfile", &bytes);
        // It knows no heredocs and no directives, and joins lines behind an escaped escape.
        let beyond = ["<<", "escape=", "\\\\"];
        if beyond.iter().any(|part| source.text().contains(part)) {
            continue;
        }
        let Ok(theirs) = dockerfile_parser::Dockerfile::parse(source.text()) else {
            continue;
        };
        let Ok(ours) = parse(&source) else { continue };
        let theirs: Vec<_> = theirs.instructions.iter().map(keyword).collect();
        let ours: Vec<_> = ours
            .dockerfile
            .instructions
            .iter()
            .map(|instruction| instruction.kind.name().to_owned())
            .collect();
        assert_eq!(ours, theirs, "{}", source.text());
        compared += 1;
    }
    assert!(compared >= 10, "{compared}");
}

fn keyword(instruction: &dockerfile_parser::Instruction) -> String {
    use dockerfile_parser::Instruction as Theirs;
    match instruction {
        Theirs::From(_) => "FROM".to_owned(),
        Theirs::Arg(_) => "ARG".to_owned(),
        Theirs::Label(_) => "LABEL".to_owned(),
        Theirs::Run(_) => "RUN".to_owned(),
        Theirs::Entrypoint(_) => "ENTRYPOINT".to_owned(),
        Theirs::Cmd(_) => "CMD".to_owned(),
        Theirs::Copy(_) => "COPY".to_owned(),
        Theirs::Env(_) => "ENV".to_owned(),
        Theirs::Misc(misc) => misc.instruction.content.to_ascii_uppercase(),
    }
}
