//! Symbolic modes as `chmod(1)` has them: `u=rwX,go=rX`, `+x`, `g=u`. No umask applies.

/// The mode after a list of changes. The text was checked when it was planned.
pub(super) fn apply(text: &str, mode: u32, is_dir: bool) -> u32 {
    text.split(',')
        .fold(mode, |mode, clause| apply_clause(clause, mode, is_dir))
}

fn apply_clause(clause: &str, mut mode: u32, is_dir: bool) -> u32 {
    let at = clause.find(['+', '-', '=']).unwrap_or(clause.len());
    let (who, mut changes) = clause.split_at(at);
    let everyone = who.is_empty() || who.contains('a');
    let class = |c: char| everyone || who.contains(c);
    let classes: Vec<u32> = [('u', 6), ('g', 3), ('o', 0)]
        .into_iter()
        .filter(|&(c, _)| class(c))
        .map(|(_, s)| s)
        .collect();
    while let Some(operator) = changes.chars().next() {
        let rest = &changes[1..];
        let end = rest.find(['+', '-', '=']).unwrap_or(rest.len());
        let (perms, next) = rest.split_at(end);
        let bits = bits_of(perms, mode, is_dir);
        let mut mask = 0;
        for &shift in &classes {
            mask |= bits.each << shift;
        }
        if class('u') {
            mask |= bits.setuid;
        }
        if class('g') {
            mask |= bits.setgid;
        }
        mask |= bits.sticky;
        match operator {
            '+' => mode |= mask,
            '-' => mode &= !mask,
            _ => {
                let mut cleared: u32 = classes.iter().map(|shift| 0o7 << shift).sum();
                if !is_dir {
                    cleared |=
                        if class('u') { 0o4000 } else { 0 } | if class('g') { 0o2000 } else { 0 };
                }
                mode = (mode & !cleared) | mask;
            }
        }
        changes = next;
    }
    mode
}

struct Bits {
    /// `rwx` for each class.
    each: u32,
    setuid: u32,
    setgid: u32,
    sticky: u32,
}

fn bits_of(perms: &str, mode: u32, is_dir: bool) -> Bits {
    let mut bits = Bits {
        each: 0,
        setuid: 0,
        setgid: 0,
        sticky: 0,
    };
    for perm in perms.chars() {
        match perm {
            'r' => bits.each |= 4,
            'w' => bits.each |= 2,
            'x' => bits.each |= 1,
            'X' if is_dir || mode & 0o111 != 0 => bits.each |= 1,
            's' => (bits.setuid, bits.setgid) = (0o4000, 0o2000),
            't' => bits.sticky = 0o1000,
            'u' => bits.each |= mode >> 6 & 7,
            'g' => bits.each |= mode >> 3 & 7,
            'o' => bits.each |= mode & 7,
            _ => {}
        }
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::apply;

    #[test]
    fn modes_change_as_chmod_changes_them() {
        for (text, before, is_dir, after) in [
            ("u=rwX,go=rX", 0o600, false, 0o644),
            ("u=rwX,go=rX", 0o700, false, 0o755),
            ("u=rwX,go=rX", 0o700, true, 0o755),
            ("+x", 0o644, false, 0o755),
            ("a-w", 0o666, false, 0o444),
            ("g=u", 0o750, false, 0o770),
            ("u+s", 0o755, false, 0o4755),
            ("g+s", 0o755, true, 0o2755),
            ("+t", 0o777, true, 0o1777),
            ("o=", 0o777, false, 0o770),
            ("u+x-w", 0o644, false, 0o544),
        ] {
            assert_eq!(apply(text, before, is_dir), after, "{text} {before:o}");
        }
    }
}
