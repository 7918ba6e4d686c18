//! The form of the state: read for ever, refused when newer.

use asset_sync::Error;
use asset_sync::state::{Current, Inventory, Manifest, StateError};

use tokio_util::sync::CancellationToken;

use crate::world::{World, info, v1};

const CURRENT: &[u8] = include_bytes!("../golden/format-1/current");
const CURRENT_WITH_ENVIRONMENT: &[u8] = include_bytes!("../golden/format-1/current-with-environment");
const INVENTORY: &[u8] = include_bytes!("../golden/format-1/inventory");
const ENTRIES: &[u8] = include_bytes!("../golden/format-1/entries");
const ASSETS: &[u8] = include_bytes!("../golden/format-1/assets");

/// These files are never to be regenerated: they are what version 1 wrote.
#[test]
fn format_1_is_read_and_written_as_it_always_was() {
    let current = Current::decode("current", CURRENT).unwrap();
    assert_eq!(current.encode(), CURRENT);
    assert_eq!(current.live_release().unwrap().version, "1.0.0");
    let inventory = Inventory::decode("inventory", INVENTORY).unwrap();
    assert_eq!(inventory.encode(), INVENTORY);
    let manifest = Manifest::decode(("entries", ENTRIES), ("assets", ASSETS)).unwrap();
    let (entries, assets) = manifest.encode();
    assert_eq!((&entries[..], &assets[..]), (ENTRIES, ASSETS));
    assert_eq!(manifest.tree(), current.live_release().unwrap().tree);
}

/// A field that came later, and that older versions pass over.
#[test]
fn the_environment_is_read_and_written_where_there_is_one() {
    let current = Current::decode("current", CURRENT_WITH_ENVIRONMENT).unwrap();
    assert_eq!(current.encode(), CURRENT_WITH_ENVIRONMENT);
    assert_eq!(current.live_release().unwrap().environment.as_deref(), Some("production"));
    let before = Current::decode("current", CURRENT).unwrap();
    assert_eq!(before.live_release().unwrap().environment, None);
}

#[tokio::test(start_paused = true)]
async fn the_environment_is_recorded_with_the_release() {
    let world = World::new();
    let options = asset_sync::deploy::Options { environment: Some("staging".into()), ..world.options() };
    let deployer = world.deployer_with(options);
    deployer.deploy(&world.site(&v1()), &info("1.0.0"), &CancellationToken::new()).await.unwrap();
    assert_eq!(world.current().live_release().unwrap().environment.as_deref(), Some("staging"));
    assert_eq!(deployer.status().await.unwrap().releases[0].environment.as_deref(), Some("staging"));
    // It decides nothing: the same files under the same version are the same release anywhere.
    let again = world.deploy(&world.site(&v1()), "1.0.0").await.unwrap();
    assert_eq!(again.result, asset_sync::deploy::Outcome::Unchanged);
}

#[tokio::test(start_paused = true)]
async fn a_newer_format_is_refused_with_a_way_out() {
    let world = World::new();
    let site = world.site(&v1());
    let newer = String::from_utf8(CURRENT.to_vec()).unwrap().replacen("\"format\": 1", "\"format\": 2", 1);
    world.store.insert("site", ".deploy/current", newer, asset_sync::Headers::default());
    let before = world.store.snapshot("site");
    let error = world.deploy(&site, "1.0.0").await.unwrap_err();
    assert!(matches!(&error, Error::State(StateError::Newer { found: 2, .. })), "{error}");
    assert!(error.to_string().contains("newer `deploy` image"), "{error}");
    assert_eq!(world.store.snapshot("site"), before);
}

#[test]
fn a_truncated_or_foreign_state_object_is_named() {
    let cut = &INVENTORY[..INVENTORY.len() * 2 / 3];
    let cut = &cut[..=cut.iter().rposition(|b| *b == b'\n').unwrap()];
    let error = Inventory::decode("app/.deploy/inventory/3", cut).unwrap_err().to_string();
    assert!(error.contains("app/.deploy/inventory/3") && error.contains("entries of"), "{error}");
    let error = Current::decode("x", b"<html>").unwrap_err().to_string();
    assert!(error.contains("not a state object"), "{error}");
    let error = Inventory::decode("x", ENTRIES).unwrap_err().to_string();
    assert!(error.contains("release-entries"), "{error}");
}
