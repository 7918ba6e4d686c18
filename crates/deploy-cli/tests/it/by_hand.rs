//! Somebody edited the bucket, or deleted the records.

use crate::support::{Run, Target, example};

#[test]
fn what_was_edited_is_found_and_restored_without_the_site() {
    let target = Target::new();
    let live = target.deploy(&example("v1"), "1.0.0").result();
    let sound = target.succeed(&["verify", "--bucket", "--json"]).result();
    assert_eq!((&sound["result"], &sound["differences"]), (&"verified".into(), &serde_json::json!([])));
    assert!(sound["right"].as_u64().unwrap() > 14, "{sound}");

    target.plant("index.html", "edited by hand");
    target.remove("about/index.html");
    let run = Run::of(&mut target.command(&["verify", "--bucket", "--json"]));
    let (message, hint) = run.failed(6, "verification");
    assert!(message.contains("about/index.html is missing"), "{message}");
    let release = live["release"].as_str().unwrap();
    assert!(hint.contains(&format!("deploy rollback --to {release}")), "{hint}");
    assert_eq!(run.result()["differences"].as_array().unwrap().len(), 2, "{run:?}");
    let text = Run::of(target.command(&["verify", "--bucket"]).env("DEPLOY_LOG", "text"));
    assert!(
        text.stdout.contains("index.html has other content (a rollback to the live release restores it)"),
        "{text:?}"
    );

    let restored = target.succeed(&["rollback", "--to", release]).result();
    assert_eq!((&restored["result"], &restored["release"]), (&"rolled-back".into(), &live["release"]));
    target.succeed(&["verify", "--bucket", "--read"]);
    assert_eq!(target.body("index.html"), std::fs::read_to_string(example("v1").join("index.html")).unwrap());
    assert_eq!(target.succeed(&["rollback", "--to", "1.0.0"]).result()["result"], "unchanged");
}

#[test]
fn what_only_the_site_can_restore_is_named() {
    let target = Target::new();
    target.deploy(&example("v1"), "1.0.0");
    let assets = std::fs::read_dir(example("v1").join("assets")).unwrap();
    let mut names = assets.map(|asset| asset.unwrap().file_name().into_string().unwrap());
    let asset = format!("assets/{}", names.find(|name| name.strip_suffix(".js").is_some()).unwrap());
    target.remove(&asset);
    target.remove("index.html");
    let (message, _) = Run::of(&mut target.command(&["rollback", "--to", "1.0.0"])).failed(8, "unfinished");
    assert!(message.starts_with("version 1.0.0 (release r1-") && message.contains(&asset), "{message}");
    assert_eq!(target.body("index.html"), std::fs::read_to_string(example("v1").join("index.html")).unwrap());
    target.deploy(&example("v1"), "1.0.0");
    target.succeed(&["verify", "--bucket"]);
}

#[test]
fn a_bucket_without_records_is_no_empty_one() {
    let target = Target::new();
    let status = |target: &Target| Run::of(target.command(&["status"]).env("DEPLOY_LOG", "text")).stdout;
    assert!(status(&target).contains("Nothing was deployed here yet"));
    target.deploy(&example("v1"), "1.0.0");
    let keys: Vec<String> = target.stand_ins.store().snapshot("site").into_keys().collect();
    keys.iter().filter(|key| key.starts_with(".deploy/")).for_each(|key| target.remove(key));
    let text = status(&target);
    assert!(text.contains("The bucket holds 14 objects here, and there is no record of a release"), "{text}");
    assert_eq!(target.succeed(&["status", "--json"]).result()["unrecorded_objects"], 14);
    // The next release: what differs is named. The same one is taken over, and then the next goes as ever.
    let (message, hint) = Run::of(&mut target.publish("run", &example("v2"), "2.0.0")).failed(7, "refused");
    assert!(message.contains("\"index.html\"") && hint.contains("DEPLOY_ADOPT=take"), "{message} {hint}");
    target.deploy(&example("v1"), "1.0.0");
    target.deploy(&example("v2"), "2.0.0");
    target.succeed(&["rollback", "--to", "1.0.0"]);
}
