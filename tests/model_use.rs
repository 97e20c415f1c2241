//! Another model while the daemon runs: it is used when it works, and when it does not
//! the model in use dictates on as if nothing had happened.
//!
//! Bad models are made here from a good one, byte by byte. Protocol buffers can be
//! appended to each other: what follows a model's bytes adds to its graph.

use crate::bad_input::{assert_refused, assert_says, desk, edit, transcribe, verb};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use swictation_control::exit;
use swictation_tests::bus::Bus;
use swictation_tests::programs::{Daemon, Follower, Home, PATIENCE, Ran, recording, run, runtime, toy};
use swictation_tests::protobuf::{field, number};

/// The model in use: the one that bad ones are made of.
const GOOD: &str = "att70_6-rnnt";

/// A daemon that dictates a recording with a good model, and what is seen of it.
struct Desk {
    bus: Bus,
    home: Home,
    status: Follower,
    daemon: Daemon,
    /// What the good model makes of the recording.
    text: String,
    /// What stands in config.toml.
    config: String,
    source: String,
}

fn start(bus: &Bus, home: &Home, source: &str) -> Daemon {
    let mut command = home.command("swictationd");
    Daemon::start(bus.give_to(&mut command).args(["--typist", "stdout", "--source", source]))
}

impl Desk {
    fn new() -> Option<Desk> {
        Desk::hearing("")
    }

    /// With this behind the name of the recording.
    fn hearing(pace: &str) -> Option<Desk> {
        let (Some(_), Some(wav), Some((bus, home, mut status))) =
            (runtime(), recording("beckett.wav"), desk())
        else {
            return None;
        };
        let good = model(&home, "good", |_| {});
        fs::copy(toy("vocab.txt"), home.path("data/swictation/models/vocab.txt")).unwrap();
        let ran = transcribe(&home, &good, &wav);
        assert_eq!(ran.code, 0, "{ran:?}");
        let text = ran.out.trim().to_owned() + " ";
        let config =
            "# mine\nthreads = 1 # one is enough\nmodel = \"good\" # small\ndevice = \"cpu\"\n".to_owned();
        home.configure(&config);
        let source = format!("wav:{}{pace}", wav.display());
        let daemon = start(&bus, &home, &source);
        status.until("an engine", |line| line["engine"]["state"] == "ready");
        Some(Desk { bus, home, status, daemon, text, config, source })
    }

    fn model(&self, args: &[&str]) -> Ran {
        verb(&self.bus, &self.home, &[&["model"], args].concat())
    }

