//! Garage: a real storage server. It ignores conditional writes.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::process::{Server, free_port};
use crate::target::Access;

pub(crate) const BUCKET: &str = "site";
const REGION: &str = "garage";
const ACCESS_KEY: &str = "GK0123456789abcdef01234567";
/// Opens nothing but a server of a test.
const SECRET_KEY: &str = "5a1d2c3b4e5f60718293a4b5c6d7e8f901234567890abcdef0123456789abcde";

/// A running Garage with a bucket.
#[derive(Debug)]
pub(crate) struct Garage {
    pub(crate) access: Access,
    _server: Server,
}

impl Garage {
    /// Starts it; `None`, said loudly, where it is not at hand: building it takes minutes.
    pub(crate) async fn start() -> Option<Self> {
        let Some(program) = crate::tool("MTRIBES_TEST_GARAGE", "bin/garage") else {
            crate::skip_loudly("the storage server garage (scripts/test --full builds it)");
            return None;
        };
        loop {
            if let Some(garage) = Self::try_start(&program).await {
                return Some(garage);
            }
        }
    }

    async fn try_start(program: &PathBuf) -> Option<Self> {
        let [s3, rpc, admin, web] = [(); 4].map(|()| free_port());
        let mut server = Server::start("garage", |folder| {
            let config = folder.join("garage.toml");
            fs::write(&config, configuration(s3, rpc, admin, web)).unwrap();
            let mut command = Command::new(program);
            command.arg("-c").arg(config).args(["server", "--single-node", "--default-bucket"]);
            command.env("GARAGE_DEFAULT_ACCESS_KEY", ACCESS_KEY).env("GARAGE_DEFAULT_SECRET_KEY", SECRET_KEY);
            command.env("GARAGE_DEFAULT_BUCKET", BUCKET);
            command
        });
        let access = Access {
            s3: format!("http://127.0.0.1:{s3}"),
            cloudfront: None,
            region: REGION.to_owned(),
            key_id: ACCESS_KEY.to_owned(),
            secret: SECRET_KEY.to_owned(),
        };
        let client = access.s3_client();
        // It listens before it has its layout, its key and its bucket.
        let is_ready = async || client.list_objects_v2().bucket(BUCKET).send().await.is_ok();
        if server.becomes_ready(is_ready).await {
            return Some(Self { access, _server: server });
        }
        assert!(server.log().contains("in use"), "garage does not start: {}", server.log());
        None
    }
}

fn configuration(s3: u16, rpc: u16, admin: u16, web: u16) -> String {
    format!(
        r#"
metadata_dir = "meta"
data_dir = "data"
db_engine = "lmdb"
replication_factor = 1
rpc_bind_addr = "127.0.0.1:{rpc}"
rpc_public_addr = "127.0.0.1:{rpc}"
rpc_secret = "{secret}"

[s3_api]
s3_region = "{REGION}"
api_bind_addr = "127.0.0.1:{s3}"

[s3_web]
bind_addr = "127.0.0.1:{web}"
root_domain = ".web.localhost"

[admin]
api_bind_addr = "127.0.0.1:{admin}"
"#,
        secret = "0f".repeat(32),
    )
}
