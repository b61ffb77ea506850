//! Paths as text: cleaning and joining.
