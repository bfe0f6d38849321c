//! Link flags that every Node-API addon needs on its platform.
fn main() {
    napi_build::setup();
}
