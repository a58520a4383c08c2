//! The room `connector`.
