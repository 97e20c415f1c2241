use std::path::Path;
use swictation_asr::{graph::*, manifest::*, moonshine::*, *};
fn main() {
    let a: Vec<String> = std::env::args().collect(); // model chunk k ctx vadoff list of wav (raw f32 files) on stdin
    let rt = Runtime::open(Path::new(&std::env::var("ORT_DYLIB_PATH").unwrap())).unwrap();
    let dir = Path::new(&a[1]);
    let m = Manifest::read(dir).unwrap();
    let set = Settings {
        chunk_ms: Some(a[2].parse().unwrap()),
        wait_k: Some(a[3].parse().unwrap()),
        context_seconds: Some(a[4].parse().unwrap()),
    };
    let mut r = Moonshine::load(&rt, dir, &m, Device::Cpu { threads: 1 }, &set).unwrap();
    eprintln!("{:?}", r.info());
    for l in std::io::stdin().lines() {
        let l = l.unwrap();
        let b = std::fs::read(&l).unwrap();
        let x: Vec<f32> = b.chunks_exact(4).map(|c| f32::from_le_bytes(c.try_into().unwrap())).collect();
        r.begin(swictation_core::SamplePos(0), &[]);
        let mut out = String::new();
        let t = std::time::Instant::now();
        let mut held = 0usize;
        let mut steps = 0usize;
        let mut put = |b: &Belief| {
            for w in &b.words[..b.frozen] {
                if !w.glued || out.is_empty() {
                    out.push(' ');
                }
                out.push_str(&w.text);
            }
        };
        for c in x.chunks(512) {
            r.feed(c);
            while let Some(b) = r.step().unwrap() {
                held += b.words.len() - b.frozen;
                steps += 1;
                put(&b);
            }
        }
        let b = r.finish().unwrap();
        put(&b);
        println!(
            "{}\t{}\t{:.3}\t{:.3}\t{:.2}",
            l,
            out.trim(),
            t.elapsed().as_secs_f32(),
            x.len() as f32 / 16000.,
            held as f32 / steps.max(1) as f32
        );
    }
}
