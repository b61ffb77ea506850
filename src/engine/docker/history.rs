//! The history of an image as its config has it, from the engine's `/history`.
//!
//! The API leaves one thing out: which lines made a layer (`empty_layer`). A size above zero
//! says it; for the rest the instruction does, and the number of layers, which must come out
//! exactly, decides between them.

use jiff::Timestamp;

use crate::image::{Digest, EMPTY_LAYER_DIFF_ID, History};

/// A line of `/history`.
#[derive(Debug, Clone, Default)]
pub(super) struct Line {
    /// In seconds since 1970.
    pub(super) created: i64,
    pub(super) created_by: String,
    pub(super) comment: String,
    pub(super) size: i64,
}

/// Go's time of nothing, as seconds.
const NEVER: i64 = -62_135_596_800;

/// The config's history for lines that come oldest first: as many of them are not empty as
/// there are layers.
pub(super) fn infer(lines: &[Line], diff_ids: &[Digest]) -> Vec<History> {
    // An image may have layers that nobody wrote a line for; those of its base, most likely.
    let unknown = diff_ids.len().saturating_sub(lines.len());
    let made = choose(lines, &diff_ids[unknown..]);
    let unknown = std::iter::repeat_n(History::default(), unknown);
    let known = lines.iter().zip(made).map(|(line, made)| History {
        created: created(line.created),
        created_by: line.created_by.clone(),
        author: String::new(),
        comment: line.comment.clone(),
        empty_layer: !made,
    });
    unknown.chain(known).collect()
}

fn created(seconds: i64) -> Option<String> {
    if seconds == NEVER {
        return None;
    }
    Some(Timestamp::from_second(seconds).ok()?.to_string())
}

/// Which lines made the layers, in order: the likeliest choice as a whole.
fn choose(lines: &[Line], layers: &[Digest]) -> Vec<bool> {
    const IMPOSSIBLE: i64 = i64::MIN / 2;
    let (rows, columns) = (lines.len(), layers.len());
    // best[i][k]: how likely it is that the first i lines made the first k layers.
    let mut best = vec![vec![IMPOSSIBLE; columns + 1]; rows + 1];
    best[0][0] = 0;
    for (i, line) in lines.iter().enumerate() {
        for k in 0..=columns.min(i + 1) {
            let empty = best[i][k];
            let made = k
                .checked_sub(1)
                .map(|k| best[i][k] + likelihood(line, &layers[k]));
            best[i + 1][k] = empty.max(made.unwrap_or(IMPOSSIBLE));
        }
    }
    let mut made = vec![false; rows];
    let mut k = columns;
    for i in (0..rows).rev() {
        // On a tie the older line gets the layer.
        if k > 0 && best[i + 1][k] != best[i][k] {
            made[i] = true;
            k -= 1;
        }
    }
    made
}

/// How likely a line is to have made a layer.
fn likelihood(line: &Line, layer: &Digest) -> i64 {
    let is_empty = layer.as_str() == EMPTY_LAYER_DIFF_ID;
    match (line.size > 0, is_empty) {
        (true, true) => -10_000,
        (true, false) => 10_000,
        (false, _) => by_instruction(&line.created_by, &line.comment),
    }
}

