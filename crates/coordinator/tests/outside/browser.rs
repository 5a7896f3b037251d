//! A browser on the dashboard.

use std::process::Stdio;
use std::time::Duration;

use fantoccini::{Client, ClientBuilder, Locator};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::common::{Backend, Server, key, validator};

const EVIL: &str = "<script>document.title='taken over'</script><img src=x onerror=\"document.title='taken over'\">";

/// A driver on a port of its own; dies with this value.
async fn driver() -> Option<(Child, u16)> {
    let mut child = Command::new("chromedriver")
        .arg("--port=0")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .ok()?;
    let mut lines = BufReader::new(child.stdout.take()?).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some((_, port)) = line.split_once("started successfully on port ") {
            return Some((child, port.trim_end_matches('.').parse().ok()?));
        }
    }
    None
}

async fn browser(port: u16) -> Client {
    let options = json!({"goog:chromeOptions": {"args": [
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=390,844"]}});
    let capabilities = options.as_object().unwrap().clone();
    ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new())
        .capabilities(capabilities)
        .connect(&format!("http://127.0.0.1:{port}"))
        .await
        .expect("the browser starts")
}

async fn text_of(client: &Client, css: &str) -> String {
    let wait = client.wait().at_most(Duration::from_secs(20));
    wait.for_element(Locator::Css(css))
        .await
        .unwrap()
        .text()
        .await
        .unwrap()
}

/// That nothing of a miner's became markup, and that the page fits the screen.
async fn is_inert_and_fits(client: &Client) {
    let look = "return [document.scripts.length, document.images.length, document.title, \
                document.documentElement.scrollWidth <= window.innerWidth + 1]";
    let seen = client.execute(look, vec![]).await.unwrap();
    assert_eq!(
        (&seen[0], &seen[1], &seen[3]),
        (&json!(0), &json!(0), &json!(true)),
        "{seen}"
    );
    assert_ne!(seen[2], "taken over");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dashboard_leads_from_a_task_to_a_submission_and_runs_nothing() {
    if std::env::var_os("WITHOUT_BROWSER").is_some() {
        return eprintln!("skipped: WITHOUT_BROWSER is set");
    }
    let Some((_driver, port)) = driver().await else {
        return crate::skip("chromedriver is not installed: install the package chromium-driver");
    };
    let server = Server::start(Backend::Sqlite).await;
    let task = server
        .task(|task| task["title"] = json!(format!("Sort {EVIL}")))
        .await;
    for (miner, score) in [(1, 1.0), (2, 3.0), (3, 2.0)] {
        let submission = server
            .submit(&key(miner), &task, |body| body["summary"] = json!(EVIL))
            .await;
        server.accept(&validator(0), &submission, score).await;
    }
    let client = browser(port).await;
    client.goto(&server.url("/")).await.unwrap();
    assert!(text_of(&client, "h1").await.contains("Tasks"));
    is_inert_and_fits(&client).await;
    client
        .find(Locator::Css(".card a"))
        .await
        .unwrap()
        .click()
        .await
        .unwrap();
    assert!(
        text_of(&client, "h1").await.contains("<script>"),
        "the title is text"
    );
    assert_eq!(
        client
            .find_all(Locator::Css("svg circle.point"))
            .await
            .unwrap()
            .len(),
        3
    );
    assert!(
        client
            .find(Locator::Css("svg path.best"))
            .await
            .unwrap()
            .attr("d")
            .await
            .unwrap()
            .unwrap()
            .starts_with('M')
    );
    is_inert_and_fits(&client).await;
    client
        .find(Locator::Css("table a"))
        .await
        .unwrap()
        .click()
        .await
        .unwrap();
    assert!(text_of(&client, "h1").await.contains("Submission"));
    assert!(
        text_of(&client, "p.text")
            .await
            .contains("<script>document.title"),
        "the summary is text"
    );
    assert!(text_of(&client, "ol.line").await.contains("result posted"));
    is_inert_and_fits(&client).await;
    if let Some(file) = std::env::var_os("DASHBOARD_SCREENSHOT") {
        client.back().await.unwrap();
        std::fs::write(file, client.screenshot().await.unwrap()).unwrap();
    }
    client.close().await.unwrap();
}
