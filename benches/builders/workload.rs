//! What is built: a context, what changes before each build, and what is cached by then.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

/// One thing that people wait for.
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    /// The ratio to BuildKit that we want at most.
    pub(crate) target: Option<f64>,
    /// Whether a quick look takes it.
    pub(crate) short: bool,
    pub(crate) cache: Cache,
    /// Makes the context, once.
    pub(crate) make: fn(&Path),
    /// Changes it before a build; the text is another one each time, and `first` before a build
    /// that is not timed.
    pub(crate) change: fn(&Path, &str),
}

/// What the builders remember when the time starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cache {
    /// The build before.
    Warm,
    /// Nothing, not even that there was such a folder.
    Cold,
    /// One build, after everything else was forgotten.
    Primed,
}

pub(crate) const WORKLOADS: &[Workload] = &[
    Workload {
        name: "noop-20",
        what: "no change, 20 steps",
        target: Some(0.10),
        short: true,
        cache: Cache::Warm,
        make: |dir| twenty_steps(dir, 10),
        change: nothing,
    },
    Workload {
        name: "noop-10k",
        what: "no change, 20 steps, `COPY` of 10,000 files",
        target: Some(0.10),
        short: true,
        cache: Cache::Warm,
        make: |dir| twenty_steps(dir, 10_000),
        change: nothing,
    },
    Workload {
        name: "noop-100k",
        what: "no change, 20 steps, `COPY` of 100,000 files",
        target: Some(0.20),
        short: false,
        cache: Cache::Warm,
        make: |dir| twenty_steps(dir, 100_000),
        change: nothing,
    },
    Workload {
        name: "edit-10k",
        what: "one file changed of 10,000, `COPY` and a `RUN`",
        target: Some(0.5),
        short: true,
        cache: Cache::Warm,
        make: |dir| {
            files(dir, 10_000);
            dockerfile(
                dir,
                "FROM busybox\nCOPY src /src\nRUN wc -c /src/changed >/size\n",
            );
        },
        change: |dir, text| write(&dir.join("src/changed"), text),
    },
    Workload {
        name: "run-10",
        what: "ten small `RUN` steps",
        target: Some(0.6),
        short: true,
        cache: Cache::Warm,
        make: |_| (),
        change: |dir, text| {
            let mut steps = format!("FROM busybox\nRUN echo {text} >/0\n");
            for n in 1..10 {
                let _ = writeln!(steps, "RUN echo {n} >/{n}");
            }
            dockerfile(dir, &steps);
        },
    },
    Workload {
        name: "stages-4",
        what: "four independent stages of two `RUN` steps",
        target: Some(0.8),
        short: true,
        cache: Cache::Warm,
        make: |_| (),
        change: |dir, text| {
            let mut steps = String::new();
            for n in 0..4 {
                let _ = writeln!(steps, "FROM busybox AS s{n}");
                let _ = writeln!(steps, "RUN echo {text} {n} >/a");
                let _ = writeln!(steps, "RUN sha256sum /bin/busybox /a >/b");
            }
            steps.push_str("FROM busybox\n");
            for n in 0..4 {
                let _ = writeln!(steps, "COPY --from=s{n} /b /b{n}");
            }
            dockerfile(dir, &steps);
        },
    },
    Workload {
        name: "unused-stages",
        what: "twenty stages, one of them needed",
        target: None,
        short: false,
        cache: Cache::Warm,
        make: |_| (),
        change: |dir, text| {
            let mut steps = String::new();
            for n in 0..20 {
                let _ = writeln!(steps, "FROM busybox AS s{n}\nRUN echo {text} {n} >/a");
            }
            steps.push_str("FROM busybox\nCOPY --from=s7 /a /a\n");
            dockerfile(dir, &steps);
        },
    },
    Workload {
        name: "copy-10k",
        what: "cold `COPY` of 10,000 small files",
        target: Some(1.0),
        short: true,
        cache: Cache::Cold,
        make: |dir| {
            files(dir, 10_000);
            dockerfile(dir, "FROM busybox\nCOPY src /src\n");
        },
        change: |dir, text| write(&dir.join("src/changed"), text),
    },
    Workload {
        name: "copy-1g",
        what: "cold `COPY` of one file of 1 GiB",
        target: Some(0.8),
        short: false,
        cache: Cache::Cold,
        make: |dir| {
            noise(&dir.join("src/noise"), 1 << 30);
            dockerfile(dir, "FROM busybox\nCOPY src /src\n");
        },
        change: |dir, text| write(&dir.join("src/changed"), text),
    },
    Workload {
        name: "run-500m",
        what: "one `RUN` that writes 500 MB",
        target: Some(1.2),
        short: false,
        cache: Cache::Cold,
        make: |_| (),
        change: |dir, text| {
            let write = "dd if=/dev/urandom of=/noise bs=1M count=500";
            dockerfile(dir, &format!("FROM busybox\nRUN {write}; echo {text}\n"));
        },
    },
    Workload {
        name: "copy-from-500m",
        what: "`COPY --from` of a stage with 500 MB, which is cached",
        target: None,
        short: false,
        cache: Cache::Primed,
        make: |_| (),
        change: |dir, text| {
            let write = "dd if=/dev/urandom of=/noise bs=1M count=500";
            let stage = format!("FROM busybox AS big\nRUN {write}\nFROM busybox\n");
            let copy = match text {
                "first" => String::from("COPY --from=big /etc/passwd /\n"),
                text => format!("COPY --from=big /noise /{text}\n"),
            };
            dockerfile(dir, &(stage + &copy));
        },
    },
];

fn nothing(_: &Path, _: &str) {}

/// A Dockerfile of twenty steps, of which one copies `count` files.
fn twenty_steps(dir: &Path, count: usize) {
    files(dir, count);
    let mut text = String::from("FROM busybox\nWORKDIR /app\n");
    for n in 0..9 {
        write(&dir.join(format!("part{n}")), &n.to_string());
        let _ = writeln!(text, "COPY part{n} .\nRUN cat part{n} >>all");
    }
    text.push_str("COPY src src\n");
    dockerfile(dir, &text);
}

/// Small files, a hundred in a folder, none of them like another.
fn files(dir: &Path, count: usize) {
    for n in 0..count {
        let path = dir.join(format!("src/{:04}/{n}.txt", n / 100));
        if n % 100 == 0 {
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        }
        write(&path, &format!("file {n}\n").repeat(8 + n % 64));
    }
}

fn noise(path: &Path, size: u64) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    let mut file = File::create(path).expect("a file");
    let mut hash = blake3::Hasher::new().update(b"noise").finalize_xof();
    let mut block = vec![0; 1 << 20];
    for _ in 0..size >> 20 {
        hash.fill(&mut block);
        file.write_all(&block).expect("room for noise");
    }
}

fn dockerfile(dir: &Path, text: &str) {
    write(&dir.join("Dockerfile"), text);
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
