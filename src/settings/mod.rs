//! The configuration: typed settings with their defaults and precedence.
