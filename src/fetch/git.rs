//! Git repositories, through the `git` program: which commit a name is, and its files.
//!
//! The person's own configuration serves to reach a repository (credentials, proxies, other
//! addresses), never to change what comes out of it: no hooks, no filters, no line ends. What
//! git is given can be no option, and only `http`, `https`, `ssh` and `git` are spoken.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use tempfile::TempDir;
use tokio::process::Command;

use crate::context::{Checkout, FileTree};
use crate::diag::{Class, Diagnostic};
use crate::request::address::{GitUrl, is_commit, redacted};

/// Settings that a person's configuration must not change.
const FIXED: &[&str] = &[
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.autocrlf=false",
    "core.eol=lf",
    "core.symlinks=true",
    "core.fileMode=true",
    "core.attributesFile=/dev/null",
    "core.sharedRepository=umask",
    "core.sshCommand=ssh -o BatchMode=yes",
    "filter.lfs.smudge=",
    "filter.lfs.process=",
    "filter.lfs.required=false",
    "fetch.recurseSubmodules=false",
    "submodule.recurse=false",
    "protocol.file.allow=never",
    "protocol.ext.allow=never",
    "advice.detachedHead=false",
    "init.defaultBranch=master",
    "gc.auto=0",
    "maintenance.auto=false",
    "http.lowSpeedLimit=100",
    "http.lowSpeedTime=60",
];

/// Variables of a git that bowline was started by: they would mean another repository.
const FOREIGN: &[&str] = &[
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_CEILING_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_CONFIG_PARAMETERS",
    "GIT_DIR",
    "GIT_EXTERNAL_DIFF",
    "GIT_INDEX_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_TEMPLATE_DIR",
    "GIT_WORK_TREE",
];

/// How the end of a name is told from a directory of the same name.
const PEELED: &str = "^{}";

/// A commit, and the reference that led to it; empty when the commit itself was named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Commit {
    pub(super) id: String,
    pub(super) reference: String,
}

/// Finds the commit that an address means, without the network where it says it itself.
pub(super) async fn resolve(url: &GitUrl) -> Result<Commit, Diagnostic> {
    if let Some(commit) = url
        .known_commit()
        .filter(|_| url.keep_git_dir != Some(true) || is_commit(&url.reference))
    {
        return Ok(Commit {
            id: commit.to_owned(),
            reference: String::new(),
        });
    }
    look_up(url).await
}

/// Asks the repository for the commit of a branch or tag, which must be the one that the address
/// wants.
async fn look_up(url: &GitUrl) -> Result<Commit, Diagnostic> {
    let git = Git::new(Path::new("/"), None);
    let reference = match url.reference.as_str() {
        "" => default_branch(&git, url).await?,
        name => name.to_owned(),
    };
    let peeled = format!("{reference}{PEELED}");
    let args = ["ls-remote", "--", &url.remote, &reference, &peeled];
    let listed = git.run(&args).await.map_err(|problem| problem.of(url))?;
    let Some(commit) = pick(&listed, &reference) else {
        let message = format!(
            "the repository `{}` has no branch or tag `{reference}`",
            redacted(&url.remote)
        );
        let refused = Diagnostic::error(message);
        return Err(
            if reference.len() < 40 && reference.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                refused.with_hint("write a commit with all its 40 digits")
            } else {
                refused
            },
        );
    };
    match &url.commit {
        Some(wanted) if !commit.id.starts_with(wanted.as_str()) => {
            Err(mismatch(url, wanted, &commit.id))
        }
        _ => Ok(commit),
    }
}

async fn default_branch(git: &Git, url: &GitUrl) -> Result<String, Diagnostic> {
    let args = ["ls-remote", "--symref", "--", &url.remote, "HEAD"];
    let listed = git.run(&args).await.map_err(|problem| problem.of(url))?;
    let branch = listed.lines().find_map(|line| {
        let (name, head) = line.strip_prefix("ref: ")?.split_once('\t')?;
        (head == "HEAD").then(|| name.to_owned())
    });
    branch.ok_or_else(|| {
        let remote = redacted(&url.remote);
        Diagnostic::error(format!("the repository `{remote}` has no default branch"))
            .with_hint("name a branch: `#main`")
    })
}

/// The commit of a name in the answer of `ls-remote`: a full reference before a branch, a branch
/// before a tag.
fn pick(listed: &str, name: &str) -> Option<Commit> {
    let within = |prefix: &str| format!("{prefix}{}", name.strip_prefix(prefix).unwrap_or(name));
    let (whole, head, tag) = (within("refs/"), within("refs/heads/"), within("refs/tags/"));
    let find = |wanted: &str| {
        listed.lines().find_map(|line| {
            let (id, reference) = line.split_once('\t')?;
            (reference == wanted).then(|| id.to_owned())
        })
    };
    let peeled = format!("{tag}{PEELED}");
    let commit = |id: Option<String>, reference: &str| {
        id.map(|id| Commit {
            id,
            reference: reference.to_owned(),
        })
    };
    commit(find(&whole).filter(|_| whole != tag), &whole)
        .or_else(|| commit(find(&head), &head))
        .or_else(|| commit(find(&peeled), &tag))
        .or_else(|| commit(find(&tag), &tag))
}

