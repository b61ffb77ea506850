//! Takes from the command what only the program needed: the capability to mount, the system
//! calls that engines allow together with it, and the freedom from an `AppArmor` profile.

use std::fs;
use std::io;

use super::sys;
use super::wire::Confinement;

/// Confines this process and what it becomes. Root it must still be.
pub(crate) fn confine(confinement: Confinement, apparmor: &str) -> io::Result<()> {
    if !apparmor.is_empty() {
        enter_profile(apparmor)?;
    }
    match confinement {
        Confinement::None => Ok(()),
        Confinement::Capabilities => sys::drop_mounting(),
        Confinement::SystemCalls => {
            filter_calls()?;
            sys::drop_mounting()
        }
    }
}

/// The profile is that of whatever is executed next.
fn enter_profile(name: &str) -> io::Result<()> {
    let order = format!("exec {name}");
    match fs::write("/proc/self/attr/apparmor/exec", &order) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::write("/proc/self/attr/exec", &order)
        }
        result => result,
    }
}

/// What `clone` makes new namespaces with.
const NAMESPACES: u32 = 0x7e02_0000;
const CLONE3_MISSING: u32 = 38;
const NOT_PERMITTED: u32 = 1;

/// An instruction of the kernel's filters: code, jumps if true and false, operand.
pub(crate) type Instruction = (u16, u8, u8, u32);

const LOAD: u16 = 0x20;
const AND: u16 = 0x54;
const IF_EQUAL: u16 = 0x15;
const IF_ANY_BIT: u16 = 0x45;
const RETURN: u16 = 0x06;
const ALLOW: u32 = 0x7fff_0000;
const ERROR: u32 = 0x0005_0000;

/// The calls that engines allow with the capability, for one kind of program.
struct Calls {
    architecture: u32,
    /// A bit of other numbers for the same calls.
    mask: u32,
    clone: u32,
    clone3: u32,
    refused: &'static [u32],
}

#[cfg(target_arch = "x86_64")]
const CALLS: &[Calls] = &[
    Calls {
        architecture: 0xc000_003e,
        mask: !0x4000_0000,
        clone: 56,
        clone3: 435,
        // mount umount2 sethostname setdomainname quotactl lookup_dcookie syslog unshare
        // perf_event_open fanotify_init setns bpf open_tree move_mount fsopen fsconfig fsmount
        // fspick mount_setattr quotactl_fd
        refused: &[
            165, 166, 170, 171, 179, 212, 103, 272, 298, 300, 308, 321, 428, 429, 430, 431, 432,
            433, 442, 443,
        ],
    },
    Calls {
        architecture: 0x4000_0003,
        mask: !0,
        clone: 120,
        clone3: 435,
        refused: &[
            21, 22, 52, 74, 121, 131, 253, 103, 310, 336, 338, 346, 357, 428, 429, 430, 431, 432,
            433, 442, 443,
        ],
    },
];

#[cfg(target_arch = "aarch64")]
const CALLS: &[Calls] = &[
    Calls {
        architecture: 0xc000_00b7,
        mask: !0,
        clone: 220,
        clone3: 435,
        refused: &[
            40, 39, 161, 162, 60, 18, 116, 97, 241, 262, 268, 280, 428, 429, 430, 431, 432, 433,
            442, 443,
        ],
    },
    Calls {
        architecture: 0x4000_0028,
        mask: !0,
        clone: 120,
        clone3: 435,
        refused: &[
            21, 52, 74, 121, 131, 249, 103, 337, 364, 367, 375, 386, 428, 429, 430, 431, 432, 433,
            442, 443,
        ],
    },
];

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const CALLS: &[Calls] = &[];

fn filter_calls() -> io::Result<()> {
    if CALLS.is_empty() {
        return Ok(());
    }
    sys::filter(&program())
}

/// Engines refuse the same, as long as a container has not the capability.
fn program() -> Vec<Instruction> {
    let mut program = Vec::new();
    for calls in CALLS {
        let mut part = vec![(LOAD, 0, 0, 0), (AND, 0, 0, calls.mask)];
        let count = u8::try_from(calls.refused.len()).unwrap_or(u8::MAX);
        // Behind the list: allow, refuse, missing, the look at the flags of `clone`.
        part.push((IF_EQUAL, count + 4, 0, calls.clone));
        part.push((IF_EQUAL, count + 2, 0, calls.clone3));
        for (index, number) in (0_u8..).zip(calls.refused) {
            part.push((IF_EQUAL, count - index, 0, *number));
        }
        part.push((RETURN, 0, 0, ALLOW));
        part.push((RETURN, 0, 0, ERROR | NOT_PERMITTED));
        part.push((RETURN, 0, 0, ERROR | CLONE3_MISSING));
        part.push((LOAD, 0, 0, 16));
        part.push((IF_ANY_BIT, 0, 1, NAMESPACES));
        part.push((RETURN, 0, 0, ERROR | NOT_PERMITTED));
        part.push((RETURN, 0, 0, ALLOW));
        let length = u8::try_from(part.len()).unwrap_or(u8::MAX);
        program.push((LOAD, 0, 0, 4));
        program.push((IF_EQUAL, 0, length, calls.architecture));
        program.extend(part);
    }
    program.push((RETURN, 0, 0, ALLOW));
    program
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel would do with a call.
    fn verdict(architecture: u32, number: u32, flags: u32) -> u32 {
        let program = program();
        let (mut at, mut value) = (0, 0);
        loop {
            let (code, yes, no, operand) = program[at];
            let mut jump = |taken: bool| at += usize::from(if taken { yes } else { no });
            match code {
                LOAD => {
                    value = match operand {
                        0 => number,
                        4 => architecture,
                        _ => flags,
                    };
                }
                AND => value &= operand,
                IF_EQUAL => jump(value == operand),
                IF_ANY_BIT => jump(value & operand != 0),
                _ => return operand,
            }
            at += 1;
        }
    }

    #[test]
    fn only_what_needs_the_capability_is_refused() {
        for calls in CALLS {
            let seen = |number, flags| verdict(calls.architecture, number, flags);
            for &number in calls.refused {
                assert_eq!(seen(number, 0), ERROR | NOT_PERMITTED, "{number}");
            }
            assert_eq!(seen(calls.clone3, 0), ERROR | CLONE3_MISSING);
            assert_eq!(seen(calls.clone, 0x11), ALLOW);
            assert_eq!(seen(calls.clone, 0x1000_0011), ERROR | NOT_PERMITTED);
            for number in [0, 1, 2, 3, 4, 5, 9, 13, 59, 157, 1000] {
                assert_eq!(seen(number, u32::MAX), ALLOW, "{number}");
            }
        }
        assert_eq!(verdict(7, 165, 0), ALLOW);
    }
}
