//! Durations as Go writes them: `1h30m`, `1.5s`, `300ms`.

use std::time::Duration;

/// A duration with a sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Signed {
    pub(super) negative: bool,
    pub(super) size: Duration,
}

impl Signed {
    pub(super) fn is_zero(self) -> bool {
        self.size.is_zero()
    }
}

/// The longest that Go can hold.
const LIMIT: u128 = i64::MAX as u128;

pub(super) fn parse(text: &str) -> Option<Signed> {
    let (negative, rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        let size = Duration::ZERO;
        return Some(Signed { negative, size });
    }
    if rest.is_empty() {
        return None;
    }
    let mut nanos: u128 = 0;
    let mut rest = rest;
    while !rest.is_empty() {
        let (part, next) = take_part(rest)?;
        nanos = nanos.checked_add(part).filter(|&sum| sum <= LIMIT)?;
        rest = next;
    }
    let size = Duration::from_nanos(u64::try_from(nanos).ok()?);
    Some(Signed { negative, size })
}

/// A number with its unit, in nanoseconds, and what follows.
fn take_part(text: &str) -> Option<(u128, &str)> {
    let whole_end = digits(text);
    let (whole, rest) = text.split_at(whole_end);
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(digits(rest)),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let unit_end = rest
        .find(|c: char| c == '.' || c.is_ascii_digit())
        .unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(unit_end);
    let unit = unit_nanos(unit)?;
    let whole: u128 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let mut nanos = whole.checked_mul(unit)?;
    // More digits than these are less than a nanosecond of an hour.
    let fraction = &fraction[..fraction.len().min(18)];
    if !fraction.is_empty() {
        let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
        nanos = nanos.checked_add(fraction.parse::<u128>().ok()? * unit / scale)?;
    }
    Some((nanos, rest))
}

fn digits(text: &str) -> usize {
    text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len()
}

fn unit_nanos(unit: &str) -> Option<u128> {
    Some(match unit {
        "ns" => 1,
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, nanos) in [
            ("0", Some(0)),
            ("30s", Some(30_000_000_000)),
            ("1m30s", Some(90_000_000_000)),
            ("1.5h", Some(5_400_000_000_000)),
            (".5s", Some(500_000_000)),
            ("5.s", Some(5_000_000_000)),
            ("+2ms", Some(2_000_000)),
            ("1µs", Some(1_000)),
            ("10ns", Some(10)),
            ("", None),
            ("+", None),
            ("5", None),
            ("s", None),
            (".s", None),
            ("1d", None),
            ("1 s", None),
            ("99999999999999999999h", None),
            ("9999999h", None),
        ] {
            let read = parse(text).map(|read| read.size.as_nanos());
            assert_eq!(read, nanos, "{text}");
        }
        assert!(parse("-1s").is_some_and(|read| read.negative));
    }
}
