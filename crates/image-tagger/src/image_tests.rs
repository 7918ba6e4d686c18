use super::*;

fn layer() -> Layer {
    Layer { digest: Digest::of(b"new"), size: 3, diff_id: Digest::of(b"new tar") }
}

fn additions() -> Additions {
    Additions {
        environment: vec![("DEPLOY_VERSION", Some("1.0.0".to_owned())), ("DEPLOY_BUILD", None)],
        annotations: vec![("org.opencontainers.image.version", "1.0.0".to_owned())],
        created: Some("2026-01-01T00:00:00Z".to_owned()),
    }
}

fn docker_base() -> (Value, Value) {
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST,
        "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "digest": Digest::of(b"c"), "size": 1},
        "layers": [{"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", "digest": Digest::of(b"l"), "size": 1, "x-note": 1}],
        "x-unknown": {"kept": true},
        "subject": {"digest": "x"},
    });
    let config = json!({
        "architecture": "arm64",
        "os": "linux",
        "x-unknown": [1, 2],
        "config": {"Env": ["PATH=/bin", "DEPLOY_BUILD=7", "DEPLOY_VERSION=0.9.0"], "User": "65532:65532", "OnBuild": null, "Labels": null},
        "rootfs": {"type": "layers", "diff_ids": [Digest::of(b"l tar")]},
        "history": [{"created_by": "COPY deploy"}],
    });
    (manifest, config)
}

#[test]
fn unknown_fields_survive_and_ours_are_set() {
    let (manifest, config) = docker_base();
    let new = append(&manifest, &config, &layer(), &additions()).unwrap();
    let config: Value = serde_json::from_slice(&new.config).unwrap();
    assert_eq!(config["x-unknown"], json!([1, 2]));
    assert_eq!(config["architecture"], "arm64");
    assert_eq!(config["config"]["User"], "65532:65532");
    assert_eq!(config["config"]["Env"], json!(["PATH=/bin", "DEPLOY_VERSION=1.0.0"]));
    assert_eq!(config["config"]["Labels"]["org.opencontainers.image.version"], "1.0.0");
    assert_eq!(config["rootfs"]["diff_ids"], json!([Digest::of(b"l tar"), Digest::of(b"new tar")]));
    assert_eq!(config["history"].as_array().unwrap().len(), 2);
    assert_eq!(config["created"], "2026-01-01T00:00:00Z");

    let json = new.manifest.json().unwrap();
    assert_eq!(json["x-unknown"]["kept"], true);
    assert_eq!(json.get("subject"), None);
    assert_eq!(json["mediaType"], OCI_MANIFEST);
    assert_eq!(json["config"]["mediaType"], OCI_CONFIG);
    assert_eq!(json["config"]["digest"], json!(Digest::of(&new.config)));
    assert_eq!(json["layers"][0]["mediaType"], OCI_LAYER);
    assert_eq!(json["layers"][0]["x-note"], 1);
    assert_eq!(
        layers(&json).unwrap(),
        [Descriptor { digest: Digest::of(b"l"), size: 1 }, Descriptor { digest: Digest::of(b"new"), size: 3 }]
    );
    assert_eq!(json["annotations"]["org.opencontainers.image.version"], "1.0.0");
}

#[test]
fn a_bare_base_is_enough() {
    let manifest = json!({"schemaVersion": 2, "config": {"digest": Digest::of(b"c"), "size": 1}, "layers": []});
    let new = append(&manifest, &json!({}), &layer(), &Additions::default()).unwrap();
    let config: Value = serde_json::from_slice(&new.config).unwrap();
    assert_eq!(config["rootfs"]["diff_ids"].as_array().unwrap().len(), 1);
    // With layers and no history, one entry would tell of the wrong layer.
    let (manifest, mut config) = docker_base();
    config.as_object_mut().unwrap().remove("history");
    let new = append(&manifest, &config, &layer(), &additions()).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&new.config).unwrap().get("history"), None);
}

#[test]
fn what_is_no_image_is_explained() {
    let (manifest, config) = docker_base();
    for bad in [json!([]), json!({"layers": 1}), json!({})] {
        assert!(append(&bad, &config, &layer(), &additions()).is_err(), "{bad}");
        assert!(layers(&bad).is_err(), "{bad}");
    }
    for bad in [json!("x"), json!({"config": 1}), json!({"rootfs": []}), json!({"config": {"Env": {}}})] {
        assert!(append(&manifest, &bad, &layer(), &additions()).is_err(), "{bad}");
    }
    let foreign = json!({"layers": [{"mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"}]});
    assert!(layers(&foreign).unwrap_err().contains("not supported"));
}

#[test]
fn an_index_keeps_platforms_and_loses_attestations() {
    let index = json!({
        "schemaVersion": 2,
        "mediaType": DOCKER_LIST,
        "x-unknown": 1,
        "manifests": [
            {"mediaType": DOCKER_MANIFEST, "digest": Digest::of(b"a"), "size": 1, "platform": {"os": "linux", "architecture": "amd64"}},
            {"mediaType": OCI_MANIFEST, "digest": Digest::of(b"b"), "size": 1, "data": "eA==", "platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}},
            {"mediaType": OCI_MANIFEST, "digest": Digest::of(b"p"), "size": 1, "platform": {"os": "unknown", "architecture": "unknown"}},
        ],
    });
    let images = platforms(&index).unwrap();
    assert_eq!(images.len(), 2);
    let (manifest, config) = docker_base();
    let new = append(&manifest, &config, &layer(), &additions()).unwrap().manifest;
    let made: Vec<_> = images.into_iter().map(|(_, entry)| (entry, new.clone())).collect();
    let reindexed = reindex(&index, &made, &additions()).unwrap();
    let json = reindexed.json().unwrap();
    assert!(reindexed.is_index());
    assert_eq!(json["x-unknown"], 1);
    assert_eq!(json["manifests"].as_array().unwrap().len(), 2);
    assert_eq!(json["manifests"][1]["platform"]["variant"], "v8");
    assert_eq!(json["manifests"][1].get("data"), None);
    assert_eq!(json["manifests"][0]["digest"], json!(new.digest()));
    assert_eq!(json["annotations"]["org.opencontainers.image.version"], "1.0.0");
    assert!(platforms(&json!({"manifests": []})).is_err());
}
