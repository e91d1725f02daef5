#![forbid(unsafe_code)]

pub mod optimizer;
