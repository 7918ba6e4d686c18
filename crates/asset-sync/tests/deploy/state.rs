//! The form of the state: read for ever, refused when newer.

use asset_sync::Error;
use asset_sync::deploy::RollbackTo;
use asset_sync::state::{Current, Inventory, Manifest, StateError};

use tokio_util::sync::CancellationToken;

use crate::world::{World, info, v1, v2};

const CURRENT: &[u8] = include_bytes!("../golden/format-1/current");
const CURRENT_WITH_ENVIRONMENT: &[u8] = include_bytes!("../golden/format-1/current-with-environment");
const INVENTORY: &[u8] = include_bytes!("../golden/format-1/inventory");
const ENTRIES: &[u8] = include_bytes!("../golden/format-1/entries");
const ASSETS: &[u8] = include_bytes!("../golden/format-1/assets");

/// These files are never to be regenerated: they are what format 1 was.
#[test]
fn format_1_is_read() {
    let current = Current::decode("current", CURRENT).unwrap();
    assert_eq!(Current::decode("current", &current.encode()).unwrap(), current);
    assert_eq!(current.live_release().unwrap().version, "1.0.0");
    let inventory = Inventory::decode("inventory", INVENTORY).unwrap();
    let manifest = Manifest::decode(("entries", ENTRIES), ("assets", ASSETS)).unwrap();
    assert_eq!(manifest.tree(), current.live_release().unwrap().tree);
    // Only the header line of these is another one now.
    let (entries, assets) = manifest.encode();
    let inventory = inventory.encode();
    for (now, then) in [(&entries[..], ENTRIES), (&assets[..], ASSETS), (&inventory[..], INVENTORY)] {
        let lines =
            |bytes| String::from_utf8(Vec::from(bytes)).unwrap().lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(lines(now), lines(then));
    }
}

/// The state of a target with two releases and another name of the second one; never to be regenerated either, once a
/// version with this format was released.
#[test]
fn format_2_is_read() {
    let text = include_bytes!("../golden/format-2/current");
    let current = Current::decode("current", text).unwrap();
    assert_eq!(String::from_utf8_lossy(&current.encode()), String::from_utf8_lossy(text));
    let live = current.live_release().unwrap();
    assert_eq!((live.version.as_str(), live.deployed_by.as_deref()), ("2.0.1", Some("execution-3")));
    assert_eq!(live.environment.as_deref(), Some("production"));
    let second = &current.releases[1];
    assert_eq!((live.stored_as(), live.replaced.as_ref()), (&second.id, Some(&second.id)));
    let text = include_bytes!("../golden/format-2/inventory");
    assert_eq!(current.inventory_sha256, Some(asset_sync::Sha256::of(text)));
    let inventory = Inventory::decode("inventory", text).unwrap();
    assert_eq!(inventory.encode(), text.as_slice());
    let spans: Vec<(&str, u64, Option<u64>)> =
        inventory.records.iter().map(|r| (r.key.as_str(), r.releases.first, r.releases.last)).collect();
    assert_eq!(
        spans,
        [
            ("assets/app-3f2a9c0d.js", 1, Some(1)),
            ("assets/app-77aa0b1c.js", 2, None),
            ("assets/lazy-0a1b2c3d.js", 1, None),
            ("index.html", 1, None),
            ("logo.svg", 1, None),
            ("new/index.html", 2, None),
            ("robots.txt", 1, None),
        ]
    );
    assert_eq!(
        inventory.archived.as_ref().unwrap().len(),
        3,
        "two contents that were replaced, and a page that is gone"
    );
    let (entries, assets) = (include_bytes!("../golden/format-2/entries"), include_bytes!("../golden/format-2/assets"));
    let manifest = Manifest::decode(("entries", entries), ("assets", assets)).unwrap();
    assert_eq!(
        (manifest.tree(), manifest.encode()),
        (live.tree, (entries.as_slice().into(), assets.as_slice().into()))
    );
}

/// An inventory or a manifest without what format 2 added.
fn lines_of_format_1(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let mut fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).unwrap();
        let is_header = fields.contains_key("format");
        let added = if is_header { &["readable_since", "archived"] } else { &["f", "l"] };
        for field in added {
            fields.remove(*field);
        }
        if is_header {
            fields.insert("format".into(), 1.into());
        }
        serde_json::to_string(&fields).unwrap() + "\n"
    });
    lines.collect()
}

