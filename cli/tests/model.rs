//! `swictation model`, as a person runs it: real program, real files, and a server
//! on this machine in the hub's place.

#![allow(clippy::unwrap_used)]

#[path = "../../models/store/tests/server/mod.rs"]
#[allow(dead_code)]
mod server;

use serde_json::Value;
use server::{Server, broken_off, file, status};
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use swictation_control::exit;
use swictation_tests::need;
use swictation_tests::programs::{Home, Ran, run, toy};

const GRAPH: &[u8] = b"the graph";

fn sha256(bytes: &[u8]) -> String {
    let mut program = Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    program.stdin.take().unwrap().write_all(bytes).unwrap();
    let line = program.wait_with_output().unwrap().stdout;
    String::from_utf8(line).unwrap().split_whitespace().next().unwrap().to_owned()
}

/// A home whose own catalogue has the model `toy`, which comes from `source`.
fn home(source: &str, sum: &str) -> Home {
    let home = Home::new();
    let text = format!(
        "version = 1\n[models.toy]\ndescription = \"for tests\"\nmemory_mb = 12\nfiles = [\n\
         {{ path = \"graph.onnx\", size = 9, sha256 = \"{sum}\", {source} }},\n]\n\
         manifest = \"\"\"\nversion = 1\nname = \"toy\"\nfamily = \"cache-aware-ctc\"\nlanguage = \"en\"\n\
         licence = \"MIT\"\nprecision = \"fp32\"\n[files]\nencoder = {{ path = \"graph.onnx\" }}\n\"\"\"\n"
    );
    fs::write(home.path("config/swictation/catalogue.toml"), text).unwrap();
    home
}

const HUB: &str = "hub = { repo = \"people/toy\", revision = \"main\", file = \"graph.onnx\" }";

/// A hub that has the graph, and a home whose catalogue knows it.
fn with_hub() -> (Server, Home) {
    (Server::new(|request, _| file(request, GRAPH, "\"g\"")), home(HUB, &sha256(GRAPH)))
}

fn model(home: &Home, args: &[&str]) -> Ran {
    run(home.command("swictation").arg("model").args(args))
}

/// Runs it and expects this exit code.
fn gives(home: &Home, args: &[&str], code: u8) -> Ran {
    let ran = model(home, args);
    assert_eq!(ran.code, i32::from(code), "{args:?}: {ran:?}");
    ran
}

#[test]
fn a_model_comes_is_listed_is_verified_and_goes() {
    let (server, home) = with_hub();
    let base = server.base();
    let got = gives(&home, &["get", "toy", "--from", &base], exit::OK);
    assert!(
        got.out.starts_with("toy is installed in ") && got.out.ends_with("has the daemon use it\n"),
        "{got:?}"
    );
    assert_eq!(got.err, "graph.onnx: 9 B, fetched\n");
    assert_eq!(fs::read(home.path("data/swictation/models/toy/graph.onnx")).unwrap(), GRAPH);
    assert_eq!(gives(&home, &["get", "toy", "--from", &base], exit::OK).err, "graph.onnx: is there\n");
    assert_eq!(gives(&home, &["verify"], exit::OK).out, "toy: 2 files are right\n");
    assert_eq!(gives(&home, &["verify", "toy"], exit::OK).out, "toy: 2 files are right\n");
    assert_eq!(gives(&home, &["remove", "toy"], exit::OK).out, "toy is removed\n");
    assert!(!home.path("data/swictation/models/toy").exists());
    assert!(gives(&home, &["verify"], exit::OK).out.ends_with("/models has no model\n"));
    let said = gives(&home, &["remove", "toy"], exit::MODEL).err;
    assert!(said.starts_with("swictation: toy is not installed; "), "{said}");
}

#[test]
fn the_hubs_own_variable_says_where_to_fetch_from() {
    let (server, home) = with_hub();
    let mut command = home.command("swictation");
    let ran = run(command.args(["model", "get", "toy"]).env("HF_ENDPOINT", server.base()));
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(server.asked(), ["GET /people/toy/resolve/main/graph.onnx"]);
    let ran =
        run(home.command("swictation").args(["model", "info", "toy"]).env("HF_ENDPOINT", server.base()));
    assert!(
        ran.out.contains(&format!("  from: {}/people/toy/resolve/main/graph.onnx", server.base())),
        "{ran:?}"
    );
}

