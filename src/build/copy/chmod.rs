//! Symbolic modes as BuildKit has them: those of BSD's `chmod`, which differ from GNU's in what
//! `=` clears, whose mode `X` goes by and whose a sticky bit is. No umask applies.

const SET_IDS: u32 = 0o6000;
const STICKY: u32 = 0o1000;
const EXECUTE: u32 = 0o111;

/// The mode after a list of changes. The text was checked when it was planned.
pub(super) fn apply(text: &str, mode: u32, is_dir: bool) -> u32 {
    let mut change = Change {
        mode,
        may_execute: is_dir || mode & EXECUTE != 0,
    };
    for clause in text.split(',') {
        change.clause(clause);
    }
    change.mode
}

struct Change {
    mode: u32,
    /// Whether `X` is `x`: by the mode before any change.
    may_execute: bool,
}

impl Change {
    /// `[ugoa]*` and any number of `[-+=][rwxXstugo]*`.
    fn clause(&mut self, clause: &str) {
        let at = clause.find(['+', '-', '=']).unwrap_or(clause.len());
        let (who, mut rest) = clause.split_at(at);
        let who = who.chars().fold(0, |bits, class| bits | bits_of(class));
        while let Some(operator) = rest.chars().next() {
            rest = &rest[1..];
            let end = rest.find(['+', '-', '=']).unwrap_or(rest.len());
            self.operation(who, operator, &rest[..end]);
            rest = &rest[end..];
        }
    }

    fn operation(&mut self, mut who: u32, operator: char, perms: &str) {
        let only_others = who != 0 && who & !0o007 == 0;
        let (mut bits, mut conditional) = (0, 0);
        let mut assigned = false;
        for perm in perms.chars() {
            match perm {
                'r' => bits |= 0o444,
                'w' => bits |= 0o222,
                'x' => bits |= EXECUTE,
                'X' => conditional = EXECUTE,
                's' if !only_others => bits |= SET_IDS,
                't' if !only_others => {
                    // Without a class, this is then all that changes.
                    who |= STICKY;
                    bits |= STICKY;
                }
                'u' | 'g' | 'o' => {
                    if bits != 0 {
                        self.change(operator, who, bits);
                    }
                    self.execute(operator, who, conditional);
                    self.take(operator, who, perm);
                    (bits, conditional) = (0, 0);
                    assigned = true;
                }
                _ => {}
            }
        }
        if bits != 0 || operator == '=' && !assigned {
            self.change(operator, who, bits);
        }
        self.execute(operator, who, conditional);
    }

    fn change(&mut self, operator: char, who: u32, bits: u32) {
        let mask = if who == 0 { 0o7777 } else { who };
        match operator {
            '+' => self.mode |= bits & mask,
            '-' => self.mode &= !(bits & mask),
            _ => {
                let cleared = if who == 0 { bits_of('a') } else { who };
                self.mode = self.mode & !cleared | bits & mask;
            }
        }
    }

    /// What `X` does, after all else.
    fn execute(&mut self, operator: char, who: u32, bits: u32) {
        if self.may_execute && bits != 0 {
            let operator = if operator == '-' { '-' } else { '+' };
            self.change(operator, who, bits);
        }
    }

    /// Gives classes what another one has; the bits above stay.
    fn take(&mut self, operator: char, who: u32, from: char) {
        let shift = |class| match class {
            'u' => 6,
            'g' => 3,
            _ => 0,
        };
        let value = self.mode >> shift(from) & 7;
        for class in ['u', 'g', 'o'] {
            let at = shift(class);
            if who != 0 && who & 4 << at == 0 {
                continue;
            }
            match operator {
                '+' => self.mode |= value << at,
                '-' => self.mode &= !(value << at),
                _ => self.mode = self.mode & !(7 << at) | value << at,
            }
        }
    }
}

/// What a class may change.
fn bits_of(class: char) -> u32 {
    match class {
        'u' => 0o4700,
        'g' => 0o2070,
        'o' => 0o0007,
        _ => 0o6777,
    }
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
            ("o+t", 0o644, false, 0o644),
            ("u+t", 0o644, false, 0o1644),
            ("o=rt", 0o7711, true, 0o7714),
            ("=t", 0o644, false, 0o1644),
            ("=rwt", 0o750, true, 0o1750),
            ("u=", 0o7711, true, 0o3011),
            ("a=", 0o7711, true, 0o1000),
            ("u=g", 0o7751, false, 0o7551),
            ("go=u", 0o7751, false, 0o7777),
            ("go=u-w", 0o750, false, 0o755),
            ("a-x+X", 0o7751, false, 0o7751),
            ("a-x,a+X", 0o640, false, 0o640),
            ("=X", 0o7751, false, 0o1111),
            ("u-X", 0o7710, true, 0o7610),
            ("u=gX", 0o7710, true, 0o7110),
            ("=Xt", 0o640, false, 0o1640),
            ("ug+st", 0o644, false, 0o7644),
            ("-s", 0o7711, true, 0o1711),
        ] {
            assert_eq!(apply(text, before, is_dir), after, "{text} {before:o}");
        }
    }
}
