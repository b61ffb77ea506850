//! The commands and what is said of them.

/// A command: its name, shorter names, what it takes, what it does.
pub(super) struct About {
    pub(super) name: &'static str,
    pub(super) short: &'static [&'static str],
    pub(super) takes: &'static str,
    pub(super) does: &'static str,
}

const fn about(
    name: &'static str,
    short: &'static [&'static str],
    takes: &'static str,
    does: &'static str,
) -> About {
    About {
        name,
        short,
        takes,
        does,
    }
}

pub(super) const COMMANDS: &[About] = &[
    about(
        "help",
        &["h", "?"],
        "[COMMAND]",
        "say what there is, or what a command does",
    ),
    about(
        "continue",
        &["c"],
        "",
        "run to the next breakpoint or failure",
    ),
    about(
        "next",
        &["n"],
        "",
        "carry out this instruction, and the stages it needs, and stop",
    ),
    about(
        "step",
        &["s"],
        "",
        "as next, but stop in a stage that the instruction needs",
    ),
    about("out", &["o", "finish"], "", "run to the end of this stage"),
    about("until", &["u"], "LINE", "run to a line of the Dockerfile"),
    about(
        "back",
        &["rs"],
        "[COUNT]",
        "step back: the files are as before the instruction",
    ),
    about(
        "restart",
        &[],
        "[LINE]",
        "go back to a line and run everything from there again",
    ),
    about(
        "retry",
        &[],
        "",
        "carry out this instruction again, without a look at the cache",
    ),
    about(
        "reload",
        &[],
        "",
        "read the edited Dockerfile; what has not changed stays",
    ),
    about("run", &[], "", "begin again from the start"),
    about(
        "quit",
        &["q", "exit"],
        "[CODE]",
        "end the build and bowline",
    ),
    about(
        "break",
        &["b"],
        "LINE|STAGE|fail|miss [if CONDITION] [hits N] [log TEXT]",
        "stop at a line, at a stage, on failures or cache misses; CONDITION is over ARG and \
         ENV, like `V == 2 && !DEBUG`; N is `3`, `>=3`, `<3` or `%3`; `log` prints TEXT with \
         {NAME} and does not stop",
    ),
    about(
        "tbreak",
        &["tb"],
        "LINE|STAGE ...",
        "as break, for one stop",
    ),
    about("breakpoints", &["bp"], "", "list the breakpoints"),
    about(
        "delete",
        &["d"],
        "NUMBER|fail|miss|all",
        "remove a breakpoint",
    ),
    about("disable", &[], "NUMBER", "let a breakpoint sleep"),
    about("enable", &[], "NUMBER", "wake it"),
    about(
        "list",
        &["l"],
        "[LINE|all]",
        "show the Dockerfile around a line",
    ),
    about(
        "where",
        &["w", "bt"],
        "",
        "show this stage and who waits for it",
    ),
    about("stages", &[], "", "show all stages and where each is"),
    about(
        "info",
        &["i"],
        "",
        "show the instruction, expanded, and what a command would find",
    ),
    about(
        "vars",
        &["v"],
        "[NAME]",
        "show ARG and ENV with where each value comes from",
    ),
    about(
        "print",
        &["p"],
        "TEXT",
        "expand a text with the variables, as the Dockerfile would",
    ),
    about("config", &[], "", "show the image's config so far, as JSON"),
    about("ls", &[], "[PATH]", "list a directory"),
    about("cat", &[], "PATH", "show a file"),
    about(
        "du",
        &[],
        "[PATH]",
        "show how large the entries of a directory are",
    ),
    about(
        "changes",
        &["ch"],
        "[LINE]",
        "show what an instruction added, modified and deleted",
    ),
    about(
        "why",
        &[],
        "",
        "say why the cache has the instruction or not",
    ),
    about(
        "log",
        &[],
        "[COUNT]",
        "show the instruction's output, or its last lines",
    ),
    about(
        "shell",
        &["sh"],
        "[--before|--after|--failed] [--user U] [--workdir D] [--env N=V] [--tools IMAGE]",
        "open a shell where the instruction runs; what it changes is lost unless you `keep` it",
    ),
    about(
        "exec",
        &["x"],
        "[FLAGS OF shell] COMMAND...",
        "run a command there and show its output",
    ),
    about(
        "keep",
        &[],
        "",
        "let the build go on with what the last shell or exec left",
    ),
];

pub(super) fn find(name: &str) -> Option<&'static About> {
    COMMANDS
        .iter()
        .find(|about| about.name == name || about.short.contains(&name))
}

/// The whole help, or a command's.
pub(super) fn text(topic: &str, width: usize) -> Result<String, String> {
    if topic.is_empty() {
        let rows: Vec<Vec<String>> = COMMANDS
            .iter()
            .map(|about| {
                let mut names = about.name.to_owned();
                if let Some(short) = about.short.first() {
                    names.push_str(&format!(", {short}"));
                }
                let does = about.does.split(';').next().unwrap_or_default();
                vec![names, does.to_owned()]
            })
            .collect();
        let mut text = super::words::table(&rows, width);
        text.push_str("!LINE runs a line in the instruction's own shell\n");
        return Ok(text);
    }
    let about = find(topic).ok_or_else(|| format!("there is no command `{topic}`"))?;
    let mut text = format!("{} {}\n", about.name, about.takes);
    if !about.short.is_empty() {
        text.push_str(&format!("short: {}\n", about.short.join(", ")));
    }
    let mut line = String::new();
    for word in about.does.split_whitespace() {
        if line.len() + word.len() + 1 > width && !line.is_empty() {
            text.push_str(&line);
            text.push('\n');
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    text.push_str(&line);
    text.push('\n');
    Ok(text)
}