#[test]
fn the_list_is_a_table_for_a_person_and_json_for_a_program() {
    let (server, home) = with_hub();
    gives(&home, &["get", "toy", "--from", &server.base()], exit::OK);
    fs::create_dir_all(home.path("data/swictation/models/own")).unwrap();
    fs::write(home.path("data/swictation/models/own/model.toml"), "version = 1\n").unwrap();
    let table = gives(&home, &["list"], exit::OK).out;
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["NAME", "STATE", "SIZE", "LANGUAGE", "FAMILY", "LICENCE", "GOOD", "FOR"]);
    let row = |name: &str| rows.iter().find(|row| row[0] == name).unwrap();
    assert_eq!(row("moonshine-tiny-en")[1], "available");
    assert_eq!(row("own")[1], "unreadable");
    assert_eq!(row("toy")[1], "installed");
    assert_eq!(row("toy")[4..], ["en", "cache-aware-ctc", "MIT", "for", "tests"]);
    let lines = gives(&home, &["list", "--json"], exit::OK).out;
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), rows.len() - 1);
    let toy = lines.iter().find(|line| line["name"] == "toy").unwrap();
    assert_eq!(
        (&toy["installed"], &toy["available"], &toy["memory_mb"]),
        (&true.into(), &true.into(), &12.into())
    );
    assert_eq!((&toy["family"], &toy["precision"]), (&"cache-aware-ctc".into(), &"fp32".into()));
}

#[test]
fn info_says_all_that_is_known_and_where_the_files_come_from() {
    let home = home(HUB, &sha256(GRAPH));
    let said = gives(&home, &["info", "toy"], exit::OK).out;
    for line in [
        "name: toy",
        "state: available",
        "good for: for tests",
        "licence: MIT",
        "size: 9 B",
        "memory: 12 MB",
        &format!("file: graph.onnx, 9 B, sha256 {}", sha256(GRAPH)),
        "  from: https://huggingface.co/people/toy/resolve/main/graph.onnx",
    ] {
        assert!(said.lines().any(|said| said == line), "{line}: {said}");
    }
    let said = gives(&home, &["info", "toys"], exit::MODEL).err;
    assert!(
        said.contains(
            "toys is neither installed nor in the catalogue; the catalogue has moonshine-tiny-en, "
        )
    );
}

#[test]
fn a_damaged_model_is_named_with_the_file_and_what_to_do() {
    let (server, home) = with_hub();
    gives(&home, &["get", "toy", "--from", &server.base()], exit::OK);
    fs::write(home.path("data/swictation/models/toy/graph.onnx"), "another").unwrap();
    let said = gives(&home, &["verify"], exit::MODEL).err;
    let wanted =
        format!("toy/graph.onnx: has sha256 {}, should have sha256 {}", sha256(b"another"), sha256(GRAPH));
    assert!(said.contains(&wanted), "{said}");
    assert!(said.contains("toy is damaged: `swictation model get toy` fetches what is wrong"), "{said}");
}

#[test]
fn what_cannot_be_done_is_explained_and_has_its_exit_code() {
    let home = home(HUB, &sha256(GRAPH));
    let server = Server::new(|_, _| status("404 Not Found"));
    let base = server.base();
    for (args, code, wanted) in [
        (
            &["get", "toys"][..],
            exit::MODEL,
            "toys is not in the catalogue; the catalogue has moonshine-tiny-en, ",
        ),
        (&["get", "../toy"], exit::USAGE, "\"../toy\" is no name of a model"),
        (&["remove", "a/b"], exit::USAGE, "\"a/b\" is no name of a model"),
        (&["verify", ".."], exit::USAGE, "\"..\" is no name of a model"),
        (&["verify", "toy"], exit::MODEL, "toy is not installed"),
        (&["get", "toy", "--from", "hub"], exit::USAGE, "\"hub\" is no base address of a hub"),
        (
            &["get", "moonshine-tiny-en", "--from", &base],
            exit::USAGE,
            "no file of moonshine-tiny-en comes from a hub",
        ),
        (
            &["get", "toy", "--from", &base],
            exit::FAILURE,
            "404 Not Found: there is no such file on the server",
        ),
    ] {
        let said = gives(&home, args, code).err;
        assert!(said.contains(wanted), "{args:?}: {said}");
    }
    fs::write(home.path("config/swictation/catalogue.toml"), "version = 1\n[models.toy]\nsize = 3\n")
        .unwrap();
    let said = gives(&home, &["list"], exit::CONFIGURATION).err;
    assert!(said.contains("swictation/catalogue.toml, line 3: unknown field `size`"), "{said}");
}

