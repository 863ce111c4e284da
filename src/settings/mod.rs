//! The configuration: typed settings with their defaults and precedence.

pub mod bash;
pub mod notes_ini;
pub mod scope;
pub mod shell_config;
