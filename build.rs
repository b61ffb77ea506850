//! Compiles the program that runs inside containers (`src/init/main.rs`), which the library
//! embeds. It needs no crate, so `rustc` alone does it; see `src/init/mod.rs`.

#![expect(
    clippy::disallowed_methods,
    reason = "this is how a build script talks to cargo"
)]

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, exit};

/// Names a ready-made program, for machines that cannot link one for Linux.
const READY_MADE: &str = "BOWLINE_INIT_PROGRAM";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/init");
    println!("cargo::rerun-if-env-changed={READY_MADE}");
    println!(
        "cargo::rustc-env=BOWLINE_INIT_ARCHITECTURE={}",
        architecture()
    );
    let program = PathBuf::from(variable("OUT_DIR")).join("init");
    if let Some(ready_made) = env::var_os(READY_MADE) {
        if let Err(error) = std::fs::copy(&ready_made, &program) {
            fail(&format!("cannot copy {}: {error}", ready_made.display()));
        }
        return;
    }
    if variable("CARGO_CFG_TARGET_OS") != "linux" {
        fail(&format!(
            "containers need a Linux program: compile src/init/main.rs for Linux and name it in {READY_MADE}"
        ));
    }
    let mut rustc = Command::new(variable("RUSTC"));
    rustc
        .args(["--edition=2024", "--crate-name=init", "--crate-type=bin"])
        .args([
            "-Copt-level=s",
            "-Clto=fat",
            "-Ccodegen-units=1",
            "-Cpanic=abort",
        ])
        .args([
            "-Cstrip=symbols",
            "-Ctarget-feature=+crt-static",
            "-Crelocation-model=static",
        ])
        .arg("--target")
        .arg(variable("TARGET"))
        .arg("-o")
        .arg(&program)
        .arg("src/init/main.rs");
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        let mut option = OsString::from("-Clinker=");
        option.push(linker);
        rustc.arg(option);
    }
    match rustc.status() {
        Ok(status) if status.success() => {}
        Ok(status) => fail(&format!("compiling src/init/main.rs failed: {status}")),
        Err(error) => fail(&format!("cannot start rustc: {error}")),
    }
}

/// The target's architecture as image platforms spell it.
fn architecture() -> String {
    let name = variable("CARGO_CFG_TARGET_ARCH");
    match name.to_str() {
        Some("x86_64") => "amd64".into(),
        Some("x86") => "386".into(),
        Some("aarch64") => "arm64".into(),
        Some("loongarch64") => "loong64".into(),
        Some(same) => same.into(),
        None => fail("the target architecture is not text"),
    }
}

fn variable(name: &str) -> OsString {
    env::var_os(name).unwrap_or_else(|| fail(&format!("cargo did not set {name}")))
}

fn fail(message: &str) -> ! {
    println!("cargo::error={message}");
    exit(1)
}
