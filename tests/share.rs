//! `RUN` steps in a container that they share: the same files as in containers of their own.

use crate::build::{build, built};
use crate::support::{Bowline, Docker, Folder, Recorder, finish, unique};

/// What each step may change, and what it must not see of the one before.
const STEPS: &str = r#"
RUN mkdir -p /d/sub /gone /swap && echo 1 >/d/sub/f && echo 2 >/gone/f && echo 3 >/swap/f
RUN rm -r /gone /swap/f && rmdir /swap && echo file >/swap && rm -rf /d/sub && mkdir /d/sub && echo new >/d/sub/g
RUN ln /d/sub/g /d/hard && ln -s sub/g /d/soft && mkfifo /d/pipe && mknod /d/null c 1 3 && chmod 4755 /d/sub/g && chown 7:8 /d/hard && chmod 1777 /d/sub
RUN touch -d '2001-02-03 04:05:06' /d/sub/g && touch -d '2001-02-03 04:05:06' /d
RUN sleep 1000 & touch /dev/left /dev/shm/left; echo $! >/pid
RUN test ! -e /dev/left && test ! -e /dev/shm/left && ! kill -0 $(cat /pid) && test $(ls -d /proc/[0-9]* | wc -l) -lt 6
RUN test -c /dev/null && test -c /dev/pts/ptmx && test -d /sys/class && test -r /etc/resolv.conf && ! mount -t tmpfs x /mnt && ! touch /proc/sys/kernel/hostname
RUN true
RUN dd if=/dev/zero of=/large bs=1M count=12 2>/dev/null; rm -r /d/hard; mkdir /later; ln /large /later/link; chmod 700 /large; rm -rf /usr/sbin
RUN echo $(stat -c %h /large) >>/large; rm /pid; touch -d '2001-02-03 04:05:06' /large
"#;

/// Every file of an image, with what an image holds of it.
const LIST: &str = "find / -xdev \\( -path /proc -o -path /sys -o -path /dev -o -path /etc -o -name .dockerenv \\) -prune -o -print | sort | while read f; do echo \"$f $(stat -c '%a %u %g %F %h %t %T' \"$f\") $(test -L \"$f\" && readlink \"$f\") $(test -f \"$f\" && sha256sum <\"$f\")\"; done; stat -c '%Y %n' /d/sub/g /large";

fn list(tag: &str) -> String {
    Docker::output(&["run", "--rm", "--network=none", tag, "sh", "-c", LIST]).unwrap()
}

#[test]
fn steps_leave_the_same_files_as_in_containers_of_their_own() {
    let bowline = Bowline::new();
    let text = format!("FROM busybox\nENV RUN={}\n{STEPS}", unique());
    let folder = Folder::new(&[("Dockerfile", &text)]);
    let mut lists = Vec::new();
    for kind in ["shared", "own"] {
        let tag = format!("bowline-test-share-{kind}");
        let flags = [&format!("--step-containers={kind}") as &str, "--no-cache"];
        built(&bowline, folder.path(), &tag, &flags);
        lists.push(list(&tag));
        Docker::remove_image(&tag);
    }
    assert_eq!(lists[0], lists[1]);
    assert!(lists[0].contains("/later/link"), "{}", lists[0]);
}

/// How many containers a build has started.
fn started(flags: &[&str]) -> usize {
    let bowline = Bowline::new();
    let text = format!(
        "FROM busybox AS one\nENV RUN={}\nRUN echo 1 >/1\nRUN echo 2 >/2\nUSER 5\nRUN id -u >/tmp/3\nFROM one\nRUN test $(cat /tmp/3) = 5\n",
        unique()
    );
    let folder = Folder::new(&[("Dockerfile", &text)]);
    let recorder = Recorder::start();
    let mut command = bowline.command();
    command.env("DOCKER_HOST", recorder.address());
    command.args(["build", "--network=none", "--output=type=cacheonly"]);
    command.args(flags).arg(folder.path());
    let finished = finish(&mut command, None, crate::support::LIMIT);
    assert!(finished.success(), "{}", finished.everything());
    let requests = recorder.requests();
    let starts = requests.iter().filter(|line| line.ends_with("/start"));
    starts.count()
}

#[test]
fn steps_upon_each_other_start_one_container() {
    assert_eq!(started(&[]), 1);
    assert_eq!(started(&["--step-containers=own"]), 4);
}

#[test]
fn a_command_that_fails_is_told_the_same() {
    let bowline = Bowline::new();
    let folder = Folder::new(&[(
        "Dockerfile",
        "FROM busybox\nRUN echo before\nRUN echo out; echo err >&2; exit 42\n",
    )]);
    let mut told = Vec::new();
    for kind in ["shared", "own"] {
        let flag = format!("--step-containers={kind}");
        let failed = build(&bowline, folder.path(), "bowline-test-share-fail", &[&flag]);
        assert_eq!(failed.status.code(), Some(2), "{}", failed.everything());
        let error = failed.stderr.split("error:").nth(1).map(|text| {
            let lines = text.lines().filter(|line| !line.starts_with("note:"));
            lines.collect::<Vec<_>>().join("\n")
        });
        told.push(error.expect("an error"));
    }
    assert_eq!(told[0], told[1]);
    assert!(told[0].contains("failed with exit code 42"), "{}", told[0]);
}