    /// Begins `swictation model use` and does not wait for its end.
    fn begin_use(&self, name: &str) -> Child {
        let mut command = self.home.command("swictation");
        self.bus.give_to(&mut command).args(["model", "use", name]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Dictates the recording; what was typed.
    fn dictate(&mut self) -> String {
        assert_eq!(verb(&self.bus, &self.home, &["start"]).code, 0);
        self.status.until("a dictation", |line| line["state"] != "idle");
        self.status.state("idle");
        self.daemon.printed(self.text.len())
    }

    fn used(&self) -> Value {
        let status = verb(&self.bus, &self.home, &["status", "--json"]);
        let mut status: Value = serde_json::from_str(&status.out).unwrap();
        assert_eq!(status["engine"]["state"], "ready", "{status}");
        status["engine"]["folder"].take()
    }

    fn written(&self) -> String {
        fs::read_to_string(self.home.path("config/swictation/config.toml")).unwrap()
    }

    /// Asks for a model that is bad: the answer and the trouble say all of `parts`,
    /// and the one in use is still in use, and types the same.
    fn refuses(&mut self, name: &str, parts: &[&str]) {
        let ran = self.model(&["use", name]);
        assert_refused(&ran, exit::MODEL, parts);
        let trouble = self.status.trouble(&format!("{name} is not in use: "));
        assert_says(&trouble, parts);
        assert!(trouble.len() < 2000, "{trouble}");
        assert_eq!(self.used(), self.home.path("data/swictation/models/good").to_str().unwrap());
        assert_eq!(self.written(), self.config, "{name}");
        assert_eq!(self.dictate(), self.text, "after {name}");
        assert!(self.daemon.runs());
    }
}

/// A copy of the good toy without its sums, with a vocabulary of its own, to be damaged.
fn model(home: &Home, name: &str, damage: impl FnOnce(&Path)) -> PathBuf {
    let copy = home.path("data/swictation/models").join(name);
    fs::create_dir_all(&copy).unwrap();
    for file in ["encoder-model.onnx", "decoder_joint-model.onnx", "model.toml"] {
        fs::copy(toy(GOOD).join(file), copy.join(file)).unwrap();
    }
    fs::copy(toy("vocab.txt"), copy.join("vocab.txt")).unwrap();
    edit(&copy.join("model.toml"), |text| {
        let line = |line: &str| match line.split_once(", sha256") {
            Some((line, _)) => line.replace("../", "") + " }\n",
            None => line.to_owned() + "\n",
        };
        text.lines().map(line).collect()
    });
    damage(&copy);
    copy
}

const ENCODER: &str = "encoder-model.onnx";
const DECODER: &str = "decoder_joint-model.onnx";

fn bytes(file: &Path, edit: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(file).unwrap();
    edit(&mut bytes);
    fs::write(file, bytes).unwrap();
}

/// A file that says it is so long, and takes no place on the disk.
fn sparse(file: &Path, length: u64) {
    fs::File::create(file).unwrap().set_len(length).unwrap();
}

/// An initialiser (`TensorProto`) of 64-bit integers.
fn tensor(name: &str, dims: &[u64], rest: Vec<u8>) -> Vec<u8> {
    let dims: Vec<u8> = dims.iter().flat_map(|n| number(1, *n)).collect();
    field(5, [dims, number(2, 7), field(8, name), rest].concat())
}

/// Adds parts to the graph of a model (`ModelProto.graph`).
fn add(file: &Path, parts: &[Vec<u8>]) {
    bytes(file, |bytes| bytes.extend(field(7, parts.concat())));
}

#[test]
fn a_model_that_works_is_used_from_then_on_and_after_a_restart() {
    let Some(mut desk) = Desk::new() else { return };
    let other = model(&desk.home, "other", |_| {});
    fs::set_permissions(desk.home.path("config/swictation/config.toml"), fs::Permissions::from_mode(0o640))
        .unwrap();
    assert_eq!(desk.dictate(), desk.text);
    let ran = desk.model(&["use", "other"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "other is in use\n"), "{ran:?}");
    assert_eq!(desk.used(), other.to_str().unwrap());
    assert_eq!(desk.written(), desk.config.replace("\"good\"", "\"other\""));
    let about = fs::metadata(desk.home.path("config/swictation/config.toml")).unwrap();
    assert_eq!(about.permissions().mode() & 0o777, 0o640);
    assert_eq!(desk.dictate(), desk.text);
    // Again, and by its folder: nothing happens, and the folder is what is written.
    assert_eq!(desk.model(&["use", "other"]).code, 0);
    let mut command = desk.home.command("swictation");
    desk.bus.give_to(&mut command).args(["model", "use", "."]).current_dir(&other);
    assert_eq!(run(&mut command).code, 0);
    assert!(desk.written().contains(other.to_str().unwrap()), "{}", desk.written());
    assert_eq!(desk.status.last["trouble"], "");
    assert_eq!(verb(&desk.bus, &desk.home, &["quit"]).code, 0);
    desk.status.state("stopped");
    desk.daemon = start(&desk.bus, &desk.home, &desk.source);
    desk.status.until("an engine", |line| line["engine"]["state"] == "ready");
    assert_eq!(desk.used(), other.to_str().unwrap());
}

#[test]
fn a_model_that_is_ready_while_somebody_speaks_waits_for_the_end_and_no_word_is_lost() {
    let Some(mut desk) = Desk::hearing("?realtime") else { return };
    let other = model(&desk.home, "other", |_| {});
    assert_eq!(verb(&desk.bus, &desk.home, &["start"]).code, 0);
    desk.status.until("speech", |line| ["listening", "speaking"].contains(&line["state"].as_str().unwrap()));
    let asked = desk.begin_use("other");
    worker("other", &desk.home);
    assert_eq!(desk.used(), desk.home.path("data/swictation/models/good").to_str().unwrap());
    desk.status.state("idle");
    assert_eq!(ended(asked).code, 0);
    assert_eq!(desk.daemon.printed(desk.text.len()), desk.text);
    assert_eq!(desk.used(), other.to_str().unwrap());
    assert_eq!(desk.dictate(), desk.text);
}

#[test]
fn a_damaged_model_leaves_the_old_one_in_use() {
    let Some(mut desk) = Desk::new() else { return };
    model(&desk.home, "flipped", |copy| {
        bytes(&copy.join(ENCODER), |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle..middle + 64].fill(0xff);
        });
    });
    desk.refuses("flipped", &["flipped/encoder-model.onnx", "not finite numbers", "fetch it again"]);
    model(&desk.home, "summed", |copy| {
        fs::copy(toy(GOOD).join("model.toml"), copy.join("model.toml")).unwrap();
        bytes(&copy.join(DECODER), |bytes| bytes[100_000] ^= 1);
    });
    desk.refuses("summed", &["summed/decoder_joint-model.onnx", "sha256", "fetch the model again"]);
    for (name, file) in [("cut", ENCODER), ("short", DECODER)] {
        model(&desk.home, name, |copy| bytes(&copy.join(file), |bytes| bytes.truncate(bytes.len() / 2)));
        desk.refuses(name, &[&format!("{name}/{file}")]);
    }
    model(&desk.home, "noise", |copy| fs::write(copy.join(ENCODER), "no graph").unwrap());
    desk.refuses("noise", &["noise/encoder-model.onnx"]);
}