/// The state of a target as a binary of format 1 left it.
fn to_format_1(world: &World) {
    for (key, object) in world.store.snapshot("site") {
        if !key.starts_with(".deploy/") || key.contains("/blobs/") {
            continue;
        }
        let text = String::from_utf8(object.body.to_vec()).unwrap();
        let text = if key.ends_with("/current") {
            let read = Current::decode(&key, text.as_bytes()).unwrap();
            let mut current = serde_json::to_value(&read).unwrap();
            let fields = current.as_object_mut().unwrap();
            fields["format"] = 1.into();
            fields["releases"] = serde_json::to_value(&read.releases).unwrap();
            fields.remove("readable_since");
            fields.remove("inventory_sha256");
            for release in fields["releases"].as_array_mut().unwrap() {
                for field in ["files_of", "replaced", "deployed_by", "found_wrong"] {
                    release.as_object_mut().unwrap().remove(field);
                }
            }
            serde_json::to_string_pretty(&current).unwrap()
        } else {
            lines_of_format_1(&text)
        };
        world.store.insert("site", &key, text, object.headers);
    }
}

#[tokio::test(start_paused = true)]
async fn a_target_of_format_1_is_upgraded_by_the_next_run_and_rolled_back_into() {
    let world = World::new();
    let (first, second) = (world.site(&v1()), world.site(&v2()));
    world.deploy(&first, "1.0.0").await.unwrap();
    to_format_1(&world);
    assert_eq!(world.current().format, 1);
    world.plan(&second, "2.0.0").await.unwrap();
    assert_eq!(world.current().format, 1, "a plan writes nothing");
    world.deploy(&second, "2.0.0").await.unwrap();
    assert_eq!((world.current().format, world.current().readable_since.as_deref()), (2, Some("0.2.0")));
    let back = |to| {
        let deployer = world.deployer();
        async move { deployer.rollback(&to, None, &CancellationToken::new()).await.unwrap() }
    };
    back(RollbackTo::Previous).await;
    world.assert_serves(&first);
    // All of its history is of format 1.
    back(RollbackTo::Named("2.0.0".into())).await;
    to_format_1(&world);
    back(RollbackTo::Previous).await;
    world.assert_serves(&first);
    assert_eq!(world.current().format, 2);
}

#[tokio::test(start_paused = true)]
async fn fields_of_a_later_version_of_this_format_survive() {
    let world = World::new();
    world.deploy(&world.site(&v1()), "1.0.0").await.unwrap();
    let key = ".deploy/current";
    let text = String::from_utf8(world.store.snapshot("site")[key].body.to_vec()).unwrap();
    let mut state: serde_json::Value = serde_json::from_str(&text).unwrap();
    state["later"] = serde_json::json!({"a": [1]});
    let columns = state["releases"]["columns"].as_array_mut().unwrap();
    let count = columns.len();
    columns.push("of_release".into());
    let row = state["releases"]["rows"][0].as_array_mut().unwrap();
    row.resize(count, serde_json::Value::Null);
    row.push("kept".into());
    world.store.insert("site", key, state.to_string(), asset_sync::Headers::default());
    world.deploy(&world.site(&v2()), "2.0.0").await.unwrap();
    let written: serde_json::Value = serde_json::from_slice(&world.store.snapshot("site")[key].body).unwrap();
    assert_eq!(written["later"], serde_json::json!({"a": [1]}));
    let releases = world.current().releases;
    assert_eq!(releases[0].unknown["of_release"], "kept");
    assert!(releases[1].unknown.is_empty());
}

