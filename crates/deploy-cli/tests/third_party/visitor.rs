//! A person with a page open in a browser while the site changes under it.

use std::process::Command;
use std::time::Duration;

use stand_ins::StandIns;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::process::Server;
use crate::site::Site;
use crate::target::{Access, Target};

/// How long a browser may take for one step on a busy machine.
const DEADLINE: Duration = Duration::from_mins(1);

/// Where the page tells how far it is, and waits until it may go on.
struct Ear(TcpListener);

/// What the page told.
struct Told {
    what: String,
    waiting: TcpStream,
}

impl Ear {
    async fn new() -> Self {
        Self(TcpListener::bind(("127.0.0.1", 0)).await.unwrap())
    }

    fn url(&self) -> String {
        format!("http://{}/", self.0.local_addr().unwrap())
    }

    /// The next word of the page; it waits for [`Told::go_on`].
    async fn hears(&self, browser: &Server) -> Told {
        let told = timeout(DEADLINE, async {
            loop {
                let (mut stream, _) = self.0.accept().await.unwrap();
                let mut head = vec![0; 4096];
                let length = stream.read(&mut head).await.unwrap();
                let head = String::from_utf8_lossy(&head[..length]).into_owned();
                // A browser opens connections ahead of need.
                if let Some(path) = head.strip_prefix("GET /").and_then(|rest| rest.split(' ').next()) {
                    return Told { what: path.to_owned(), waiting: stream };
                }
            }
        });
        told.await.unwrap_or_else(|_| panic!("the page says nothing more: {}", browser.log()))
    }
}

impl Told {
    async fn go_on(mut self) {
        let answer =
            "HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        self.waiting.write_all(answer.as_bytes()).await.unwrap();
    }
}

/// A version whose page loads one chunk at once, and two when it is told to.
fn version(number: u8, ear: &Ear) -> Site {
    let chunk = |name: &str| format!("static/{name}.3f2a9c{number}d.js");
    let (app, lazy, later) = (chunk("app"), chunk("lazy"), chunk("later"));
    let page = format!("<!doctype html><title>{number}</title><script type=\"module\" src=\"/{app}\"></script>");
    let script = format!(
        "const tell = (what) => fetch('{}' + what);
        await tell('open-{number}');
        const lazy = await import('/{lazy}').then((chunk) => chunk.text, () => 'missing');
        await tell('lazy-' + lazy);
        const later = await import('/{later}').then((chunk) => chunk.text, () => 'missing');
        await tell('later-' + later);",
        ear.url()
    );
    let chunk = format!("export const text = 'of-{number}';");
    Site::of(&[("index.html", &page), (&app, &script), (&lazy, &chunk), (&later, &chunk)])
}

/// Opens an address in a browser without a window.
fn browse(url: &str) -> Option<Server> {
    let Some(program) = crate::tool("MTRIBES_TEST_CHROMIUM", "bin/chromium") else {
        crate::skip("the browser Chromium");
        return None;
    };
    Some(Server::start("chromium", |folder| {
        let mut command = Command::new(program);
        command.args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]);
        // Nothing but what the test is about goes over the network.
        command.args(["--no-proxy-server", "--disable-background-networking", "--disable-component-update"]);
        command.arg(format!("--user-data-dir={}", folder.join("profile").display())).arg(url);
        command
    }))
}

/// Promise 2. Shown to be about something by its last step: a chunk whose release is no longer kept
/// is missing in that page.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_was_open_before_a_deployment_loads_its_late_chunks_after_the_prune() {
    let stand_ins = StandIns::builder().start().await.unwrap();
    let access = Access {
        s3: stand_ins.s3_endpoint(),
        cloudfront: Some(stand_ins.cloudfront_endpoint()),
        region: stand_ins::REGION.to_owned(),
        key_id: stand_ins::ACCESS_KEY.to_owned(),
        secret: stand_ins::SECRET_KEY.to_owned(),
    };
    let target = Target::new(&access, stand_ins::BUCKET, "", Some(stand_ins::DISTRIBUTION));
    let ear = Ear::new().await;
    let [ancient, old, new] = [0, 1, 2].map(|number| version(number, &ear));
    let prune = |keep: &str| {
        let strict = target.program.with("DEPLOY_KEEP_RELEASES", keep).with("DEPLOY_GRACE", "0s");
        strict.run(&["prune"]).ended("pruned")
    };

    target.deploy(&ancient, "0.1.0").ended("deployed");
    target.deploy(&old, "1.0.0").ended("deployed");
    let Some(browser) = browse(&stand_ins.edge_endpoint(stand_ins::DISTRIBUTION).unwrap()) else { return };
    let open = ear.hears(&browser).await;
    assert_eq!(open.what, "open-1");

    target.deploy(&new, "2.0.0").ended("deployed");
    assert_eq!(prune("1").number("/deleted/files"), 3, "the chunks of 0.1.0");
    open.go_on().await;
    let lazy = ear.hears(&browser).await;
    assert_eq!(lazy.what, "lazy-of-1", "{}", browser.log());

    assert_eq!(prune("0").number("/deleted/files"), 3, "the chunks of 1.0.0");
    lazy.go_on().await;
    let later = ear.hears(&browser).await;
    assert_eq!(later.what, "later-missing", "{}", browser.log());
    later.go_on().await;
    stand_ins.shutdown().await;
}