#[test]
fn a_model_whose_parts_do_not_fit_leaves_the_old_one_in_use() {
    let Some(mut desk) = Desk::new() else { return };
    model(&desk.home, "doubles", |copy| {
        bytes(&copy.join(ENCODER), |bytes| {
            let port = b"audio_signal\x12H\nF\x08\x01";
            let at = bytes.windows(port.len()).position(|found| found == port).unwrap();
            bytes[at + port.len() - 1] = 11;
        });
    });
    desk.refuses("doubles", &["doubles/encoder-model.onnx", "double"]);
    model(&desk.home, "integers", |copy| {
        edit(&copy.join("model.toml"), |text| text.replace("\"fp32\"", "\"int8\""));
    });
    desk.refuses("integers", &["integers/encoder-model.onnx", "0.0 % of its weights are int8", "int8"]);
    model(&desk.home, "mixed", |copy| {
        fs::copy(toy("buffered-tdt").join(DECODER), copy.join(DECODER)).unwrap();
    });
    desk.refuses("mixed", &["mixed/"]);
    model(&desk.home, "other", |copy| {
        fs::copy(toy("aed").join(ENCODER), copy.join(ENCODER)).unwrap();
    });
    desk.refuses("other", &["other/encoder-model.onnx", "tensor"]);
}

