//! bowline, BuildKit and the legacy builder on the same engine, in turns.
//!
//! `cargo bench --bench builders` starts engines of its own with their data in memory, measures
//! every workload on each, and prints a table. `docs/benchmarks.md` says what is measured.
#![allow(
    clippy::pedantic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a measurement starts programs, prints and reads variables as it pleases"
)]

mod engine;
mod measure;
mod report;
mod workload;

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use engine::Engine;
use measure::Measurement;
use workload::{WORKLOADS, Workload};

/// Measures bowline against BuildKit and the legacy builder
#[derive(Debug, Parser)]
struct Options {
    /// Two runs of the short workloads, without the legacy builder: a look, not a measurement
    #[arg(long)]
    quick: bool,
    /// Timed runs of each builder [default: 7]
    #[arg(short = 'n', long)]
    runs: Option<usize>,
    /// Workloads whose name contains one of these [default: all]
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Engines of `tests/engine.sh`
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "28-overlay2,28-containerd"
    )]
    engine: Vec<String>,
    /// Builders that take turns [default: all; quick: without legacy]
    #[arg(long, value_delimiter = ',')]
    builder: Vec<Builder>,
    /// Writes the tables and plots into `docs`
    #[arg(long)]
    write: bool,
    /// Leaves the engines running
    #[arg(long)]
    keep: bool,
    /// Where contexts are made: better in memory
    #[arg(long, default_value = "/dev/shm")]
    scratch: PathBuf,
    /// The program to measure [default: the one that was just compiled]
    #[arg(long, default_value = env!("CARGO_BIN_EXE_bowline"), hide_default_value = true)]
    bowline: PathBuf,
    /// What cargo says to a benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

/// Who builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Builder {
    Bowline,
    Buildkit,
    Legacy,
}

fn main() {
    let options = Options::parse();
    if !options.bench {
        // `cargo test --all-targets` runs this too, and means something else.
        return;
    }
    let runs = options.runs.unwrap_or(if options.quick { 2 } else { 7 });
    let mut builders = options.builder.clone();
    if builders.is_empty() {
        builders = vec![Builder::Bowline, Builder::Buildkit];
        if !options.quick {
            builders.push(Builder::Legacy);
        }
    }
    for name in &options.engine {
        let engine = Engine::start(name, &options.bowline);
        let mut measured = Vec::new();
        for workload in chosen(&options) {
            eprintln!("{name}: {}", workload.name);
            let one = Measurement::take(&engine, workload, &builders, runs, &options.scratch);
            eprintln!("  {}", report::line(&one));
            measured.push(one);
        }
        println!("{}", report::table(name, &measured, runs));
        if options.write {
            report::write(name, &measured, runs);
        }
        if !options.keep {
            engine.stop();
        }
    }
}

fn chosen(options: &Options) -> impl Iterator<Item = &'static Workload> {
    WORKLOADS.iter().filter(|workload| {
        let named = options.only.iter().any(|name| workload.name.contains(name));
        if options.only.is_empty() {
            !options.quick || workload.short
        } else {
            named
        }
    })
}
