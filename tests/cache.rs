//! `bowline cache`: what is kept is listed, counted and removed.

use crate::build::built;
use crate::support::{Bowline, Docker, Finished, Folder, LIMIT, finish, unique};

fn cache(bowline: &Bowline, arguments: &[&str]) -> Finished {
    let mut command = bowline.command();
    command.arg("cache").args(arguments);
    finish(&mut command, None, LIMIT)
}

fn listed(bowline: &Bowline, text: &str) -> Vec<serde_json::Value> {
    let filter = format!("step={text}");
    let finished = cache(bowline, &["ls", "--format=json", "--filter", &filter]);
    assert!(finished.success(), "{}", finished.everything());
    serde_json::from_str(&finished.stdout()).unwrap()
}

#[test]
fn a_step_is_listed_counted_and_removed() {
    let bowline = Bowline::new();
    let (kept, gone) = (format!("kept-{}", unique()), format!("gone-{}", unique()));
    let dockerfile =
        format!("FROM busybox\nRUN echo {kept} >/a\nRUN head -c 50000 /dev/urandom >/{gone}\n");
    let folder = Folder::new(&[("Dockerfile", &dockerfile)]);
    let tag = "bowline-test-cache";
    built(&bowline, folder.path(), tag, &["--network=none"]);
    let steps = listed(&bowline, &gone);
    assert_eq!(steps.len(), 1, "{steps:?}");
    assert_eq!(steps[0]["layers"], 3);
    let size = steps[0]["size"].as_u64().unwrap();
    assert!((50_000..200_000).contains(&size), "{steps:?}");
    let count = cache(&bowline, &["du", "--filter", &format!("step={gone}")]);
    assert!(
        count.stdout().starts_with("1 steps, "),
        "{}",
        count.everything()
    );

    let filter = format!("step={kept}");
    let stays = cache(&bowline, &["prune", "--filter", &filter]);
    assert!(
        stays.stdout().starts_with("removed 0 steps"),
        "the last step stands on it: {}",
        stays.everything()
    );
    let filter = format!("step={gone}");
    let dry = cache(&bowline, &["prune", "--dry-run", "--filter", &filter]);
    assert!(
        dry.stdout().starts_with("would remove 1 steps of"),
        "{}",
        dry.everything()
    );
    assert_eq!(listed(&bowline, &gone).len(), 1);
    let pruned = cache(&bowline, &["prune", "--filter", &filter]);
    assert!(
        pruned.stdout().starts_with("removed 1 steps of"),
        "{}",
        pruned.everything()
    );
    assert_eq!(listed(&bowline, &gone), [] as [serde_json::Value; 0]);
    assert_eq!(listed(&bowline, &kept).len(), 1);
    // The result is whole, and stays the result.
    let (_, progress) = built(&bowline, folder.path(), tag, &["--network=none"]);
    assert!(progress.contains("CACHED"), "{progress}");
    Docker::remove_image(tag);
}

#[test]
fn a_prune_without_bounds_is_refused() {
    let refused = cache(&Bowline::new(), &["prune"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        refused.stderr.contains("nothing says which steps shall go"),
        "{}",
        refused.stderr
    );
}

#[test]
fn it_is_told_why_a_step_ran() {
    let bowline = Bowline::new();
    let mark = unique();
    let folder = Folder::new(&[
        (
            "Dockerfile",
            &format!("FROM busybox\nARG A=1\nCOPY file /\nRUN echo $A {mark}\nRUN true\n"),
        ),
        ("file", "one"),
    ]);
    let tag = "bowline-test-explain";
    let told = |flags: &[&str]| {
        let (_, progress) = built(
            &bowline,
            folder.path(),
            tag,
            &[&["--explain"], flags].concat(),
        );
        let lines = progress
            .lines()
            .filter_map(|line| line.strip_prefix("explain: "));
        let lines = lines.map(|line| {
            line.rsplit_once(", ")
                .map_or(line, |(line, _)| line)
                .to_owned()
        });
        lines.collect::<Vec<_>>()
    };
    let first = told(&[]);
    assert!(
        first
            .iter()
            .any(|line| line.ends_with("this client has not built the stage before")),
        "{first:?}"
    );
    assert_eq!(told(&[]), ["every step is in the cache"]);
    let argument = told(&["--build-arg", "A=2"]);
    assert!(
        argument[0].ends_with("the value of `A` has changed"),
        "{argument:?}"
    );
    assert!(argument[1].contains("before it is new"), "{argument:?}");
    std::fs::write(folder.path().join("file"), format!("two {mark}")).unwrap();
    let files = told(&["--build-arg", "A=2"]);
    assert!(
        files[0].ends_with("the files it copies have changed"),
        "{files:?}"
    );
    let ignored = told(&["--no-cache", "--build-arg", "A=2"]);
    assert!(
        ignored[0].ends_with("the cache is not asked"),
        "{ignored:?}"
    );
    Docker::remove_image(tag);
}

#[test]
fn cache_mounts_are_listed() {
    let bowline = Bowline::new();
    let id = format!("mount-{}", unique());
    let dockerfile =
        format!("FROM busybox\nRUN --mount=type=cache,id={id},target=/c echo {id} >/c/x\n");
    let folder = Folder::new(&[("Dockerfile", &dockerfile)]);
    let tag = "bowline-test-cache-mount";
    built(&bowline, folder.path(), tag, &["--network=none"]);
    let all = cache(&bowline, &["ls"]);
    let line = all.stdout();
    let line = line
        .lines()
        .find(|line| line.contains(&format!("cache mount `{id}`")));
    let line = line.unwrap_or_else(|| panic!("{}", all.everything()));
    let volume = line.rsplit('`').nth(1).unwrap();
    Docker::run(&["volume", "rm", "--force", volume]);
    Docker::remove_image(tag);
}