#[test]
fn a_wrong_vocabulary_leaves_the_old_model_in_use() {
    let Some(mut desk) = Desk::new() else { return };
    type Damage = fn(String) -> String;
    let wrong: [(&str, Damage, &[&str]); 5] = [
        (
            "few",
            |text| {
                text.lines()
                    .skip(1)
                    .enumerate()
                    .map(|(id, line)| format!("{} {id}\n", line.rsplit_once(' ').unwrap().0))
                    .collect()
            },
            &["few/vocab.txt", "pieces"],
        ),
        (
            "many",
            |text| {
                let count = text.lines().count();
                let (pieces, blank) = text.trim_end().rsplit_once('\n').unwrap();
                format!("{pieces}\nmore {}\n{} {count}\n", count - 1, blank.rsplit_once(' ').unwrap().0)
            },
            &["many/vocab.txt", "pieces"],
        ),
        ("letter", |_| "Dear-Sir-or-Madam\n".into(), &["letter/vocab.txt", "line 1", "piece id"]),
        (
            "doubled",
            |text| text.lines().next().unwrap().to_owned() + "\n" + &text,
            &["doubled/vocab.txt", "line 2", "doubled"],
        ),
        (
            "same",
            |text| {
                let first = text.split(' ').next().unwrap().to_owned();
                text.lines()
                    .enumerate()
                    .map(|(id, line)| if id == 3 { format!("{first} 3\n") } else { line.to_owned() + "\n" })
                    .collect()
            },
            &["same/vocab.txt", "line 4", "already on line 1"],
        ),
    ];
    for (name, damage, parts) in wrong {
        model(&desk.home, name, |copy| edit(&copy.join("vocab.txt"), damage));
        desk.refuses(name, parts);
    }
}

#[test]
fn a_model_that_asks_for_more_than_there_is_leaves_the_old_one_in_use() {
    let Some(mut desk) = Desk::new() else { return };
    model(&desk.home, "manifest", |copy| sparse(&copy.join("model.toml"), 8 << 30));
    desk.refuses("manifest", &["manifest/model.toml", "more than"]);
    model(&desk.home, "vocabulary", |copy| sparse(&copy.join("vocab.txt"), 8 << 30));
    desk.refuses("vocabulary", &["vocabulary/vocab.txt", "more than"]);
    model(&desk.home, "graph", |copy| sparse(&copy.join(ENCODER), 8 << 30));
    desk.refuses("graph", &["graph/encoder-model.onnx", "2 GiB"]);
    model(&desk.home, "claim", |copy| {
        add(&copy.join(ENCODER), &[tensor("claimed", &[1 << 20, 1 << 20], field(9, [0; 8]))]);
    });
    desk.refuses("claim", &["claim/encoder-model.onnx", "claimed"]);
    // A terabyte from a few bytes, of a type that is no other output's, in every step.
    model(&desk.home, "bomb", |copy| {
        let shape = tensor("bomb_shape", &[1], field(9, (1_u64 << 40).to_le_bytes()));
        let truth = [number(1, 1), number(2, 9), field(9, [0])].concat();
        let value = field(5, [field(1, "value"), number(20, 4), field(5, truth)].concat());
        let node = [field(1, "bomb_shape"), field(2, "bomb"), field(4, "ConstantOfShape"), value].concat();
        let output = [field(1, "bomb"), field(2, field(1, number(1, 9)))].concat();
        add(&copy.join(ENCODER), &[shape, field(1, node), field(12, output)]);
    });
    desk.refuses("bomb", &["bomb/encoder-model.onnx", "Failed to allocate memory"]);
}