/// The files of a commit.
pub(super) async fn check_out(
    url: &GitUrl,
    commit: &Commit,
    scratch: &Path,
) -> Result<Arc<dyn FileTree>, Diagnostic> {
    // The commit was believed for the cache; now the branch or tag must agree.
    let named = !url.reference.is_empty() && !is_commit(&url.reference);
    let commit = if named && commit.reference.is_empty() {
        &look_up(url).await?
    } else {
        commit
    };
    let folder = tempfile::Builder::new()
        .prefix("bowline-git-")
        .tempdir_in(scratch)
        .map_err(|error| unusable(&error))?;
    let work = folder.path().join("tree");
    fs_err::create_dir(&work).map_err(|error| unusable(&error))?;
    let keeps = url.keep_git_dir == Some(true) && url.directory().is_empty();
    let git_dir = if keeps {
        work.join(".git")
    } else {
        folder.path().join("git")
    };
    let git = Git::new(&work, Some(&git_dir));
    let made = take(&git, url, commit, keeps).await;
    made.map_err(|problem| problem.of(url))?;
    if keeps {
        // A mark of the fetch that says nothing afterwards; it need not be there.
        let _ = fs_err::remove_file(git_dir.join("FETCH_HEAD"));
    }
    opened(folder, &work, url)
}

async fn take(git: &Git, url: &GitUrl, commit: &Commit, keeps: bool) -> Result<(), Problem> {
    let format = if commit.id.len() == 64 {
        "sha256"
    } else {
        "sha1"
    };
    git.run(&["init", "--quiet", &format!("--object-format={format}")])
        .await?;
    git.run(&["remote", "add", "--", "origin", &url.remote])
        .await?;
    fetch(git, url, commit).await?;
    let found = git
        .run(&[
            "rev-parse",
            "--verify",
            &format!("{}^{{commit}}", commit.id),
        ])
        .await?;
    if let Some(wanted) = &url.commit
        && !found.trim().starts_with(wanted.as_str())
    {
        return Err(Problem::Said(format!(
            "the commit is {}, not `{wanted}`",
            found.trim()
        )));
    }
    if keeps {
        git.alone()
            .run(&["checkout", "--quiet", "--force", "--detach", &commit.id])
            .await?;
        let shown = redacted(&url.remote);
        git.run(&["remote", "set-url", "--", "origin", &shown])
            .await?;
    } else {
        git.alone()
            .run(&["checkout", "--quiet", "--force", &commit.id, "--", "."])
            .await?;
    }
    if url.submodules != Some(false) && git.work.join(".gitmodules").is_file() {
        submodules(git).await?;
    }
    if keeps {
        git.run(&["reflog", "expire", "--all", "--expire=now"])
            .await?;
    }
    Ok(())
}

/// Only the commit if the server can do that, everything otherwise.
async fn fetch(git: &Git, url: &GitUrl, commit: &Commit) -> Result<(), Problem> {
    let spec = if commit.reference.is_empty() {
        commit.id.clone()
    } else {
        format!("+{0}:{0}", commit.reference)
    };
    let shallow = [
        "fetch",
        "--quiet",
        "--no-tags",
        "--depth=1",
        "--update-head-ok",
        "origin",
        &spec,
    ];
    let Err(first) = git.run(&shallow).await else {
        return Ok(());
    };
    let whole = [
        "fetch",
        "--quiet",
        "--tags",
        "--update-head-ok",
        "origin",
        &spec,
    ];
    let named = ["fetch", "--quiet", "--tags", "--update-head-ok", "origin"];
    let all = ["+refs/heads/*:refs/remotes/origin/*"];
    let everything: Vec<&str> = named.into_iter().chain(all).collect();
    match &first {
        Problem::Failed { said, .. } if said.contains("shallow") || said.contains("--depth") => {
            match git.run(&whole).await {
                Err(_) if commit.reference.is_empty() => git.run(&everything).await.map(drop),
                other => other.map(drop),
            }
        }
        Problem::Failed { said, .. }
            if commit.reference.is_empty()
                && (said.contains("not our ref") || said.contains("unadvertised object")) =>
        {
            git.run(&everything).await.map(drop)
        }
        _ if !url.reference.is_empty() && commit.reference.is_empty() => {
            git.run(&everything).await.map_err(|_| first).map(drop)
        }
        _ => Err(first),
    }
}

async fn submodules(git: &Git) -> Result<(), Problem> {
    let shallow = [
        "submodule",
        "--quiet",
        "update",
        "--init",
        "--recursive",
        "--depth=1",
    ];
    match git.run(&shallow).await {
        Err(Problem::Failed { said, .. })
            if said.contains("shallow") || said.contains("--depth") =>
        {
            git.run(&shallow[..shallow.len() - 1]).await.map(drop)
        }
        other => other.map(drop),
    }
}

