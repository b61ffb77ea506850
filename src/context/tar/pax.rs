//! PAX records: `LENGTH KEY=VALUE\n`, where the length counts its own digits.

use std::collections::BTreeMap;
use std::io;

/// Records to write, sorted by key.
#[derive(Default)]
pub(super) struct Records {
    records: BTreeMap<String, Vec<u8>>,
}

impl Records {
    pub(super) fn add(&mut self, key: &str, value: &[u8]) {
        // A key with `=` cannot be written: readers would cut it.
        if !key.contains('=') {
            self.records.insert(key.to_owned(), value.to_owned());
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    pub(super) fn finish(self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (key, value) in self.records {
            let rest = key.len() + value.len() + " =\n".len();
            let mut length = rest + digits(rest);
            if digits(length) > digits(rest) {
                length += 1;
            }
            bytes.extend_from_slice(format!("{length} {key}=").as_bytes());
            bytes.extend_from_slice(&value);
            bytes.push(b'\n');
        }
        bytes
    }
}

fn digits(number: usize) -> usize {
    number.to_string().len()
}

/// Takes records apart.
pub(super) fn parse(mut bytes: &[u8]) -> io::Result<Vec<(String, Vec<u8>)>> {
    let bad = || io::Error::new(io::ErrorKind::InvalidData, "malformed PAX records");
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let space = bytes
            .iter()
            .position(|&byte| byte == b' ')
            .ok_or_else(bad)?;
        let length = std::str::from_utf8(&bytes[..space])
            .ok()
            .and_then(|text| text.parse().ok());
        let length: usize = length.ok_or_else(bad)?;
        let record = bytes
            .get(space + 1..length)
            .and_then(|record| record.strip_suffix(b"\n"));
        let record = record.ok_or_else(bad)?;
        let equals = record
            .iter()
            .position(|&byte| byte == b'=')
            .ok_or_else(bad)?;
        let key = std::str::from_utf8(&record[..equals]).map_err(|_| bad())?;
        records.push((key.to_owned(), record[equals + 1..].to_owned()));
        bytes = &bytes[length..];
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_count_themselves() {
        for size in [1, 85, 88, 89, 90, 91, 92, 985, 990, 991, 992, 993, 994, 995] {
            let mut records = Records::default();
            records.add("path", &vec![b'x'; size]);
            let bytes = records.finish();
            let text = std::str::from_utf8(&bytes).expect("text");
            let (length, _) = text.split_once(' ').expect("a length");
            assert_eq!(length.parse(), Ok(bytes.len()));
            assert_eq!(
                parse(&bytes).expect("valid"),
                [("path".into(), vec![b'x'; size])]
            );
        }
    }

    #[test]
    fn malformed() {
        for bytes in [
            "5", "x a=b\n", "3 a=b\n", "99 a=b\n", "6 a=bc", "5 ab\n", "-1 a=b\n",
        ] {
            assert!(parse(bytes.as_bytes()).is_err(), "{bytes}");
        }
    }
}