#[test]
fn a_model_that_reaches_out_of_its_folder_leaves_the_old_one_in_use() {
    let Some(mut desk) = Desk::new() else { return };
    fs::write(desk.home.path("data/swictation/secret"), "my secret 0\n").unwrap();
    let names = |path: &str| {
        let path = path.to_owned();
        move |copy: &Path| {
            edit(&copy.join("model.toml"), |text| text.replace("\"vocab.txt\"", &format!("{path:?}")))
        }
    };
    for (name, path) in [
        ("up", "../../secret"),
        ("far", "../../../../../../etc/passwd"),
        ("round", "sub/../../good/vocab.txt"),
    ] {
        model(&desk.home, name, names(path));
        desk.refuses(name, &["vocabulary", "leads out of the model"]);
    }
    model(&desk.home, "absolute", names("/etc/passwd"));
    desk.refuses("absolute", &["/etc/passwd", "must be relative to model.toml"]);
    model(&desk.home, "linked", |copy| {
        fs::remove_file(copy.join("vocab.txt")).unwrap();
        symlink("../../secret", copy.join("vocab.txt")).unwrap();
    });
    desk.refuses("linked", &["linked/vocab.txt", "is a link to", "secret"]);
    for (name, location, part) in [
        ("beside", "../../secret", "../../secret"),
        ("root", "/etc/passwd", "/etc/passwd"),
        ("link", "weights", "is a link to"),
    ] {
        model(&desk.home, name, |copy| {
            let entry = |key: &str, value: &str| field(13, [field(1, key), field(2, value)].concat());
            let rest = [entry("location", location), entry("length", "8"), number(14, 1)].concat();
            add(&copy.join(ENCODER), &[tensor("reached", &[1], rest)]);
            symlink("../../secret", copy.join("weights")).unwrap();
        });
        desk.refuses(name, &[part]);
    }
    assert!(!desk.daemon.log().contains("my secret"), "{}", desk.daemon.log());
}

/// A model that takes seconds to load: the sum of a large file is wanted first.
fn slow(home: &Home, name: &str) {
    model(home, name, |copy| {
        sparse(&copy.join("large"), 3 << 30);
        edit(&copy.join("model.toml"), |text| {
            let line =
                format!("[files]\na_large_one = {{ path = \"large\", sha256 = \"{}\" }}", "0".repeat(64));
            text.replace("[files]", &line)
        });
    });
}