/// The checked out files, below the subdirectory that is meant. They go away with the tree.
fn opened(folder: TempDir, work: &Path, url: &GitUrl) -> Result<Arc<dyn FileTree>, Diagnostic> {
    let mut root = work.to_owned();
    for part in url.directory().split('/').filter(|part| !part.is_empty()) {
        root.push(part);
        // A link could lead out of the checkout.
        if !fs_err::symlink_metadata(&root).is_ok_and(|found| found.is_dir()) {
            return Err(Diagnostic::error(format!(
                "the repository `{}` has no directory `{}`",
                redacted(&url.remote),
                url.subdirectory
            )));
        }
    }
    let place = format!("repository `{}`", redacted(&url.remote));
    let tree = Checkout::open(folder, &root, place).map_err(|error| error.diagnostic())?;
    Ok(Arc::new(tree))
}

fn mismatch(url: &GitUrl, wanted: &str, found: &str) -> Diagnostic {
    let remote = redacted(&url.remote);
    Diagnostic::error(format!(
        "`{remote}` is at the commit {found}, not at `{wanted}`"
    ))
}

fn unusable(error: &std::io::Error) -> Diagnostic {
    Diagnostic::error(format!("the repository cannot be kept: {error}"))
        .with_class(Class::Environment)
}

/// A repository that commands are run in.
struct Git {
    work: PathBuf,
    dir: Option<PathBuf>,
    /// Whether nobody's configuration counts.
    alone: bool,
}

impl Git {
    fn new(work: &Path, dir: Option<&Path>) -> Self {
        Self {
            work: work.to_owned(),
            dir: dir.map(Path::to_owned),
            alone: false,
        }
    }

    /// The same repository, without the person's configuration.
    fn alone(&self) -> Self {
        Self {
            work: self.work.clone(),
            dir: self.dir.clone(),
            alone: true,
        }
    }

    async fn run(&self, args: &[&str]) -> Result<String, Problem> {
        let mut command = Command::new("git");
        for setting in FIXED {
            command.args(["-c", setting]);
        }
        if let Some(dir) = &self.dir {
            command.arg("--git-dir").arg(dir);
            command.arg("--work-tree").arg(&self.work);
        }
        for variable in FOREIGN {
            command.env_remove(variable);
        }
        if self.alone {
            command.env("GIT_CONFIG_GLOBAL", "/dev/null");
            command.env("GIT_CONFIG_SYSTEM", "/dev/null");
        }
        command
            .args(args)
            .current_dir(&self.work)
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_ASKPASS", "true")
            .env("SSH_ASKPASS_REQUIRE", "never")
            .env("GIT_ALLOW_PROTOCOL", "http:https:ssh:git")
            .env("GIT_OPTIONAL_LOCKS", "0")
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = command.output().await.map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Problem::Missing,
            _ => Problem::Said(format!("`git` cannot be started: {error}")),
        })?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if !output.status.success() {
            let what = args.first().copied().unwrap_or_default().to_owned();
            return Err(Problem::Failed { what, said });
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// Why a repository did not come.
enum Problem {
    /// There is no `git`.
    Missing,
    Failed {
        what: String,
        said: String,
    },
    Said(String),
}

impl Problem {
    fn of(self, url: &GitUrl) -> Diagnostic {
        let remote = redacted(&url.remote);
        match self {
            Self::Missing => Diagnostic::error(format!(
                "the repository `{remote}` needs the program `git`, which is not there"
            ))
            .with_class(Class::Environment)
            .with_hint("install `git`, or give its files as a directory"),
            Self::Said(text) => Diagnostic::error(format!("cannot fetch `{remote}`: {text}")),
            Self::Failed { what, said } => {
                let said = said.replace(&url.remote, &remote);
                let lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
                let shown: Vec<&str> = lines.take(6).collect();
                Diagnostic::error(format!("cannot fetch the repository `{remote}`"))
                    .with_class(Class::Environment)
                    .with_note(format!("`git {what}` says: {}", shown.join("; ")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_come_before_tags() {
        let listed = "aa\trefs/heads/x\nbb\trefs/tags/x\ncc\trefs/tags/x^{}\ndd\trefs/tags/t\n\
                      ee\trefs/heads/refs/tags/t\nff\trefs/pull/1/head\n11\trefs/tags/a\n22\trefs/tags/a^{}\n";
        for (name, id, reference) in [
            ("x", "aa", "refs/heads/x"),
            ("refs/heads/x", "aa", "refs/heads/x"),
            ("refs/tags/x", "cc", "refs/tags/x"),
            ("t", "dd", "refs/tags/t"),
            ("a", "22", "refs/tags/a"),
            ("refs/pull/1/head", "ff", "refs/pull/1/head"),
            ("pull/1/head", "ff", "refs/pull/1/head"),
        ] {
            let expected = Commit {
                id: id.into(),
                reference: reference.into(),
            };
            assert_eq!(pick(listed, name), Some(expected), "{name}");
        }
        assert_eq!(pick(listed, "none"), None);
    }
}
