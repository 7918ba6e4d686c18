//! Tools that link the library carry operations out in tasks of their own.

use std::sync::Arc;

use asset_sync::deploy::{IfLive, Outcome, RollbackTo};
use asset_sync::verify::Verifier;
use tokio_util::sync::CancellationToken;

use crate::world::{World, info, v1, v2};

fn assert_send<T: Send>(future: T) -> T {
    future
}

/// Compiled, never called: what is not run below.
#[expect(dead_code, reason = "that it compiles is the test")]
fn what_is_not_run_here(deployer: &asset_sync::Deployer, verifier: &dyn Verifier) {
    drop(assert_send(deployer.verify(verifier)));
    drop(assert_send(deployer.break_lease()));
    drop(assert_send(deployer.begin()));
}

#[tokio::test]
async fn every_operation_can_be_spawned() {
    let world = World::new();
    let deployer = Arc::new(world.deployer());
    let stop = CancellationToken::new();
    for (files, version) in [(v1(), "1.0.0"), (v2(), "2.0.0")] {
        let (deployer, site, stop) = (Arc::clone(&deployer), Arc::new(world.site(&files)), stop.clone());
        let run = tokio::spawn(assert_send(async move {
            let planned = deployer.plan(&site, &info(version)).await?;
            deployer.deploy(&site, &info(version), &stop).await.map(|report| (planned, report))
        }));
        let (planned, report) = run.await.unwrap().unwrap();
        assert_eq!((planned.unchanged, report.result), (false, Outcome::Deployed));
    }
    let run = tokio::spawn(assert_send({
        let (deployer, stop) = (Arc::clone(&deployer), stop.clone());
        async move {
            let if_live = IfLive { name: "2.0.0".into(), execution: None };
            deployer.rollback(&RollbackTo::Previous, Some(&if_live), &stop).await
        }
    }));
    assert_eq!(run.await.unwrap().unwrap().result, Outcome::RolledBack);
    let run = tokio::spawn(assert_send(async move {
        let pruned = deployer.prune(&stop).await?;
        deployer.status().await.map(|status| (pruned, status))
    }));
    let (pruned, status) = run.await.unwrap().unwrap();
    assert_eq!((pruned.result, status.releases.len()), (Outcome::Unchanged, 2));
}