/// The process of the worker with that model, once there is one.
fn worker(name: &str, home: &Home) -> u32 {
    let folder = home.path("data/swictation/models").join(name);
    let deadline = Instant::now() + PATIENCE;
    loop {
        for process in fs::read_dir("/proc").unwrap().flatten() {
            let command = fs::read_to_string(process.path().join("cmdline")).unwrap_or_default();
            if command.contains("swictation-worker")
                && command.split('\0').any(|word| Path::new(word) == folder)
            {
                return process.file_name().to_str().unwrap().parse().unwrap();
            }
        }
        assert!(Instant::now() < deadline, "no worker loads {name}");
        // Nobody tells when a process starts.
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn kill(process: u32) {
    assert!(Command::new("kill").args(["-KILL", &process.to_string()]).status().unwrap().success());
}

fn ended(child: Child) -> Ran {
    let out = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: out.status.code().unwrap_or(-1), out: text(out.stdout), err: text(out.stderr) }
}

#[test]
fn a_worker_that_is_killed_while_it_loads_is_a_failed_model() {
    let Some(mut desk) = Desk::new() else { return };
    slow(&desk.home, "slow");
    let asked = desk.begin_use("slow");
    kill(worker("slow", &desk.home));
    assert_refused(&ended(asked), exit::MODEL, &["was killed by signal 9 while the model was loaded"]);
    desk.status.trouble("slow is not in use");
    assert_eq!(desk.written(), desk.config);
    // Whoever dictates with the old model has seen it.
    assert_eq!(desk.dictate(), desk.text);
    assert_eq!(desk.status.last["trouble"], "");
}

#[test]
fn the_old_model_dictates_while_the_new_one_loads_and_the_last_wish_counts() {
    let Some(mut desk) = Desk::new() else { return };
    slow(&desk.home, "slow");
    let other = model(&desk.home, "other", |_| {});
    let first = desk.begin_use("slow");
    worker("slow", &desk.home);
    assert_eq!(desk.dictate(), desk.text);
    assert_eq!(desk.model(&["use", "other"]).code, 0);
    assert_refused(
        &ended(first),
        exit::FAILURE,
        &["slow is not in use", "another model was asked for meanwhile"],
    );
    assert_eq!(desk.used(), other.to_str().unwrap());
    assert_eq!(desk.dictate(), desk.text);
}

#[test]
fn an_edit_that_names_a_bad_model_is_told_and_never_takes_the_old_one_away() {
    let Some(mut desk) = Desk::new() else { return };
    model(&desk.home, "bad", |copy| fs::write(copy.join("vocab.txt"), "").unwrap());
    desk.config = desk.config.replace("\"good\"", "\"bad\"");
    desk.home.configure(&desk.config);
    let unbroken = |line: &Value| {
        assert_eq!(line["engine"]["state"], "ready", "the old engine is there all the time: {line}");
        line["trouble"].as_str().is_some_and(|text| text.contains("the new configuration is not in force"))
    };
    let trouble = desk.status.until("the trouble", unbroken);
    assert_says(trouble["trouble"].as_str().unwrap(), &["bad/vocab.txt"]);
    assert_eq!(desk.dictate(), desk.text);
    assert_eq!(desk.written(), desk.config, "the file is the person's");
    assert_eq!(desk.model(&["use", "good"]).code, 0);
    assert!(desk.written().contains("model = \"good\" # small"));
    desk.status.until("no trouble", |line| line["trouble"] == "");
}

#[test]
fn without_a_daemon_a_model_is_loaded_once_and_chosen_when_that_went_well() {
    if runtime().is_none() {
        return;
    }
    let home = Home::new();
    model(&home, "good", |_| {});
    model(&home, "bad", |copy| fs::write(copy.join("vocab.txt"), "").unwrap());
    let config = home.path("config/swictation/config.toml");
    let ran = home.run("swictation", &["model", "use", "bad"]);
    assert_refused(&ran, exit::MODEL, &["bad is not chosen", "bad/vocab.txt"]);
    assert!(!config.exists());
    let ran = home.run("swictation", &["model", "use", "good"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(ran.out, "good is chosen in config.toml; no daemon runs, the next one uses it\n");
    assert_eq!(fs::read_to_string(&config).unwrap(), "model = \"good\"\n");
    assert_eq!(fs::metadata(&config).unwrap().permissions().mode() & 0o777, 0o600);
    for (name, code, part) in [
        ("none", exit::MODEL, "none is not installed"),
        ("a b", exit::USAGE, "no name of a model"),
        ("no/where", exit::MODEL, "no/where/model.toml"),
    ] {
        assert_refused(&home.run("swictation", &["model", "use", name]), code, &[part]);
    }
    fs::write(&config, "model = 7\n").unwrap();
    let ran = home.run("swictation", &["model", "use", "good"]);
    assert_refused(&ran, exit::CONFIGURATION, &["config.toml, line 1", "model"]);
}

#[test]
fn a_model_that_is_used_or_chosen_is_not_removed_unless_that_is_meant() {
    let home = Home::new();
    let there = |name: &str| home.path("data/swictation/models").join(name).exists();
    let remove = |args: &[&str]| home.run("swictation", &[&["model", "remove"], args].concat());
    for name in ["good", "other", &swictation_core::config::Config::default().model] {
        model(&home, name, |_| {});
    }
    let default = swictation_core::config::Config::default().model;
    assert_refused(
        &remove(&[&default]),
        exit::FAILURE,
        &["config.toml chooses it", "model use OTHER", "--force"],
    );
    home.configure("model = \"good\"\n");
    assert_eq!(remove(&[&default]).code, 0);
    assert_refused(&remove(&["good"]), exit::FAILURE, &["good is not removed", "config.toml chooses it"]);
    home.configure(&format!("model = {:?}\n", home.path("data/swictation/models/other")));
    assert_refused(&remove(&["other"]), exit::FAILURE, &["config.toml chooses it"]);
    assert!(there("good") && there("other"));
    assert_eq!(remove(&["--force", "other"]).code, 0);
    assert!(!there("other"));
    let Some(desk) = Desk::new() else { return };
    // The daemon has the old one in use, whatever the file says since.
    desk.home.configure("model = \"good\"\nthreads = 99\n");
    assert_refused(&desk.model(&["remove", "good"]), exit::FAILURE, &["the daemon uses it"]);
    assert_eq!(desk.model(&["remove", "good", "--force"]).code, 0);
}
