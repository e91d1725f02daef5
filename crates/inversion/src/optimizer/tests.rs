//! What the optimiser as a whole promises, through its public interface.

mod bounded;
mod contract;
mod line_search;
mod model;
mod problems;
mod unbounded;
