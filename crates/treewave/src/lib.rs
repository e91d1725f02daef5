pub mod config;
pub mod plot;
