//! Keeps the library mapped for the VM's whole life.
//!
//! The VM may unload a NIF library when its module is purged and no handle is left, while a thread
//! of a closing member still runs code in it.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
