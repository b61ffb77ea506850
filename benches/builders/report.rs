//! The table and the plot of measurements.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::Builder;
use crate::measure::Measurement;

/// One measurement for the one who waits.
pub(crate) fn line(one: &Measurement) -> String {
    let builders = [Builder::Bowline, Builder::Buildkit, Builder::Legacy];
    let times: Vec<String> = builders
        .into_iter()
        .filter_map(|builder| {
            let (least, most) = one.range(builder)?;
            let median = time(one.median(builder));
            let memory = one.memory(builder)?;
            Some(format!(
                "{builder:?} {median} ({least:.3}-{most:.3}, {memory} MiB)"
            ))
        })
        .collect();
    format!(
        "{}, ratio {}",
        times.join(", "),
        ratio(one.ratio(Builder::Bowline))
    )
}

/// The table, as markdown.
pub(crate) fn table(engine: &str, measured: &[Measurement], runs: usize) -> String {
    let mut text = format!("On `{engine}`, medians of {runs} runs in turns:\n\n");
    text.push_str("| workload | bowline | BuildKit | legacy | bowline / BuildKit | target | memory of bowline |\n");
    text.push_str("|---|--:|--:|--:|--:|--:|--:|\n");
    for one in measured {
        let target = one.workload.target;
        let reached = match (one.ratio(Builder::Bowline), target) {
            (Some(ratio), Some(target)) if ratio <= target => " ✓",
            (Some(_), Some(_)) => " ✗",
            _ => "",
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {}{reached} | {} | {} |",
            one.workload.what,
            time(one.median(Builder::Bowline)),
            time(one.median(Builder::Buildkit)),
            time(one.median(Builder::Legacy)),
            ratio(one.ratio(Builder::Bowline)),
            target.map_or_else(String::new, |target| format!("≤ {target:.2}")),
            one.memory(Builder::Bowline)
                .map_or_else(String::new, |memory| format!("{memory} MiB")),
        );
    }
    text
}

/// Puts the table and the plot of an engine into the documentation.
pub(crate) fn write(engine: &str, measured: &[Measurement], runs: usize) {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let page = docs.join("benchmarks.md");
    let text = fs::read_to_string(&page).expect("docs/benchmarks.md");
    let (begin, end) = (
        format!("<!-- {engine} -->\n"),
        format!("<!-- end of {engine} -->"),
    );
    let (before, rest) = text.split_once(&begin).expect("a place for the table");
    let (_, after) = rest.split_once(&end).expect("the end of the table's place");
    let image = format!("![{engine}](benchmarks-{engine}.svg)\n");
    let table = table(engine, measured, runs);
    let text = format!("{before}{begin}\n{table}\n{image}\n{end}{after}");
    fs::write(&page, text).expect("docs/benchmarks.md");
    let plot = docs.join(format!("benchmarks-{engine}.svg"));
    fs::write(plot, svg(measured)).expect("the plot");
}

fn time(seconds: Option<f64>) -> String {
    match seconds {
        None => "–".into(),
        Some(seconds) if seconds < 1.0 => format!("{:.0} ms", seconds * 1000.0),
        Some(seconds) => format!("{seconds:.2} s"),
    }
}

fn ratio(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| "–".into(), |ratio| format!("{ratio:.2}"))
}

const LEFT: f64 = 110.0;
const WIDTH: f64 = 560.0;
const BAR: f64 = 11.0;
const GAP: f64 = 10.0;
/// The axis goes over this many powers of ten, from ten milliseconds on.
const DECADES: f64 = 4.0;

/// Bars on a logarithmic scale, three for each workload.
fn svg(measured: &[Measurement]) -> String {
    let colors = [
        (Builder::Bowline, "#1b6ca8"),
        (Builder::Buildkit, "#e0a030"),
        (Builder::Legacy, "#9a9a9a"),
    ];
    let group = BAR * 3.0 + GAP;
    let bottom = 40.0 + group * measured.len() as f64;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        LEFT + WIDTH + 60.0,
        bottom + 30.0
    );
    for (n, (builder, color)) in colors.into_iter().enumerate() {
        let x = LEFT + 100.0 * n as f64;
        let _ = writeln!(
            text,
            "<rect x=\"{x}\" y=\"12\" width=\"10\" height=\"10\" fill=\"{color}\"/>\
             <text x=\"{}\" y=\"21\">{}</text>",
            x + 14.0,
            match builder {
                Builder::Bowline => "bowline",
                Builder::Buildkit => "BuildKit",
                Builder::Legacy => "legacy",
            }
        );
    }
    for (n, label) in ["10 ms", "100 ms", "1 s", "10 s", "100 s"]
        .iter()
        .enumerate()
    {
        let x = LEFT + WIDTH * n as f64 / DECADES;
        let _ = writeln!(
            text,
            "<line x1=\"{x}\" y1=\"32\" x2=\"{x}\" y2=\"{bottom}\" stroke=\"#ddd\"/>\
             <text x=\"{x}\" y=\"{}\" text-anchor=\"middle\">{label}</text>",
            bottom + 14.0
        );
    }
    for (n, one) in measured.iter().enumerate() {
        let top = 40.0 + group * n as f64;
        let _ = writeln!(
            text,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
            LEFT - 8.0,
            top + BAR * 2.0,
            one.workload.name
        );
        for (m, (builder, color)) in colors.into_iter().enumerate() {
            let Some(seconds) = one.median(builder) else {
                continue;
            };
            let width = (WIDTH * (seconds / 0.01).log10() / DECADES).max(1.0);
            let y = top + BAR * m as f64;
            let _ = writeln!(
                text,
                "<rect x=\"{LEFT}\" y=\"{y}\" width=\"{width:.1}\" height=\"{}\" fill=\"{color}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" font-size=\"9\">{}</text>",
                BAR - 1.0,
                LEFT + width + 4.0,
                y + BAR - 2.0,
                time(Some(seconds))
            );
        }
    }
    text.push_str("</svg>\n");
    text
}
