//! The store against servers that break off, lie and send something else.
//!
//! No test needs a network, and none waits: pauses between tries take no time here.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "server/mod.rs"]
#[allow(dead_code)]
mod server;

use server::{Reply, Server, broken_off, file, header, status, with};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use swictation_models::{Catalogue, Event, Http, Patience, Places, Store, installed};
use tempfile::TempDir;

/// Long enough to come in more than one piece.
fn graph() -> Vec<u8> {
    (0..700_000_u32).map(|n| (n * 7 % 251) as u8).collect()
}

const VOCABULARY: &[u8] = b"a 0\n<blk> 1\n";

/// A person's folders, with a catalogue that has the model `toy`.
struct Home {
    folder: TempDir,
}

impl Home {
    /// The catalogue pins both files of the model.
    fn pinned(server: &Server) -> Home {
        let pin =
            |bytes: &[u8]| format!("size = {}, sha256 = \"{}\", ", bytes.len(), sum("sha256sum", bytes));
        Home::new(server, &pin(&graph()), &pin(VOCABULARY))
    }

    fn new(server: &Server, graph: &str, vocabulary: &str) -> Home {
        let home = Home { folder: tempfile::tempdir().unwrap() };
        fs::create_dir_all(home.at("config/swictation")).unwrap();
        let hub =
            |file: &str| format!("hub = {{ repo = \"people/toy\", revision = \"main\", file = \"{file}\" }}");
        let text = format!(
            "version = 1\n[models.toy]\ndescription = \"for tests\"\nfiles = [\n\
             {{ path = \"onnx/graph.onnx\", {graph}{} }},\n{{ path = \"vocab.txt\", {vocabulary}{} }},\n]\n\
             manifest = \"\"\"\nversion = 1\nname = \"toy\"\nfamily = \"cache-aware-ctc\"\nlanguage = \"en\"\n\
             licence = \"MIT\"\nprecision = \"fp32\"\n[files]\nencoder = {{ path = \"onnx/graph.onnx\" }}\n\
             vocabulary = {{ path = \"vocab.txt\" }}\n\"\"\"\n",
            hub("graph.onnx"),
            hub("vocab.txt")
        );
        fs::write(home.at("config/swictation/catalogue.toml"), text).unwrap();
        assert!(server.base().starts_with("http://127.0.0.1:"));
        home
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn model(&self, name: &str) -> PathBuf {
        self.at("data/swictation/models/toy").join(name)
    }

    fn part(&self) -> PathBuf {
        self.at("data/swictation/models/.fetching/toy/parts/onnx/graph.onnx.part")
    }

    fn places(&self) -> Places {
        Places::below(&self.at("data"), &self.at("config"))
    }

    /// Gets the model; what was told meanwhile, or what went wrong.
    fn get(&self, server: &Server) -> Result<Vec<String>, String> {
        self.get_within(server, Duration::from_secs(20))
    }

    fn get_within(&self, server: &Server, silence: Duration) -> Result<Vec<String>, String> {
        let patience = Patience { silence, tries: 3, pause: |_| Duration::ZERO };
        let catalogue = Catalogue::read(&self.places()).map_err(|e| e.to_string())?;
        let store = Store::new(self.places(), Http::new(patience), &server.base()).unwrap();
        let mut told = Vec::new();
        let done = store.get(catalogue.get("toy").unwrap(), &mut |event| match event {
            Event::File(path) => told.push(path.to_owned()),
            Event::Again(why) => told.push(why.to_owned()),
            Event::There => told.push("there".into()),
            Event::Bytes(..) | Event::Done => {}
        });
        done.map(|()| told).map_err(|e| e.to_string())
    }

    /// The model is there as it should be, and nothing else is.
    fn is_installed(&self) {
        assert!(fs::read(self.model("onnx/graph.onnx")).unwrap() == graph());
        assert_eq!(fs::read(self.model("vocab.txt")).unwrap(), VOCABULARY);
        assert!(fs::read_to_string(self.model("model.toml")).unwrap().contains("name = \"toy\""));
        assert!(!self.at("data/swictation/models/.fetching/toy").exists());
        let verified = installed::verify(&self.places(), "toy").unwrap();
        assert_eq!((verified.right, verified.faults), (3, Vec::new()));
    }
}

/// What the system's own program says a text hashes to.
fn sum(program: &str, bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bytes");
    fs::write(&path, bytes).unwrap();
    let done = Command::new(program).arg(path).stdin(Stdio::null()).output().unwrap();
    String::from_utf8(done.stdout).unwrap().split_whitespace().next().unwrap().to_owned()
}

/// Sends the vocabulary to whoever asks for it, and what the test plans otherwise.
fn serving(plan: impl Fn(&server::Request, usize) -> Reply + Send + Sync + 'static) -> Server {
    Server::new(move |request, n| {
        if request[0].contains("vocab.txt") { file(request, VOCABULARY, "\"v\"") } else { plan(request, n) }
    })
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_model_is_fetched_checked_and_installed_for_its_owner_alone() {
    let server = serving(|request, _| file(request, &graph(), "\"g\""));
    let home = Home::pinned(&server);
    assert_eq!(home.get(&server).unwrap(), ["onnx/graph.onnx", "vocab.txt"]);
    home.is_installed();
    assert_eq!(server.asked()[0], "GET /people/toy/resolve/main/graph.onnx");
    for file in ["model.toml", "SHA256SUMS", "onnx/graph.onnx", "vocab.txt"] {
        assert_eq!(mode(&home.model(file)), 0o600, "{file}");
    }
    assert_eq!((mode(&home.model("")), mode(&home.model("onnx"))), (0o700, 0o700));
    let mut checked = Command::new("sha256sum");
    checked.args(["--check", "--quiet", "SHA256SUMS"]).current_dir(home.model(""));
    assert!(checked.status().unwrap().success());
}

#[test]
fn what_is_there_is_not_fetched_again_and_what_is_damaged_is() {
    let server = serving(|request, _| file(request, &graph(), "\"g\""));
    let home = Home::pinned(&server);
    home.get(&server).unwrap();
    assert_eq!(home.get(&server).unwrap(), ["onnx/graph.onnx", "there", "vocab.txt", "there"]);
    assert_eq!(server.asked().len(), 2);
    fs::write(home.model("vocab.txt"), "a 1\n").unwrap();
    fs::write(home.model("stray"), "").unwrap();
    let faults = installed::verify(&home.places(), "toy").unwrap().faults;
    assert!(faults.len() == 1 && faults[0].contains("toy/vocab.txt: has sha256 "), "{faults:?}");
    assert_eq!(home.get(&server).unwrap(), ["onnx/graph.onnx", "there", "vocab.txt"]);
    assert!(!home.model("stray").exists());
    home.is_installed();
}

#[test]
fn a_connection_that_breaks_off_goes_on_from_there() {
    let server = serving(|request, n| match n {
        0 => broken_off(file(request, &graph(), "\"g\""), 300_000),
        _ => file(request, &graph(), "\"g\""),
    });
    let home = Home::pinned(&server);
    let told = home.get(&server).unwrap();
    assert!(told[1].starts_with("the connection broke off"), "{told:?}");
    assert_eq!(server.header(1, "Range").unwrap(), "bytes=300000-");
    assert_eq!(server.header(1, "If-Range").unwrap(), "\"g\"");
    home.is_installed();
}

#[test]
fn a_server_that_sends_a_piece_at_a_time_gets_there_in_the_end() {
    let server = serving(|request, _| broken_off(file(request, &graph(), "\"g\""), 100_000));
    let home = Home::pinned(&server);
    home.get(&server).unwrap();
    assert_eq!(server.asked().len(), 8);
    home.is_installed();
}

#[test]
fn after_some_tries_the_part_stays_and_the_same_command_goes_on() {
    let server = serving(|request, n| match n {
        0 => broken_off(file(request, &graph(), "\"g\""), 300_000),
        1..=3 => status("503 Service Unavailable"),
        _ => file(request, &graph(), "\"g\""),
    });
    let home = Home::pinned(&server);
    let said = home.get(&server).unwrap_err();
    assert!(
        said.contains("graph.onnx: the server answers 503 Service Unavailable, 3 times in a row"),
        "{said}"
    );
    assert!(
        said.ends_with("; 300000 of 700000 bytes are kept, and the same command goes on from there"),
        "{said}"
    );
    assert_eq!((fs::metadata(home.part()).unwrap().len(), mode(&home.part())), (300_000, 0o600));
    assert!(!home.model("").exists());
    home.get(&server).unwrap();
    assert_eq!(server.header(4, "Range").unwrap(), "bytes=300000-");
    home.is_installed();
}

#[test]
fn a_server_that_ignores_ranges_begins_anew() {
    let server = serving(|request, n| {
        let whole: Vec<_> = request.iter().filter(|line| !line.starts_with("range:")).cloned().collect();
        assert!(header(&whole, "Range").is_none());
        let reply = file(&whole, &graph(), "\"g\"");
        if n == 0 { broken_off(reply, 300_000) } else { reply }
    });
    let home = Home::pinned(&server);
    home.get(&server).unwrap();
    assert!(server.header(1, "Range").is_some());
    home.is_installed();
}

#[test]
fn a_file_that_changes_between_two_requests_begins_anew() {
    let old = vec![1; 700_000];
    let server = serving(move |request, n| match n {
        0 => broken_off(file(request, &old, "\"old\""), 300_000),
        // A server that knows If-Range sends the whole of the new file.
        _ => file(request, &graph(), "\"new\""),
    });
    let home = Home::pinned(&server);
    home.get(&server).unwrap();
    home.is_installed();
}

#[test]
fn a_rest_of_another_file_is_not_joined_to_the_part() {
    let old = vec![1; 700_000];
    let server = serving(move |request, n| match n {
        0 => broken_off(file(request, &old, "\"old\""), 300_000),
        1 => with(file(request, &old, "\"old\""), "ETag: \"new\""),
        _ => file(request, &graph(), "\"new\""),
    });
    let home = Home::pinned(&server);
    let told = home.get(&server).unwrap();
    assert!(told.contains(&"the file on the server has changed".to_owned()), "{told:?}");
    assert_eq!(server.header(2, "Range"), None);
    home.is_installed();
}

#[test]
fn a_rest_from_another_place_than_was_asked_for_is_not_joined_either() {
    let server = serving(|request, n| match n {
        0 => broken_off(file(request, &graph(), "\"g\""), 300_000),
        1 => with(file(request, &graph(), "\"g\""), "Content-Range: bytes 299999-699999/700000"),
        _ => file(request, &graph(), "\"g\""),
    });
    let home = Home::pinned(&server);
    home.get(&server).unwrap();
    home.is_installed();
}

#[test]
fn a_part_without_a_strong_etag_begins_anew() {
    let server = serving(|request, n| match n {
        0..=2 => broken_off(file(request, &graph(), "W/\"g\""), 300_000),
        _ => file(request, &graph(), "\"g\""),
    });
    let home = Home::pinned(&server);
    let said = home.get(&server).unwrap_err();
    assert!(said.ends_with("3 times in a row; the same command begins anew"), "{said}");
    home.get(&server).unwrap();
    assert_eq!(server.header(3, "Range"), None);
    home.is_installed();
}

#[test]
fn a_length_that_is_not_the_promised_one_is_an_error_with_both_numbers() {
    for (lie, told) in [("700010", "700010"), ("699990", "699990")] {
        let line = format!("Content-Length: {lie}");
        let server = serving(move |request, _| with(file(request, &graph(), "\"g\""), &line));
        let home = Home::pinned(&server);
        let said = home.get(&server).unwrap_err();
        let wanted = format!("the server says that it has {told} bytes, it should have 700000");
        assert!(said.contains(&wanted), "{said}");
        assert_eq!(server.asked().len(), 1);
        assert!(!home.model("").exists() && !home.part().exists());
    }
}

#[test]
fn more_bytes_than_promised_are_an_error_with_both_numbers() {
    // Without a Content-Length there is no end but that of the connection.
    let server = serving(|_, _| Reply::Send { status: "200 OK", head: Vec::new(), body: vec![0; 700_100] });
    let home = Home::pinned(&server);
    let said = home.get(&server).unwrap_err();
    assert!(said.contains("sends more than the 700000 bytes there should be, 700100 and on"), "{said}");
    assert!(!home.part().exists());
}

#[test]
fn fewer_bytes_than_promised_are_an_error_with_both_numbers() {
    let server = serving(|_, _| Reply::Send { status: "200 OK", head: Vec::new(), body: vec![0; 600_000] });
    let home = Home::pinned(&server);
    let said = home.get(&server).unwrap_err();
    assert!(said.contains("it ended after 600000 of 700000 bytes, 3 times in a row"), "{said}");
}

#[test]
fn wrong_bytes_are_thrown_away_and_an_installed_model_stays() {
    let server = serving(|request, n| match n {
        0 => file(request, &graph(), "\"g\""),
        _ => file(request, &vec![7; 700_000], "\"g\""),
    });
    let home = Home::pinned(&server);
    home.get(&server).unwrap();
    // What is installed is good; the catalogue has a new version, which is not.
    let catalogue = home.places().catalogue().to_owned();
    let text = fs::read_to_string(&catalogue).unwrap();
    fs::write(&catalogue, text.replace(&sum("sha256sum", &graph()), &"ab".repeat(32))).unwrap();
    let said = home.get(&server).unwrap_err();
    let found = sum("sha256sum", &vec![7; 700_000]);
    let wanted = format!("onnx/graph.onnx of toy: what came has sha256 {found}, it should have sha256 abab");
    assert!(said.starts_with(&wanted), "{said}");
    assert!(!home.part().exists());
    assert!(fs::read(home.model("onnx/graph.onnx")).unwrap() == graph());
    assert!(installed::verify(&home.places(), "toy").unwrap().faults.is_empty());
    // What was right of the new version is kept for the next time.
    fs::write(&catalogue, text).unwrap();
    home.get(&server).unwrap();
    home.is_installed();
}

#[test]
fn what_is_not_there_or_not_for_everybody_is_not_asked_for_twice() {
    for (answer, wanted) in [
        ("404 Not Found", "graph.onnx: 404 Not Found: there is no such file on the server"),
        ("403 Forbidden", "graph.onnx: 403 Forbidden: the server does not give it to everybody"),
    ] {
        let server = serving(move |_, _| status(answer));
        let home = Home::pinned(&server);
        let said = home.get(&server).unwrap_err();
        assert!(said.contains(wanted), "{said}");
        assert_eq!(server.asked().len(), 1);
    }
}

#[test]
fn a_hub_that_sends_to_another_host_is_followed_with_the_range() {
    let store = Server::new(|request, n| match n {
        0 => broken_off(file(request, &graph(), "\"g\""), 300_000),
        _ => file(request, &graph(), "\"g\""),
    });
    let place = format!("Location: {}/blobs/1", store.base());
    let hub = serving(move |_, _| with(status("302 Found"), &place));
    let home = Home::pinned(&hub);
    home.get(&hub).unwrap();
    assert_eq!(store.asked(), ["GET /blobs/1", "GET /blobs/1"]);
    assert_eq!(store.header(1, "Range").unwrap(), "bytes=300000-");
    home.is_installed();
}

#[test]
fn a_server_that_never_answers_is_given_up() {
    let server = serving(|_, _| Reply::Silence);
    let home = Home::pinned(&server);
    let said = home.get_within(&server, Duration::from_millis(50)).unwrap_err();
    assert!(said.contains("graph.onnx: the server is silent, 3 times in a row"), "{said}");
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = serving(|_, _| Reply::Silence);
    let home = Home::pinned(&server);
    let patience = Patience { silence: Duration::from_secs(20), tries: 2, pause: |_| Duration::ZERO };
    let store = Store::new(home.places(), Http::new(patience), &format!("http://{gone}")).unwrap();
    let catalogue = Catalogue::read(&home.places()).unwrap();
    let said = store.get(catalogue.get("toy").unwrap(), &mut |_| {}).unwrap_err().to_string();
    assert!(said.contains("the server cannot be reached, 2 times in a row"), "{said}");
}

/// The head of an answer as the hub sends it for a large file.
fn large(sum: &str, size: usize) -> Reply {
    let reply = with(status("302 Found"), "Location: https://elsewhere.invalid/blob");
    with(with(reply, &format!("X-Linked-Etag: \"{sum}\"")), &format!("X-Linked-Size: {size}"))
}

#[test]
fn what_the_catalogue_does_not_pin_the_hub_tells() {
    let (sha, git) = (sum("sha256sum", &graph()), sum_of_git(VOCABULARY));
    let server = Server::new(move |request, _| match request[0].split(' ').collect::<Vec<_>>()[..2] {
        ["HEAD", "/people/toy/resolve/main/graph.onnx"] => large(&sha, 700_000),
        ["GET", "/people/toy/resolve/main/graph.onnx"] => file(request, &graph(), "\"g\""),
        // A small file is moved within the hub, and its ETag is what git calls it.
        ["HEAD", "/people/toy/resolve/main/vocab.txt"] => {
            with(status("307 Temporary Redirect"), "Location: /cache/vocab.txt")
        }
        _ => file(request, VOCABULARY, &format!("\"{git}\"")),
    });
    let home = Home::new(&server, "", "");
    home.get(&server).unwrap();
    home.is_installed();
    assert_eq!(server.asked().iter().filter(|line| line.starts_with("HEAD")).count(), 3);
}

fn sum_of_git(bytes: &[u8]) -> String {
    let mut blob = format!("blob {}\0", bytes.len()).into_bytes();
    blob.extend_from_slice(bytes);
    sum("sha1sum", &blob)
}

#[test]
fn what_the_hub_tells_is_held_against_what_comes() {
    for (told, size, wanted) in [
        ("ab".repeat(32), 700_000, "it should have sha256 abab"),
        ("cd".repeat(20), 700_000, "it should have git blob cdcd"),
        (sum("sha256sum", &graph()), 600_000, "says that it has 700000 bytes, it should have 600000"),
        ("no hash".into(), 700_000, "the server does not say what the file hashes to"),
    ] {
        let server = serving(move |request, _| match request[0].starts_with("HEAD") {
            true => large(&told, size),
            false => file(request, &graph(), "\"g\""),
        });
        let home = Home::new(&server, "", "");
        let said = home.get(&server).unwrap_err();
        assert!(said.contains(wanted), "{said}");
        assert!(!home.model("").exists());
    }
    let sha = sum("sha256sum", &graph());
    let server = serving(move |_, _| large(&sha, 700_000));
    let said = Home::new(&server, "size = 5, ", "").get(&server).unwrap_err();
    assert!(said.contains("says that it has 700000 bytes, the catalogue says 5"), "{said}");
}

#[test]
fn a_full_disk_is_named_with_what_is_needed() {
    let server = serving(|request, _| file(request, &graph(), "\"g\""));
    let home = Home::pinned(&server);
    fs::create_dir_all(home.part().parent().unwrap()).unwrap();
    symlink("/dev/full", home.part()).unwrap();
    let said = home.get(&server).unwrap_err();
    assert!(said.contains("graph.onnx.part cannot be written: "), "{said}");
    assert!(said.contains("It needs 700000 bytes more (1 MB): make room"), "{said}");
}

#[test]
fn an_old_model_is_replaced_at_once_and_as_a_whole() {
    let server = serving(|request, _| file(request, &graph(), "\"g\""));
    let home = Home::pinned(&server);
    fs::create_dir_all(home.model("")).unwrap();
    fs::write(home.model("model.toml"), "an old one").unwrap();
    home.get(&server).unwrap();
    home.is_installed();
    // A link is replaced as well, and what it leads to stays.
    installed::remove(&home.places(), "toy").unwrap();
    fs::create_dir_all(home.at("elsewhere")).unwrap();
    fs::write(home.at("elsewhere/model.toml"), "an old one").unwrap();
    symlink(home.at("elsewhere"), home.at("data/swictation/models/toy")).unwrap();
    home.get(&server).unwrap();
    home.is_installed();
    assert!(home.at("elsewhere/model.toml").exists());
}

#[test]
fn two_do_not_fetch_at_the_same_time() {
    let server = serving(|_, _| Reply::Silence);
    let home = Home::pinned(&server);
    fs::create_dir_all(home.at("data/swictation/models/.fetching")).unwrap();
    let lock = fs::File::create(home.at("data/swictation/models/.fetching/.lock")).unwrap();
    lock.lock().unwrap();
    let said = home.get(&server).unwrap_err();
    assert!(said.contains("another `swictation model` fetches or removes a model"), "{said}");
    assert!(server.asked().is_empty());
}

#[test]
fn a_model_is_removed_by_its_name_and_by_nothing_else() {
    let server = serving(|request, _| file(request, &graph(), "\"g\""));
    let home = Home::pinned(&server);
    home.get(&server).unwrap();
    for name in ["../toy", "a/b", "..", ".", "", ".fetching", "/etc", "toy/", "t\0y"] {
        let said = installed::remove(&home.places(), name).unwrap_err().to_string();
        assert!(said.contains("is no name of a model"), "{name}: {said}");
    }
    let said = installed::remove(&home.places(), "toys").unwrap_err().to_string();
    assert!(said.starts_with("toys is not installed; ") && said.ends_with("/models has toy"), "{said}");
    installed::remove(&home.places(), "toy").unwrap();
    assert!(!home.model("").exists() && installed::all(&home.places()).unwrap().is_empty());
    let said = installed::remove(&home.places(), "toy").unwrap_err().to_string();
    assert!(said.ends_with("/models has no model"), "{said}");
}

#[test]
fn what_was_begun_can_be_removed_too() {
    let server = serving(|request, _| broken_off(file(request, &graph(), "W/\"g\""), 9));
    let home = Home::pinned(&server);
    home.get(&server).unwrap_err();
    assert!(home.part().exists());
    installed::remove(&home.places(), "toy").unwrap();
    assert!(!home.part().exists());
}

#[test]
fn a_model_without_sums_of_its_own_is_held_against_its_manifest() {
    let home = Home { folder: tempfile::tempdir().unwrap() };
    fs::create_dir_all(home.model("")).unwrap();
    let manifest = format!(
        "version = 1\nname = \"toy\"\nfamily = \"moonshine\"\nlanguage = \"en\"\nlicence = \"MIT\"\n\
         precision = \"int8\"\n[files]\na = {{ path = \"a\", sha256 = \"{}\" }}\nb = {{ path = \"b\" }}\n",
        sum("sha256sum", b"a")
    );
    fs::write(home.model("model.toml"), manifest).unwrap();
    fs::write(home.model("a"), "a").unwrap();
    let verified = installed::verify(&home.places(), "toy").unwrap();
    assert_eq!((verified.right, verified.unknown, verified.faults), (1, vec!["b".into()], vec![]));
    fs::remove_file(home.model("a")).unwrap();
    let faults = installed::verify(&home.places(), "toy").unwrap().faults;
    assert!(faults[0].ends_with("/a: is missing"), "{faults:?}");
    fs::write(home.model("model.toml"), "version = 1\n").unwrap();
    let faults = installed::verify(&home.places(), "toy").unwrap().faults;
    assert!(faults[0].contains("model.toml, line 1: missing field `name`"), "{faults:?}");
}