fn by_instruction(created_by: &str, comment: &str) -> i64 {
    let legacy = created_by
        .strip_prefix("/bin/sh -c #(nop)")
        .map(str::trim_start);
    let text = legacy.unwrap_or(created_by);
    let text = text.strip_prefix("/bin/sh -c ").map_or(text, |_| "RUN");
    let word = text.split_whitespace().next().unwrap_or_default();
    match (word, legacy.is_some()) {
        ("COPY" | "ADD", _) => 90,
        ("RUN", _) => 80,
        // BuildKit always makes a layer of it, the legacy builder only of a new folder.
        ("WORKDIR", false) => 70,
        ("WORKDIR", true) => 40,
        (
            "ARG" | "CMD" | "ENTRYPOINT" | "ENV" | "EXPOSE" | "HEALTHCHECK" | "LABEL"
            | "MAINTAINER" | "ONBUILD" | "SHELL" | "STOPSIGNAL" | "USER" | "VOLUME",
            _,
        ) => 1,
        (_, true) => 2,
        _ if comment.starts_with("Imported from") => 60,
        // The command of `docker commit`, or another builder's words.
        _ => 50,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(created_by: &str, size: i64) -> Line {
        Line {
            created_by: created_by.into(),
            size,
            ..Line::default()
        }
    }

    fn digest(n: usize) -> Digest {
        Digest::sha256(&n.to_be_bytes())
    }

    /// Each line with its size; `+` marks those that made a layer.
    fn check(lines: &[(&str, i64, char)]) {
        let layers: Vec<Digest> = lines
            .iter()
            .enumerate()
            .filter(|(_, l)| l.2 == '+')
            .map(|(n, _)| digest(n))
            .collect();
        let input: Vec<Line> = lines
            .iter()
            .map(|(text, size, _)| line(text, *size))
            .collect();
        let made: Vec<char> = infer(&input, &layers)
            .iter()
            .map(|line| if line.empty_layer { '-' } else { '+' })
            .collect();
        let expected: Vec<char> = lines.iter().map(|l| l.2).collect();
        assert_eq!(made, expected, "{lines:?}");
    }

    #[test]
    fn tells_layers_from_settings() {
        // Docker's own busybox, nginx made by BuildKit, and the legacy builder.
        check(&[
            ("/bin/sh -c #(nop) ADD file:c51 in / ", 4_000_000, '+'),
            ("/bin/sh -c #(nop)  CMD [\"sh\"]", 0, '-'),
        ]);
        check(&[
            (
                "# debian.sh --arch 'amd64' out/ 'bookworm'",
                74_000_000,
                '+',
            ),
            ("LABEL maintainer=NGINX", 0, '-'),
            ("ENV NGINX_VERSION=1.27.0", 0, '-'),
            (
                "RUN /bin/sh -c set -x && groupadd # buildkit",
                113_000_000,
                '+',
            ),
            ("COPY docker-entrypoint.sh / # buildkit", 1620, '+'),
            ("ENTRYPOINT [\"/docker-entrypoint.sh\"]", 0, '-'),
            ("EXPOSE map[80/tcp:{}]", 0, '-'),
            ("WORKDIR /app", 0, '+'),
            ("RUN /bin/sh -c rm -rf /x # buildkit", 0, '+'),
            ("CMD [\"nginx\"]", 0, '-'),
        ]);
        check(&[
            ("/bin/sh -c #(nop) ADD file:c51 in / ", 10, '+'),
            ("/bin/sh -c #(nop) WORKDIR /usr", 0, '-'),
            ("/bin/sh -c rm /x", 0, '+'),
            ("/bin/sh -c #(nop)  ENV a=b", 0, '-'),
        ]);
        check(&[("", 1_982_491, '+')]);
        check(&[("", 0, '+'), ("sleep 3", 0, '+')]);
        check(&[("ENV a=b", 0, '-')]);
    }

    #[test]
    fn an_empty_layer_has_no_size() {
        let layers = [digest(1), Digest::new(EMPTY_LAYER_DIFF_ID)];
        let lines = [
            line("COPY a /", 0),
            line("ADD b /", 5),
            line("ENV x=y", 0),
            line("USER u", 0),
        ];
        let made = infer(&lines, &layers);
        // Neither line after ADD looks like a layer, but one of them must have made it.
        assert!(!made[1].empty_layer);
        assert!(made[0].empty_layer);
        assert_eq!(made.iter().filter(|line| !line.empty_layer).count(), 2);
    }

    #[test]
    fn counts_always_match() {
        for lines in 0..6 {
            for layers in 0..8 {
                let input: Vec<Line> = (0..lines).map(|n| line("ENV a=b", n)).collect();
                let layers: Vec<Digest> = (0..layers).map(digest).collect();
                let made = infer(&input, &layers);
                let filled = made.iter().filter(|line| !line.empty_layer).count();
                assert_eq!(filled, layers.len(), "{input:?}");
            }
        }
    }

    #[test]
    fn keeps_comments_and_times() {
        let line = Line {
            created: 1_795_531_336,
            created_by: String::new(),
            comment: "Imported from -".into(),
            size: 1,
        };
        let history = infer(&[line], &[digest(1)]);
        assert_eq!(history[0].comment, "Imported from -");
        assert_eq!(history[0].created.as_deref(), Some("2026-11-24T14:42:16Z"));
        assert_eq!(created(NEVER), None);
    }
}
