//! The configuration: typed settings with their defaults and precedence.
//!
//! Files are read in order, the later wins: the file of all servers, that of
//! the user's, then the one DOMINO_ENV_FILE names. A variable of the
//! environment counts where no file sets it.

#![forbid(unsafe_code)]

pub mod bash;
pub mod catalogue;
mod derived;
mod error;
pub mod kind;
pub mod lint;
pub mod lint_ini;
mod load;
pub mod notes_ini;
mod refusal;
pub mod scope;
pub mod shell_config;
mod source;

pub use derived::{DatabaseBackup, Effective, Settings};
pub use error::{Error, Warning};
pub use load::{
    Loaded, Runner, configuration_files, load, load_what_can_be_read, load_with, peek,
    peek_data_path, peek_lock_timeout, peek_seconds, source_all,
};
pub use source::{Setting, Source};