#[test]
fn what_is_interrupted_goes_on_with_the_same_command() {
    let bytes = vec![3; 9_000];
    let whole = bytes.clone();
    // The first answer never ends: the person has to.
    let server = Server::new(move |request, n| match n {
        0 => server::unending(broken_off(file(request, &whole, "\"g\""), 5_000)),
        _ => file(request, &whole, "\"g\""),
    });
    let home = home(HUB, &sha256(&bytes));
    let catalogue = home.path("config/swictation/catalogue.toml");
    let text = fs::read_to_string(&catalogue).unwrap();
    fs::write(&catalogue, text.replace("size = 9", "size = 9000")).unwrap();
    let mut command = home.command("swictation");
    command.args(["model", "get", "toy", "--from", &server.base()]);
    let mut first = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let part = home.path("data/swictation/models/.fetching/toy/parts/graph.onnx.part");
    while fs::metadata(&part).map_or(0, |about| about.len()) < 5_000 {
        assert!(first.try_wait().unwrap().is_none());
        std::thread::yield_now();
    }
    let interrupted = Command::new("kill").args(["-INT", &first.id().to_string()]).status();
    assert!(interrupted.unwrap().success() && !first.wait().unwrap().success());
    let listed = gives(&home, &["list"], exit::OK).out;
    assert!(listed.lines().any(|line| line.starts_with("toy ") && line.contains(" begun ")), "{listed}");
    gives(&home, &["get", "toy", "--from", &server.base()], exit::OK);
    assert_eq!(server.header(1, "Range").unwrap(), "bytes=5000-");
    assert_eq!(fs::read(home.path("data/swictation/models/toy/graph.onnx")).unwrap(), bytes);
}

/// A home with a package index of its own, which is a folder with one wheel.
fn with_wheel(member: &str) -> Option<Home> {
    let pip = Command::new("python3").args(["-m", "pip", "--version"]).output();
    if !need("pip", pip.is_ok_and(|done| done.status.success())) {
        return None;
    }
    let index = tempfile::tempdir().unwrap();
    let wheel = index.path().join("toy-1.0-py3-none-any.whl");
    let script = "import sys, zipfile\n\
        with zipfile.ZipFile(sys.argv[1], 'w') as wheel:\n\
        \x20   wheel.writestr('toy/graph.onnx', sys.argv[2])\n\
        \x20   about = 'toy-1.0.dist-info/'\n\
        \x20   wheel.writestr(about + 'METADATA', 'Metadata-Version: 2.1\\nName: toy\\nVersion: 1.0\\n')\n\
        \x20   wheel.writestr(about + 'WHEEL', 'Wheel-Version: 1.0\\nTag: py3-none-any\\n')\n\
        \x20   wheel.writestr(about + 'RECORD', '')\n";
    let made = Command::new("python3").args(["-c", script]).arg(&wheel).arg("the graph").status();
    assert!(made.unwrap().success());
    let sum = sha256(&fs::read(&wheel).unwrap());
    let source = format!(
        "wheel = {{ package = \"toy\", version = \"1.0\", sha256 = \"{sum}\", member = \"{member}\" }}"
    );
    let home = home(&source, &sha256(GRAPH));
    fs::create_dir_all(home.path("index")).unwrap();
    fs::copy(&wheel, home.path("index/toy-1.0-py3-none-any.whl")).unwrap();
    Some(home)
}

fn get_wheel(home: &Home) -> Ran {
    let mut command = home.command("swictation");
    command.args(["model", "get", "toy"]).env("PIP_NO_INDEX", "1").env("PIP_FIND_LINKS", home.path("index"));
    run(&mut command)
}

#[test]
fn a_file_out_of_a_python_package_is_fetched_by_pip() {
    let Some(home) = with_wheel("toy/graph.onnx") else { return };
    let ran = get_wheel(&home);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(fs::read(home.path("data/swictation/models/toy/graph.onnx")).unwrap(), GRAPH);
    assert!(!home.path("data/swictation/models/.fetching/toy").exists());
    gives(&home, &["verify", "toy"], exit::OK);
}

