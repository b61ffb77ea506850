//! What can be seen at a stop: the instruction, its variables and settings, its files and what
//! it changed, why it hit or missed the cache, its log.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Mutex;

use super::logs::Logs;
use super::words;
use crate::build::{Held, Moment, Purpose, Site, Verdict};
use crate::diag::Diagnostic;

/// A stop's states, opened when they are first looked at and closed with it.
pub struct Inspector {
    pub site: Arc<Site>,
    logs: Arc<Logs>,
    looks: Mutex<BTreeMap<usize, Arc<Held>>>,
}

/// A file of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEntry {
    pub path: String,
    /// As `ls` has it: `d`, `-`, `l`, `p`, `s`, `c`, `b`.
    pub kind: char,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub size: u64,
    modified: (i64, i64),
    inode: u64,
    /// Where a link leads.
    pub target: String,
}

/// What a step did to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    Added,
    Modified,
    Deleted,
}

impl ChangeKind {
    pub fn letter(self) -> char {
        match self {
            Self::Added => 'A',
            Self::Modified => 'M',
            Self::Deleted => 'D',
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub kind: ChangeKind,
    /// As it is after the step; where it is gone, as it was.
    pub file: FileEntry,
}

type Result<T> = std::result::Result<T, Diagnostic>;

impl Inspector {
    pub fn new(site: Arc<Site>, logs: Arc<Logs>) -> Self {
        Self {
            site,
            logs,
            looks: Mutex::default(),
        }
    }

    /// The name of a stage for people.
    pub fn stage_name(site: &Site, index: usize) -> String {
        match site.plan().stage(index) {
            Some(stage) if !stage.shown.is_empty() => stage.shown.clone(),
            _ => format!("stage-{index}"),
        }
    }

    /// Where the instruction is in the Dockerfile; none for a trigger of the base image.
    pub fn file_line(&self) -> Option<usize> {
        let line = self.site.line();
        (!line.on_build).then(|| line.source.line(line.span.start))
    }

    /// The cache's verdict in a sentence.
    pub fn why(&self) -> String {
        let source_line = |at: usize| {
            let line = &self.site.stage().lines[at];
            line.source.line(line.span.start)
        };
        if self.site.failure().is_some() {
            return "miss: it was carried out, and failed".into();
        }
        let later = self.site.moment() != Moment::Before;
        match self.site.verdict() {
            Verdict::NoStep => "changes no files, so there is nothing to cache".into(),
            Verdict::Hit { key } => format!("hit: the engine has `bowline/cache:{key}`"),
            Verdict::Within { line } => format!(
                "hit: it is part of line {}, which the engine has",
                source_line(*line)
            ),
            Verdict::Miss { key } if later => {
                format!("miss: it ran, and is `bowline/cache:{key}` now")
            }
            Verdict::Miss { key } => format!("miss: the engine has no `bowline/cache:{key}`"),
            Verdict::AfterMiss { line } => format!(
                "miss: line {} missed, so everything after it is new",
                source_line(*line)
            ),
            Verdict::Ignored => "miss: `--no-cache` is given".into(),
            Verdict::Again => "miss: it was told to run again".into(),
            Verdict::Changed => "miss: something before it was changed by hand".into(),
        }
    }

    /// What the instruction's step wrote.
    pub fn log(&self) -> Option<String> {
        let title = &self.site.step()?.title;
        let bytes = self.logs.of(title)?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The network of commands, and whose it is.
    pub async fn network(&self) -> String {
        let (network, own) = self.site.network();
        let mut text = match self.site.network_owner().await {
            Some(owner) => format!("{network} (`{owner}`)"),
            None => network,
        };
        if own {
            text.push_str(", by the instruction's own `--network`");
        }
        text
    }

    async fn look(&self, line: usize) -> Result<Arc<Held>> {
        let mut looks = self.looks.lock().await;
        if let Some(held) = looks.get(&line) {
            return Ok(Arc::clone(held));
        }
        let held = Arc::new(self.site.look_before(line).await?);
        looks.insert(line, Arc::clone(&held));
        Ok(held)
    }

    /// The line before which the files stand that are current at this stop.
    fn now(&self) -> usize {
        match self.site.moment() {
            Moment::Before => self.site.index(),
            Moment::After | Moment::Failed => self.site.index() + 1,
        }
    }

    async fn walk(&self, line: usize, args: &[&str]) -> Result<Vec<FileEntry>> {
        let held = self.look(line).await?;
        let mut all = vec!["walk"];
        all.extend(args);
        let answer = held
            .ask(&all)
            .await
            .map_err(|e| crate::build::of_engine(&e))?;
        if answer.status != 0 {
            let path = args.last().copied().unwrap_or_default();
            let reason = String::from_utf8_lossy(&answer.errors);
            return Err(Diagnostic::error(format!("`{path}`: {}", reason.trim())));
        }
        Ok(entries(&answer.output))
    }

    /// The entries of a directory, or the file itself.
    pub async fn list(&self, path: &str) -> Result<Vec<FileEntry>> {
        self.walk(self.now(), &["-1", &self.absolute(path)]).await
    }

    /// A file's first bytes.
    pub async fn view(&self, path: &str, limit: usize) -> Result<Vec<u8>> {
        let held = self.look(self.now()).await?;
        let path = self.absolute(path);
        let limit = limit.to_string();
        let answer = held.ask(&["cat", &path, &limit]).await;
        let answer = answer.map_err(|error| crate::build::of_engine(&error))?;
        if answer.status != 0 {
            let reason = String::from_utf8_lossy(&answer.errors);
            return Err(Diagnostic::error(format!("`{path}`: {}", reason.trim())));
        }
        Ok(answer.output)
    }

    /// The bytes below each entry of a directory, the largest first, and in all.
    pub async fn sizes(&self, path: &str) -> Result<(Vec<(String, u64)>, u64)> {
        let top = self.absolute(path);
        let files = self.walk(self.now(), &[&top]).await?;
        let prefix = if top == "/" {
            "/".to_owned()
        } else {
            format!("{top}/")
        };
        let mut sums: BTreeMap<String, u64> = BTreeMap::new();
        let mut inodes = std::collections::HashSet::new();
        let mut all = 0;
        for file in &files {
            let counted = file.kind == '-' && inodes.insert(file.inode);
            let size = if counted { file.size } else { 0 };
            let rest = file.path.strip_prefix(&prefix).unwrap_or(&file.path);
            let first = rest.split('/').next().unwrap_or(rest);
            *sums.entry(first.to_owned()).or_default() += size;
            all += size;
        }
        let mut sums: Vec<_> = sums.into_iter().collect();
        sums.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        Ok((sums, all))
    }

    /// What an instruction of this stage changed, that has been carried out; without a number the
    /// one before this stop.
    pub async fn changes(&self, line: Option<usize>) -> Result<(usize, Vec<Change>)> {
        let now = self.now();
        let at = match line {
            None => now.saturating_sub(1),
            Some(number) => self.index_of(number)?,
        };
        if at == 0 {
            return Err(Diagnostic::error(
                "`FROM` changes nothing: it is what the stage begins with",
            ));
        }
        if at >= now {
            return Err(Diagnostic::error(
                "this instruction has not been carried out yet",
            ));
        }
        let number = {
            let line = &self.site.stage().lines[at];
            line.source.line(line.span.start)
        };
        if self.site.stage().lines[at].step.is_none() {
            return Ok((number, Vec::new()));
        }
        let before = self.walk(at, &["/"]).await?;
        let after = self.walk(at + 1, &["/"]).await?;
        Ok((number, compare(&before, after)))
    }

    /// An instruction of this stage by a line of the Dockerfile.
    pub fn index_of(&self, number: usize) -> Result<usize> {
        let lines = &self.site.stage().lines;
        let within = |line: &crate::plan::Line| {
            let (first, last) = line.source.lines(line.span);
            !line.on_build && (first..=last).contains(&number)
        };
        lines.iter().position(within).ok_or_else(|| {
            Diagnostic::error(format!("this stage has no instruction in line {number}"))
        })
    }

    /// A path as a command of this place would see it.
    pub fn absolute(&self, path: &str) -> String {
        let scene = self.site.scene();
        if path.starts_with('/') {
            crate::plan::clean(path)
        } else {
            crate::plan::clean(&format!("{}/{path}", scene.cwd))
        }
    }

    /// A container to run commands in.
    pub async fn work(&self, moment: Moment) -> Result<Held> {
        self.site.hold(moment, Purpose::Work).await
    }

    /// The first of some programs that a container has.
    pub async fn first_of(&self, held: &Held, programs: &[String]) -> Result<Option<String>> {
        for program in programs {
            let answer = held.ask(&["walk", "-1", program]).await;
            let answer = answer.map_err(|error| crate::build::of_engine(&error))?;
            if answer.status == 0 && program.starts_with('/') {
                return Ok(Some(program.clone()));
            }
        }
        Ok(None)
    }
}

fn entries(output: &[u8]) -> Vec<FileEntry> {
    let text = String::from_utf8_lossy(output);
    let mut fields = text.split('\0');
    let mut found = Vec::new();
    while let (Some(head), Some(target)) = (fields.next(), fields.next()) {
        if let Some(entry) = entry(head, target) {
            found.push(entry);
        }
    }
    found
}

fn entry(head: &str, target: &str) -> Option<FileEntry> {
    let mut parts = head.splitn(9, ' ');
    Some(FileEntry {
        kind: parts.next()?.chars().next()?,
        mode: u32::from_str_radix(parts.next()?, 8).ok()?,
        uid: parts.next()?.parse().ok()?,
        gid: parts.next()?.parse().ok()?,
        size: parts.next()?.parse().ok()?,
        modified: (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?),
        inode: parts.next()?.parse().ok()?,
        path: parts.next()?.to_owned(),
        target: target.to_owned(),
    })
}

/// Mount points of every container, and files that engines write.
const OF_THE_ENGINE: [&str; 8] = [
    "/dev",
    "/proc",
    "/sys",
    "/etc/hosts",
    "/etc/hostname",
    "/etc/resolv.conf",
    "/etc/mtab",
    "/.dockerenv",
];

fn is_of_the_engine(path: &str) -> bool {
    let mut names = OF_THE_ENGINE.iter();
    names.any(|name| path == *name || path.strip_prefix(name).is_some_and(|r| r.starts_with('/')))
}

/// Files that differ, by path. Directories count when they are new, gone, or changed in mode or
/// owner: their times change with every file in them.
fn compare(before: &[FileEntry], after: Vec<FileEntry>) -> Vec<Change> {
    let old: BTreeMap<&str, &FileEntry> = before
        .iter()
        .filter(|file| !is_of_the_engine(&file.path))
        .map(|file| (file.path.as_str(), file))
        .collect();
    let same = |a: &FileEntry, b: &FileEntry| {
        let alike = a.kind == b.kind && a.mode == b.mode && (a.uid, a.gid) == (b.uid, b.gid);
        let equal = a.size == b.size && a.modified == b.modified && a.target == b.target;
        alike && (a.kind == 'd' || equal)
    };
    // Where the engine gives a file one number in every container, another number is another
    // file, whatever else is the same.
    let files = |file: &&FileEntry| file.kind == '-';
    let pairs = after.iter().filter(files);
    let (mut kept, mut all) = (0_usize, 0_usize);
    for file in pairs {
        if let Some(old) = old.get(file.path.as_str()).filter(|old| same(old, file)) {
            all += 1;
            kept += usize::from(old.inode == file.inode);
        }
    }
    let numbers_count = all > 0 && kept * 10 >= all * 9;
    let mut changes = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for file in after {
        if is_of_the_engine(&file.path) {
            continue;
        }
        seen.insert(file.path.clone());
        match old.get(file.path.as_str()) {
            None => changes.push(Change {
                kind: ChangeKind::Added,
                file,
            }),
            Some(old) => {
                let replaced = numbers_count && file.kind == '-' && old.inode != file.inode;
                if !same(old, &file) || replaced {
                    changes.push(Change {
                        kind: ChangeKind::Modified,
                        file,
                    });
                }
            }
        }
    }
    let gone = old.values().filter(|file| !seen.contains(&file.path));
    changes.extend(gone.map(|file| Change {
        kind: ChangeKind::Deleted,
        file: (*file).clone(),
    }));
    changes.sort_by(|a, b| a.file.path.cmp(&b.file.path));
    changes
}

impl FileEntry {
    /// As `ls -l` has it.
    pub fn row(&self, name: &str) -> Vec<String> {
        let bits = ['r', 'w', 'x'];
        let mut mode: String = (0..9)
            .map(|at| {
                let set = self.mode & (0o400 >> at) != 0;
                if set { bits[at % 3] } else { '-' }
            })
            .collect();
        mode.insert(0, self.kind);
        let shown = match self.kind {
            'l' => format!("{name} -> {}", self.target),
            'd' => format!("{name}/"),
            _ => name.to_owned(),
        };
        let size = match self.kind {
            '-' => words::bytes(self.size),
            _ => String::new(),
        };
        vec![mode, format!("{}:{}", self.uid, self.gid), size, shown]
    }

    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, size: u64, inode: u64) -> FileEntry {
        let head = format!("- 644 0 0 {size} 1 0 {inode} {path}");
        entry(&head, "").unwrap()
    }

    #[test]
    fn changes_are_what_differs() {
        let before = [
            file("/same", 1, 1),
            file("/grown", 1, 2),
            file("/gone", 1, 3),
        ];
        let after = vec![
            file("/same", 1, 1),
            file("/grown", 2, 4),
            file("/a b", 1, 5),
            file("/dev/null", 1, 6),
        ];
        let found: Vec<(char, String)> = compare(&before, after)
            .into_iter()
            .map(|change| (change.kind.letter(), change.file.path))
            .collect();
        let want = [('A', "/a b"), ('D', "/gone"), ('M', "/grown")];
        assert_eq!(found, want.map(|(kind, path)| (kind, path.to_owned())));
    }

    #[test]
    fn another_file_with_the_same_looks_is_a_change_where_numbers_stay() {
        let before: Vec<_> = (0..20).map(|n| file(&format!("/{n}"), 1, n)).collect();
        let mut after = before.clone();
        after[3].inode = 99;
        assert_eq!(compare(&before, after).len(), 1);
        let after: Vec<_> = (0..20)
            .map(|n| file(&format!("/{n}"), 1, n + 100))
            .collect();
        assert_eq!(compare(&before, after).len(), 0);
    }
}
