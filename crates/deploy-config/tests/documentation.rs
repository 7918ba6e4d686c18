//! Holds `docs/configuration.md` to the registry.

use std::path::Path;

#[test]
fn the_page_is_what_the_registry_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let page = std::fs::read_to_string(&path).unwrap();
    assert!(
        page == deploy_config::markdown(),
        "docs/configuration.md is out of date; run: \
         cargo run -p deploy-config --example configuration-md > docs/configuration.md"
    );
}