/// A field that came later, and that older versions pass over.
#[test]
fn the_environment_is_read_and_written_where_there_is_one() {
    let current = Current::decode("current", CURRENT_WITH_ENVIRONMENT).unwrap();
    assert_eq!(Current::decode("current", &current.encode()).unwrap(), current);
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
    let newer = String::from_utf8(CURRENT.to_vec()).unwrap().replacen("\"format\": 1", "\"format\": 3", 1);
    world.store.insert("site", ".deploy/current", newer.clone(), asset_sync::Headers::default());
    let before = world.store.snapshot("site");
    let error = world.deploy(&site, "1.0.0").await.unwrap_err();
    assert!(matches!(&error, Error::State(StateError::Newer { found: 3, .. })), "{error}");
    assert!(error.to_string().contains("newer `deploy` image"), "{error}");
    assert_eq!(world.store.snapshot("site"), before);
    let named = newer.replacen("\"format\": 3,", "\"format\": 3, \"readable_since\": \"0.9.0\",", 1);
    world.store.insert("site", ".deploy/current", named, asset_sync::Headers::default());
    let error = world.deploy(&site, "1.0.0").await.unwrap_err();
    assert_eq!(error.class(), asset_sync::ErrorClass::Usage);
    assert!(error.to_string().contains("version 0.9.0 or later"), "{error}");
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

/// An older image on a newer state is an everyday case: every operation refuses, and writes nothing.
#[tokio::test(start_paused = true)]
async fn no_operation_touches_a_newer_format() {
    for newer in ["current", "inventory"] {
        let world = World::new();
        let site = world.site(&v1());
        world.deploy(&site, "1.0.0").await.unwrap();
        world.deploy(&world.site(&v2()), "2.0.0").await.unwrap();
        let objects = world.store.snapshot("site");
        let (key, object) = objects.iter().find(|(key, _)| key.contains(&format!("/{newer}"))).unwrap();
        let text = String::from_utf8(object.body.to_vec()).unwrap().replacen("\"format\":2", "\"format\":3", 1);
        world.store.insert("site", key, text.replacen("\"0.2.0\"", "\"0.9.0\"", 1), object.headers.clone());
        if newer == "inventory" {
            // Written by a later version, that has raised the format of inventories alone.
            let mut current = world.current();
            current.inventory_sha256 = None;
            world.store.insert("site", ".deploy/current", current.encode(), object.headers.clone());
        }
        let before = world.store.snapshot("site");
        let (deployer, stop) = (world.deployer(), CancellationToken::new());
        let mut outcomes = vec![
            ("deploy", deployer.deploy(&site, &info("3.0.0"), &stop).await.map(drop)),
            ("plan", deployer.plan(&site, &info("3.0.0")).await.map(drop)),
            ("rollback", deployer.rollback(&RollbackTo::Previous, None, &stop).await.map(drop)),
        ];
        if newer == "current" {
            outcomes.push(("prune", deployer.prune(&stop).await.map(drop)));
            outcomes.push(("status", deployer.status().await.map(drop)));
            outcomes.push(("break_lease", deployer.break_lease().await.map(drop)));
        }
        for (operation, outcome) in outcomes {
            let error = outcome.unwrap_err();
            assert_eq!(error.class(), asset_sync::ErrorClass::Usage, "{operation}: {error}");
            assert!(error.to_string().contains("version 0.9.0 or later"), "{operation}: {error}");
        }
        let mut after = world.store.snapshot("site");
        let mut before = before;
        // A rollback has the lease when it reads the inventory, and gives it back.
        let (now, then) = (after.remove(".deploy/current").unwrap(), before.remove(".deploy/current").unwrap());
        assert_eq!(after, before);
        if newer == "current" {
            assert_eq!(now, then);
        } else {
            let (now, then) = [now, then].map(|o| Current::decode("current", &o.body).unwrap()).into();
            assert_eq!((now.live, now.pending, now.lease), (then.live, None, None));
        }
    }
}

/// Format 1 did not say what kept releases need: it is learnt from their manifests before anything is deleted.
#[tokio::test(start_paused = true)]
async fn what_releases_of_format_1_need_is_not_pruned() {
    let world = World::new();
    let options =
        asset_sync::deploy::Options { keep_releases: 2, grace: jiff::SignedDuration::ZERO, ..world.options() };
    let nth = |n: usize| {
        let (script, page) = (format!("assets/app-0{n}2f9c0d.js"), format!("only-{n}.html"));
        vec![
            ("index.html".to_owned(), crate::world::page(&n.to_string(), &[&script])),
            (page.clone(), page),
            (script, format!("app {n}")),
        ]
    };
    let deploy = |n: usize| {
        let (deployer, site) = (world.deployer_with(options.clone()), world.site(&nth(n)));
        async move { deployer.deploy(&site, &info(&format!("{n}.0.0")), &CancellationToken::new()).await.unwrap() }
    };
    for n in 1..=3 {
        deploy(n).await;
        world.pass(jiff::SignedDuration::from_hours(1));
    }
    to_format_1(&world);
    // 1.0.0 expires; 2.0.0 and 3.0.0 are kept.
    let report = deploy(4).await;
    assert!(report.deleted.files > 0 && world.text("assets/app-012f9c0d.js").is_none());
    for (n, version) in [(3, "3.0.0"), (2, "2.0.0")] {
        let to = RollbackTo::Named(version.into());
        world.deployer_with(options.clone()).rollback(&to, None, &CancellationToken::new()).await.unwrap();
        world.assert_serves(&world.site(&nth(n)));
    }
}
