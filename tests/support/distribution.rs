//! Debian's docker-registry on a port of this host, with a login if wanted, and what it has.

use std::fs;
use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::{finish, script};

/// A running registry; it ends with the test, and its content with it.
pub struct Distribution {
    child: Child,
    pub address: String,
    dir: TempDir,
}

/// The password of `user`, when there is a login.
pub const PASSWORD: &str = "correct-horse";
/// As `htpasswd -B` writes it.
const HTPASSWD: &str = "user:$2b$12$y.mWEtamYN6l2n/4oQmPPenUAEqIV6Rm3RSRYtVQ9GV125Jxu1QFm\n";

impl Distribution {
    pub fn start() -> Self {
        Self::start_with(false)
    }

    /// A registry that asks for a user and a password.
    pub fn with_login() -> Self {
        Self::start_with(true)
    }

    fn start_with(login: bool) -> Self {
        let found = finish(
            &mut Command::new(script("registry.sh")),
            None,
            Duration::from_secs(120),
        );
        assert!(found.success(), "no docker-registry: {}", found.stderr);
        let dir = tempfile::tempdir().expect("a temporary folder");
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = free.local_addr().expect("an address").to_string();
        drop(free);
        let root = dir.path().join("data");
        let mut config = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: {address}}}\n",
            root.display()
        );
        if login {
            let passwords = dir.path().join("htpasswd");
            fs::write(&passwords, HTPASSWD).expect("a file");
            config += &format!(
                "auth: {{htpasswd: {{realm: test, path: {}}}}}\n",
                passwords.display()
            );
        }
        let path = dir.path().join("config.yml");
        fs::write(&path, config).expect("a file");
        let child = Command::new(found.stdout().trim())
            .arg("serve")
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a registry");
        let mut registry = Self {
            child,
            address,
            dir,
        };
        registry.wait();
        registry
    }

    fn wait(&mut self) {
        for _ in 0..200 {
            if TcpStream::connect(&self.address).is_ok() {
                return;
            }
            let ended = self.child.try_wait().expect("a process");
            assert!(ended.is_none(), "the registry ended: {ended:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the registry does not answer at {}", self.address);
    }

    /// The digest that a tag stands for.
    pub fn digest(&self, repository: &str, tag: &str) -> Option<String> {
        let path = format!(
            "data/docker/registry/v2/repositories/{repository}/_manifests/tags/{tag}/current/link"
        );
        fs::read_to_string(self.dir.path().join(path)).ok()
    }

    /// A blob, manifests too, as it is stored.
    pub fn blob(&self, digest: &str) -> Vec<u8> {
        let hex = digest.strip_prefix("sha256:").expect("a digest");
        let path = format!(
            "data/docker/registry/v2/blobs/sha256/{}/{hex}/data",
            &hex[..2]
        );
        let mut content = Vec::new();
        fs::File::open(self.dir.path().join(path))
            .unwrap_or_else(|error| panic!("the blob {digest}: {error}"))
            .read_to_end(&mut content)
            .expect("a blob");
        content
    }

    pub fn json(&self, digest: &str) -> Value {
        serde_json::from_slice(&self.blob(digest)).expect("JSON")
    }

    /// The document that a tag stands for.
    pub fn tagged(&self, repository: &str, tag: &str) -> Value {
        let digest = self.digest(repository, tag).expect("the tag");
        self.json(&digest)
    }
}

impl Drop for Distribution {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
