//! The room `check`.