#[test]
fn what_a_python_package_does_not_have_is_named() {
    let Some(home) = with_wheel("toy/other.onnx") else { return };
    let ran = get_wheel(&home);
    assert_eq!(ran.code, i32::from(exit::FAILURE));
    assert!(ran.err.contains("toy-1.0-py3-none-any.whl: ") && ran.err.contains("toy/other.onnx"), "{ran:?}");
    fs::remove_dir_all(home.path("data/swictation/models/.fetching")).unwrap();
    fs::remove_file(home.path("index/toy-1.0-py3-none-any.whl")).unwrap();
    let said = get_wheel(&home).err;
    assert!(said.contains("toy 1.0 could not be fetched; pip said:"), "{said}");
    assert!(said.contains("./scripts/setup fetches the same files"), "{said}");
}

/// A folder of the home with a streaming model as NeMo exports it.
fn exported(home: &Home) -> String {
    let folder = home.path("my model");
    fs::create_dir(&folder).unwrap();
    for (from, to) in [
        ("att70_6-rnnt/encoder-model.onnx", "encoder-model.onnx"),
        ("att70_6-rnnt/decoder_joint-model.onnx", "decoder_joint-model.onnx"),
        ("vocab.txt", "vocab.txt"),
    ] {
        fs::copy(toy(from), folder.join(to)).unwrap();
    }
    folder.to_str().unwrap().to_owned()
}

#[test]
fn a_model_that_is_there_already_is_explained_and_imported() {
    let home = Home::new();
    let folder = exported(&home);
    let shown = gives(&home, &["import", &folder, "--dry-run"], exit::OK).out;
    for line in [
        "layout: NeMo's export",
        "family: cache-aware-rnnt",
        "encoder: encoder-model.onnx, fp32 (100 % f32)",
        "vocabulary: vocab.txt, 128 pieces, blank 128",
        "left_frames = 70",
    ] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    assert!(!home.path("my model/model.toml").exists());
    let done = gives(&home, &["import", &folder, "--licence", "MIT"], exit::OK).out;
    assert!(
        done.contains("swictation transcribe --model ") && done.ends_with("swictation model use my-model\n"),
        "{done}"
    );
    let listed = gives(&home, &["list"], exit::OK).out;
    let row = listed.lines().find(|line| line.starts_with("my-model ")).unwrap();
    assert!(
        row.contains(" installed ") && row.contains(" cache-aware-rnnt ") && row.contains(" MIT"),
        "{row}"
    );
    let info = gives(&home, &["info", "my-model"], exit::OK).out;
    assert!(info.contains("weights: encoder, encoder-model.onnx: 100 % f32\n"), "{info}");
    assert_eq!(gives(&home, &["verify", "my-model"], exit::OK).out, "my-model: 3 files are right\n");
    let said = gives(&home, &["import", &folder], exit::MODEL).err;
    assert!(said.contains("model.toml is there already") && said.contains("--force"), "{said}");
    gives(&home, &["import", &folder, "--force"], exit::OK);
    gives(&home, &["remove", "my-model"], exit::OK);
    assert!(home.path("my model/encoder-model.onnx").exists());
}

#[test]
fn what_is_no_model_is_refused_with_the_file_and_the_way_out() {
    let home = Home::new();
    let folder = exported(&home);
    let said = gives(&home, &["import", &folder, "--name", "../up"], exit::USAGE).err;
    assert!(said.contains("is no name of a model"), "{said}");
    fs::write(home.path("my model/encoder-model.onnx"), "hello").unwrap();
    let said = gives(&home, &["import", &folder], exit::MODEL).err;
    assert!(said.contains("encoder-model.onnx is no ONNX file"), "{said}");
    assert!(
        !home.path("my model/model.toml").exists() && !home.path("data/swictation/models/my-model").exists()
    );
    gives(&home, &["import", &folder, "--precision", "fp8"], exit::USAGE);
    let said = gives(&home, &["import", "nowhere"], exit::FAILURE).err;
    assert!(said.contains("nowhere cannot be read: No such file"), "{said}");
}
