//! The operating system as the product needs it: users, processes, IPC,
//! locks, files, clocks. The only floor with unsafe code; knows no Domino.

#![allow(unsafe_code)]

pub mod root;
