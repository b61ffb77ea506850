//! Patterns of names, as Go has them in `filepath.Match`.
