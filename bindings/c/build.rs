//! Gives the shared library its soname; cargo sets none.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libprimer.so.0");
}
