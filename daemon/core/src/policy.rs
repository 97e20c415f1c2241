//! How much of an unstable tail is committed.
//!
//! Committed words are typed and can never be taken back, so a word is only
//! admitted when two snapshots in a row agree on it and on everything before it,
//! and when at least `k` newer words follow it: agreement filters what the model
//! is still guessing about, wait-k holds back what the next chunk of audio may
//! still complete. At the end of an utterance the caller commits everything.
//!
//! Agreement of two snapshots is LocalAgreement-2 (Liu, Spanakis and Niehues,
//! Interspeech 2020); holding back a fixed number of words behind the audio is
//! wait-k (Ma et al., ACL 2019). Nothing here knows where the words came from.

/// Agreement of two snapshots together with wait-k, over one utterance.
#[derive(Clone, Debug)]
pub struct Agreement {
    k: usize,
    seen: Vec<(String, usize)>,
}

impl Agreement {
    /// Holds back at least `k` words behind the newest.
    pub fn new(k: u32) -> Self {
        Self { k: k as usize, seen: Vec::new() }
    }

    /// Forgets what was seen, for a new utterance.
    pub fn reset(&mut self) {
        self.seen.clear();
    }

    /// X
    pub fn admit<S: AsRef<str>>(&mut self, tail: &[(S, f32)]) -> usize {
        let same = tail.iter().zip(&self.seen).take_while(|(new, old)| new.0.as_ref() == old.0.as_str()).count();
        let now: Vec<(String, usize)> = tail.iter().enumerate().map(|(i, w)| (w.0.as_ref().to_owned(), if i < same { self.seen[i].1 + 1 } else { 1 })).collect();
        let e = |n: &str, d: f32| std::env::var(n).ok().and_then(|v| v.parse().ok()).unwrap_or(d);
        let (n, m, c) = (e("PN", 2.0) as usize, e("PM", 2.0) as usize, e("PC", 0.0));
        let ok = now.iter().zip(tail).take_while(|(w, t)| w.1 >= if t.1 >= c { n } else { m }).count();
        let admitted = ok.min(tail.len().saturating_sub(self.k));
        self.seen = now[admitted..].to_vec();
        admitted
    }
}

