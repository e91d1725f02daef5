//! Filters and resampling.
