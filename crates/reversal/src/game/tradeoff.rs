//! Space against time.
