//! Times builds in turns: every round has one run of each builder, and every round begins with
//! another one, so that a machine that gets slower does so for all.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::Builder;
use crate::engine::Engine;
use crate::workload::{Cache, Workload};

/// All runs of a workload.
pub(crate) struct Measurement {
    pub(crate) workload: &'static Workload,
    runs: Vec<Run>,
}

struct Run {
    builder: Builder,
    took: Duration,
    /// The largest memory of the client's process, in bytes.
    memory: u64,
}

impl Measurement {
    pub(crate) fn take(
        engine: &Engine,
        workload: &'static Workload,
        builders: &[Builder],
        rounds: usize,
        scratch: &Path,
    ) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("bowline-bench-")
            .tempdir_in(scratch)
            .expect("a folder");
        let mut turns = Turns {
            engine,
            workload,
            folder: folder.path().to_owned(),
            context: folder.path().join("context"),
            count: 0,
        };
        fs::create_dir(&turns.context).expect("a folder");
        (workload.make)(&turns.context);
        engine.clean();
        if workload.cache == Cache::Warm {
            for builder in builders {
                // The second is the first with nothing left to learn.
                turns.build(*builder, "first");
                turns.build(*builder, "first");
            }
        }
        let mut runs = Vec::new();
        for round in 0..rounds {
            for at in 0..builders.len() {
                runs.push(turns.turn(builders[(round + at) % builders.len()]));
            }
        }
        engine.clean();
        Self { workload, runs }
    }

    /// The median of a builder's runs, in seconds.
    pub(crate) fn median(&self, builder: Builder) -> Option<f64> {
        middle(self.of(builder).map(|run| run.took.as_secs_f64()))
    }

    /// The shortest and the longest of a builder's runs, in seconds.
    pub(crate) fn range(&self, builder: Builder) -> Option<(f64, f64)> {
        let times = self.of(builder).map(|run| run.took.as_secs_f64());
        times.fold(None, |range, time| {
            let (least, most) = range.unwrap_or((time, time));
            Some((time.min(least), time.max(most)))
        })
    }

    /// The median of the ratios to BuildKit's run in the same round.
    pub(crate) fn ratio(&self, builder: Builder) -> Option<f64> {
        let pairs = self.of(builder).zip(self.of(Builder::Buildkit));
        middle(pairs.map(|(one, other)| one.took.as_secs_f64() / other.took.as_secs_f64()))
    }

    /// The largest memory of a builder's client, in MiB.
    pub(crate) fn memory(&self, builder: Builder) -> Option<u64> {
        self.of(builder).map(|run| run.memory >> 20).max()
    }

    fn of(&self, builder: Builder) -> impl Iterator<Item = &Run> {
        self.runs.iter().filter(move |run| run.builder == builder)
    }
}

fn middle(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

struct Turns<'a> {
    engine: &'a Engine,
    workload: &'static Workload,
    folder: PathBuf,
    context: PathBuf,
    count: usize,
}

impl Turns<'_> {
    fn turn(&mut self, builder: Builder) -> Run {
        self.count += 1;
        let text = format!("n{}-{}", std::process::id(), self.count);
        if self.workload.cache != Cache::Warm {
            self.engine.clean();
            // Builders know a folder by its name.
            let renamed = self.folder.join(&text);
            fs::rename(&self.context, &renamed).expect("a new name");
            self.context = renamed;
        }
        if self.workload.cache == Cache::Primed {
            self.build(builder, "first");
        }
        self.build(builder, &text)
    }

    fn build(&self, builder: Builder, text: &str) -> Run {
        (self.workload.change)(&self.context, text);
        let mut command = self.engine.command(builder, &self.context);
        let log = fs::File::create(self.folder.join("log")).expect("a log");
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let began = Instant::now();
        #[expect(clippy::zombie_processes, reason = "`wait4` tells the memory too")]
        let child = command.spawn().expect("the builder starts");
        let (status, memory) = wait(child.id());
        let took = began.elapsed();
        if status != 0 {
            let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            panic!("{builder:?} cannot build {}: {log}", self.workload.name);
        }
        Run {
            builder,
            took,
            memory,
        }
    }
}

/// Waits for a child; gives its status and the largest memory it had, in bytes.
fn wait(pid: u32) -> (i32, u64) {
    let mut status = 0;
    // SAFETY: both are plain data that the kernel fills.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    let waited = unsafe { libc::wait4(pid.cast_signed(), &mut status, 0, &mut usage) };
    assert_eq!(waited, pid.cast_signed(), "the child is ours");
    (status, usage.ru_maxrss.cast_unsigned() << 10)
}
